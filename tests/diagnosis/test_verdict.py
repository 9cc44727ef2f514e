"""The headline says the signs that the bands say, for every combination of them."""

from itertools import product

import numpy as np
import pytest

from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.verdict import compare

SIGNS = {"+": (1, 0.5, 1.5), "-": (-1, -1.5, -0.5), "0": (0, -0.5, 0.5), " ": (np.nan,) * 3}
N_LABELS = np.array([100, 200])


def band(signs):
    return Band(*np.array([SIGNS[sign] for sign in signs], float).T)


@pytest.mark.parametrize(
    ("teacher", "baseline", "outcome", "said"),
    [
        ("++", "++", "helps", "beats its teacher and the strong baseline at n = 100, 200"),
        ("++", "-+", "helps", "beats its teacher and the strong baseline at n = 200"),
        ("+-", "+-", "helps", "beats its teacher and the strong baseline at n = 100"),
        ("++", "--", "beats the teacher only",
         "beats its teacher at n = 100, 200, but loses to the strong baseline"),
        ("++", "00", "beats the teacher only",
         "beats its teacher at n = 100, 200, but cannot be told from the strong baseline"),
        ("++", "-0", "beats the teacher only",
         "beats its teacher at n = 100, 200, but loses to the strong baseline at n = 100"),
        ("+0", "-+", "beats the teacher only",
         "beats its teacher at n = 100, but loses to the strong baseline"),
        ("--", "++", "does not help", "is worse than its teacher at every n"),
        ("-0", "++", "undecided",
         "is worse than its teacher at n = 100 and cannot be told from its teacher at n = 200"),
        ("00", "++", "undecided", "cannot be told from its teacher at n = 100, 200"),
        (" -", "++", "undecided", "is worse than its teacher at n = 200"),
        ("  ", "++", "undecided", "has no prediction: every n or N is too near a threshold"),
    ],
)  # fmt: skip
def test_the_words(teacher, baseline, outcome, said):
    assert compare(N_LABELS, band(teacher), band(baseline)) == (outcome, said)


@pytest.mark.parametrize("signs", list(product(SIGNS, repeat=4)))
def test_no_headline_contradicts_a_band(signs):
    teacher, baseline = signs[:2], signs[2:]
    outcome, said = compare(N_LABELS, band(teacher), band(baseline))
    surely_beaten = {"+"} & set(teacher)
    assert ("beats its teacher" in said) == bool(surely_beaten)
    assert (outcome == "does not help") == (set(teacher) == {"-"})
    won = [b for t, b in zip(teacher, baseline, strict=True) if t == "+"]
    assert (outcome == "helps") == ("+" in won)
    assert ("loses to the strong baseline" in said) == ("-" in won and "+" not in won)
    assert ("told from the strong baseline" in said) == (bool(won) and not {"+", "-"} & set(won))
    if not surely_beaten:
        assert ("is worse than its teacher" in said) == ("-" in teacher)
        assert ("cannot be told from its teacher" in said) == ("0" in teacher)
