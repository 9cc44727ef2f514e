"""What counts as sure and what as near, fixed before any number is looked at.

A finding is judged by an interval that holds the truth with probability `COVERAGE`, at once for all
cells that it speaks of; a check of the book's own formulas by limits that chance exceeds in one of
10,000 runs.
"""

from scipy import stats

COVERAGE = 0.99
CHECKED = 0.9999
TOLERANCES = {
    "identically": 1e-9,  # two formulas
    "numerically": 1e-8,  # two fits
    "as printed": 0.005,  # values of three digits
    "precisely": 0.01,
    "finely": 0.02,
    "closely": 0.03,
    "well": 0.05,
    "fairly": 0.1,
    "roughly": 0.2,
}


def tolerance(how: str) -> float:
    """Give the (relative) distance that one of the adverbs of `TOLERANCES` allows.

    Parameters
    ----------
    how : str

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the adverb is not in the list.
    """
    if how not in TOLERANCES:
        raise ValueError(f"A tolerance is one of {', '.join(TOLERANCES)}, got {how!r}.")
    return TOLERANCES[how]


def simultaneous_z(count: int, trials: float, coverage: float = COVERAGE) -> float:
    """Give what the largest of many absolute z-scores stays below with a probability.

    Parameters
    ----------
    count : int
        Number of z-scores, as if they were independent.
    trials : float
        Number of samples in the mean behind each, which makes it a t variable; infinite for z.
    coverage : float
        The probability.

    Returns
    -------
    float
    """
    return float(stats.t.isf(0.5 * (1 - coverage ** (1 / count)), trials - 1))
