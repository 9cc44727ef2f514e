"""A diagnosis or a ranking as text for a terminal, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_utils._files import printable
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.ranking import Ranking
from w2s_utils.metrics import MODELS

WIDTH = 80
FEW = 5  # sizes shown of a grid
MISSING = "–"
TITLES = {"weak": "teacher", "student": "student", "baseline": "baseline", "ceiling": "ceiling"}


def text_table(
    d: Diagnosis,
    check: pd.DataFrame | None = None,
    *,
    teacher: str = "weak",
    student: str = "strong",
) -> str:
    """Set a diagnosis as text of at most 80 columns.

    Parameters
    ----------
    d : Diagnosis
    check : DataFrame, optional
        Result of `verify`.
    teacher, student : str
        Names of the two feature sets.

    Returns
    -------
    str
    """
    lines = [*wrap(heading(d, teacher, student), WIDTH), ""]
    lines += [*wrap(d.verdict.headline, WIDTH), *_bullets(d.verdict.reasons)]
    if d.warnings:
        lines += ["", "Warnings", *_bullets(d.warnings)]
    lines += ["", "Measured", *_aligned(measured(d))]
    last, middle = len(d.N) - 1, len(d.n) // 2
    lines += ["", f"Predicted at N = {d.N[-1]:,}"]
    lines += [*_aligned(risks_by_n(d, last)), *_aligned(ratios_by_n(d, last))]
    lines += ["", f"Predicted at n = {d.n[middle]:,}", *_aligned(by_N(d, middle)), ""]
    lines += wrap(how_to_read(d), WIDTH)
    if check is not None:
        lines += ["", "Predicted / measured (mean over splits ± standard error)"]
        lines += [*_aligned(checked(check)), *wrap(agreement(check), WIDTH)]
    return "\n".join(lines)


def ranking_text(r: Ranking) -> str:
    """Set a ranking as text.

    Parameters
    ----------
    r : Ranking

    Returns
    -------
    str
    """
    known = next(iter(r.diagnoses.values()))
    lines = wrap(
        f"Teachers at n = {r.n:,}, N = {r.N:,}, by the student's {risk_name(known)}", WIDTH
    )
    lines += ["", *_aligned(ranked(r)), "", *wrap(ranking_note(r), WIDTH)]
    lines += ["", *wrap(ranking_sentence(r), WIDTH)]
    for name, d in r.diagnoses.items():
        if d.warnings:
            lines += ["", *wrap(f"Warnings for {name}", WIDTH), *_bullets(d.warnings)]
    return "\n".join(lines)


def to_json(
    d: Diagnosis,
    check: pd.DataFrame | None = None,
    *,
    teacher: str = "weak",
    student: str = "strong",
) -> str:
    """Write all of a diagnosis as strict JSON.

    Parameters
    ----------
    d, check, teacher, student
        As in `text_table`.

    Returns
    -------
    str
        What is undefined, unknown or infinite is null.
    """
    found = {"teacher": teacher, "student": student, **_fields(d)}
    if check is not None:
        found["verification"] = check
    return _strict(found)


def ranking_json(r: Ranking) -> str:
    """Write a ranking with the diagnoses that it rests on as strict JSON.

    Parameters
    ----------
    r : Ranking

    Returns
    -------
    str
        As of `to_json`.
    """
    diagnoses = {name: _fields(d) for name, d in r.diagnoses.items()}
    return _strict({"n": r.n, "N": r.N, "ranking": r.table, "ties": r.ties, "diagnoses": diagnoses})


# --- Tables: rows of cells, the header first ------------------------------------------------------

Table = list[list[str]]


def measured(d: Diagnosis) -> Table:
    """What was measured: name, value, remark."""
    c = d.correlation
    correlation = float(d.canonical_correlations[0])
    rows = [
        ["", "value", ""],
        ["weak dimension d_w", f"{d.d_w}", f"of {len(d.spectrum_w)} columns"],
        ["strong dimension d_s", f"{d.d_s}", f"of {len(d.spectrum_s)} columns"],
        ["overlap d_sw", _with_error(c.estimate, c.standard_error),
         f"raw {c.plug_in:.1f}; unrelated sets: {c.chance:.1f}"],
        ["top canonical correlation", f"{correlation:.3f}",
         f"unrelated sets: {d.chance_correlation:.3f}"],
        ["rho_w + sigma^2", f"{d.residual_w}", "unexplained by weak features"],
        ["rho_s + sigma^2", f"{d.residual_s}", "unexplained by strong features"],
    ]  # fmt: skip
    if d.noise_variance is None:
        rows += [["label noise sigma^2", "unknown", "so rho is not known apart from it"]]
    else:
        rows += [
            ["label noise sigma^2", f"{d.noise_variance}", ""],
            ["rho_w", f"{d.rho_w:.4g}", ""],
        ]
    unseen = "rho_s" if d.noise_variance is not None else "rho_s + sigma^2"
    rows += [
        ["bias 1: unseen", f"{max(float(d.terms.unseen[-1, -1]), 0):.4g}",
         f"not in strong: {unseen}"],
        ["bias 2: missed", f"{d.missed}", "in strong, not in weak"],
        ["bias 3: leaked", f"{d.leaked}", "in weak only; counts d_s/N times"],
    ]  # fmt: skip
    return [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in rows]


def risks_by_n(d: Diagnosis, j: int) -> Table:
    """Return the four risks at N[j] for some n."""
    digits = _digits(d.risk["ceiling"].value)
    header = ["n", *(TITLES[model] for model in MODELS)]
    return [
        header,
        *(
            [f"{d.n[i]:,}", *(_half(d.risk[model], i, j, digits) for model in MODELS)]
            for i in few(len(d.n))
        ),
    ]


def ratios_by_n(d: Diagnosis, j: int) -> Table:
    """PGR and OPR at N[j] for some n, and the N from which the student beats the others."""
    header = ["n", "PGR", "OPR", "beats teacher", "beats baseline"]
    return [
        header,
        *(
            [
                f"{d.n[i]:,}",
                _interval(d.pgr, i, j),
                _interval(d.opr, i, j),
                _from(d.beats_teacher[i]),
                _from(d.beats_baseline[i]),
            ]
            for i in few(len(d.n))
        ),
    ]


def by_N(d: Diagnosis, i: int) -> Table:
    """Student's risk, PGR and OPR at n[i] for some N."""
    digits = _digits(d.risk["ceiling"].value)
    return [
        ["N", "student", "PGR", "OPR"],
        *(
            [
                f"{d.N[j]:,}",
                _half(d.risk["student"], i, j, digits),
                _interval(d.pgr, i, j),
                _interval(d.opr, i, j),
            ]
            for j in few(len(d.N))
        ),
    ]


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


def ranked(r: Ranking) -> Table:
    """Rows of a ranking, the best teacher first."""
    rows = [["", "teacher", "d_w", "d_sw", "student", "PGR", "OPR", "surely"]]
    digits = _digits(r.table["student"])
    for place, t in enumerate(r.table.to_dict("records"), 1):
        probability = t["probability"]
        rows.append(
            [
                f"{place}",
                t["teacher"],
                f"{t['d_w']}",
                f"{t['d_sw']:.1f}",
                _plus_minus(t["student"], t["student_high"] - t["student"], digits),
                _plus_minus(t["pgr"], t["pgr_high"] - t["pgr"], 2),
                _number(t["opr"], 3),
                MISSING if np.isnan(probability) else f"{100 * probability:.0f} %",
            ]
        )
    return rows


# --- Sentences ------------------------------------------------------------------------------------


def heading(d: Diagnosis, teacher: str, student: str) -> str:
    """What was diagnosed."""
    told = f"Teacher {teacher}, student {student}: {d.rows:,} rows"
    if d.classes is not None:
        told += printable(f", classes {', '.join(map(str, d.classes))}")
    return f"{told}; ridge {d.ridge:g}, {100 * d.energy:g} % of the energy."


def risk_name(d: Diagnosis) -> str:
    """Return what the predicted risks are."""
    if d.noise_variance is None:
        return "expected squared error against noisy labels"
    return "expected excess risk"


def how_to_read(d: Diagnosis) -> str:
    """What the predicted numbers are, and the best n."""
    told = f"Models: {risk_name(d)} ± half of its 90 % band. PGR, OPR: with 90 % bands"
    if d.noise_variance is None:
        told += ", that of OPR for any label noise"
    if np.isnan(d.pgr.value).any():
        told += f"; no PGR ({MISSING}) where the teacher is not surely worse than the ceiling"
    best = ", ".join(
        f"{n:,} for {name}" for name, n in (("PGR", d.best_n_pgr), ("OPR", d.best_n_opr)) if n
    )
    return f"{told}. Best n at N = {d.N[-1]:,}: {best or 'none'}."


def agreement(check: pd.DataFrame) -> str:
    """How far the measured values are from the predicted ones."""
    off = (check["measured"] - check["predicted"]).abs()
    relative = 100 * off / check["predicted"].abs()
    quantity = check["quantity"]
    told = [
        f"{relative[quantity.isin(MODELS)].median():.1f} % of the four risks",
        f"{relative[quantity == 'opr'].median():.1f} % of OPR",
    ]
    gained = off[(quantity == "pgr") & (check["predicted"] > 0)].dropna()
    if len(gained):  # below zero, its denominator is small
        told.append(f"{gained.median():.3f} of PGR where it is above 0")
    points = len(check[["n", "N"]].drop_duplicates())
    return f"Median distance over {points} points: {', '.join(told)}."


def ranking_sentence(r: Ranking) -> str:
    """Which teacher to take, and which cannot be told apart."""
    best = r.table["teacher"].iloc[0]
    told = f"Take {best}: its student has the lowest predicted risk."
    if not r.ties:
        return f"{told} All neighbours in the order differ by more than their 90 % band."
    pairs = ", ".join(f"{a} and {b}" for a, b in r.ties)
    return f"{told} Not to be told apart at 90 %: {pairs}."


def ranking_note(r: Ranking) -> str:
    """What the columns of a ranking are."""
    known = next(iter(r.diagnoses.values()))
    return (
        f"student: {risk_name(known)} ± half of its 90 % band, PGR likewise; surely: probability "
        "that this student's risk is below the next one's. All teachers share the rows, so "
        "differences are surer than the bands look."
    )


# --- Cells ----------------------------------------------------------------------------------------


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


def _half(band: Band, i: int, j: int, digits: int) -> str:
    return _plus_minus(band.value[i, j], band.high[i, j] - band.value[i, j], digits)


def _interval(band: Band, i: int, j: int) -> str:
    value, low, high = (float(part[i, j]) for part in (band.value, band.low, band.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if np.isfinite(value) else MISSING


def _pair(row: Mapping[Any, float], digits: int) -> str:
    predicted = _number(row["predicted"], digits)
    return f"{predicted} / {_plus_minus(row['measured'], row['standard_error'], digits)}"


def _from(N: float) -> str:
    return f"N >= {N:,.0f}" if np.isfinite(N) else "never"


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [
        line
        for sentence in sentences
        for line in wrap(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def _aligned(table: Table) -> list[str]:
    """Columns two spaces apart: words to the left, numbers to the right."""
    left = [column for column in range(len(table[0])) if _is_text([r[column] for r in table[1:]])]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
        if any(row)
    ]


def _is_text(cells: Sequence[str]) -> bool:
    return not any(re.match(rf"-?\d|{MISSING}", cell) for cell in cells)


# --- JSON -----------------------------------------------------------------------------------------


def _fields(d: Diagnosis) -> dict[str, Any]:
    predictions = d.table()
    for name, values in asdict(d.terms).items():
        predictions[f"student_{name}"] = np.ravel(values)
    predictions["exact"] = d.exact.ravel()
    return {
        "w2s_utils": version("w2s_utils"),
        "verdict": d.verdict,
        "warnings": d.warnings,
        "rows": d.rows,
        "classes": d.classes,
        "ridge": d.ridge,
        "energy": d.energy,
        "d_w": d.d_w,
        "d_s": d.d_s,
        "correlation_dimension": d.correlation,
        "chance_correlation": d.chance_correlation,
        "residual_w": d.residual_w,
        "residual_s": d.residual_s,
        "noise_variance": d.noise_variance,
        "rho_w": d.rho_w,
        "rho_s": d.rho_s,
        "missed": d.missed,
        "leaked": d.leaked,
        "leverage_w": d.leverage_w,
        "leverage_s": d.leverage_s,
        "inflation_w": d.inflation_w,
        "inflation_s": d.inflation_s,
        "risk_is": risk_name(d),
        "best_n_pgr": d.best_n_pgr,
        "best_n_opr": d.best_n_opr,
        "student_wins_from_N": pd.DataFrame(
            {"n": d.n, "over_teacher": d.beats_teacher, "over_baseline": d.beats_baseline}
        ),
        "predictions": predictions,
        "canonical_correlations": d.canonical_correlations,
        "spectrum_w": d.spectrum_w,
        "spectrum_s": d.spectrum_s,
    }


def _strict(content: Any) -> str:
    return json.dumps(_plain(content), allow_nan=False, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Values as JSON has them."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
