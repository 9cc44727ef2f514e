"""Data that attacks: nothing of it runs, nothing grows without bound, nothing becomes markup.

What single readers refuse is tested beside them, in tests/io/test_files.py and
tests/features/test_packages.py.
"""

import ast
import io
import json
import pickle
import sys
import tarfile
import zipfile
from base64 import b64encode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from tests.toy_book import write_notebook
from w2s_utils import cli, publish
from w2s_utils._files import read_array, write_array
from w2s_utils.errors import UserError
from w2s_utils.features import embedding, packages
from w2s_utils.features.packages import read_members
from w2s_utils.io import refusal
from w2s_utils.io.files import read_features
from w2s_utils.publish import parse_yaml
from w2s_utils.publish.notebook import _is_plain


class Attack:
    """Makes a file named gotcha in the working directory when it is unpickled."""

    def __reduce__(self):
        return open, ("gotcha", "w")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, in which no file named gotcha may appear."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.rglob("gotcha"))


def test_the_attack_works_where_nothing_guards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Attack())).close()
    assert (tmp_path / "gotcha").exists()


# --- Archives -------------------------------------------------------------------------------------


def test_a_tar_archive_that_unpacks_to_too_much_is_refused(here, monkeypatch):
    monkeypatch.setattr(packages, "MAX_ARCHIVE_BYTES", 10**6)
    with tarfile.open(here / "bomb.tar.gz", "w:gz") as archive:
        for name, size in (("text", 5), ("zeros", 10**6), ("after", 5)):
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    assert (here / "bomb.tar.gz").stat().st_size < 5000
    with pytest.raises(ValueError, match="at most 1000000 bytes unpacked"):
        read_members(here / "bomb.tar.gz", {"text": "text"})


def test_a_sparse_tar_member_counts_with_its_full_size(here):
    """A member of one block that claims to be 4 GiB of holes."""
    sparse = tarfile.TarInfo("text")
    sparse.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**32
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (here / "sparse.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(ValueError, match=r"must have at most \d+ bytes"):
        read_members(here / "sparse.tar", {"text": "text"})


def test_a_wheel_member_that_lies_about_its_size_gives_no_more_than_it_says(here):
    with zipfile.ZipFile(here / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text", bytes(10**6))
    content = bytearray((here / "a.whl").read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + 24 : entry + 28] = (5).to_bytes(4, "little")
    (here / "a.whl").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile):
        read_members(here / "a.whl", {"text": "text"})


def test_an_npz_file_that_grows_without_bound_is_refused(here, monkeypatch):
    monkeypatch.setattr(refusal, "MAX_BYTES", 10**5)
    np.savez_compressed(here / "zeros.npz", X=np.zeros((1000, 100)))
    with pytest.raises(ValueError, match=r"zeros\.npz would grow 100-fold or more, to 800128"):
        read_features(here / "zeros.npz")
    np.savez_compressed(here / "usual.npz", X=np.random.default_rng(0).normal(size=(1000, 100)))
    assert read_features(here / "usual.npz").shape == (1000, 100)


def test_an_npy_file_that_claims_more_than_it_holds_is_refused(here):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
    )
    (here / "huge.npy").write_bytes(header.getvalue() + bytes(80))
    with pytest.raises(ValueError, match=r"huge\.npy cannot be read as \.npy"):
        read_features(here / "huge.npy")


# --- Pickles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npy", "npz", "pt", "pth"])
def test_pickles_in_files_of_features_do_not_run(here, kind):
    attack = np.array([Attack()], object)
    path = here / f"X.{kind}"
    if kind == "npy":
        np.save(path, attack, allow_pickle=True)
    elif kind == "npz":
        np.savez(path, X=attack)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("root/data.pkl", pickle.dumps(Attack()))
    with pytest.raises(ValueError, match="not read because it could run code"):
        read_features(path)


def test_pickles_in_checkpoints_and_caches_do_not_run(here):
    """Even with the right hash, which whoever writes the file can compute."""
    write_array(here / "part.npy", np.array([Attack()], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_array(here / "part.npy")


def test_models_with_pickled_weights_are_refused_and_code_beside_them_is_not_run(here, monkeypatch):
    asked = {}

    class Model:
        @staticmethod
        def from_pretrained(folder, **options):
            asked.update(options)

    fake = type(sys)("transformers")
    fake.AutoModel = Model
    monkeypatch.setitem(sys.modules, "transformers", fake)
    (here / "config.json").write_text("{}")
    (here / "pytorch_model.bin").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ValueError, match=r"a pickle such as pytorch_model\.bin is not read"):
        embedding.pretrained("AutoModel", here)
    (here / "model.safetensors").touch()
    embedding.pretrained("AutoModel", here)
    assert asked == {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}


# --- Parameters of notebooks ----------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def written(value):
    """The value of n in the cell that papermill injects, if that is a literal."""
    (assignment,) = ast.parse(PythonTranslator.codify({"n": value})).body
    infinite = {"float('inf')": float("inf"), "float('-inf')": -float("inf")}
    text = ast.unparse(assignment.value)
    return infinite[text] if text in infinite else ast.literal_eval(assignment.value)


@given(PLAIN.filter(lambda value: "inf" not in repr(value)))
def test_a_value_that_is_accepted_is_written_as_a_literal_of_itself(value):
    assert _is_plain(value)
    assert written(value) == value


UNQUOTED = '"+open("gotcha", "w").name+"'
CODE = "__import__('pathlib').Path('gotcha').touch()"


@pytest.mark.parametrize(
    "text",
    [
        f"!!binary {b64encode(UNQUOTED.encode()).decode()}",
        f"!!set {{? '{UNQUOTED}'}}",
        f"[!!set {{? '{UNQUOTED}'}}]",
        '{1: "a"}',
        "2001-01-01",
    ],
)
def test_values_that_would_not_be_quoted_are_refused(here, text):
    source = write_notebook(here / "a.ipynb", parameters="n = None\nm = dict(a=1)")
    value = parse_yaml(text)
    for name in ("n", "m"):
        with pytest.raises(UserError, match=r"takes for \w numbers, words, and lists of them"):
            publish.check_parameters(source, {name: value})


@pytest.mark.parametrize("value", [CODE, f'"+{CODE}+"', f"'+{CODE}+'", f'\\"+{CODE}#', f"\n{CODE}"])
def test_code_given_as_a_parameter_is_a_word(here, monkeypatch, value):
    (here / "_config.yml").touch()
    write_notebook(here / "notebooks/a.ipynb", parameters="n, m = 'word', 1")
    ran = {}

    def execute(notebook, parameters, output):
        publish.check_parameters(notebook, parameters)
        ran.update(parameters)
        exec(PythonTranslator.codify(parameters), ran)
        return 0.0

    monkeypatch.setattr(publish, "execute", execute)
    quoted = json.dumps(value)  # which is YAML too
    monkeypatch.setattr(sys, "argv", ["w2s", "run", "a", "-p", "n", quoted])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert isinstance(ran["n"], str)
    monkeypatch.setattr(sys, "argv", ["w2s", "run", "a", "-p", "m", quoted])
    with pytest.raises(SystemExit, match="2"):
        cli.main()


def test_papermill_alone_would_run_code(tmp_path, monkeypatch):
    """So that the guard is known to be needed: else it may go."""
    monkeypatch.chdir(tmp_path)
    with pytest.warns(ResourceWarning):
        exec(PythonTranslator.codify({"n": UNQUOTED.encode()}))
    assert (tmp_path / "gotcha").exists()


def test_code_in_a_name_of_a_parameter_is_refused(here):
    source = write_notebook(here / "a.ipynb", parameters="n = 1")
    with pytest.raises(UserError, match="declares no parameter"):
        publish.check_parameters(source, {f"n = {CODE}; n": 1})
