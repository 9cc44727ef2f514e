"""Tensors of torch are taken wherever arrays are, on a device, with a gradient or in bfloat16."""

from dataclasses import dataclass, replace

import dask.array as da
import numpy as np
import pytest

from w2s_utils._validate import real_array
from w2s_utils.diagnosis import diagnose, rank_teachers, verify
from w2s_utils.measure import correlation_dimension, leading_coordinates

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6)).astype("<f4")
X = (X.view("<u4") & 0xFFFF0000).view("<f4")  # numbers that bfloat16 has
W, S, Y = X[:, :4], X[:, 2:], X.sum(axis=1) + RNG.standard_normal(300).astype("<f4")
SIZES = {"n": 40, "N": 80}


@dataclass(frozen=True, eq=False)
class Tensor:
    """Stands for torch.Tensor: what NumPy may read of it, and the errors where it may not."""

    values: np.ndarray
    kind: str = "float32"
    grad: bool = False
    device: str = "cpu"

    @property
    def shape(self):
        return self.values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return replace(self, values=self.values[rows])

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError(f"can't convert {self.device} device type tensor to numpy.")
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.kind == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values if dtype is None else self.values.astype(dtype)

    def detach(self):
        return replace(self, grad=False)

    def cpu(self):
        return replace(self, device="cpu")

    def is_floating_point(self):
        return "float" in self.kind

    def double(self):
        return replace(self, values=self.values.astype(np.float64), kind="float64")


KINDS = [{"kind": "bfloat16"}, {"grad": True}, {"device": "cuda:0"}]
KINDS.append({"kind": "bfloat16", "grad": True, "device": "cuda:0"})


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_their_numbers(kind):
    w, s, y = Tensor(W, **kind), Tensor(S, **kind), Tensor(Y, **kind)
    with pytest.raises((RuntimeError, TypeError)):
        np.asarray(w)
    np.testing.assert_array_equal(real_array(w, "w", 2), W)
    found, known = (
        diagnose(w, s, y, replicates=y, **SIZES),
        diagnose(W, S, Y, replicates=Y, **SIZES),
    )
    assert found.table().equals(known.table())
    assert verify(found, w, s, y, trials=2).equals(verify(known, W, S, Y, trials=2))
    ranked = rank_teachers({"a": w, "b": Tensor(W[:, :2], **kind)}, s, y, **SIZES)
    assert ranked.table.equals(rank_teachers({"a": W, "b": W[:, :2]}, S, Y, **SIZES).table)
    assert correlation_dimension(w, s) == correlation_dimension(W, S)
    np.testing.assert_array_equal(leading_coordinates(w), leading_coordinates(W))


def test_tensors_of_whole_numbers_and_truths_stay_what_they_are():
    for kind, labels in (("int64", (Y > 0).astype(int)), ("bool", Y > 0)):
        found = diagnose(W, S, Tensor(labels, kind), **SIZES)
        assert found.classes == tuple(np.unique(labels).tolist())


def test_arrays_of_dask_are_read_a_part_at_a_time():
    w, s, y = (da.from_array(values, chunks=77) for values in (W, S, Y))
    assert diagnose(w, s, y, **SIZES).table().equals(diagnose(W, S, Y, **SIZES).table())


def test_tensors_of_torch_itself():
    torch = pytest.importorskip("torch")
    w, s = (torch.tensor(values, requires_grad=True) for values in (W, S))
    y = torch.tensor(Y > 0)
    known = diagnose(W, S, Y > 0, **SIZES).table()
    assert diagnose(w, s, y, **SIZES).table().equals(known)
    assert diagnose(w.bfloat16(), s.bfloat16(), y, **SIZES).table().equals(known)
