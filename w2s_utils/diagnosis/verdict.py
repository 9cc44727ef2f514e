"""A diagnosis in words: the verdict with its reasons, and why it may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from w2s_utils.diagnosis.prediction import Band

if TYPE_CHECKING:
    from w2s_utils.diagnosis.diagnose import Diagnosis
    from w2s_utils.diagnosis.moments import Moments

Outcome = Literal["helps", "beats the teacher only", "does not help", "undecided"]

NOTABLE = 0.1  # relative error of a prediction that is worth a warning
SPANNED = 1e-9  # share of a constant that features leave by rounding alone
FEW_ROWS = 10  # per direction, below which corrections of order d/M are large


@dataclass(frozen=True)
class Verdict:
    """Whether weak-to-strong finetuning helps, at the largest N of the grid.

    Attributes
    ----------
    outcome : {"helps", "beats the teacher only", "does not help", "undecided"}
        "helps": at some n of the grid the student's expected risk is below those of the teacher and
        of the strong baseline, with the bands of both differences on one side of zero. "does not
        help": the same with the teacher's risk the lower, at every n.
    headline : str
        One sentence.
    reasons : tuple of str
        Sentences.
    """

    outcome: Outcome
    headline: str
    reasons: tuple[str, ...]


def judge(d: Diagnosis) -> Verdict:
    """Verdict at the largest N."""
    N = int(d.N[-1])
    over_teacher = Band(d.gain.value[:, -1], d.gain.low[:, -1], d.gain.high[:, -1])
    over_baseline = d.prediction.band(
        lambda numbers: (numbers["baseline"] - numbers["student"])[..., -1]
    )
    outcome, said = compare(d.n, over_teacher, over_baseline)
    reasons = [*_balance(d, over_teacher), _overlap(d), *_too_few(d), *_baseline(d, over_baseline)]
    return Verdict(outcome, f"With N = {N:,} pseudo-labels the student {said}.", tuple(reasons))


def compare(n: NDArray[np.int64], over_teacher: Band, over_baseline: Band) -> tuple[Outcome, str]:
    """Say what the bands of the student's two gains say, one entry for each n."""
    better, worse = over_teacher.low > 0, over_teacher.high < 0
    both = better & (over_baseline.low > 0)
    if both.any():
        return "helps", f"beats its teacher and the strong baseline at {_range(n, both)}"
    if better.any():
        loses = better & (over_baseline.high < 0)
        said = f"beats its teacher at {_range(n, better)}, but "
        if not loses.any():
            said += "cannot be told from the strong baseline"
        elif np.array_equal(loses, better):
            said += "loses to the strong baseline"
        else:
            said += f"loses to the strong baseline at {_range(n, loses)}"
        return "beats the teacher only", said
    if worse.all():
        return "does not help", "is worse than its teacher at every n"
    unknown = np.isnan(over_teacher.value)
    if unknown.all():
        return "undecided", "has no prediction: every n or N is too near a threshold"
    parts = [
        f"{what} at {_range(n, where)}"
        for what, where in (
            ("is worse than its teacher", worse),
            ("cannot be told from its teacher", ~worse & ~unknown),
        )
        if where.any()
    ]
    return "undecided", " and ".join(parts)


def _balance(d: Diagnosis, gain: Band) -> list[str]:
    """What the student gains on its teacher, split into variance and bias."""
    known = np.flatnonzero(np.isfinite(gain.value))
    if not len(known):
        return []
    i = known[np.argmax(gain.value[known])]
    bias = float(d.terms.bias[i, -1]) - d.geometry.rho_w
    variance = float(d.risk["weak"].value[i, -1]) - d.geometry.rho_w
    removed = variance - float(d.terms.variance[i, -1])
    kind = "Variance dominated" if removed > abs(bias) else "Bias dominated"
    change = f"adds {bias:.3g} of bias" if bias >= 0 else f"also removes {-bias:.3g} of bias"
    return [
        f"{kind}: at n = {d.n[i]:,} the student removes {removed:.3g} of its teacher's variance of "
        f"{variance:.3g} and {change}."
    ]


def _overlap(d: Diagnosis) -> str:
    shared = d.correlation.estimate / d.d_w
    limit = "only " if shared > 0.8 else ""
    return (
        f"Teacher and student share {d.correlation.estimate:.1f} of the teacher's {d.d_w} "
        f"dimensions: {limit}{100 * np.clip(1 - shared, 0, 1):.0f} % of its variance lies where "
        "pseudo-labels average it out."
    )


def _too_few(d: Diagnosis) -> list[str]:
    spare = d.N[-1] - d.soft_s[-1] - 1
    kept = d.soft_s[-1] / spare if spare > 0 else np.inf
    if kept < 0.25:
        return []
    return [
        f"N is too small: with {d.N[-1]:,} pseudo-labels for {d.soft_s[-1]:.0f} student dimensions "
        f"the student keeps {'all' if kept >= 1 else f'{100 * kept:.0f} %'} of the noise outside "
        "its features."
    ]


def _baseline(d: Diagnosis, gain: Band) -> list[str]:
    loses = gain.high < 0
    if not loses.any():
        return []
    return [
        f"The strong baseline is better at {_range(d.n, loses)}: the target that the teacher "
        f"misses ({d.missed.value:.3g}) and the variance that it passes on cost the student more "
        "than few labels cost the baseline."
    ]


def warn(d: Diagnosis, moments: Moments) -> tuple[str, ...]:
    """Why the prediction may be off, the most serious first."""
    found = [*_rows(d), *_near_threshold(d), *_tails(d), *_noise(d), *_doubtful_overlap(d)]
    found += [*_wide(d), *_intercept(moments)]
    for name, (count, share) in (("weak", moments.constant_w), ("strong", moments.constant_s)):
        if count > 1 or share > 0.5:
            found.append(
                f"{count} column(s) of {name} are constant and carry {100 * share:.0f} % of its "
                "energy: they span one direction at most, and push others out of the retained ones."
            )
    return tuple(found)


def _rows(d: Diagnosis) -> list[str]:
    few = [
        f"{dimension} {name} directions"
        for name, dimension in (("weak", d.d_w), ("strong", d.d_s))
        if d.rows < FEW_ROWS * dimension
    ]
    if not few:
        return []
    return [
        f"Too few rows: {d.rows:,} for {' and '.join(few)}, below {FEW_ROWS} a direction; what is "
        "corrected for is large, and so is what is left of it."
    ]


def _near_threshold(d: Diagnosis) -> list[str]:
    found = []
    for size, name, sizes, models in (
        (d.d_w, "d_w", d.n, "the teacher"),
        (d.d_s, "d_s", d.n, "the strong baseline"),
        (d.d_s, "d_s", d.N, "the student"),
    ):
        near = (sizes > 0.8 * size) & (sizes < 1.25 * size + 2)
        if d.ridge == 0 and near.any():
            letter = "n" if sizes is d.n else "N"
            found.append(
                f"{letter} = {_list(sizes[near])} is near {name} = {size}, where rare training "
                f"sets dominate the error of {models}."
            )
    below = ~d.exact
    if d.ridge == 0 and below.any():
        found.append(
            "Below the interpolation threshold the exact theory does not apply: "
            f"{below.sum()} of {below.size} points are predicted by the asymptotic theory of "
            "ridge, and depend on the spectra of the features."
        )
    if np.isnan(d.risk["student"].value).any():
        found.append("Models too near their interpolation threshold have no prediction there.")
    return found


def _tails(d: Diagnosis) -> list[str]:
    found = []
    for name, excess, size, letter in (
        ("weak", d.leverage_w, int(d.n[0]), "n"),
        ("strong", d.leverage_s, int(d.N[0]), "N"),
    ):
        if abs(excess) > NOTABLE * size:
            found.append(
                f"Heavy tails: the {name} features have a leverage excess of {excess:.0f}, which "
                f"at {letter} = {size:,} changes the cost of noise by about "
                f"{100 * excess / size:+.0f} %, which is allowed for only roughly; trust {letter} "
                f"above {int(np.ceil(abs(excess) / NOTABLE)):,}."
            )
    return found


def _intercept(moments: Moments) -> list[str]:
    """What a constant would explain of the residuals, which the features do not."""
    d_w, D = moments.d_w, moments.d_w + moments.d_s
    moment, means = moments.whole(), moments.means
    found = []
    for name, part in (("weak", slice(d_w)), ("strong", slice(d_w, D))):
        fit = np.linalg.solve(moment[part, part], np.column_stack([moment[part, D:], means[part]]))
        constant = 1 - means[part] @ fit[:, -1]  # the squared mean of a constant's residual
        residual = np.trace(moment[D:, D:]) - np.sum(moment[part, D:] * fit[:, :-1])
        missed = np.sum((means[D:] - means[part] @ fit[:, :-1]) ** 2)
        if constant > SPANNED and missed > NOTABLE * residual * constant:
            found.append(
                f"The {name} features hold no constant, and one would explain "
                f"{100 * min(missed / (constant * residual), 1):.0f} % of what they leave of the "
                "labels: centre the labels, or give both feature sets a column of ones."
            )
    return found


def _noise(d: Diagnosis) -> list[str]:
    if d.noise_variance is None:
        return []
    return [
        f"The label noise {d.noise_variance.value:.3g} exceeds what the {name} features leave "
        f"unexplained ({residual.value:.3g}): one of the two is wrong."
        for name, residual in (("weak", d.residual_w), ("strong", d.residual_s))
        if d.noise_variance.value - residual.value
        > 2 * np.hypot(residual.standard_error, d.noise_variance.standard_error)
    ]


def _doubtful_overlap(d: Diagnosis) -> list[str]:
    c = d.correlation
    found = []
    if c.estimate < 2 * c.standard_error:
        found.append(
            f"The overlap d_sw = {c.estimate:.2f} ± {c.standard_error:.2f} cannot be told from "
            "chance."
        )
    # The held-out value shares the estimate's rows: its own error bounds that of the difference.
    gap = abs(c.estimate - c.held_out)
    if gap > max(3 * c.held_out_error, NOTABLE / 2 * max(c.estimate, 1)):
        found.append(
            f"Two estimates of the overlap differ: {c.estimate:.1f} and, held out, "
            f"{c.held_out:.1f}; inputs that are heavy in both sets make the first too large."
        )
    return found


def _wide(d: Diagnosis) -> list[str]:
    student, pgr = d.risk["student"], d.pgr
    wide = (student.high - student.value > 0.2 * student.value) | (pgr.high - pgr.value > 0.1)
    if not wide.any():
        return []
    return [
        f"Bands are wide at {wide.sum()} of {wide.size} points: more than 20 % of the student's "
        "risk or 0.1 of PGR; give more rows."
    ]


def _range(sizes: NDArray[np.int64], which: NDArray[np.bool_]) -> str:
    """Return sizes as text, a run of them by its ends."""
    chosen = np.flatnonzero(which)
    if len(chosen) > 2 and np.all(np.diff(chosen) == 1):
        return f"n = {sizes[chosen[0]]:,} to {sizes[chosen[-1]]:,}"
    return f"n = {_list(sizes[chosen])}"


def _list(sizes: NDArray[np.int64]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)
