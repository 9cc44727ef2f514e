"""Fuzzing: whatever a file or a command line holds, a user sees a sentence and no traceback.

Seeded, so that a failure repeats. More than 10,000 inputs in all.
"""

import io
import os
import pickle
import random
import sys
import zipfile
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.io.arrow_file import arrow_table, write_arrow
from tests.safetensors_file import write_safetensors
from tests.torch_file import MATRIX, sparse, tensor, write_pt
from w2s_utils import cli, publish, sweeps
from w2s_utils.errors import UserError
from w2s_utils.features import embedding, image, packages
from w2s_utils.io.files import read_features, read_labels
from w2s_utils.publish import pdf
from w2s_utils.tasks import colored_mnist, finetuned, sst2, utkface

FILES, LINES = 1500, 900  # inputs for each reader, and for the command line
NEW = int(os.environ.get("W2S_FUZZ", 400))

NASTY = [
    b"",
    b"\0",
    b"\xff" * 8,
    b"\n",
    b"\t",
    b"{",
    b"]",
    b'"',
    b"9" * 30,
    b"-1",
    b"nan",
    b"1e999",
]


def mutate(data, rng, tokens=NASTY):
    """One to four small damages: bytes flipped, cut, copied, moved, or replaced by a token."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice([1, 2, 4, 8, 64]))
        match rng.randrange(5):
            case 0:
                data[start:stop] = bytes(b ^ 1 << rng.randrange(8) for b in data[start:stop])
            case 1:
                del data[start:stop]
            case 2:
                data[start:start] = data[start:stop]
            case 3:
                data[start:stop] = rng.choice(tokens)
            case 4:
                data[start:stop] = rng.randbytes(stop - start)
    return bytes(data)


def attempt(read, *arguments, refusal=ValueError, lines=1):
    """What is read, or None if it is refused in as many lines; any other error is the test's."""
    try:
        return read(*arguments)
    except refusal as error:
        if not str(error).strip() or str(error).count("\n") >= lines:
            raise AssertionError(f"{error!r} is no sentence.") from error
        return None


# --- Readers of features --------------------------------------------------------------------------


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def pt_members(tmp_path):
    """Members of two valid files of torch: one tensor, and a dict of a view and a vector."""
    content = {
        "a": tensor("0", (2, 3), offset=3, size=12),
        "b": tensor("1", (5,), storage="IntStorage"),
    }
    storages = {"0": MATRIX.astype("f4"), "1": np.arange(5, dtype="i4")}
    for data in (tensor("0", (4, 3)), content):
        path = write_pt(tmp_path / "valid.pt", data, storages)
        with zipfile.ZipFile(path) as archive:
            yield {name: archive.read(name) for name in archive.namelist()}


PICKLE_TOKENS = [
    *NASTY,
    *(bytes([code]) for code in b"()]}.abceghijlqrstu0123QRNKMJXUBC"),
    pickle.LONG_BINPUT + b"\xff\xff\xff\x7f",
    pickle.BINUNICODE8 + b"\xff" * 8,
    pickle.BYTEARRAY8 + b"\xff\xff\xff\xff\xff\0\0\0",
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"ccollections\nOrderedDict\n",
]


def damaged(kind, rng, valid):
    """Content of a file of the kind: damaged itself, or a whole archive of damaged members."""
    if kind == "npy":
        return mutate(
            rng.choice(valid), rng, [*NASTY, b"<f8", b"|O", b"True", b"(9999999, 9)", b"'shape'"]
        )
    members = dict(rng.choice(valid))
    if rng.random() < 0.2:
        return mutate(zipped(members), rng)
    name = rng.choice(list(members))
    tokens = PICKLE_TOKENS if name.endswith(".pkl") else NASTY
    members[name] = mutate(members[name], rng, tokens)
    return zipped(members)


def sparse_members(tmp_path):
    """Members of valid files of torch: an expanded tensor in nested dicts, and two sparse ones."""
    i, j = MATRIX.nonzero()
    row = tensor("0", (4, 3), strides=(0, 1), size=3)
    parts = [tensor("ij", (2, 11), storage="LongStorage"), tensor("v", (11,))]
    ends = tensor("e", (5,), storage="LongStorage")
    columns = tensor("j", (11,), storage="LongStorage")
    storages = {
        "0": MATRIX[0].astype("f4"), "ij": np.array([i, j]), "v": MATRIX[i, j].astype("f4"),
        "e": np.array([0, 2, 5, 8, 11]), "j": j,
    }  # fmt: skip
    for data in (
        {"a": {0: [row]}, "b": 1},
        sparse("coo", *parts, (4, 3), True),
        sparse("csr", ends, columns, parts[1], (4, 3)),
    ):
        path = write_pt(tmp_path / "valid.pt", data, storages)
        with zipfile.ZipFile(path) as archive:
            yield {name: archive.read(name) for name in archive.namelist()}


TENSOR_TOKENS = [*NASTY, b'"BF16"', b'"F8_E5M2"', b"[4,3]", b"[0]", b"null", b"1e9", b"-1", b"X"]


@pytest.mark.parametrize("kind", ["safetensors", "nested and sparse pt", "arrow", "parquet"])
def test_readers_of_new_kinds(tmp_path, kind):
    """W2S_FUZZ sets how many."""
    rng = random.Random(4)
    suffix = kind.split()[-1]
    path, read = tmp_path / f"X.{suffix}", 0
    if kind == "safetensors":
        write_safetensors(path, {"X": ("BF16", MATRIX), "a": ("F32", MATRIX)})
        valid = [path.read_bytes()]
    elif suffix == "pt":
        members = list(sparse_members(tmp_path))
    else:
        valid = [
            write_arrow(arrow_table()[1], tmp_path / f"valid.{end}").read_bytes()
            for end in ({"parquet"} if kind == "parquet" else {"arrow", "feather"})
        ]
    for _ in range(NEW):
        if suffix == "pt":
            path.write_bytes(damaged("pt", rng, members))
        else:
            path.write_bytes(mutate(rng.choice(valid), rng, TENSOR_TOKENS))
        name = rng.choice(["", "::X", "::a", "::vector", "::fixed", "::price", "::a.0.0"])
        array = attempt(rng.choice([read_features, read_labels]), f"{path}{name}")
        if array is not None:
            assert np.isfinite(array).all()
            read += 1
    assert 0 < read < NEW


@pytest.mark.parametrize("kind", ["npy", "npz", "pt"])
def test_readers_of_features(tmp_path, kind):
    rng = random.Random(1)
    arrays = [
        MATRIX,
        MATRIX[0].astype("f4"),
        np.asfortranarray(MATRIX).astype("i2"),
        np.ones((1, 1)),
    ]
    valid = {
        "npy": [npy(array) for array in arrays],
        "npz": [{"X.npy": npy(MATRIX)}, {"X.npy": npy(MATRIX), "y.npy": npy(MATRIX[0])}],
        "pt": list(pt_members(tmp_path)),
    }[kind]
    path, read = tmp_path / f"X.{kind}", 0
    for _ in range(FILES):
        path.write_bytes(damaged(kind, rng, valid))
        name = rng.choice(["", "", "::X", "::a", "::", "::\udcff"])
        reader = rng.choice([read_features, read_labels])
        array = attempt(reader, f"{path}{name}")
        if array is not None:
            assert np.isfinite(array).all()
            read += 1
    assert 0 < read < FILES


def test_a_file_does_not_choose_how_much_memory_is_taken(tmp_path):
    """Ten bytes tell C's unpickler to keep a table of 16 GB."""
    members = next(pt_members(tmp_path))
    members["root/data.pkl"] = b"\x80\x02N" + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f."
    (tmp_path / "X.pt").write_bytes(zipped(members))
    before = high_water()
    with pytest.raises(ValueError, match="must hold a tensor"):
        read_features(tmp_path / "X.pt")
    assert high_water() - before < 100e6


def high_water():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- Readers of text ------------------------------------------------------------------------------


def test_reader_of_sentences(tmp_path):
    rng, path = random.Random(2), tmp_path / "train.tsv"
    valid = "sentence\tlabel\na fine film \t1\nß dull\t0\n".encode()
    for _ in range(FILES):
        path.write_bytes(mutate(valid, rng))
        reviews = attempt(sst2.load, path)
        assert reviews is None or len(reviews.texts) == len(reviews.labels) > 0


def test_reader_of_photographs(tmp_path):
    """Names of files, and what is in them."""
    from PIL import Image

    rng, content = random.Random(3), io.BytesIO()
    Image.new("RGB", (3, 2)).save(content, "JPEG")
    for number in range(300):
        name = mutate(b"20_1_0_2017.jpg", rng).decode("latin-1").replace("/", "").replace("\0", "")
        file = tmp_path / str(number) / f"{name[:80]}.jpg"
        file.parent.mkdir()
        file.write_bytes(mutate(content.getvalue(), rng))
        attempt(utkface.load, file.parent)
        attempt(image.open_image, file, lines=9)  # quotes the name, which may hold line breaks


def test_readers_of_notebooks_and_yaml(tmp_path):
    rng, path = random.Random(5), tmp_path / "a.ipynb"
    cells = [
        new_code_cell("a, b = 1, [2.0]\nc: str = 'x'", metadata={"tags": ["parameters"]}),
        new_code_cell("print(a)"),
    ]
    valid = nbformat.writes(new_notebook(cells=cells)).encode()
    scripts = b"cells|metadata|source|tags|null|[]|{}|1|parameters|a = |\\n".split(b"|")
    for _ in range(FILES):
        path.write_bytes(mutate(valid, rng, [*NASTY, *scripts]))
        given = {rng.choice("abc"): rng.choice([1, "x", [2], None])}
        attempt(publish.check_parameters, path, given, refusal=UserError, lines=9)
    valid = b"first: {n: 5, grid: [1, 1e-2], word: 'a b'}\nsecond: &x !!int 3\nthird: *x\n"
    for _ in range(FILES):
        text = mutate(valid, rng, [*NASTY, b"!!python/object:os.x", b"<<: ", b"2001-99-99", b"0x"])
        text = text.decode("latin-1")
        attempt(publish.parse_yaml, text, refusal=UserError, lines=20)  # shows where


# --- The command line -----------------------------------------------------------------------------


@pytest.fixture
def light(tmp_path, monkeypatch):
    """The real command line and checks in a project, without what takes long."""
    (tmp_path / "_config.yml").touch()
    (tmp_path / "notebooks/profiles").mkdir(parents=True)
    (tmp_path / "notebooks/profiles/quick.yaml").write_text("{}")
    (tmp_path / "_toc.yml").write_text("{format: jb-book, root: notebooks/01_sum}")
    cells = [new_code_cell("a, b = 1, 2.0", metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/01_sum.ipynb")
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/20_1_0_2017.jpg").touch()
    (tmp_path / "train.tsv").write_text("sentence\tlabel\na\t1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def execute(notebook, parameters, output):
        publish.check_parameters(notebook, parameters)
        return 0.1

    def build_book(root, profile="quick", jobs=None, **rest):
        publish.project.tasks(root, publish.project.pages(root), profile, "")
        return root / "index.html"

    def compute(work, blocks, *rest):
        for block in blocks:
            np.random.SeedSequence(block.seed)
            yield block.key, np.ones((4, block.trials))

    def embed_all(samples, embed, parts, model):
        parts.mkdir(exist_ok=True)
        return np.ones((len(samples), 2))

    artifact = SimpleNamespace(downloaded=False, size=1)
    for module, name, value in (
        (publish, "execute", execute),
        (publish, "build_book", build_book),
        (pdf, "print_book", lambda *rest: None),
        (sweeps, "compute", compute),
        (packages, "fetch", lambda wanted: artifact),
        (embedding, "embed_all", embed_all),
        (utkface, "_resnet", lambda name, weights: None),
        (sst2, "backbone", lambda folder: None),
        (colored_mnist, "make_pack", lambda path, recolored: None),
        (finetuned, "make_pack", lambda path: None),
    ):
        monkeypatch.setattr(module, name, value)
    return tmp_path


COMMANDS = [
    "book --profile quick --jobs 2 --record-verdicts",
    "pdf --profile quick --output a.pdf",
    "run 01_sum -p a 3 -p b 2.5 --output out.ipynb",
    "run notebooks/01_sum.ipynb",
    "sweep a.csv --n 20 --N 30 --d-sw 1 --d-w 6 --d-s 5 --trials 4 --seed 1 --noise-variance 0.1",
    "sweep a.csv --n 20 --n 30 --N 30 --d-w 6 --d-s 5 --d-sw 0 --d-sw 5 --jobs 1",
    "fetch",
    "features utkface --root faces --backbone resnet18 --out a.npy --labels b.npy",
    "features sst2 --file train.tsv --model faces --out a.npy --labels b.npy",
    "features colored-mnist --out a.npz --recolored",
    "features finetuned --out a.npz",
]
WORDS = [
    "", "-", "--", "--help", "-h", "-p", "0", "1", "-1", "3.5", "1e3", "nan", "inf", "-inf",
    "1e400", "1e200", "99999999999999999999999", "true", "null", "[", "{a: 1}", "[1, x]", "a=b",
    "=", "ä ü", "\udcff", "x" * 300, "..", "/", "/dev/null", ".", "faces", "a.npy", "no/a.npy",
    "_toc.yml", "--jobs=0", "--n=-3", "--trials=1", "--trials=0", "--d-w=0", "--d-s=-2",
    "--d-sw=7", "--seed=-1", "--noise-variance=-1", "--noise-variance=nan",
    "--noise-variance=1e300", "--dask=", "<b>", "%s", "{0}", "$(ls)", "\n", "\t", "01_sum",
    "--output=", "--output=notebooks", "--output=no/such/x", "--d-w=9999999",
    "--N=99999999999999999999",
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweep a.csv --n 20 --N 30 --d-w 9999999", "Unable to allocate"),
        ("sweep a.csv --n 20 --N 30 --seed -1", "seed must be a whole number >= 0"),
        ("run broken -p a 1", "the parameters cell is no Python"),
    ],
)
def test_what_fuzzing_found(light, monkeypatch, capfd, line, message):
    source = new_notebook(cells=[new_code_cell("a = [", metadata={"tags": ["parameters"]})])
    nbformat.write(source, light / "notebooks/broken.ipynb")
    monkeypatch.setattr(sys, "argv", ["w2s", *line.split()])
    with pytest.raises(SystemExit):
        cli.main()
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("seed", range(3))
def test_command_line(light, monkeypatch, capfd, seed):
    """Words dropped, doubled, exchanged or replaced in valid requests of every command."""
    rng, ended = random.Random(seed), {0: 0, 1: 0, 2: 0}
    import typer

    monkeypatch.setattr(cli, "app", typer.main.get_command(cli.app))  # built once, not each time
    for _ in range(LINES // 3):
        line = rng.choice(COMMANDS).split()
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            place = rng.randrange(len(line) + 1)
            match rng.randrange(4):
                case 0:
                    del line[place : place + 1]
                case 1:
                    line[place : place + 1] = [rng.choice(WORDS)]
                case 2:
                    line[place:place] = [rng.choice(WORDS)]
                case 3:
                    line[place:place] = line[place - 1 : place]
        monkeypatch.setattr(sys, "argv", ["w2s", *line])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except Exception as error:
            raise AssertionError(f"w2s {line} ended with {error!r}") from error
        out, err = capfd.readouterr()
        assert code in ended, line
        assert (code == 0) or err.strip(), line
        assert "Traceback" not in out + err, line
        ended[code] += 1
    assert min(ended[0], ended[2]) > LINES // 20


def test_ten_thousand_inputs_in_all():
    """Readers of features (three), sentences, notebooks, YAML, photographs; the command line."""
    assert 6 * FILES + 300 + LINES >= 10_000
