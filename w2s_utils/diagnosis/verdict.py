"""A forecast in words: the verdict with its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2s_utils.diagnosis.chosen import Joint
from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.sample import RIDGELESS, Penalty
from w2s_utils.diagnosis.wording import ranged

Outcome = Literal["helps", "beats the teacher only", "does not help", "undecided", "no signal"]

NO_GAIN = 1e-9  # of the labels' power: a difference that is rounding where models know everything
NOT_WORTH = 0.995  # share of the student's error that better ridges leave, not worth a sentence
CHANCE = 1e-4  # a p-value above it is no signal


@dataclass(frozen=True)
class Verdict:
    """Whether weak-to-strong finetuning helps, at the largest N of the grid.

    Attributes
    ----------
    outcome : {"helps", "beats the teacher only", "does not help", "undecided", "no signal"}
        "helps": at some n of the grid the student's expected risk is below those of the teacher and
        of the strong baseline, with the bands of both differences on one side of zero. "does not
        help": the same with the teacher's risk the lower, at every n. "no signal": one of
        the feature sets explains no more of the labels than of labels in random order.
    headline : str
        One sentence.
    reasons : tuple of str
        Sentences.
    """

    outcome: Outcome
    headline: str
    reasons: tuple[str, ...]


def judge(
    f: Forecast, ridgeless: Forecast, joint: Joint | None, classes: Classification | None
) -> Verdict:
    """Verdict at the largest N, with that of the ridgeless models beside it.

    Of logistic probes it is by their cross-entropy, else by the risk of least squares.
    """
    blind = [*_blind(f, ridgeless)]
    if blind:
        return Verdict(
            "no signal", f"No signal: {blind[0]} Are the rows aligned?", tuple(blind[1:])
        )
    N = int(f.N[-1])
    over_teacher, over_baseline = gains(f)
    outcome, said = compare(f.n, over_teacher, over_baseline)
    reasons = [
        *_balance(f, over_teacher), _overlap(ridgeless), *_too_few(f),
        *_baseline(f, over_baseline), *_together(joint), *_beside(f, ridgeless),
    ]  # fmt: skip
    how = models_said(f.ridge)
    if classes is not None:
        _, by_accuracy = compare(f.n, *gains(classes.errors))
        in_accuracy = f"In accuracy the student {by_accuracy}."
        if classes.losses is not None:
            least_squares = f"Of least-squares models the student {said}."
            outcome, said = compare(f.n, *gains(classes.losses))
            reasons = [in_accuracy, least_squares, _overlap(ridgeless)]
            how = how.replace("model", "logistic probe") or " and logistic probes"
        else:
            reasons.insert(0, in_accuracy)
    told = f"With N = {N:,} pseudo-labels{how} the student {said}."
    return Verdict(outcome, told, tuple(reasons))


def models_said(ridge: Penalty) -> str:
    """How the models are regularised, behind the number of pseudo-labels."""
    how = {"tuned": ", each model at its best ridge,", RIDGELESS: " and no ridge"}
    return how.get(ridge, " at the given ridge")


def gains(f: Predicted) -> tuple[Band, Band]:
    """What the student gains on its teacher and on the baseline at the largest N."""
    over_baseline = f.prediction.band(
        lambda numbers: (numbers["baseline"] - numbers["student"])[..., -1]
    )
    least = NO_GAIN * float(f.prediction.whole["power"])
    over_teacher, over_baseline = (
        Band(band.value, band.low - least, band.high + least)
        for band in (f.gain[:, -1], over_baseline)
    )
    return over_teacher, over_baseline


def _blind(f: Forecast, ridgeless: Forecast) -> Iterator[str]:
    """What the labels look to the features as they would in random order."""
    for name in ("weak", "strong"):
        if min(getattr(f.signal, name), getattr(ridgeless.signal, name)) > CHANCE:
            share = max(100 * float(f.explained[name].value), 0)
            yield (
                f"the {name} features explain {share:.1f} % of the labels' variance, which cannot "
                "be told from chance."
            )


def _together(joint: Joint | None) -> Iterator[str]:
    if joint is not None and joint.share < NOT_WORTH:
        weak, student = (
            ", ".join(dict.fromkeys(f"{getattr(r, name):.2g}" for r in joint.ridges))
            for name in ("weak", "student")
        )
        yield (
            f"Ridges chosen for the student's sake, {weak} for the teacher and {student} for the "
            f"student, would lower its error at n = {joint.n:,}, N = {joint.N:,} by "
            f"{100 * (1 - joint.share):.1f} %."
        )


def _beside(f: Forecast, ridgeless: Forecast) -> Iterator[str]:
    if f.ridge != RIDGELESS:
        _, said = compare(f.n, *gains(ridgeless))
        yield (
            f"Without ridge, on the {ridgeless.d_w} weak and {ridgeless.d_s} strong directions of "
            f"{100 * ridgeless.energy:g} % of the energy, the student {said}."
        )


def compare(n: NDArray[np.int64], over_teacher: Band, over_baseline: Band) -> tuple[Outcome, str]:
    """Say what the bands of the student's two gains say, one entry for each n."""
    better, worse = over_teacher.low > 0, over_teacher.high < 0
    both = better & (over_baseline.low > 0)
    if both.any():
        return "helps", f"beats its teacher and the strong baseline at {ranged(n, both)}"
    if better.any():
        loses = better & (over_baseline.high < 0)
        said = f"beats its teacher at {ranged(n, better)}, but "
        if not loses.any():
            said += "cannot be told from the strong baseline"
        elif np.array_equal(loses, better):
            said += "loses to the strong baseline"
        else:
            said += f"loses to the strong baseline at {ranged(n, loses)}"
        return "beats the teacher only", said
    if worse.all():
        where = "every n" if len(n) > 1 else ranged(n, worse)
        return "does not help", f"is worse than its teacher at {where}"
    unknown = np.isnan(over_teacher.value)
    if unknown.all():
        return "undecided", "has no prediction: every n or N is too near a threshold"
    parts = [
        f"{what} at {ranged(n, where)}"
        for what, where in (
            ("is worse than its teacher", worse),
            ("cannot be told from its teacher", ~worse & ~unknown),
        )
        if where.any()
    ]
    return "undecided", " and ".join(parts)


def _balance(f: Forecast, gain: Band) -> Iterator[str]:
    """What the student gains on its teacher, split into variance and bias."""
    known = np.flatnonzero(np.isfinite(gain.value))
    if len(known):
        i = known[np.argmax(gain.value[known])]
        variance = float(f.teacher_variance[i, -1])
        bias = float(f.terms.bias[i, -1]) - (float(f.risk["weak"].value[i, -1]) - variance)
        removed = variance - float(f.terms.variance[i, -1])
        kind = "Variance dominated" if removed > abs(bias) else "Bias dominated"
        change = f"adds {bias:.3g} of bias" if bias >= 0 else f"also removes {-bias:.3g} of bias"
        yield (
            f"{kind}: at n = {f.n[i]:,} the student removes {removed:.3g} of its teacher's "
            f"variance of {variance:.3g} and {change}."
        )


def _overlap(f: Forecast) -> str:
    shared = f.correlation.estimate / f.d_w
    limit = "only " if shared > 0.8 else ""
    return (
        f"Teacher and student share {f.correlation.estimate:.1f} of the teacher's {f.d_w} "
        f"dimensions: {limit}{100 * np.clip(1 - shared, 0, 1):.0f} % of its variance lies where "
        "pseudo-labels average it out."
    )


def _too_few(f: Forecast) -> Iterator[str]:
    soft = float(f.soft_s[0, -1])
    spare = f.N[-1] - soft - 1
    kept = soft / spare if spare > 0 else np.inf
    if kept >= 0.25:
        yield (
            f"N is too small: with {f.N[-1]:,} pseudo-labels for {soft:.0f} student "
            f"dimensions the student keeps {'all' if kept >= 1 else f'{100 * kept:.0f} %'} of the "
            "noise outside its features."
        )


def _baseline(f: Forecast, gain: Band) -> Iterator[str]:
    loses = gain.high < 0
    if loses.any():
        yield (
            f"The strong baseline is better at {ranged(f.n, loses)}: the target that the teacher "
            f"misses ({f.missed.value:.3g}) and the variance that it passes on cost the student "
            "more than few labels cost the baseline."
        )
