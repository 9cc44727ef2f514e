"""UTKFace: the age of a person from a photograph, for readers who have the photographs.

The data set [1]_ is a folder of photographs whose names begin with the age. It is not part of this
project and is not downloaded by it.

References
----------
.. [1] Z. Zhang, Y. Song, H. Qi, "Age progression/regression by conditional adversarial
   autoencoder", CVPR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import require_file
from w2s_utils._validate import Array
from w2s_utils.features.embedding import Embed, pretrained, require
from w2s_utils.features.image import open_image

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
"""The paper's teachers: torchvision's models with their first ImageNet weights."""

BACKBONES = (*RESNETS, "clip")
"""Every name that `backbone` knows; clip is the paper's student, ViT-B/32."""

_NAME = re.compile(r"(\d{1,3})_[01]_[0-4]_\d+\.jpe?g(\.chip\.jpe?g)?", re.IGNORECASE)


@dataclass(frozen=True)
class Faces:
    """The photographs of a folder, in the order of their paths.

    Attributes
    ----------
    files : tuple of M Path
        Photographs whose names fit ``AGE_GENDER_RACE_DATE.jpg``.
    ages : (M,) float64 array
        Ages in years, from the names.
    skipped : tuple of Path
        Photographs with other names.
    """

    files: tuple[Path, ...]
    ages: Array
    skipped: tuple[Path, ...]


def load(root: str | Path) -> Faces:
    """Find the photographs in a folder and in the folders below it.

    Parameters
    ----------
    root : str or Path

    Returns
    -------
    Faces

    Raises
    ------
    ValueError
        If there is no such folder, no photograph in it, or a photograph's name is that of a pipe or
        of anything else but a file.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    photographs = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")
    )
    matches = [(path, _NAME.fullmatch(path.name)) for path in photographs]
    found = [(path, float(match[1])) for path, match in matches if match]
    for path, _ in found:
        require_file(path)
    if not found:
        raise ValueError(
            f"{folder} must hold photographs named AGE_GENDER_RACE_DATE.jpg; of "
            f"{len(photographs)} .jpg files none is."
        )
    return Faces(
        files=tuple(path for path, _ in found),
        ages=np.array([age for _, age in found]),
        skipped=tuple(path for path, match in matches if not match),
    )


def backbone(name: str, weights: Path | None = None) -> Embed:
    """Load a frozen vision model.

    Parameters
    ----------
    name : str
        One of `BACKBONES`.
    weights : Path, optional
        For a ResNet a file of torchvision's weights; without it torchvision downloads them once.
        For clip a local folder of the model as transformers writes it; needed.

    Returns
    -------
    callable
        Maps paths of photographs to features: the pooled output before the classifier of a ResNet
        (512 or 2048 wide), the pooled output of CLIP's vision model (768 wide for ViT-B/32).

    Raises
    ------
    ValueError
        If the name is unknown or there are no such weights.
    ImportError
        If torch, torchvision or transformers is needed and not installed.
    """
    if name == "clip":
        return _clip(weights)
    if name in RESNETS:
        return _resnet(name, weights)
    raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}.")


def _resnet(name: str, weights: Path | None) -> Embed:
    if weights is not None:
        require_file(weights)
    torch, models = (
        require(package, "ResNet features", "w2s-utils[vision]")
        for package in ("torch", "torchvision.models")
    )
    pinned = models.get_model_weights(name)["IMAGENET1K_V1"]
    model = models.get_model(name, weights=None if weights else pinned)
    if weights is not None:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.fc = torch.nn.Identity()
    prepare = pinned.transforms()

    def pixels(files: Sequence[Path]) -> Any:
        return torch.stack([prepare(open_image(file)) for file in files])

    return _frozen(torch, model, pixels)


def _clip(folder: Path | None) -> Embed:
    model = pretrained("CLIPVisionModel", folder)
    prepare = pretrained("CLIPImageProcessor", folder)

    def pixels(files: Sequence[Path]) -> Any:
        images = [open_image(file) for file in files]
        return prepare(images=images, return_tensors="pt")["pixel_values"]

    return _frozen(require("torch", "CLIP features", "w2s-utils[vision]"), model, pixels)


def _frozen(torch: Any, model: Any, pixels: Any) -> Embed:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)

    def embed(files: Sequence[Path]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = model(pixels(files).to(device))
        values: NDArray[np.float32] = getattr(output, "pooler_output", output).cpu().numpy()
        return values

    return embed
