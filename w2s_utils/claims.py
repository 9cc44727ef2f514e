"""The ledger: what each chapter measured of the paper's claims, and the verdict.

>>> from w2s_utils import claims
>>> from w2s_utils.metrics import Estimate
>>> real = claims.on("real")
>>> claims.verdict(real.clearly_above(5, "PGR rises with N", Estimate(0.21, 0.05)))
'holds'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from html import escape
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from w2s_utils.metrics import Estimate
from w2s_utils.thresholds import (
    AGREES,
    CLEARLY,
    CORRELATED,
    DIFFERS,
    SAME_LAW,
    SAME_ORDER,
    tolerance,
)

CLAIMS = {
    1: "W2S finetuning can be analysed as ridgeless regression on low-dimensional features.",
    2: "The W2S variance is the teacher's on the intersection of the two feature subspaces, "
    "and d_s/N of it where they differ.",
    3: "Discrepancy is a virtue: at fixed d_w and d_s, a smaller d_sw gives a lower W2S risk and "
    "a higher PGR and OPR.",
    4: "With enough pseudo-labels the student outperforms its teacher; with a small d_sw also the "
    "strong baseline.",
    5: "PGR and OPR rise with N and saturate; in n they are non-monotone or falling.",
    6: "The gain is largest when variance dominates: label noise raises PGR and OPR.",
    7: "The theory's curves track the measured risks on synthetic regression.",
    8: "The same trends show on vision and text tasks.",
}

Data = Literal["synthetic", "real"]

LEDGER_KEY = "w2s_ledger"  # of the output's metadata in an executed notebook


@dataclass(frozen=True)
class Finding:
    """One measured statement about a claim of the paper.

    Attributes
    ----------
    claim : int
        Number of the claim in `CLAIMS`.
    statement : str
        What was measured, in words.
    measured : float
        The number found by this run.
    expected : float
        The number it is compared with.
    relation : {"near", "above", "below"}
        Whether `measured` should lie within `tolerance` of, above, or below `expected`.
    tolerance : float
        For "near": the largest deviation allowed. Otherwise unused and zero.
    data : {"synthetic", "real"}
        What it was measured on.

    Raises
    ------
    ValueError
        If the claim is not in the list, or a tolerance is missing or meaningless.
    """

    claim: int
    statement: str
    measured: float
    expected: float
    relation: Literal["near", "above", "below"] = "near"
    tolerance: float = 0.0
    data: Data = "synthetic"

    def __post_init__(self) -> None:
        for name in ("measured", "expected", "tolerance"):
            object.__setattr__(self, name, float(getattr(self, name)))
        _check(self.claim, self.data)
        if self.relation not in ("near", "above", "below"):
            raise ValueError(f"relation must be near, above or below, got {self.relation!r}.")
        if (self.relation == "near") != (self.tolerance > 0):
            raise ValueError("A tolerance above zero goes with 'near', and only with it.")

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees; never true for NaN."""
        if self.relation == "near":
            return abs(self.measured - self.expected) <= self.tolerance
        if self.relation == "above":
            return self.measured > self.expected
        return self.measured < self.expected

    @property
    def expectation(self) -> str:
        """The comparison in words."""
        if self.relation == "near":
            return f"{self.expected:.4g} ± {self.tolerance:.2g}"
        return f"{self.relation} {self.expected:.4g}"


Found = Estimate | float | Iterable[Estimate | float]


@dataclass(frozen=True)
class on:  # read as a word: claims.on("real")
    """Words for findings: what is compared, and how surely; `thresholds` holds the limits.

    Every word takes the number of the claim and the statement first. `found` is an estimate, its
    z-score, or several of either, of which the one that speaks least for the statement counts.

    Attributes
    ----------
    data : {"synthetic", "real"}
        What is measured.
    """

    data: Data

    def above(self, claim: int, statement: str, value: float, level: float) -> Finding:
        """State that a number lies above a level that the claim names."""
        return Finding(claim, statement, value, level, "above", data=self.data)

    def below(self, claim: int, statement: str, value: float, level: float) -> Finding:
        """State that a number lies below a level that the claim names."""
        return Finding(claim, statement, value, level, "below", data=self.data)

    def clearly_above(
        self, claim: int, statement: str, found: Found, than: float = 0, by: float = CLEARLY
    ) -> Finding:
        """State that `found` exceeds `than` by more than `by` standard errors."""
        return self.above(claim, statement, _z_score(found, than, np.min), by)

    def clearly_below(self, claim: int, statement: str, found: Found) -> Finding:
        """State that `found` is negative by more than its error explains."""
        return self.below(claim, statement, _z_score(found, 0, np.max), -CLEARLY)

    def not_above(self, claim: int, statement: str, found: Found, by: float = CLEARLY) -> Finding:
        """State that `found` does not exceed zero by more than `by` standard errors."""
        return self.below(claim, statement, _z_score(found, 0, np.max), by)

    def not_below(self, claim: int, statement: str, found: Found) -> Finding:
        """State that `found` is not clearly negative."""
        return self.above(claim, statement, _z_score(found, 0, np.min), -CLEARLY)

    def agrees(
        self, claim: int, statement: str, z_scores: ArrayLike, within: float = AGREES
    ) -> Finding:
        """State that measurements differ from their theory by no more than their errors explain."""
        return self.below(claim, statement, np.abs(z_scores).max(), within)

    def near(
        self, claim: int, statement: str, found: Estimate | float, expected: float, how: str = ""
    ) -> Finding:
        """State that a number is the expected one, within its error and a tolerance."""
        estimate = found if isinstance(found, Estimate) else Estimate(found, 0)
        within = (tolerance(how) if how else 0) + AGREES * estimate.standard_error
        return Finding(claim, statement, estimate.value, expected, "near", within, self.data)

    def matches(self, claim: int, statement: str, distance: float, how: str) -> Finding:
        """State that a (relative) distance is within one of the tolerances."""
        return self.below(claim, statement, distance, tolerance(how))

    def differs(self, claim: int, statement: str, distance: float) -> Finding:
        """State that a relative distance is one that matters."""
        return self.above(claim, statement, distance, DIFFERS)

    def never(self, claim: int, statement: str, count: int) -> Finding:
        """State that something did not happen."""
        return self.below(claim, statement, count, 1)

    def same_law(self, claim: int, statement: str, p_values: ArrayLike) -> Finding:
        """State that no test tells two distributions apart."""
        return self.above(claim, statement, np.min(p_values), SAME_LAW)

    def correlates(self, claim: int, statement: str, rank_correlation: float) -> Finding:
        """State that one quantity goes with another."""
        return self.above(claim, statement, rank_correlation, CORRELATED)

    def same_order(self, claim: int, statement: str, rank_correlation: float) -> Finding:
        """State that two quantities order the cases alike."""
        return self.above(claim, statement, rank_correlation, SAME_ORDER)


@dataclass(frozen=True)
class NotTested:
    """A claim that a chapter is about and that this run could not test.

    Attributes
    ----------
    claim : int
        Number of the claim in `CLAIMS`.
    statement : str
        What was not tested, and why.
    data : {"synthetic", "real"}
        What it would have been measured on.

    Raises
    ------
    ValueError
        If the claim is not in the list.
    """

    claim: int
    statement: str
    data: Data = "real"

    def __post_init__(self) -> None:
        _check(self.claim, self.data)

    @property
    def holds(self) -> None:
        """Always None: neither true nor false."""


@dataclass(frozen=True)
class Ledger:
    """Findings of one chapter: a table for the reader, metadata for the reproduction report."""

    findings: tuple[Finding | NotTested, ...]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        plain = "\n".join(f"claim {f.claim}: {f.statement}: {_in_words(f)}" for f in self.findings)
        data = {"text/plain": plain, "text/html": _table(self.findings)}
        return data, {LEDGER_KEY: [_plain(f) for f in self.findings]}


@dataclass(frozen=True)
class Entry:
    """A finding, and where it was made.

    Attributes
    ----------
    chapter : str
        Name of the notebook.
    cell : str
        Id of the cell.
    finding : Finding or NotTested
    """

    chapter: str
    cell: str
    finding: Finding | NotTested


def record(*findings: Finding | NotTested) -> Ledger:
    """Collect the findings of a chapter; make it the last expression of a cell.

    Parameters
    ----------
    *findings : Finding or NotTested

    Returns
    -------
    Ledger
        Shows a table in the book; the executed notebook carries the findings as metadata.

    Raises
    ------
    ValueError
        If there is nothing to record.
    """
    if not findings:
        raise ValueError("record needs at least one Finding.")
    return Ledger(findings)


def entries(executed: Path) -> list[Entry]:
    """Read the ledger of an executed notebook.

    Parameters
    ----------
    executed : Path
        An executed notebook; without a ledger it has no entries.

    Returns
    -------
    list of Entry
        In the notebook's order.
    """
    return [
        Entry(executed.stem, cell["id"], _from_plain(fields))
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        for fields in output.get("metadata", {}).get(LEDGER_KEY, [])
    ]


def verdict(finding: Finding | NotTested) -> str:
    """Give the verdict in words: holds, does not hold, not tested."""
    return {True: "holds", False: "does not hold", None: "not tested"}[finding.holds]


def overall(findings: Iterable[Finding | NotTested]) -> str:
    """Give the verdict on a claim from all that was found about it.

    Parameters
    ----------
    findings : iterable of Finding or NotTested

    Returns
    -------
    {"holds", "holds in part", "does not hold", "not tested"}
        Untested parts count only where nothing was tested.
    """
    verdicts = {finding.holds for finding in findings} - {None}
    if len(verdicts) == 2:
        return "holds in part"
    return {True: "holds", False: "does not hold", None: "not tested"}[
        verdicts.pop() if verdicts else None
    ]


def _z_score(found: Found, than: float, weakest: Callable[[ArrayLike], float]) -> float:
    several = found if isinstance(found, Iterable) else [found]
    return weakest([f.z_score(than) if isinstance(f, Estimate) else f for f in several])


def _check(claim: int, data: str) -> None:
    if claim not in CLAIMS:
        raise ValueError(f"claim must be one of {sorted(CLAIMS)}, got {claim!r}.")
    if data not in get_args(Data):
        raise ValueError(f"data must be synthetic or real, got {data!r}.")


def _plain(finding: Finding | NotTested) -> dict[str, Any]:
    """Fields and verdict as strict JSON, which has no NaN or infinity."""
    fields = {**asdict(finding), "holds": finding.holds}
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in fields.items()
    }


def _from_plain(fields: dict[str, Any]) -> Finding | NotTested:
    values = {name: value for name, value in fields.items() if name != "holds"}
    if "measured" not in values:
        return NotTested(**values)
    values |= {name: nan for name, value in values.items() if value is None}
    return Finding(**values)


def in_cells(finding: Finding | NotTested) -> tuple[str, str, str]:
    """Measured, expected and verdict, as tables show them."""
    if isinstance(finding, NotTested):
        return "", "", verdict(finding)
    return f"{finding.measured:.4g}", finding.expectation, verdict(finding)


def _in_words(finding: Finding | NotTested) -> str:
    measured, expected, found = in_cells(finding)
    return f"{measured}, expected {expected}: {found}" if measured else found


def _table(findings: tuple[Finding | NotTested, ...]) -> str:
    header = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Claim", "What was measured", "Measured", "Expected", "Verdict")
    )
    rows = "".join(
        f'<tr><td title="{escape(CLAIMS[f.claim])}">{f.claim}</td><td>{escape(f.statement)}</td>'
        f"{''.join(f'<td>{cell}</td>' for cell in in_cells(f))}</tr>"
        for f in findings
    )
    return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
