"""Everything that is known of a pair as strict JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.diagnose_shift import ShiftDiagnosis
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.wording import risk_name
from w2s_utils.metrics import MODELS


def strict(content: Any) -> str:
    """What is undefined, unknown or infinite is null."""
    return json.dumps(_plain(content), allow_nan=False, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Values as JSON has them."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if is_dataclass(value) and not isinstance(value, type):
        fields = asdict(value)
        fields.pop("degrees", None)  # of an estimate: no number of the report
        return _plain(fields)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return _plain(value.item())
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value


def fields(d: Diagnosis) -> dict[str, Any]:
    """Numbers of a diagnosis."""

    def own(*names: str, of: Forecast = d) -> dict[str, Any]:
        return {name: getattr(of, name) for name in names}

    paper = partial(own, of=d.ridgeless)

    terms = {f"student_{name}": values.ravel() for name, values in vars(d.terms).items()}
    used = {f"ridge_{name}": r.ravel() for name, r in zip(MODELS, d.ridges, strict=True)}
    wins = {"n": d.n, "over_teacher": d.beats_teacher, "over_baseline": d.beats_baseline}
    return {
        "w2s_utils": version("w2s_utils"),
        **own("verdict", "warnings", "rows", "groups", "classes", "intercept", "ridge", "energy"),
        "distinct_rows": len(d.copies),
        "explained": d.explained,
        "signal": d.signal,
        **paper("d_w", "d_s"),
        "correlation_dimension": d.ridgeless.correlation,
        **own("noise_variance"),
        **paper("chance_correlation", "residual_w", "residual_s", "rho_w", "rho_s"),
        **paper("missed", "leaked"),
        "leverage_w": d.weak.leverage,
        "leverage_s": d.strong.leverage,
        "inflation_w": d.weak.inflation,
        "inflation_s": d.strong.inflation,
        "risk_is": risk_name(d),
        **own("best_n_pgr", "best_n_opr"),
        "student_wins_from_N": pd.DataFrame(wins),
        "predictions": d.table().assign(**terms, **used, exact=d.exact.ravel()),
        "joint": None if d.joint is None else d.joint._asdict(),
        "ridgeless": d.ridgeless.table(),
        "classification": None if d.classification is None else _of_classes(d.classification),
        **paper("canonical_correlations"),
        **own("spectrum_w", "spectrum_s"),
    }


def _of_classes(c: Classification) -> dict[str, Any]:
    ridges = {f"ridge_{name}": r.ravel() for name, r in zip(MODELS, c.ridges, strict=True)}
    return {"loss": c.loss, "rows": c.rows, "predictions": c.table().assign(**ridges)}


def shift_fields(d: ShiftDiagnosis) -> dict[str, Any]:
    """Numbers of a diagnosis of three sets."""
    return {
        "w2s_utils": version("w2s_utils"),
        "verdict": d.verdict,
        "warnings": d.warnings,
        "rows": d.rows,
        "labels_known": d.known,
        "directions_left_out": d.cut,
        "risk_is": risk_name(d),
        "best_n_pgr": d.best_n_pgr,
        "best_n_opr": d.best_n_opr,
        "predictions": d.table(),
        "groups": {name: one.table() for name, one in d.groups.items()},
        "worst_group": None if d.worst is None else d.worst.table(),
        "pseudo_labels_nearby": d.nearby.table(),
        "all_alike": d.alike.table(),
        "unshifted": fields(d.unshifted),
    }
