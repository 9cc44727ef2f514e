"""What a real task has to offer to the experiments: features, a target, noisy labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from w2s_utils._validate import Array


@dataclass(frozen=True)
class Task:
    """A real task at one level of label noise.

    Attributes
    ----------
    name : str
        What the task is called in tables and figures.
    target : (M,) float64 array
        The target f of every sample: the thing that each risk is measured against.
    noise_variance : float
        Mean square distance between a drawn label and its target, averaged over the samples.
    draw_labels : callable
        ``draw_labels(rng)`` draws one noisy label a sample, an (M,) float64 array.
    features : callable
        ``features(name)`` gives the (M, D) float64 features of the backbone `name`.
    """

    name: str
    target: Array
    noise_variance: float
    draw_labels: Callable[[np.random.Generator], Array]
    features: Callable[[str], Array]
