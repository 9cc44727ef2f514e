"""Encoders of images by the name or the folder of a model: pooled features of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import digest, packages, printable, read_json, require_file
from w2s_utils.features.embedding import require
from w2s_utils.features.encoder import Encoder, find, wanted

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "model.safetensors"
KINDS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def images_in(folder: Path) -> list[Path]:
    """Images anywhere in a folder, in the order of their paths.

    Raises
    ------
    ValueError
        If there is no such folder, no image in it, or one that is no regular file.
    """
    shown = printable(str(folder))
    if not folder.is_dir():
        raise ValueError(f"There is no folder {shown}.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS)
    if not found:
        raise ValueError(f"{shown} holds no image: no file in it ends in {', '.join(KINDS)}.")
    for path in found:
        require_file(path)
    return found


def encoder(model: str, layers: str = "all", batch: int = 64, device: str | None = None) -> Encoder:
    """Open a model of images.

    Layers 1, 2, ... are the model's stages or blocks, each averaged over the positions in the
    image; the last is what the model's own classifier would take.

    Parameters
    ----------
    model : str
        A local folder with config.json and model.safetensors, as timm writes it for the hub of
        Hugging Face, or a name there, such as timm/resnet50.tv_in1k (torchvision's) or
        timm/vit_base_patch14_dinov2.lvd142m, whose files are downloaded once. No code in the
        folder is run.
    layers : str
        "all", or numbers and "last" with commas between.
    batch : int
        Images that go through the model at once.
    device : str, optional
        Of torch; the processor by default.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        If there is no such model or layer, or the hub cannot be reached.
    ImportError
        If timm or torch is not installed.
    """
    if batch < 1:
        raise ValueError(f"batch must be positive, got {batch}.")
    folder = find(model, ("config.json", WEIGHTS), "w2s-utils[vision]")
    torch, timm = (
        require(name, "Models of images", "w2s-utils[vision]") for name in ("torch", "timm")
    )
    network = _network(timm, folder).eval().to(device or "cpu")
    config = timm.data.resolve_model_data_config(network)
    prepare = timm.data.create_transform(**config, is_training=False)

    def layers_of(pixels: Any) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            final, inner = network.forward_intermediates(pixels.to(device or "cpu"))
            found = [*(values.mean(dim=(2, 3)) for values in inner)]
            found.append(network.forward_head(final, pre_logits=True))
        return [values.float().cpu().numpy() for values in found]

    def run(files: Sequence[Path]) -> list[NDArray[np.float32]]:
        return layers_of(torch.stack([prepare(open_image(file)) for file in files]))

    count = len(layers_of(torch.zeros(1, *config["input_size"])))
    numbers = wanted(layers, range(1, count + 1))

    def embed(files: Sequence[Path]) -> list[NDArray[np.float32]]:
        parts = [run(files[start : start + batch]) for start in range(0, len(files), batch)]
        every = [np.concatenate(part) for part in zip(*parts, strict=True)]
        return [every[number - 1] for number in numbers]

    contents = [folder / "config.json", folder / WEIGHTS]
    key = digest("image", contents, device or "", numbers, packages())
    return Encoder(model, count, tuple(numbers), key, embed)


def _network(timm: Any, folder: Path) -> Any:
    """Model of a folder with its weights."""
    shown = printable(str(folder))
    if not (read_json(folder / "config.json") or {}).get("architecture"):
        raise ValueError(f"{shown} must hold config.json of a model of timm, with architecture.")
    if not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{shown} must hold the weights as {WEIGHTS}; a pickle such as pytorch_model.bin is "
            "not read because it could run code."
        )
    try:
        network = timm.create_model(f"local-dir:{folder}", pretrained=False)
        timm.models.load_checkpoint(network, str(folder / WEIGHTS))
    except Exception as error:  # of many kinds, by what does not fit
        reason = printable(str(error).partition("\n")[0][:200])
        raise ValueError(f"{shown} holds no model that timm can open ({reason}).") from error
    return network


def open_image(file: Path) -> Image:
    """Read a photograph as RGB.

    Raises
    ------
    ValueError
        If the file is damaged or no image.
    """
    from PIL import Image

    require_file(file)
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(printable(f"{file} cannot be read as a photograph: {error}.")) from error
