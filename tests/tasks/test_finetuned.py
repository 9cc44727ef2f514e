import json

import numpy as np
import pytest

from w2s_utils.features import last_block
from w2s_utils.tasks import finetuned, human_raters
from w2s_utils.tasks.finetuned import (
    EPOCHS,
    HELD_OUT,
    LEADING,
    PACK,
    PENALTIES,
    SIZES,
    SPLITS,
    TEST,
    Run,
)

POINTS = {
    "sgd": len(EPOCHS),
    "adam": len(EPOCHS),
    "linearised": len(EPOCHS),
    "ridge": len(PENALTIES),
    "leading": len(LEADING),
}


@pytest.fixture(scope="module")
def shipped():
    return finetuned.load()


def toy():
    """Two splits, one method with two points, two held-out sentences and one unseen."""
    moves = np.array([[[1.0, 1.0, 5.0], [2.0, 2.0, 6.0]], [[-1.0, -1.0, 7.0], [-2.0, -2.0, 8.0]]])
    return Run(
        held_out=np.array([[2.0, 2.1], [0.1, 0.1]]),
        target=np.array([[7.0], [1.0]]),
        start=np.array([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]]),
        moves={"sgd": moves},
        shares={},
        spectrum=np.ones((2, 1)),
    )


def test_held_out_labels_choose_the_point_or_the_start():
    run = toy()
    assert run.chosen("sgd").tolist() == [1, -1]
    assert run.learned("sgd").tolist() == [[6.0], [0.0]]
    assert run.learned("sgd", np.array([0, 1])).tolist() == [[5.0], [8.0]]


def test_risk_is_that_of_the_start_and_the_move():
    run = toy()
    assert run.risk().tolist() == [16.0, 4.0]
    assert run.risk(run.learned("sgd")).tolist() == [4.0, 4.0]


def test_shapes_of_the_shipped_runs(shipped):
    assert tuple(shipped.sizes) == SIZES
    assert shipped.teacher.shape == (SPLITS, TEST)
    runs = {**shipped.sizes, SIZES[1] - SIZES[0]: shipped.chain}
    for labels, run in runs.items():
        held = round(HELD_OUT * labels)
        assert run.held_out.shape == (SPLITS, held)
        assert run.spectrum.shape == (SPLITS, labels - held)
        for method, points in POINTS.items():
            assert run.moves[method].shape == (SPLITS, points, held + TEST)
            assert run.shares[method].shape == (SPLITS, points, len(LEADING))


def test_labels_and_targets_are_those_of_the_raters(shipped):
    """Labels are whole numbers, targets means of many; the chain's labels are a probe's."""
    targets = set(human_raters.load().target.astype(np.float32).tolist())
    for run in shipped.sizes.values():
        assert np.array_equal(run.held_out, np.round(run.held_out))
        assert set(run.target.astype(np.float32).ravel().tolist()) <= targets
        assert np.array_equal(run.target, shipped.chain.target)
    assert not np.array_equal(shipped.chain.held_out, np.round(shipped.chain.held_out))


def test_the_kernel_is_positive_and_shares_grow_to_at_most_one(shipped):
    for run in (*shipped.sizes.values(), shipped.chain):
        assert np.all(np.diff(run.spectrum, axis=1) <= 0)
        assert np.all(run.spectrum > 0)
        for shares in run.shares.values():
            assert np.all(np.diff(shares, axis=2) >= 0)
            assert np.all(shares <= 1 + 1e-6)


def test_manifest_names_what_the_pack_was_made_from():
    manifest = json.loads(PACK.with_suffix(".json").read_text())
    assert manifest["seed"] == finetuned._SEED
    assert set(manifest["made with"]) >= {"numpy", "torch", "tokenizers"}
    assert human_raters.RATINGS.filename in manifest["made from"]


@pytest.fixture(scope="module")
def learned():
    """What is learned from 40 sentences by few and small steps, at two rates, in float64."""
    pytest.importorskip("torch", reason="needs the extra vision")
    data = human_raters.load(1000)
    lengths = np.array([len(ids) for ids in last_block.tokens(data.texts)])
    rows = np.flatnonzero(lengths <= 10)[:80]
    groups, block = last_block.states_below([data.texts[row] for row in rows])
    groups = [(inside, x.double()) for inside, x in groups]
    block = {name: value.double() for name, value in block.items()}
    labels = data.draw_labels(1, np.random.default_rng(1))[rows[:40]]
    target = data.target[rows[40:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuned, "EPOCHS", (1, 2))
        patch.setattr(finetuned, "LEADING", (1, 4, 32))
        patch.setattr(finetuned, "PENALTIES", (1e-12, *PENALTIES, 1e4))
        found = []
        for rate in (0.2, 0.02):
            patch.setattr(finetuned, "SGD_RATE", rate)
            rng = np.random.default_rng(0)
            found.append(finetuned._learn(groups, block, labels, target, rng))
    return found


def test_small_steps_are_those_of_the_linearised_network(learned):
    """The relative distance to it falls with the steps; that to another model would not."""
    far, near = (
        np.linalg.norm(found["moves/sgd"].astype(float) - found["moves/linearised"])
        / np.linalg.norm(found["moves/linearised"].astype(float))
        for found in learned
    )
    assert far < 0.01
    assert near < far / 5
    assert np.linalg.norm(learned[0]["moves/sgd"]) > 5 * np.linalg.norm(learned[1]["moves/sgd"])


def test_ridge_goes_from_the_fit_of_all_directions_to_no_move(learned):
    ridge, leading = (
        learned[0][f"moves/{method}"].astype(float) for method in ("ridge", "leading")
    )
    np.testing.assert_allclose(ridge[0], leading[-1], rtol=1e-2, atol=1e-4)
    assert np.all(np.diff(np.linalg.norm(ridge, axis=1)) < 0)
    assert np.abs(ridge[-1]).max() < 0.01 * np.abs(ridge[0]).max()
