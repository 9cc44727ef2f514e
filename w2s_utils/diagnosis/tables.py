"""What reports show of a forecast in tables: rows of cells, the header first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_utils._files import printable
from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.metrics import MODELS
from w2s_utils.theory.ridge import Ridges

FEW = 5  # sizes shown of a grid
MISSING = "–"

Table = list[list[str]]


def measured(f: Forecast, used: Forecast) -> Table:
    """What was measured on the leading directions and on those used: name, value, remark."""
    c = f.correlation
    known = f.noise_variance is not None
    rows = [
        ["", "value", ""],
        *([f"R^2 of labels, {name}", _interval(used.explained[name]),
           f"all {features.d} directions" if used.energy == 1 else f"on {features.d} directions"]
          for name, features in (("weak", used.weak), ("strong", used.strong))),
        ["weak dimension d_w", f"{f.d_w}",
         f"of {len(f.spectrum_w)} columns, {100 * f.energy:g} % energy"],
        ["strong dimension d_s", f"{f.d_s}",
         f"of {len(f.spectrum_s)} columns, {100 * f.energy:g} % energy"],
        ["overlap d_sw", _with_error(c.estimate, c.standard_error),
         f"raw {c.plug_in:.1f}; unrelated sets: {c.chance:.1f}"],
        ["top canonical correlation", f"{f.canonical_correlations[0]:.3f}",
         f"unrelated sets: {f.chance_correlation:.3f}"],
        ["rho_w + sigma^2", f"{f.residual_w}", "unexplained by weak features"],
        ["rho_s + sigma^2", f"{f.residual_s}", "unexplained by strong features"],
        ["label noise sigma^2", f"{f.noise_variance}", ""] if known else
        ["label noise sigma^2", "unknown", "so rho is not known by itself"],
        *([["rho_w", f"{f.rho_w:.4g}", ""]] if known else []),
        ["bias 1: unseen", f"{max(float(f.terms.unseen[-1, -1]), 0):.4g}",
         f"not in strong: {'rho_s' if known else 'rho_s + sigma^2'}"],
        ["bias 2: missed", f"{f.missed}", "in strong, not in weak"],
        ["bias 3: leaked", f"{f.leaked}", "only weak; counts d_s/N times"],
    ]  # fmt: skip
    return [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in rows]


def risks_by_n(f: Predicted) -> Table:
    """Return the four risks at the largest N for some n."""
    rows = [["n", "teacher", "student", "baseline", "ceiling"]]
    digits = _digits(f.risk["ceiling"].value)
    for i in few(len(f.n)):
        rows.append([f"{f.n[i]:,}", *(_half(f.risk[model][i, -1], digits) for model in MODELS)])
    return rows


def ratios_by_n(f: Forecast) -> Table:
    """PGR and OPR at the largest N for some n, and from which N the student beats others."""
    rows = [["n", "PGR", "OPR", "beats teacher", "beats baseline"]]
    for i in few(len(f.n)):
        ratios = _interval(f.pgr[i, -1]), _interval(f.opr[i, -1])
        wins = _from(f.beats_teacher[i]), _from(f.beats_baseline[i])
        rows.append([f"{f.n[i]:,}", *ratios, *wins])
    return rows


def shifted_ratios(f: Predicted) -> Table:
    """Gain, PGR and OPR at the largest N for some n."""
    rows = [["n", "gain", "PGR", "OPR"]]
    digits = _digits(f.risk["ceiling"].value)
    for i in few(len(f.n)):
        ratios = _interval(f.pgr[i, -1]), _interval(f.opr[i, -1])
        rows.append([f"{f.n[i]:,}", _half(f.gain[i, -1], digits), *ratios])
    return rows


def of_classes(c: Classification) -> list[tuple[str, Table]]:
    """Accuracies and what follows at the largest N for some n; of logistic probes losses before."""
    at_N = f"at N = {c.errors.N[-1]:,}"
    models = "least squares" if c.losses is None else "logistic probes"
    rows = [["n", "teacher", "student", "baseline", "ceiling"]]
    for i in few(len(c.errors.n)):
        percent = (_percent(c.accuracy[model][i, -1]) for model in MODELS)
        rows.append([f"{c.errors.n[i]:,}", *percent])
    found = [
        (f"Accuracy {at_N}, % ({models})", rows),
        (f"By shares of wrong answers {at_N}", shifted_ratios(c.errors)),
    ]
    if c.losses is None:
        return found
    losses = f"Cross-entropy {at_N} (logistic probes)", risks_by_n(c.losses)
    ratios = f"By cross-entropy {at_N}", shifted_ratios(c.losses)
    ridges = f"Ridges of the logistic probes {at_N}", ridges_by_n(c.errors.n, c.ridges)
    return [losses, ratios, *found, ridges]


def by_group(groups: Mapping[str, Predicted]) -> Table:
    """Risks, gain and PGR of each group at the largest sizes, the worst student first."""
    rows = [["group", "teacher", "student", "gain", "PGR"]]
    last = {name: float(f.risk["student"].value[-1, -1]) for name, f in groups.items()}
    digits = _digits([*last.values()])
    for name in sorted(last, key=lambda group: -last[group]):
        f = groups[name]
        bands = f.risk["weak"], f.risk["student"], f.gain
        cells = (_half(b[-1, -1], digits) for b in bands)
        rows.append([printable(name), *cells, _interval(f.pgr[-1, -1])])
    return rows


def ridges_by_n(n: NDArray[np.int64], ridges: Ridges) -> Table:
    """Ridges of the four models at the largest N for some n."""
    rows = [["n", "ridge: teacher", "student", "baseline", "ceiling"]]
    for i in few(len(n)):
        rows.append([f"{n[i]:,}", *(f"{ridge[i, -1]:.2g}" for ridge in ridges)])
    return rows


def by_N(f: Predicted, i: int) -> Table:
    """Student's risk, PGR and OPR at n[i] for some N."""
    rows = [["N", "student", "PGR", "OPR"]]
    digits = _digits(f.risk["ceiling"].value)
    for j in few(len(f.N)):
        risk = _half(f.risk["student"][i, j], digits)
        rows.append([f"{f.N[j]:,}", risk, _interval(f.pgr[i, j]), _interval(f.opr[i, j])])
    return rows


def checked(check: pd.DataFrame, every: bool = False) -> Table:
    """Predicted and measured student's risk, PGR and OPR at some points, or at every one."""
    quantities = ("student", "pgr", "opr")
    by_point = check.set_index(["n", "N", "quantity"]).to_dict("index")
    points = check[["n", "N"]].drop_duplicates().to_numpy()
    if not every:
        wanted = [{sizes[k] for k in few(len(sizes), 3)} for sizes in map(np.unique, points.T)]
        points = np.array([(n, N) for n, N in points if n in wanted[0] and N in wanted[1]])
    digits = _digits(check.loc[check["quantity"] == "student", "measured"])
    rows = [["n", "N", "student", "PGR", "OPR"]]
    for n, N in points:
        cells = [
            _pair(by_point[n, N, name], digits if name == "student" else 2) for name in quantities
        ]
        rows.append([f"{n:,}", f"{N:,}", *cells])
    return rows


def checked_classes(check: pd.DataFrame) -> Table:
    """Predicted and measured accuracies, and cross-entropies, where there are any."""
    kinds = {"accuracy": ("accuracy, %", 100, 1), "cross_entropy": ("cross-entropy", 1, 4)}
    names = check["quantity"]
    known = {kind: how for kind, how in kinds.items() if names.str.startswith(f"{kind}_").any()}
    by_point = check.set_index(["n", "N", "quantity"]).to_dict("index")
    rows = [["n", "N", "model", *(caption for caption, _, _ in known.values())]]
    for n, N in check.loc[names == "accuracy_weak", ["n", "N"]].to_numpy():
        for model, shown in zip(MODELS, ("teacher", *MODELS[1:]), strict=True):
            cells = []
            for kind, (_, factor, digits) in known.items():
                row = by_point[n, N, f"{kind}_{model}"]
                columns = ("predicted", "measured", "standard_error")
                cells.append(_pair({name: factor * row[name] for name in columns}, digits))
            rows.append([f"{n:,}", f"{N:,}", shown, *cells])
    return rows


def ranked(ranking: pd.DataFrame, kind: str) -> Table:
    """Rows of the table of a ranking, the best teacher or pool first."""
    dimensions = ["d_w", "d_sw"] if kind == "teacher" else []
    rows = [["", kind, *dimensions, "student", "PGR", "OPR", "sure"]]
    digits = _digits(ranking["student"])
    for place, t in enumerate(ranking.to_dict("records"), 1):
        probability = t["probability"]
        rows.append(
            [
                f"{place}",
                t[kind],
                *([f"{t['d_w']}", f"{t['d_sw']:.1f}"] if dimensions else []),
                _plus_minus(t["student"], t["student_high"] - t["student"], digits),
                _plus_minus(t["pgr"], t["pgr_high"] - t["pgr"], 2),
                _number(t["opr"], 3),
                # Rounded down, as 94.9 % is not sure at 95 %.
                MISSING if np.isnan(probability) else f"{int(100 * probability)} %",
            ]
        )
    return rows


def pairs(study: pd.DataFrame) -> Table:
    """Rows of the table of a study, in its order."""
    accuracy = "errors_gain" in study
    points = ["points"] if accuracy else []
    rows = [["teacher", "student", "d_w", "d_sw", "risk", "gain", *points, "PGR", "OPR"]]
    digits = _digits(study["risk"])
    for t in study.to_dict("records"):
        share = 100 / t["variance"]
        gains = [(t["gain"] * share, (t["gain_high"] - t["gain"]) * share)]
        if accuracy:
            more = t["errors_gain"], t["errors_gain_high"] - t["errors_gain"]
            gains.append((100 * more[0], 100 * more[1]))
        rows.append(
            [
                t["teacher"],
                t["student"],
                f"{t['d_w']}",
                f"{t['d_sw']:.1f}",
                _plus_minus(t["risk"], t["risk_high"] - t["risk"], digits),
                *(_plus_minus(value, half, 1) for value, half in gains),
                _number(t["pgr"], 2),
                _number(t["opr"], 2),
            ]
        )
    return rows


def routes(ways: pd.DataFrame) -> Table:
    """Rows of the table of `Routes`: risks, and what they are above that of one step."""
    rows = [["", "way", "student", "change", "better than one step"]]
    digits = _digits(ways["student"])
    for place, way in enumerate(ways.to_dict("records"), 1):
        probability = way["probability"]
        plain = way["change"] == way["change_high"]  # one step itself
        rows.append(
            [
                f"{place}",
                printable(way["route"]),
                _plus_minus(way["student"], way["student_high"] - way["student"], digits),
                MISSING
                if plain
                else _plus_minus(way["change"], way["change_high"] - way["change"], digits),
                MISSING if np.isnan(probability) else f"{int(100 * probability)} %",
            ]
        )
    return rows


def aligned(table: Table) -> list[str]:
    """Lines of text, the columns two spaces apart: words to the left, numbers to the right."""
    columns = list(zip(*table, strict=True))
    left = [not any(re.match(rf"-?\d|{MISSING}", cell) for cell in cells[1:]) for cells in columns]
    widths = [max(map(len, cells)) for cells in columns]
    lines = (
        "  ".join(
            cell.ljust(width) if words else cell.rjust(width)
            for cell, width, words in zip(row, widths, left, strict=True)
        )
        for row in table
        if any(row)
    )
    return [f"  {line}".rstrip() for line in lines]


def few(count: int, most: int = FEW) -> NDArray[np.int64]:
    """Positions of at most some of `count` values, the ends among them."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def _digits(values: Any) -> int:
    """Decimals that show four digits of a typical value."""
    typical = np.nanmedian(np.abs(np.asarray(values, float)))
    if not (np.isfinite(typical) and typical > 0):
        return 3
    return int(np.clip(3 - np.floor(np.log10(typical)), 0, 12))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else MISSING


def _plus_minus(value: float, half: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {half:.{digits}f}" if np.isfinite(value) else MISSING


def _with_error(value: float, error: float) -> str:
    return f"{value:.1f} ± {error:.1f}" if error >= 0.1 else f"{value:.2f} ± {error:.2f}"


def _half(band: Band, digits: int) -> str:
    return _plus_minus(float(band.value), float(band.high - band.value), digits)


def _percent(band: Band) -> str:
    return _plus_minus(100 * float(band.value), 100 * float(band.high - band.value), 1)


def _interval(band: Band) -> str:
    value, low, high = map(float, (band.value, band.low, band.high))
    digits = 2 if max(abs(low), abs(high)) < 2 else 1
    shown = (f"{number:.{digits}f}" for number in (value, low, high))
    return "{} ({} to {})".format(*shown) if np.isfinite(value) else MISSING


def _pair(row: Mapping[Any, float], digits: int) -> str:
    predicted = _number(row["predicted"], digits)
    return f"{predicted} / {_plus_minus(row['measured'], row['standard_error'], digits)}"


def _from(N: float) -> str:
    return f"N >= {N:,.0f}" if np.isfinite(N) else "never"
