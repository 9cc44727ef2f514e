"""The ledger: what each chapter measured of the paper's claims, and the verdict.

>>> from w2s_utils import claims
>>> from w2s_utils.metrics import Estimate
>>> real = claims.on("real")
>>> real.above(5, "rise of PGR with N", Estimate(0.21, 0.05)).verdict
'holds'
>>> real.above(5, "rise of PGR with N", Estimate(0.21, 0.15)).verdict
'unresolved'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from math import inf, isfinite, isnan, nan
from typing import Any, Literal, get_args

from w2s_utils.checks import Check
from w2s_utils.metrics import Estimate, Interval
from w2s_utils.thresholds import simultaneous_z, tolerance

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
VERDICTS = ("holds", "contradicted", "unresolved", "outside the claim", "not tested")

LEDGER_KEY = "w2s_ledger"  # of the output's metadata in an executed notebook


@dataclass(frozen=True)
class Finding:
    """One measured number, and the range in which a claim of the paper puts it.

    Attributes
    ----------
    claim : int
        Number of the claim in `CLAIMS`.
    statement : str
        What was measured, in words that fit every profile.
    value, low, high : float
        The number and its interval, of which `thresholds` says how sure it is.
    least, most : float
        The claim's range; infinite where it has no end.
    data : {"synthetic", "real"}
        What it was measured on.
    at : str
        The setting: sample sizes and names that depend on the profile.
    outside : str
        Why the claim does not speak of what was measured; empty if it does.

    Raises
    ------
    ValueError
        If the claim is not in the list, the number has no interval, or no number could fail.
    """

    claim: int
    statement: str
    value: float
    low: float
    high: float
    least: float = -inf
    most: float = inf
    data: Data = "synthetic"
    at: str = ""
    outside: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "least", "most"):
            object.__setattr__(self, name, float(getattr(self, name)))
        _check(self.claim, self.data)
        if not self.least < self.most:
            raise ValueError(f"The range from {self.least} to {self.most} is empty.")
        if self.least == -inf and self.most == inf:
            raise ValueError(f"No number could fail this finding: {self.statement}.")
        if not isnan(self.value) and not self.low < self.high:
            raise ValueError(
                f"A finding needs an interval, got {self.low} to {self.high}: measure it with its "
                "error, or make it a check (w2s_utils.checks) if it is a formula's value."
            )

    @property
    def verdict(self) -> str:
        """What the interval says: all of it in the claim's range, none of it, or neither."""
        if self.outside:
            return "outside the claim"
        if self.least < self.low and self.high < self.most:
            return "holds"
        if self.high < self.least or self.most < self.low:
            return "contradicted"
        return "unresolved"

    @property
    def expectation(self) -> str:
        """The claim's range in words."""
        if self.least == -inf:
            return f"below {self.most:.4g}"
        if self.most == inf:
            return f"above {self.least:.4g}"
        return f"{self.least:.4g} to {self.most:.4g}"


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
    def verdict(self) -> str:
        """Always "not tested"."""
        return "not tested"


Found = Estimate | Interval | Iterable[Estimate | Interval]


@dataclass(frozen=True)
class on:  # read as a word: claims.on("real")
    """Words for findings.

    Every word takes the number of the claim and the statement first. `found` is an estimate, an
    interval, or several of either: then the statement is about the one that speaks least for it,
    and the intervals are wide enough to hold at once.

    Attributes
    ----------
    data : {"synthetic", "real"}
        What is measured.
    """

    data: Data

    def above(
        self,
        claim: int,
        statement: str,
        found: Found,
        level: float = 0,
        *,
        below: float = inf,
        at: str = "",
        outside: str = "",
    ) -> Finding:
        """State that a number, or each of several, lies above a level (and below another)."""
        all_ = _intervals(found)
        worst = Interval(*(min(getattr(i, end) for i in all_) for end in ("value", "low", "high")))
        return self._finding(claim, statement, worst, level, below, at, outside)

    def below(
        self,
        claim: int,
        statement: str,
        found: Found,
        level: float = 0,
        *,
        at: str = "",
        outside: str = "",
    ) -> Finding:
        """State that a number, or each of several, lies below a level."""
        all_ = _intervals(found)
        worst = Interval(*(max(getattr(i, end) for i in all_) for end in ("value", "low", "high")))
        return self._finding(claim, statement, worst, -inf, level, at, outside)

    def near(
        self,
        claim: int,
        statement: str,
        found: Estimate | Interval,
        expected: float,
        how: str,
        *,
        at: str = "",
        outside: str = "",
    ) -> Finding:
        """State that a number is within one of the tolerances of the expected one."""
        (interval,), off = _intervals(found), tolerance(how)
        return self._finding(
            claim, statement, interval, expected - off, expected + off, at, outside
        )

    def _finding(
        self,
        claim: int,
        statement: str,
        found: Interval,
        least: float,
        most: float,
        at: str,
        outside: str,
    ) -> Finding:
        ends = (found.value, found.low, found.high)
        return Finding(claim, statement, *ends, least, most, self.data, at, outside)


Row = Finding | NotTested | Check


@dataclass(frozen=True)
class Ledger:
    """What one chapter found and checked: a table for the reader, metadata for the report."""

    rows: tuple[Row, ...]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        plain = "\n".join(": ".join(filter(None, (name(r), *in_cells(r)))) for r in self.rows)
        data = {"text/plain": plain, "text/html": _table(self.rows)}
        return data, {LEDGER_KEY: [_plain(row) for row in self.rows]}


def record(*rows: Row) -> Ledger:
    """Collect what a chapter found and checked; make it the last expression of a cell.

    Parameters
    ----------
    *rows : Finding, NotTested or Check

    Returns
    -------
    Ledger
        Shows a table in the book; the executed notebook carries the rows as metadata.

    Raises
    ------
    ValueError
        If there is nothing to record, or two rows have one name.
    """
    if not rows:
        raise ValueError("record needs at least one Finding.")
    twice = [named for named, times in Counter(map(name, rows)).items() if times > 1]
    if twice:
        raise ValueError(f"Two rows of the ledger have one name: {twice[0]}.")
    return Ledger(rows)


def name(row: Row) -> str:
    """Name a row, the same in every profile: what it is about, and its statement."""
    about = "check" if isinstance(row, Check) else f"claim {row.claim}, {row.data} data"
    return f"{about}: {row.statement}"


def verdict(row: Row) -> str:
    """Give the verdict in words: one of `VERDICTS`, or whether a check passes."""
    if isinstance(row, Check):
        return "passes" if row.holds else "fails"
    return row.verdict


def overall(verdicts: Iterable[str]) -> str:
    """Give the verdict on a claim from the verdicts on all that was found about it.

    Parameters
    ----------
    verdicts : iterable of str
        Some of `VERDICTS`.

    Returns
    -------
    str
        One of `VERDICTS`, or "holds in part" if some findings hold and others are contradicted or
        unresolved, followed by how many findings had each verdict.
    """
    counts = Counter(verdicts)
    if counts["holds"] and (counts["contradicted"] or counts["unresolved"]):
        said = "holds in part"
    else:
        said = next((v for v in VERDICTS if counts[v]), "not tested")
    words = {"holds": "hold"}
    told = ", ".join(f"{counts[v]} {words.get(v, v)}" for v in VERDICTS[:4] if counts[v])
    return f"{said} ({told})" if told else said


def _intervals(found: Found) -> list[Interval]:
    """Intervals that hold at once; NaN for estimates that are undefined."""
    several = [found] if isinstance(found, Estimate | Interval) else list(found)
    for one in several:
        if not isinstance(one, Estimate | Interval):
            raise ValueError(f"A finding needs an Estimate or an Interval, got {one!r}.")
    if not several:
        raise ValueError("A finding needs at least one estimate.")

    def interval(one: Estimate | Interval) -> Interval:
        if isinstance(one, Interval):
            return one
        half = simultaneous_z(len(several), one.degrees + 1) * one.standard_error
        return Interval(one.value, one.value - half, one.value + half)

    intervals = [interval(one) for one in several]
    if any(isnan(i.low) or isnan(i.high) for i in intervals):
        return [Interval(nan, nan, nan)]
    return intervals


def _check(claim: int, data: str) -> None:
    if claim not in CLAIMS:
        raise ValueError(f"claim must be one of {sorted(CLAIMS)}, got {claim!r}.")
    if data not in get_args(Data):
        raise ValueError(f"data must be synthetic or real, got {data!r}.")


def _plain(row: Row) -> dict[str, Any]:
    """Fields and verdict as strict JSON, which has no NaN or infinity."""
    return {
        field: str(value) if isinstance(value, float) and not isfinite(value) else value
        for field, value in {**asdict(row), "verdict": verdict(row)}.items()
    }


def in_cells(row: Row) -> tuple[str, str, str]:
    """Measured, expected and verdict, as tables show them."""
    if isinstance(row, NotTested):
        return "", "", verdict(row)
    if isinstance(row, Check):
        return f"{row.measured:.3g}", f"{row.relation} {row.limit:.3g}", verdict(row)
    measured = f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]"
    why = f"{verdict(row)}: {row.outside}" if row.outside else verdict(row)
    return measured, row.expectation, why


def _table(rows: tuple[Row, ...]) -> str:
    header = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("Claim", "What was measured", "Measured", "Expected", "Verdict")
    )

    def line(row: Row) -> str:
        claim = "check" if isinstance(row, Check) else str(row.claim)
        title = "" if isinstance(row, Check) else f' title="{escape(CLAIMS[row.claim])}"'
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in (told(row), *in_cells(row)))
        return f"<tr><td{title}>{claim}</td>{cells}</tr>"

    body = "".join(map(line, rows))
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def told(row: Row) -> str:
    """Statement with its setting, as tables show it."""
    setting = row.at if isinstance(row, Finding) else ""
    return f"{row.statement} ({setting})" if setting else row.statement
