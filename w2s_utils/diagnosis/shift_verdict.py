"""A prediction for other inputs in words: the verdict, and whether the shift is the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from w2s_utils._files import printable
from w2s_utils.diagnosis.diagnose import Diagnosis
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.verdict import Verdict, compare, gains, models_said

WORTH = 0.02  # of the student's error: a change of it that is worth a sentence


def judge_shift(
    f: Predicted,
    unshifted: Diagnosis,
    nearby: Predicted,
    alike: Predicted,
    groups: Mapping[str, Predicted],
) -> Verdict:
    """Verdict at the largest N, on all test inputs."""
    if unshifted.verdict.outcome == "no signal":
        return unshifted.verdict
    outcome, said = compare(f.n, *gains(f))
    reasons = [*_shift(f, alike), *_pool(f, nearby), *_groups(f, groups)]
    headline = (
        f"On the test inputs, with N = {f.N[-1]:,} pseudo-labels{models_said(unshifted.ridge)} the "
        f"student {said}."
    )
    return Verdict(outcome, headline, tuple(reasons))


def _shift(f: Predicted, alike: Predicted) -> Iterator[str]:
    """Whether the verdict would be another one if all inputs were like the labelled ones."""
    here, there = (compare(f.n, *gains(one)) for one in (f, alike))
    i = _largest_gain(f, alike)
    if i is None:
        return
    change, _, sure = f.prediction.over(
        alike.prediction, lambda q: (q["weak"] - q["student"])[..., i, -1]
    )
    if here[0] == there[0]:
        yield "The verdict would be the same if all inputs were like the labelled ones."
    elif sure:
        yield (
            "The shift is the reason: if all inputs were like the labelled ones, the student "
            f"{_would(there[1])}."
        )
    else:
        yield (
            f"If all inputs were like the labelled ones, the student {_would(there[1])}; whether "
            "the shift makes the difference cannot be told from these rows."
        )
    if sure:
        moved = [
            f"{alike.risk[model].value[i, -1]:.3g} to {f.risk[model].value[i, -1]:.3g}"
            for model in ("weak", "student")
        ]
        kind = "costs" if change < 0 else "brings"
        yield (
            f"At n = {f.n[i]:,} the shift {kind} the student {abs(change):.3g} of gain on its "
            f"teacher: the teacher's error goes from {moved[0]}, the student's from {moved[1]}."
        )


def _pool(f: Predicted, nearby: Predicted) -> Iterator[str]:
    """What pseudo-labels on inputs like the test ones would change."""
    i = _largest_gain(nearby)
    if i is None:
        return
    student = f.risk["student"].value[i, -1]
    change, _, sure = nearby.prediction.over(f.prediction, lambda q: q["student"][..., i, -1])
    if sure and abs(change) > WORTH * student:
        kind = "lower" if change < 0 else "raise"
        yield (
            f"Pseudo-labels on inputs like the test ones would {kind} the student's error at n = "
            f"{f.n[i]:,} from {student:.3g} to {nearby.risk['student'].value[i, -1]:.3g}."
        )


def _groups(f: Predicted, groups: Mapping[str, Predicted]) -> Iterator[str]:
    """How the group fares in which the student does worst."""
    i = _largest_gain(f)
    if not groups or i is None:
        return
    errors = {name: float(one.risk["student"].value[i, -1]) for name, one in groups.items()}
    name = max(errors, key=lambda group: errors[group])
    _, said = compare(f.n, *gains(groups[name]))
    yield (
        f"Its worst group is {printable(name)}, with an error of {errors[name]:.3g} against "
        f"{f.risk['student'].value[i, -1]:.3g} in all (n = {f.n[i]:,}). There it {said}."
    )


def warn_of_shift(
    known: Mapping[str, bool], cut: Mapping[str, int], unshifted: Diagnosis
) -> tuple[str, ...]:
    """Why the prediction may be off, the most serious first."""
    said = []
    if not known["test"]:
        said.append(
            "Test inputs have no labels: the target is taken for the best linear function of both "
            "feature sets among labelled inputs, there as here. Labels of some test inputs would "
            "tell."
        )
    if not known["unlabelled"]:
        said.append(
            "Unlabelled inputs have no labels: the ceiling and PGR rest on the same assumption "
            "there. The student does not."
        )
    for name, count in cut.items():
        if count:
            said.append(
                f"{count} {name} directions are left out, as a set has fewer than three rows for "
                "each; give more rows."
            )
    return (*said, *unshifted.warnings)


def _largest_gain(*either: Predicted) -> int | None:
    """The n with the largest gain that any of the predictions has."""
    gain = np.fmax.reduce([f.gain.value[:, -1] for f in either])
    return None if np.isnan(gain).all() else int(np.nanargmax(gain))


def _would(said: str) -> str:
    """What would be the case in place of what is."""
    for now, then in (
        ("beats", "would beat"),
        ("is worse", "would be worse"),
        ("cannot be", "could not be"),
        ("loses", "would lose"),
        ("has no", "would have no"),
    ):
        said = said.replace(now, then)
    return said
