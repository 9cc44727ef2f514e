"""Tables: what they say is read exactly, what would have to be guessed is refused."""

import resource
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tests.io.arrow_file import arrow_table, write_arrow
from w2s_utils.io import refusal
from w2s_utils.io.files import open_features, read_features, read_labels, read_replicates
from w2s_utils.io.tables import columns_of

MATRIX = np.arange(12.0).reshape(4, 3)


# --- What is read ---------------------------------------------------------------------------------


def test_tables_with_and_without_names(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text("a,b\n1,2.5\n3,4\n")
    np.testing.assert_array_equal(read_features(path), [[1, 2.5], [3, 4]])
    np.testing.assert_array_equal(read_labels(f"{path}::b"), [2.5, 4])
    path.write_text("1,2.5\n3,4\n")
    np.testing.assert_array_equal(read_features(path), [[1, 2.5], [3, 4]])
    path.write_text("kind\ncat\ndog\n")
    assert read_labels(path, names=True).tolist() == ["cat", "dog"]
    with pytest.raises(ValueError, match="must hold real numbers"):
        read_labels(path)
    path.write_text("a\n1\n\n3\n")
    np.testing.assert_array_equal(read_labels(path), [1, 3])
    path.write_text("a,b\n1,\n3,4\n")
    with pytest.raises(ValueError, match="must be finite, got 1 NaN"):
        read_features(path)


def test_columns_that_pandas_numbered_are_names_and_not_a_row(tmp_path):
    pd.DataFrame(MATRIX).to_csv(tmp_path / "numbered.csv", index=False)
    np.testing.assert_array_equal(read_features(tmp_path / "numbered.csv"), MATRIX)
    pd.DataFrame(MATRIX).to_csv(tmp_path / "indexed.csv")
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/indexed.csv::2"), MATRIX[:, 2])


def test_numbers_of_a_text_are_read_to_their_last_bit(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 7)) * 10.0 ** np.arange(-60, 80, 20)
    pd.DataFrame(X).to_csv(tmp_path / "X.csv", index=False)
    np.testing.assert_array_equal(read_features(tmp_path / "X.csv"), X)


@pytest.mark.parametrize(
    ("text", "matrix"),
    [
        ("\ufeffa,b\n1,2\n", [[1, 2]]),
        ('"a","b"\r\n"1.5","-2e3"\r\n', [[1.5, -2000]]),
        ("a, b\n 1.5 ,\t2\n\n\n.5,+7.\n", [[1.5, 2], [0.5, 7]]),
        ("yes,score\nTrue,1.5\nFalse,2\n", [[1, 1.5], [0, 2]]),
        ("a,a\n1,2\n", [[1, 2]]),
        ("True,1\nFalse,2\n", [[1, 1], [0, 2]]),
        ("size\n1\n2\n", [[1], [2]]),
    ],
)
def test_spellings_that_leave_nothing_to_guess(tmp_path, text, matrix):
    (tmp_path / "X.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(read_features(tmp_path / "X.csv"), matrix)
    np.testing.assert_array_equal(open_features(tmp_path / "X.csv"), matrix)


def test_labels_that_are_missing_in_a_text(tmp_path):
    path = tmp_path / "y.csv"
    for gap in ('""', "NA", "n/a", "nan", "None"):
        path.write_text(f"a\n1\n{gap}\n3\n")
        np.testing.assert_array_equal(read_replicates(path), [[1], [np.nan], [3]])
        with pytest.raises(ValueError, match="must be finite, got 1 NaN"):
            read_labels(path, names=True)
        path.write_text(f"a\n cat \n{gap}\ndog\n")
        assert read_replicates(path).tolist() == [["cat"], [None], ["dog"]]
        with pytest.raises(ValueError, match=r"y\.csv lacks 1 of its 3 labels"):
            read_labels(path, names=True)
        path.write_text(f"a\nTrue\n{gap}\nFalse\n")
        np.testing.assert_array_equal(read_replicates(path), [[1], [np.nan], [0]])


@pytest.mark.parametrize(
    ("columns", "matrix"),
    [
        ({"a": pd.array([1, 2], "Int64"), "b": pd.array([0.5, None], "Float64")},
         [[1, 0.5], [2, np.nan]]),
        ({"a": [True, False], "b": [0.5, 2]}, [[1, 0.5], [0, 2]]),
        ({"a": pd.array([True, None], "boolean"), "b": [3, 4]}, [[1, 3], [np.nan, 4]]),
        ({"a": [Decimal("1.5"), None], "b": [3, 4]}, [[1.5, 3], [np.nan, 4]]),
        ({"a": pd.Categorical([3, 7])}, [[3], [7]]),
        ({"a": pd.Categorical(["x", None, "x"])}, [["x"], [None], ["x"]]),
        ({"a": ["x", None]}, [["x"], [None]]),
    ],
)  # fmt: skip
def test_columns_of_every_type_are_their_values(columns, matrix):
    read = columns_of(pd.DataFrame(columns), "")
    assert read.dtype == (object if isinstance(matrix[0][0], str) else np.float64)
    np.testing.assert_array_equal(read, matrix)


def test_short_floats_of_a_table_stay_short():
    table = pd.DataFrame(MATRIX.astype("f4"))
    assert columns_of(table, "").dtype == np.float32


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "X.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"X\.parquet .* pyarrow: install w2s-utils\[tables\]"):
        read_features(tmp_path / "X.parquet")


def test_parquet_tables(tmp_path):
    table = pd.DataFrame({"a": [1.0, 2.0], "kind": ["x", "y"]})
    table.to_parquet(tmp_path / "X.parquet")
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/X.parquet::a"), [1, 2])
    assert read_labels(f"{tmp_path}/X.parquet::kind", names=True).tolist() == ["x", "y"]


# --- What is refused ------------------------------------------------------------------------------

FIELDS = "must have as many fields on each line as on its first, {}, but has {} on line {}"
NUMBER = "holds {!r} in column {!r} on line {}, which is no number as it is written here"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rating\n1,5\n2,5\n", FIELDS.format(1, 2, 2)),
        ("a,b\n1,2,3\n4,5,6\n", FIELDS.format(2, 3, 2)),
        ("a,b,c\n1,2,3\n\n4,5\n", FIELDS.format(3, 2, 4)),
        ("a,b\n1,2\n3,4,5\n", FIELDS.format(2, 3, 3)),
        ("a,b\n1,2,\n", FIELDS.format(2, 3, 2)),
        ("# a comment\na,b\n1,2\n", FIELDS.format(1, 2, 2)),
        ("f0;f1\n1,5;2,5\n", "must separate its columns by commas, it has semicolons"),
        ("f0;f1\n1.5;2.5\n", "must separate its columns by commas, it has semicolons"),
        ("f0\tf1\n1\t2\n", "must separate its columns by commas, it has tabs"),
        ("f0|f1\n1|2\n", "must separate its columns by commas, it has bars"),
        ("1,5;2,5\n3,5;4,5\n", NUMBER.format("5;4", "5;2", 2)),
        ("f0 f1\n1 2\n", NUMBER.format("1 2", "f0 f1", 2)),
        ('a\n"1,5"\n', NUMBER.format("1,5", "a", 2)),
        ('a,b\n1,"1,234"\n', NUMBER.format("1,234", "b", 2)),
        ("a\n12%\n", NUMBER.format("12%", "a", 2)),
        ("a\n2020-01-31\n", NUMBER.format("2020-01-31", "a", 2)),
        ("a\n0x1F\n", NUMBER.format("0x1F", "a", 2)),
        ("a\n1+2j\n", NUMBER.format("1+2j", "a", 2)),
        ("a\n1_000\n", NUMBER.format("1_000", "a", 2)),
        ("a\n\u0661\n", NUMBER.format("\u0661", "a", 2)),
        ("a\n1\nfew\n3\n", "mixes numbers and words in column 'a', 2 and 1"),
        ("# a comment\nrating\n1\n2\n", "mixes numbers and words in column '# a comment'"),
        ("a,b\nTrue,1\n7,2\n", "mixes numbers and words in column 'a', 1 and 1"),
        ("a\nTrue\n7\n", "mixes numbers and words in column 'a', 1 and 1"),
        ("2019,2020,2021\n1,2,3\n", "begins with 2019, 2020 and so on, which may be names"),
        ("a,b,\n1,2,\n", "has no name for column 3"),
        ('a\n"b"c\n', "cannot be read as .csv: it is damaged"),
        ('a\n"1\n2\n', "cannot be read as .csv: it is damaged"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(tmp_path, text, message):
    path = tmp_path / "X.csv"
    path.write_bytes(text.encode())
    for read in (read_features, open_features, read_replicates,
                 lambda file: read_labels(file, names=True)):  # fmt: skip
        with pytest.raises(ValueError, match=r"X\.csv ") as raised:
            read(path)
        assert message in str(raised.value)


def test_a_name_that_two_columns_have_names_none(tmp_path):
    (tmp_path / "X.csv").write_text("a,a,b\n1,2,3\n")
    with pytest.raises(ValueError, match="holds 2 arrays of the name 'a': rename them"):
        read_labels(f"{tmp_path}/X.csv::a")
    np.testing.assert_array_equal(read_labels(f"{tmp_path}/X.csv::b"), [3])


@pytest.mark.parametrize(
    ("column", "message"),
    [([[1], [2]], "column 'a' must hold numbers only or strings only, got list"),
     (["x", 2], "column 'a' must hold numbers only or strings only, got int and str"),
     (pd.to_datetime(["2020-01-31", "2020-02-01"]), "strings only, got Timestamp")],
)  # fmt: skip
def test_columns_of_other_things_are_refused(column, message):
    with pytest.raises(refusal.Refused, match=message):
        columns_of(pd.DataFrame({"a": column}), "")


# --- Memory ---------------------------------------------------------------------------------------


def test_one_long_name_does_not_make_all_names_long(tmp_path):
    """In an array of strings 40,000 names would take the room of the longest: 16 GB."""
    path = tmp_path / "y.csv"
    path.write_text("kind\n" + "a\nb\n" * 20_000 + 2 * ("x" * 100_000 + "\n"))
    code = (
        "import sys; from w2s_utils.io.files import read_labels;"
        "from w2s_utils.diagnosis import labels;"
        "known = labels.read_labels(read_labels(sys.argv[1], names=True), None);"
        "known = labels.read_labels(['a', 'b'] * 20_000 + ['x' * 100_000], None);"
        "print(known.columns, known.encode(['a', 'x' * 100_000] * 20_000 + ['b']).shape)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30)),
    )
    assert told.stdout == "3 (40001, 1, 3)\n", told.stderr


def test_a_parquet_file_that_grows_without_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(refusal, "MAX_BYTES", 10**5)
    pd.DataFrame({"a": np.zeros(10**5)}).to_parquet(tmp_path / "zeros.parquet")
    pd.DataFrame({"a": ["x" * 10**6]}).to_parquet(tmp_path / "long.parquet", compression="zstd")
    for file in ("zeros", "long"):
        with pytest.raises(ValueError, match=r"would grow 100-fold or more, to \d+ bytes"):
            read_labels(tmp_path / f"{file}.parquet", names=True)
    X = np.random.default_rng(0).normal(size=(1000, 100))
    pd.DataFrame(X).rename(columns=str).to_parquet(tmp_path / "usual.parquet")
    np.testing.assert_array_equal(read_features(tmp_path / "usual.parquet"), X)


def test_a_string_of_a_parquet_file_is_kept_once(tmp_path):
    pd.DataFrame({"a": ["x" * 10**5, "y"] * 50}).to_parquet(tmp_path / "y.parquet")
    assert len({id(name) for name in read_labels(tmp_path / "y.parquet", names=True)}) == 2


# --- Vectors in columns, and Arrow ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow"])
def test_columns_of_vectors_are_matrices(tmp_path, kind):
    X, table = arrow_table()
    file = write_arrow(table, tmp_path / f"table.{kind}")
    for name in ("vector", "fixed"):
        np.testing.assert_array_equal(read_features(f"{file}::{name}"), X)
    np.testing.assert_array_equal(read_features(f"{file}::price"), [[1.5]] * 4)
    assert read_labels(f"{file}::mood", names=True).tolist() == ["good", "bad"] * 2
    with pytest.raises(ValueError, match="holds vectors in column 'vector': choose a column"):
        read_features(file)
    write_arrow(table.select(["fixed"]), file)
    np.testing.assert_array_equal(read_features(file), X)


@pytest.mark.parametrize(
    ("vectors", "wrong"),
    [
        ([[1.0, 2.0], [3.0]], "holds vectors of 1 to 2 numbers in column 'x'"),
        ([[1.0, 2.0], None], "lacks values in column 'x'"),
        ([[1.0, None], [1.0, 2.0]], "lacks values in column 'x'"),
        ([[], []], "holds vectors of 0 to 0 numbers"),
        ([["a"], ["b"]], "holds no vectors of numbers in column 'x'"),
    ],
)
def test_vectors_of_unequal_or_missing_numbers_are_refused(tmp_path, vectors, wrong):
    import pyarrow as pa

    file = write_arrow(pa.table({"x": vectors}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=wrong):
        read_features(f"{file}::x")
