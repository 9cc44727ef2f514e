"""The limits on which verdicts depend, but for those a claim itself names, as in "OPR above 1"."""

from scipy import stats

CLEARLY, LIKELY = 3.0, 2.0  # standard errors
AGREES = 4.0  # standard errors between a value and its theory
SAME_LAW = 1e-3  # p-value
CORRELATED, SAME_ORDER = 0.6, 0.95  # rank correlations
DIFFERS = 0.1  # relative distance
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


def simultaneous_z(count: int, trials: int) -> float:
    """Give what the largest of many absolute z-scores stays below with probability 99 %.

    Parameters
    ----------
    count : int
        Number of z-scores, as if they were independent.
    trials : int
        Number of samples in the mean behind each, which makes it a t variable.

    Returns
    -------
    float
    """
    return float(stats.t.isf(0.5 * (1 - 0.99 ** (1 / count)), trials - 1))
