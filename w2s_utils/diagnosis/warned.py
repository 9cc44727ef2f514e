"""Why a forecast may be wrong, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.rows import LEAST_ROWS, FeatureSet
from w2s_utils.diagnosis.sample import RIDGELESS
from w2s_utils.diagnosis.wording import listed

NOTABLE = 0.1  # relative error of a prediction that is worth a warning
FEW_ROWS = 10  # per direction, below which corrections of order d/M are large
FEW_TUNED = 4  # the same of tuned models, whose ridges weigh down most directions
COPIED = 1.02  # factor by which copies of inputs make bands too narrow
HEAVY = 4.0  # kurtosis of the labels' residuals, from which on bands are doubtful


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
            f"n = {listed(few)} is no more than the {f.d_w} weak or {f.d_s} strong directions: "
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
                f"{letter} = {listed(sizes[near])} is near {name} = {size}, where rare training "
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
