import sys

import numpy as np
import pytest

from w2s_utils.features import backbones, last_block
from w2s_utils.features.last_block import HEAD, encoder_layer, gradient_kernel, network, on_rows

TEXTS = (
    "I love this camera!",
    "The stock market fell sharply on Monday.",
    "I hate this camera!",
    "No.",
    "Shares dropped a lot at the start of the week.",
)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs the extra vision")


@pytest.fixture(scope="module")
def groups(torch):
    return last_block.states_below(TEXTS)[0]


@pytest.fixture(scope="module")
def parameters(torch):
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(1, 384, generator=generator)
    block = last_block.states_below(TEXTS[:1])[1]
    return {**block, f"{HEAD}.weight": head, f"{HEAD}.bias": torch.tensor([0.5])}


def pooled(parameters, x):
    return encoder_layer(parameters, x).mean(1)


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"need the package torch: install w2s-utils\[vision\]"):
        last_block.states_below(TEXTS)


def test_pooled_outputs_are_the_last_layer_of_the_packaged_features(groups, parameters):
    expected = backbones.features(TEXTS, "h6")
    np.testing.assert_allclose(on_rows(pooled, parameters, groups), expected, atol=1e-5)
    assert np.abs(expected - backbones.features(TEXTS, "h5")).max() > 0.1


def test_the_head_is_linear_in_the_pooled_outputs(groups, parameters):
    head = parameters[f"{HEAD}.weight"][0].numpy()
    expected = on_rows(pooled, parameters, groups) @ head + 0.5
    np.testing.assert_allclose(on_rows(network, parameters, groups), expected, rtol=1e-5)


def test_all_weights_of_the_block_are_there(parameters):
    """Four maps of attention, two feedforward layers, two layer norms, and the head."""
    size = sum(value.numel() for value in parameters.values())
    block = 4 * 384 * 385 + 384 * 1537 + 1536 * 385 + 4 * 384
    assert size == block + 385


def test_picked_rows_keep_their_order(groups, parameters):
    rows = np.array([4, 0, 2])
    everything = on_rows(network, parameters, groups)
    some = on_rows(network, parameters, last_block.pick(groups, rows))
    np.testing.assert_allclose(some, everything[rows], rtol=1e-5)


def test_gradient_kernel_is_that_of_gradients_one_by_one(torch, groups, parameters):
    """In float64, by a backward pass a sentence in all parameters."""
    exact = {name: value.double().requires_grad_() for name, value in parameters.items()}
    in_double = [(rows, x.double()) for rows, x in groups]
    assert sorted(len(rows) for rows, _ in groups)[-1] > 1  # a batch of several
    gradients = np.empty((len(TEXTS), sum(value.numel() for value in exact.values())))
    for rows, x in in_double:
        for row, of_row in zip(rows, x, strict=True):
            found = torch.autograd.grad(network(exact, of_row[None])[0], list(exact.values()))
            gradients[row] = torch.cat([part.flatten() for part in found]).numpy()
    expected = gradients @ gradients.T
    np.testing.assert_allclose(gradient_kernel(exact, in_double), expected, rtol=1e-10)
    np.testing.assert_allclose(gradient_kernel(parameters, groups), expected, rtol=1e-4)
