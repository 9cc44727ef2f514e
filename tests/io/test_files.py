"""Files of a user: numbers are read exactly, all else is refused, nothing runs."""

import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.safetensors_file import write_safetensors
from tests.torch_file import MATRIX, Call, Global, sparse, tensor, write_pt
from w2s_utils.io.files import open_features, read_features, read_labels, read_replicates
from w2s_utils.io.joining import Joined

# --- What is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", ">f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_and_npz_are_read_exactly(tmp_path, dtype, order):
    X = np.array(MATRIX, dtype, order=order)
    np.save(tmp_path / "X.npy", X)
    np.savez_compressed(tmp_path / "X.npz", X=X)
    for file in ("X.npy", "X.npz", "X.npz::X"):
        read = read_features(f"{tmp_path}/{file}")
        assert read.dtype == np.float64
        np.testing.assert_array_equal(read, X.astype(float))


def test_one_of_several_arrays_is_named(tmp_path):
    np.savez(tmp_path / "pair.npz", weak=MATRIX, y=MATRIX[:, 0])
    np.testing.assert_array_equal(read_features(f"{tmp_path}/pair.npz::weak"), MATRIX)
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/pair.npz::y"), MATRIX[:, 0])


@pytest.mark.parametrize(
    ("storage", "dtype"),
    [("DoubleStorage", "f8"), ("FloatStorage", "f4"), ("HalfStorage", "f2"), ("LongStorage", "i8")],
)
def test_a_tensor_is_read_exactly(tmp_path, storage, dtype):
    path = write_pt(
        tmp_path / "X.pt", tensor("0", (4, 3), storage=storage), {"0": MATRIX.astype(dtype)}
    )
    np.testing.assert_array_equal(read_features(path), MATRIX)


def test_tensors_of_types_that_numpy_has_not_or_keeps_in_bytes(tmp_path):
    values = np.array([[1.5, -2.0], [3e38, 0.0]], "f4")  # all but 3e38 are exact in 16 bits
    upper = (values.view("u4") >> 16).astype("u2")
    path = write_pt(tmp_path / "X.pt", tensor("0", (2, 2), storage="BFloat16Storage"), {"0": upper})
    read = open_features(path)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values, rtol=2**-7)
    np.testing.assert_array_equal(read[[0, 0, 1], [0, 1, 1]], [1.5, -2, 0])
    turned = tensor("0", (2, 2), strides=(1, 2), storage="BFloat16Storage")
    write_pt(path, turned, {"0": upper})
    np.testing.assert_array_equal(open_features(path), read.T)
    truths = np.array([0, 1, 1, 7], "u1")  # any byte but 0 is true
    write_pt(path, tensor("0", (4,), storage="BoolStorage"), {"0": truths})
    np.testing.assert_array_equal(read_labels(path), [0, 1, 1, 1])


def test_views_and_shared_storages_of_tensors(tmp_path):
    numbers = np.arange(20, dtype="f4")
    content = {
        "transposed": tensor("0", (4, 5), strides=(1, 4), size=20),
        "every second": tensor("0", (3, 2), strides=(4, 2), offset=5, size=20),
        "labels": tensor("1", (3,), storage="LongStorage"),
        "epoch": 7,
    }
    path = write_pt(
        tmp_path / "all.pt",
        content,
        {"0": numbers, "1": np.array([2, 0, 1])},
        extra=[("byteorder", "little"), ("version", "3\n")],
    )
    np.testing.assert_array_equal(read_features(f"{path}::transposed"), numbers.reshape(5, 4).T)
    np.testing.assert_array_equal(
        read_features(f"{path}::every second"), [[5, 7], [9, 11], [13, 15]]
    )
    np.testing.assert_array_equal(read_labels(f"{path}::labels"), [2, 0, 1])


def test_files_of_torch_itself(tmp_path):
    torch = pytest.importorskip("torch")
    X = torch.arange(12.0).reshape(4, 3)
    torch.save(X, tmp_path / "X.pt")
    np.testing.assert_array_equal(read_features(tmp_path / "X.pt"), MATRIX)
    torch.save({"view": X.T[1:], "y": torch.tensor([1, 0])}, tmp_path / "all.pt")
    np.testing.assert_array_equal(read_features(f"{tmp_path}/all.pt::view"), MATRIX.T[1:])
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/all.pt::y"), [1, 0])
    for kept in (X.bfloat16(), X > 3):
        torch.save(kept, tmp_path / "kept.pt")
        np.testing.assert_array_equal(read_features(tmp_path / "kept.pt"), kept.double().numpy())
    for layout in (X.to_sparse(), X.to_sparse_csr(), torch.nn.Parameter(X)):
        torch.save(layout, tmp_path / "layout.pt")
        np.testing.assert_array_equal(read_features(tmp_path / "layout.pt"), MATRIX)
    for refused in (torch.nn.Linear(2, 2), np.ones(3)):
        torch.save(refused, tmp_path / "refused.pt")
        with pytest.raises(ValueError, match="not read because it could run code"):
            read_features(tmp_path / "refused.pt")


def test_tensors_in_nested_dicts_and_lists_are_named_by_their_keys(tmp_path):
    one = tensor("0", (4, 3))
    content = {"layers": {0: one, 11: tensor("1", (4, 3))}, "all": [one, 5], "y": "text"}
    storages = {"0": MATRIX.astype("f4"), "1": -MATRIX.astype("f4")}
    path = write_pt(tmp_path / "all.pt", content, storages)
    np.testing.assert_array_equal(read_features(f"{path}::layers.11"), -MATRIX)
    np.testing.assert_array_equal(read_features(f"{path}::all.0"), MATRIX)
    with pytest.raises(ValueError, match=r"choose one of all\.0, layers\.0, layers\.11"):
        read_features(path)
    content["layers"]["itself"] = content
    write_pt(path, content, storages)
    assert read_features(f"{path}::layers.0").shape == (4, 3)


def test_expanded_and_sparse_tensors_are_read_in_full(tmp_path):
    row = {"0": np.arange(3, dtype="f4")}
    path = write_pt(tmp_path / "X.pt", tensor("0", (4, 3), strides=(0, 1), size=3), row)
    np.testing.assert_array_equal(read_features(path), [[0, 1, 2]] * 4)
    write_pt(path, tensor("0", (10**6, 10**6), strides=(0, 0), size=1), {"0": np.ones(1, "f4")})
    with pytest.raises(ValueError, match="would grow 100-fold or more"):
        read_features(path)

    i, j = MATRIX.nonzero()
    places, values = (
        tensor("i", (2, 11), storage="LongStorage"),
        tensor("v", (11,), storage="DoubleStorage"),
    )
    held = {"i": np.array([i, j]), "v": MATRIX[i, j]}
    write_pt(path, sparse("coo", places, values, (4, 3), True), held)
    np.testing.assert_array_equal(read_features(path), MATRIX)
    ends, columns = (
        tensor("e", (5,), storage="LongStorage"),
        tensor("j", (11,), storage="LongStorage"),
    )
    held |= {"e": np.array([0, 2, 5, 8, 11]), "j": j}
    write_pt(path, sparse("csr", ends, columns, values, (4, 3)), held)
    np.testing.assert_array_equal(read_features(path), MATRIX)
    for shape in ((3, 3), (4, 2)):  # a row or a column outside of it
        write_pt(path, sparse("coo", places, values, shape), held)
        with pytest.raises(ValueError, match="it is damaged"):
            read_features(path)
    write_pt(path, sparse("coo", places, values, (10**6, 10**6)), held)
    with pytest.raises(ValueError, match="would grow 100-fold or more"):
        read_features(path)
    write_pt(path, sparse("bsr", ends, columns, values, (4, 3)), held)
    with pytest.raises(ValueError, match=r"layout torch\.sparse_bsr, which is not read: save it"):
        read_features(path)


# --- safetensors and several files ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "I64", "I8", "U8", "BOOL", "BF16"])
def test_safetensors_are_mapped_and_read_exactly(tmp_path, dtype):
    path = write_safetensors(tmp_path / "X.safetensors", {"X": (dtype, MATRIX)})
    expected = MATRIX != 0 if dtype == "BOOL" else MATRIX
    np.testing.assert_array_equal(read_features(path), expected)
    opened = open_features(f"{path}::X")
    np.testing.assert_array_equal(opened[1:3], expected[1:3])
    assert opened.shape == (4, 3)
    assert opened.dtype == ("f4" if dtype == "BF16" else "?" if dtype == "BOOL" else opened.dtype)
    if dtype not in ("BOOL", "BF16"):
        assert isinstance(opened, np.memmap)


def test_safetensors_as_their_library_writes_them(tmp_path):
    from safetensors.numpy import save_file

    save_file({"X": MATRIX, "y": np.arange(4)}, tmp_path / "X.safetensors", {"format": "np"})
    np.testing.assert_array_equal(read_features(f"{tmp_path}/X.safetensors::X"), MATRIX)
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/X.safetensors::y"), np.arange(4))
    index = {"metadata": {}, "weight_map": {"X": "X.safetensors", "far": "../X.safetensors"}}
    file = tmp_path / "X.safetensors.index.json"
    file.write_text(json.dumps(index))
    np.testing.assert_array_equal(read_features(f"{file}::X"), MATRIX)
    with pytest.raises(ValueError, match="choose one of X, far"):
        read_features(file)
    with pytest.raises(ValueError, match="lies in another folder"):
        read_features(f"{file}::far")


def test_shards_follow_each_other_by_their_numbers(tmp_path):
    for number in (1, 2, 10):
        np.save(tmp_path / f"weak-{number}.npy", np.full((number, 3), number, "f2"))
    numbers = np.repeat([1, 2, 10], [1, 2, 10])
    (tmp_path / "notes.txt").touch()
    for name in (tmp_path, tmp_path / "weak-*.npy"):
        opened = open_features(name)
        assert (opened.shape, opened.dtype) == ((13, 3), np.float16)
        np.testing.assert_array_equal(read_features(name)[:, 0], numbers)
        for rows in (slice(2, 5), slice(0, 0), slice(None, None, 4), [12, 0, 0], numbers == 2):
            np.testing.assert_array_equal(opened[rows][:, 0], numbers[rows])
    np.save(tmp_path / "y-1.npy", [1.0]), np.save(tmp_path / "y-2.npy", [2.0, 3.0])
    np.testing.assert_array_equal(read_labels(tmp_path / "y-*.npy"), [1, 2, 3])
    np.save(tmp_path / "weak-3.npy", np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"must be alike, got \(1, 3\) float16, .*\(2, 4\)"):
        open_features(tmp_path / "weak-*.npy")
    with pytest.raises(ValueError, match="holds no file ending in"):
        open_features(tmp_path / "strong-*.npy")
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"must hold files of one kind, it holds \.csv, \.npy"):
        open_features(tmp_path)


def test_rows_are_joined_by_their_ids(tmp_path):
    ids, turned = np.array(["a", "b", "c", "d"]), [2, 0, 3, 1]
    people = pd.DataFrame({"id": ids, "age": np.arange(4.0)})
    people.iloc[turned].to_csv(tmp_path / "people.csv", index=False)
    strong = pd.DataFrame(MATRIX, columns=["x", "y", "z"])
    strong["id"] = ids
    strong.to_parquet(tmp_path / "strong.parquet")
    folder = tmp_path / "layers"
    folder.mkdir()
    np.save(folder / "last.npy", MATRIX[::-1])
    pd.DataFrame({"id": ids[::-1]}).to_csv(folder / "rows.csv", index=False)
    rows = Joined("id")
    np.testing.assert_array_equal(rows.labels(f"{tmp_path}/people.csv::age"), turned)
    for file in (tmp_path / "strong.parquet", folder / "last.npy"):
        features = rows.features(str(file))
        assert features.shape == (4, 3)
        np.testing.assert_array_equal(features[:], MATRIX[turned])
        np.testing.assert_array_equal(features[1:3], MATRIX[turned][1:3])
    more = pd.DataFrame({"id": [*ids, "e"], "x": 0.0})
    more.to_csv(tmp_path / "more.csv", index=False)
    assert rows.features(f"{tmp_path}/more.csv").shape == (4, 1)
    for table, wrong in (
        (more[1:], "lacks 1 of the 4 ids of .*people.csv::age, a for one"),
        (more.iloc[[0, 0, 1, 2, 3]], "has 1 rows whose id another row has, too"),
        (more.rename(columns={"id": "name"}), "has no array 'id'; it holds name, x"),
    ):
        table.to_csv(tmp_path / "wrong.csv", index=False)
        with pytest.raises(ValueError, match=wrong):
            rows.features(f"{tmp_path}/wrong.csv::x")
    np.save(tmp_path / "bare.npy", MATRIX)
    with pytest.raises(ValueError, match=r"write the ids of its rows to rows\.csv in its folder"):
        rows.features(f"{tmp_path}/bare.npy")


@pytest.mark.parametrize("dtype", ["f2", "f8", "i4"])
def test_a_mapped_file_is_of_its_own_type_and_not_read(tmp_path, dtype):
    np.save(tmp_path / "X.npy", MATRIX.astype(dtype))
    mapped = open_features(tmp_path / "X.npy")
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, MATRIX.astype(dtype), strict=True)
    np.savez(tmp_path / "X.npz", X=MATRIX.astype(dtype))
    assert open_features(tmp_path / "X.npz").dtype == dtype


def test_only_matrices_of_numbers_are_opened(tmp_path):
    np.save(tmp_path / "y.npy", MATRIX[:, 0])
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    np.save(tmp_path / "objects.npy", np.array([[None]]))
    for file in ("y.npy", "text.npy"):
        with pytest.raises(ValueError, match="must hold a matrix of real numbers, got shape"):
            open_features(tmp_path / file)
    with pytest.raises(ValueError, match="not read because it could run"):
        open_features(tmp_path / "objects.npy")


def test_replicates_may_lack_labels(tmp_path):
    labels = np.array([[1.0, np.nan], [2.0, 3.0]])
    np.save(tmp_path / "again.npy", labels)
    np.testing.assert_array_equal(read_replicates(tmp_path / "again.npy"), labels)


def test_names_of_classes_in_arrays(tmp_path):
    np.save(tmp_path / "y.npy", np.array(["b", "a"]))
    assert read_labels(tmp_path / "y.npy", names=True).tolist() == ["b", "a"]
    np.save(tmp_path / "column.npy", MATRIX[:, :1])
    np.testing.assert_array_equal(read_labels(tmp_path / "column.npy"), MATRIX[:, 0])


# --- What is refused ------------------------------------------------------------------------------


def hostile(folder, marker):
    """Files that would make the marker if anything in them were unpickled."""
    bomb = Call(Path.touch, marker)
    np.save(folder / "objects.npy", np.array([bomb, None]))
    np.savez(folder / "objects.npz", X=np.array([[bomb]]))
    (folder / "bare.npy").write_bytes(pickle.dumps(bomb))
    (folder / "bare.pt").write_bytes(pickle.dumps(bomb))
    with zipfile.ZipFile(folder / "bare.npz", "w") as archive:
        archive.writestr("X.npy", pickle.dumps(bomb))
    write_pt(folder / "bomb.pt", bomb, {})
    write_pt(folder / "beside.pt", {"X": tensor("0", (2, 1)), "other": bomb}, {"0": MATRIX[:1]})
    code = f"open({str(marker)!r}, 'w')"
    write_pt(folder / "eval.pt", Call(Global("builtins", "eval"), code), {})
    return sorted(path for path in folder.iterdir() if path.suffix in (".npy", ".npz", ".pt"))


def test_nothing_in_a_hostile_file_runs(tmp_path):
    marker = tmp_path / "ran"
    files = hostile(tmp_path, marker)
    assert len(files) == 8
    for path in files:
        for name in ("", "::X"):
            with pytest.raises(ValueError, match=path.name):
                read_features(f"{path}{name}")
    assert not marker.exists()
    with zipfile.ZipFile(tmp_path / "bomb.pt") as archive:  # it does run where it is trusted
        pickle.loads(archive.read("root/data.pkl"))
    assert marker.exists()


def test_a_pickle_cannot_alter_the_reader(tmp_path):
    """The opcode BUILD sets attributes of what stands before it."""
    good = write_pt(tmp_path / "good.pt", tensor("0", (4, 3)), {"0": MATRIX.astype("f4")})
    for target in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n",
                   b"ccollections\nOrderedDict\n"):  # fmt: skip
        for state in (
            b"}X\x08\x00\x00\x00__call__I1\nsb",
            b"N}X\x08\x00\x00\x00__call__I1\ns\x86b",
        ):
            path = tmp_path / "build.pt"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("root/data.pkl", b"\x80\x02" + target + state + b".")
            with pytest.raises(ValueError, match=r"build\.pt"):
                read_features(path)
            np.testing.assert_array_equal(read_features(good), MATRIX)


@pytest.mark.parametrize(
    ("arguments", "storages"),
    [
        ({"shape": (4, 4)}, {"0": np.ones(12, "f4")}),  # fewer numbers than stated
        ({"shape": (4, 3), "size": 12}, {"0": np.ones(13, "f4")}),
        ({"shape": (4, 3), "size": 12, "offset": 1}, {"0": np.ones(12, "f4")}),
        ({"shape": (4, 3), "size": 12, "offset": -1}, {"0": np.ones(12, "f4")}),
        ({"shape": (4, 3), "size": 12, "strides": (4, 1)}, {"0": np.ones(12, "f4")}),
        ({"shape": (4, 3), "size": 12, "strides": (-3, 1)}, {"0": np.ones(12, "f4")}),
        ({"shape": (4, 3), "size": 12, "strides": (3,)}, {"0": np.ones(12, "f4")}),
        ({"shape": (4.0, 3), "size": 12, "strides": (3, 1)}, {"0": np.ones(12, "f4")}),
        ({"shape": ("4", 3), "size": 12, "strides": (3, 1)}, {"0": np.ones(12, "f4")}),
        ({"shape": (0, 3), "size": 12, "strides": (3, 1)}, {"0": np.ones(12, "f4")}),
        ({"shape": (4, 3)}, {}),
    ],
)  # fmt: skip
def test_tensors_outside_their_storage_are_refused(tmp_path, arguments, storages):
    path = write_pt(tmp_path / "X.pt", tensor("0", **arguments), storages)
    with pytest.raises(ValueError, match=r"X\.pt cannot be read as \.pt: it is damaged"):
        read_features(path)


def test_what_is_wrong_is_said_in_one_sentence(tmp_path):
    np.save(tmp_path / "X.npy", MATRIX)
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    np.save(tmp_path / "nan.npy", [[np.nan]])
    np.save(tmp_path / "objects.npy", np.array([[None]]))
    np.savez(tmp_path / "two.npz", a=MATRIX, b=MATRIX)
    (tmp_path / "old.pt").write_bytes(pickle.dumps(1))
    (tmp_path / "X.txt").touch()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "mixed.csv").write_text("size,name\n1,a\n")
    pd.DataFrame(np.eye(3)).to_csv(tmp_path / "indexed.csv")
    write_pt(tmp_path / "list.pt", [1], {})
    write_pt(tmp_path / "number.pt", 1, {})
    complex_numbers = tensor("0", (2,), storage="ComplexFloatStorage")
    write_pt(tmp_path / "complex.pt", complex_numbers, {"0": MATRIX[0, :2]})
    write_pt(tmp_path / "none.pt", {"epoch": 1}, {})
    write_pt(tmp_path / "big.pt", tensor("0", (4, 3)), {}, extra=[("byteorder", "big")])
    write_pt(tmp_path / "packed.pt", tensor("0", (4, 3)), {}, compression=zipfile.ZIP_DEFLATED)
    for file, message in {
        "none.npy": "There is no file",
        "X.txt": "must end in .npy, .npz, .safetensors, .pt, .pth, .csv, .parquet",
        "empty.csv": "cannot be read as .csv: it is damaged",
        "mixed.csv": "holds text in column 'name': choose a column with ::NAME",
        "indexed.csv": "save it with index=False",
        "mixed.csv::age": "has no array 'age'; it holds name, size",
        "X.npy::X": "has no array 'X'; it holds one array without a name",
        "two.npz": "holds 2 arrays: add ::NAME to choose one of a, b",
        "two.npz::c": "has no array 'c'; it holds a, b",
        "text.npy": "must hold real numbers, got dtype",
        "nan.npy": "must be finite, got 1 NaN",
        "objects.npy": "holds an array of Python objects, which is not read because it could run",
        "old.pt": "is not a zip archive as torch.save writes it since torch 1.6",
        "complex.pt": "holds a tensor of type ComplexFloat, which is not read: save floats",
        "list.pt": "holds no tensor",
        "number.pt": "must hold a tensor, or a dict of tensors; got int",
        "none.pt": "holds no tensor",
        "big.pt": "was written on a big-endian machine",
        "packed.pt": "is compressed, which torch never does",
    }.items():
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            read_features(tmp_path / file)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"must have 1 dimension\(s\), got shape \(4, 3\)"):
        read_labels(tmp_path / "X.npy")


@pytest.mark.parametrize(
    "kind", ["npy", "npz", "safetensors", "pt", "csv", "parquet", "arrow", "json"]
)
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / f"X.{kind}"
    os.mkfifo(path)
    for read in (read_features, open_features, read_labels, read_replicates):
        with pytest.raises(ValueError, match=r"X\.\w+ is no regular file\."):
            read(path)


ESCAPE = "\x1b[2Jred\r"


def test_names_in_a_file_cannot_command_the_terminal(tmp_path):
    np.savez(tmp_path / "a.npz", **{ESCAPE: MATRIX, "b": MATRIX})
    write_pt(
        tmp_path / "a.pt",
        {ESCAPE: tensor("0", (4, 3)), "b": tensor("0", (4, 3))},
        {"0": MATRIX.astype("f4")},
    )
    write_pt(tmp_path / "call.pt", Call(Global("os", ESCAPE.rstrip()), 1), {})
    (tmp_path / "a.csv").write_text(f'"{ESCAPE}",b\nx,1\n')
    (tmp_path / f"{ESCAPE}.csv").touch()
    for file in ("a.npz", "a.npz::c", "a.pt", "a.pt::c", "call.pt", "a.csv", "a.csv::c",
                 f"{ESCAPE}.csv", f"{ESCAPE}.npy", f"a.npz::{ESCAPE}x"):  # fmt: skip
        with pytest.raises(ValueError, match="red") as raised:
            read_features(tmp_path / file)
        assert str(raised.value).isprintable()
    assert read_features(f"{tmp_path / 'a.npz'}::{ESCAPE}").shape == (4, 3)


@pytest.mark.parametrize("name", ["1,5", "12 %", "2020-01-31", "0x1F", "1+2j", "1.5"])
def test_numbers_that_were_saved_as_text_are_no_classes(tmp_path, name):
    np.save(tmp_path / "y.npy", np.array(["a", name]))
    for read in (lambda file: read_labels(file, names=True), read_replicates):
        with pytest.raises(ValueError, match=f"holds '{re.escape(name)}' as text, which is no"):
            read(tmp_path / "y.npy")
    digits = np.array(["0", "9", "-1", "+1", "3rd", "<=50K", "+"])
    np.save(tmp_path / "y.npy", digits)
    assert read_labels(tmp_path / "y.npy", names=True).tolist() == digits.tolist()


@pytest.mark.parametrize("kind", ["npy", "npz", "pt"])
def test_a_file_with_any_cut_or_any_byte_changed_is_refused_or_read_right(tmp_path, kind):
    path = tmp_path / f"X.{kind}"
    match kind:
        case "npy":
            np.save(path, MATRIX)
        case "npz":
            np.savez(path, X=MATRIX)
        case _:
            write_pt(path, tensor("0", (4, 3)), {"0": MATRIX.astype("f4")})
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match=r"cannot be read|is not a zip archive"):
            read_features(path)
        for flipped in (0x01, 0xFF):
            changed = bytearray(whole)
            changed[place] ^= flipped
            path.write_bytes(changed)
            try:
                read = read_features(path)
            except ValueError:
                refused += 1
            else:  # only zip archives hold checksums
                assert kind == "npy" or np.array_equal(read, MATRIX)
    assert refused > len(whole) / 2
