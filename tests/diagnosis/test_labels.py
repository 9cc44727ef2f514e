from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from w2s_utils.diagnosis.labels import read_labels


def columns(labels, classes=None):
    return read_labels(labels, classes).rows(slice(None))


def test_real_labels_stay_as_they_are():
    np.testing.assert_array_equal(columns([3, 1, 2]), [[3], [1], [2]])
    np.testing.assert_array_equal(columns([[3.0], [1.0], [2.0]]), [[3], [1], [2]])
    np.testing.assert_array_equal(columns([[3, 0], [1, 0]]), [[3, 0], [1, 0]])


@pytest.mark.parametrize("labels", [["cat", "dog", "cat"], [0, 1, 0], [-1.0, 1.0, -1.0],
                                    [False, True, False], [3.5, 7.0, 3.5]])  # fmt: skip
def test_two_values_become_signs(labels):
    np.testing.assert_array_equal(columns(labels), [[-1], [1], [-1]])


def test_two_values_may_be_numbers():
    np.testing.assert_array_equal(columns([0, 1, 0], classes=False), [[0], [1], [0]])


def test_more_classes_become_a_column_each():
    expected = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(columns(list("bacabc")), expected)
    np.testing.assert_array_equal(columns([5, 2, 9, 2, 5, 9], classes=True), expected)
    labels = read_labels(list("bacabc"), None)
    assert labels.classes == ("a", "b", "c")
    np.testing.assert_array_equal(labels.rows(slice(1, 3)), expected[1:3])


def test_replicates_are_encoded_like_the_labels():
    two = read_labels(list("abab"), None).encode(list("aabb"))
    np.testing.assert_array_equal(two[:, 0, 0], [-1, -1, 1, 1])
    real = read_labels([1.0, 2.0, 4.0], None).encode([[1, np.nan], [2, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(real[..., 0], [[1, np.nan], [2, 3], [np.nan, np.nan]])
    many = read_labels([0, 1, 2, 0, 1, 2], True).encode([0, 1, np.nan, 2, 1, 0])
    np.testing.assert_array_equal(many[[0, 3], 0], [[1, 0, 0], [0, 0, 1]])
    assert np.isnan(many[2]).all()
    named = read_labels(list("abab"), None)
    for gap in (None, np.nan, pd.NA):
        known = named.encode(np.array([["a", gap], ["b", "a"], [gap, gap], ["b", "b"]], object))
        np.testing.assert_array_equal(
            known[..., 0], [[-1, np.nan], [1, -1], [np.nan, np.nan], [1, 1]]
        )
    real = read_labels([1.0, 2.0, 4.0], None).encode([None, 2, 3])
    np.testing.assert_array_equal(real[:, 0, 0], [np.nan, 2, 3])


@pytest.mark.parametrize("labels", [
    np.array(["b", "a", "b"]), np.array(["b", "a", "b"], object), pd.Series(["b", "a", "b"]),
    pd.Categorical(["b", "a", "b"]), np.array(["b", "a", "b"], np.dtypes.StringDType()),
    ("b", "a", "b"),
])  # fmt: skip
def test_strings_of_every_kind_are_classes(labels):
    assert read_labels(labels, None).classes == ("a", "b")
    np.testing.assert_array_equal(columns(labels), [[1], [-1], [1]])


@pytest.mark.parametrize("labels", [
    [1, 2.5, 4], (Decimal(1), Decimal("2.5"), Decimal(4)), np.array([1, 2.5, 4], object),
    pd.Series([1, 2.5, 4], dtype="Float64"), [np.float32(1), np.float64(2.5), np.int8(4)],
])  # fmt: skip
def test_numbers_of_every_kind_are_numbers(labels):
    np.testing.assert_array_equal(columns(labels), [[1], [2.5], [4]])


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([2, 2, 2], None, "more than one value, got 2.0 only"),
        (["a", "a"], None, "more than one value, got 'a' only"),
        ([[1, 2], [1, 2]], None, "all rows are the same"),
        ([1, np.nan], None, "labels must be finite, got 1 NaN"),
        (3.0, None, "must be a vector or a matrix"),
        ([["a", "b"], ["c", "d"]], None, "Classes must come as a vector"),
        ([1.5, 2.5, 3.5, 1.5], True, "hold 3 classes in 4 rows"),
        (["a", "b", "a", "b"], False, "labels must hold real numbers"),
        (["a", None, "b", "a"], None, "labels must not lack a value, got 1 without"),
        (np.array(["a", np.nan, "b", "a"], object), None, "must not lack a value, got 1 without"),
        ([1.0, None, 2.0], None, "labels must be finite, got 1 NaN"),
        (["a", 1, "b", 2], None, "must hold numbers only or strings only, got int and str"),
        ([b"a", b"b", b"a"], None, "must hold numbers only or strings only, got bytes"),
        ([[1, 2], [3]], None, "must hold numbers only or strings only, got list"),
    ],
)
def test_what_is_wrong_is_said(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        read_labels(labels, classes)


@pytest.mark.parametrize(
    ("labels", "replicates", "message"),
    [
        ([1, 2, 4], [1, 2], "M = 3 rows, got shape"),
        (["a", "b", "a", "b"], ["a", "c", "a", "b"], "hold 'c', which is none of the classes"),
        ([1, 2, 4], [1, 2, np.inf], "replicates must be finite"),
        ([1, 2, 4], ["1", "2", "4"], "must hold real numbers as the labels do, got strings"),
        (["a", "b", "a", "b"], [0, 1, 0, 1], "hold 0.0, which is none of the classes"),
        ([1, 2, 4], [1, "b", 4], "replicates must hold numbers only or strings only"),
        ([[1, 2], [3, 4]], [1, 2], "need labels that are one column"),
    ],
)
def test_replicates_that_do_not_fit_are_refused(labels, replicates, message):
    with pytest.raises(ValueError, match=message):
        read_labels(labels, None).encode(replicates)
