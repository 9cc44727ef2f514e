"""Dimensions measured from features: how many each model uses, and how many two models share.

All of them are properties of the functions that the features span, except the two sketches, which
compare coordinates and are here to show what they measure.
"""

from w2s_utils.measure.correlation import CorrelationDimension, correlation_dimension
from w2s_utils.measure.decay import Decay, fit_decay, read_curves
from w2s_utils.measure.leverage import leverage_excess, noise_inflation
from w2s_utils.measure.published import published_dimensions
from w2s_utils.measure.sketch import projection_sketch, rotation_sketch
from w2s_utils.measure.spectrum import (
    energy_dimension,
    intrinsic_dimension,
    leading_coordinates,
    leading_directions,
    soft_dimension,
    spectrum,
    top_eigenspace,
)

__all__ = [
    "spectrum",
    "energy_dimension",
    "intrinsic_dimension",
    "soft_dimension",
    "leading_directions",
    "leading_coordinates",
    "top_eigenspace",
    "CorrelationDimension",
    "correlation_dimension",
    "projection_sketch",
    "rotation_sketch",
    "published_dimensions",
    "Decay",
    "fit_decay",
    "read_curves",
    "leverage_excess",
    "noise_inflation",
]
