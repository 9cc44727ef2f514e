"""A forecast in words: the verdict with its reasons, and why it may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.rows import LEAST_ROWS, FeatureSet
from w2s_utils.diagnosis.sample import RIDGELESS, Joint, Penalty

Outcome = Literal["helps", "beats the teacher only", "does not help", "undecided", "no signal"]

NOTABLE = 0.1  # relative error of a prediction that is worth a warning
FEW_ROWS = 10  # per direction, below which corrections of order d/M are large
FEW_TUNED = 4  # the same of tuned models, whose ridges weigh down most directions
NO_GAIN = 1e-9  # of the labels' power: a difference that is rounding where models know everything
NOT_WORTH = 0.995  # share of the student's error that better ridges leave, not worth a sentence
CHANCE = 1e-4  # a p-value above it is no signal
COPIED = 1.02  # factor by which copies of inputs make bands too narrow
HEAVY = 4.0  # kurtosis of the labels' residuals, from which on bands are doubtful


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
        where = "every n" if len(n) > 1 else _range(n, worse)
        return "does not help", f"is worse than its teacher at {where}"
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
            f"The strong baseline is better at {_range(f.n, loses)}: the target that the teacher "
            f"misses ({f.missed.value:.3g}) and the variance that it passes on cost the student "
            "more than few labels cost the baseline."
        )


def warn(f: Forecast, ridgeless: Forecast, classes: Classification | None) -> tuple[str, ...]:
    """Why the prediction may be off, the most serious first."""
    doubts = (
        _like_classes, _cut_off, _few_rows, _copies, _near_threshold, _few_labels, _tails,
        _heavy_labels, _noise, _wide, _constants,
    )  # fmt: skip
    said = [sentence for doubt in doubts for sentence in doubt(f)]
    return (*said, *_beyond_rows(f, classes), *_doubtful_overlap(ridgeless))


def _beyond_rows(f: Forecast, classes: Classification | None) -> Iterator[str]:
    if classes is None:
        return
    if np.isnan(classes.errors.risk["student"].value).any():
        yield "Classifiers that have no fit without more ridge have no prediction."
    most = int(f.n[-1] + f.N[-1])
    if most > 2 * f.rows:
        yield (
            f"The ceiling sees up to n + N = {most:,} labels, of which {f.rows:,} are here: its "
            "accuracy is extrapolated, and so is PGR in accuracy."
        )


def _like_classes(f: Forecast) -> Iterator[str]:
    if f.whole_numbers:
        yield (
            f"The labels are {f.whole_numbers} whole numbers and were taken for amounts; if they "
            "are classes, say so (--classes, classes=True)."
        )


def _few_labels(f: Forecast) -> Iterator[str]:
    few = f.n[f.n <= max(f.d_w, f.d_s)]
    if f.ridge == "tuned" and len(few):
        yield (
            f"n = {_list(few)} is no more than the {f.d_w} weak or {f.d_s} strong directions: "
            "cross-validation then misses the best ridge now and then, and teacher and baseline "
            "are worse on average than predicted."
        )


def _cut_off(f: Forecast) -> Iterator[str]:
    for features in (f.weak, f.strong):
        cut, name = features.cut, features.name
        if cut.count and f.energy == 1:
            yield (
                f"Of {features.d + cut.count} {name} directions the leading {features.d} are used: "
                f"{f.rows:,} rows are {LEAST_ROWS} a direction. Models on all columns may do "
                "better; give more rows."
            )
        if cut.p_value < 1e-3 and cut.explained > 0.01:
            yield (
                f"The {cut.count} {name} directions that are cut off explain "
                f"{100 * cut.explained:.0f} % of what the others leave of the labels"
                f"{': keep all energy' if f.energy < 1 else ''}."
            )
        if cut.taught_p_value < 1e-3 and cut.taught > 0.01:
            yield (
                f"The {cut.count} {name} directions that are cut off hold "
                f"{100 * cut.taught:.0f} % of what the others leave of the teacher's answers."
            )


def _heavy_labels(f: Forecast) -> Iterator[str]:
    heaviest: FeatureSet = max((f.weak, f.strong), key=lambda features: features.kurtosis)
    if heaviest.kurtosis > HEAVY and not heaviest.bounded:
        yield (
            f"Heavy-tailed labels: what the {heaviest.name} features leave of them has kurtosis "
            f"{heaviest.kurtosis:.1f} (Gaussian: 3), so a few rows decide. Bands are widened, and "
            "may still be too narrow."
        )


def _few_rows(f: Forecast) -> Iterator[str]:
    least = FEW_TUNED if f.ridge == "tuned" else FEW_ROWS
    few = [
        f"{features.d} {features.name} directions"
        for features in (f.weak, f.strong)
        if f.rows < least * features.d
    ]
    if few:
        yield (
            f"Too few rows: {f.rows:,} for {' and '.join(few)}, below {least} a direction; what "
            "is corrected for is large, and so is what is left of it."
        )


def _copies(f: Forecast) -> Iterator[str]:
    effect = float(np.sqrt(np.sum(f.copies**2) / f.rows))
    if f.groups is None and effect > COPIED:
        yield (
            f"Repeated rows: {f.rows - len(f.copies):,} of {f.rows:,} inputs repeat an earlier "
            f"one. If they were copied, bands are about {effect:.1f} times too narrow: say with "
            "group (--group) which rows belong together."
        )


def _near_threshold(f: Forecast) -> Iterator[str]:
    for size, name, sizes, letter, models in (
        (f.d_w, "d_w", f.n, "n", "the teacher"),
        (f.d_s, "d_s", f.n, "n", "the strong baseline"),
        (f.d_s, "d_s", f.N, "N", "the student"),
    ):
        near = (sizes > 0.8 * size) & (sizes < 1.25 * size + 2)
        if f.ridge == RIDGELESS and near.any():
            yield (
                f"{letter} = {_list(sizes[near])} is near {name} = {size}, where rare training "
                f"sets dominate the error of {models}."
            )
    below = ~f.exact
    if f.ridge == RIDGELESS and below.any():
        yield (
            "Below the interpolation threshold the exact theory does not apply: "
            f"{below.sum()} of {below.size} points are predicted by the asymptotic theory of "
            "ridge, and depend on the spectra of the features."
        )
    if np.isnan(f.risk["student"].value).any():
        yield "Models too near their interpolation threshold have no prediction there."


def _tails(f: Forecast) -> Iterator[str]:
    for features, letter, size in ((f.weak, "n", int(f.n[0])), (f.strong, "N", int(f.N[0]))):
        excess = features.leverage
        if abs(excess) > NOTABLE * size:
            kind = "Heavy tails" if excess > 0 else "Light tails"
            yield (
                f"{kind}: the {features.name} features have a leverage excess of {excess:.0f},"
                f" which at {letter} = {size:,} changes the cost of noise by about "
                f"{100 * excess / size:+.0f} %, which is allowed for only roughly; trust {letter} "
                f"above {int(np.ceil(abs(excess) / NOTABLE)):,}."
            )


def _noise(f: Forecast) -> Iterator[str]:
    noise = f.noise_variance
    if noise is None:
        return
    for name, residual in (("weak", f.residual_w), ("strong", f.residual_s)):
        excess = noise - residual
        if excess.value > 2 * excess.standard_error:
            yield (
                f"The label noise {noise.value:.3g} exceeds what the {name} features leave "
                f"unexplained ({residual.value:.3g}): one of the two is wrong."
            )


def _doubtful_overlap(f: Forecast) -> Iterator[str]:
    c = f.correlation
    if c.estimate < 2 * c.standard_error:
        yield (
            f"The overlap d_sw = {c.estimate:.2f} ± {c.standard_error:.2f} cannot be told from "
            "chance: are the rows of the two sets aligned?"
        )
    # The held-out value shares the estimate's rows: its own error bounds that of the difference.
    gap = abs(c.estimate - c.held_out)
    if gap > max(3 * c.held_out_error, NOTABLE / 2 * max(c.estimate, 1)):
        yield (
            f"Two estimates of the overlap differ: {c.estimate:.1f} and, held out, "
            f"{c.held_out:.1f}; inputs that are heavy in both sets make the first too large."
        )


def _wide(f: Forecast) -> Iterator[str]:
    student, pgr = f.risk["student"], f.pgr
    wide = (student.high - student.value > 0.2 * student.value) | (pgr.high - pgr.value > 0.1)
    if wide.any():
        yield (
            f"Bands are wide at {wide.sum()} of {wide.size} points: more than 20 % of the "
            "student's risk or 0.1 of PGR; give more rows."
        )


def _constants(f: Forecast) -> Iterator[str]:
    sets = f.weak, f.strong
    for features in sets:
        if features.intercept > NOTABLE:
            yield (
                f"The {features.name} features hold no constant, and one would explain "
                f"{100 * min(features.intercept, 1):.0f} % of what they leave of the labels: "
                "let models have an intercept, or give both feature sets a column of ones."
            )
    for features in sets:
        count, share = features.constant
        if not f.intercept and (count > 1 or share > 0.5):
            yield (
                f"{count} column(s) of {features.name} are constant and carry {100 * share:.0f} % "
                "of its energy: they span one direction at most, and push others out of the "
                "retained ones."
            )


def _range(sizes: NDArray[np.int64], which: NDArray[np.bool_]) -> str:
    """Return sizes as text, a run of them by its ends."""
    chosen = np.flatnonzero(which)
    if len(chosen) > 2 and np.all(np.diff(chosen) == 1):
        return f"n = {sizes[chosen[0]]:,} to {sizes[chosen[-1]]:,}"
    return f"n = {_list(sizes[chosen])}"


def _list(sizes: NDArray[np.int64]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)
