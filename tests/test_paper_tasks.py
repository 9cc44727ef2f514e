"""Chapter 13 on files, which no build of the book has."""

import json
from pathlib import Path

import numpy as np

from w2s_utils import publish
from w2s_utils.claims import LEDGER_KEY, VERDICTS

NOTEBOOK = Path(__file__).parents[1] / "notebooks/13_paper_tasks.ipynb"


def test_the_protocol_runs_on_files_with_flipped_labels(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 12))
    np.savez(tmp_path / "pair.npz", weak=inputs[:, :7], strong=inputs[:, 5:])
    np.save(tmp_path / "y.npy", np.sign(inputs[:, 4] + inputs[:, 6] + inputs[:, 8]))
    parameters = {
        "weak_features": f"{tmp_path}/pair.npz::weak",
        "strong_features": f"{tmp_path}/pair.npz::strong",
        "labels": f"{tmp_path}/y.npy",
        "label_noise": "flips",
        "noise_levels": [0.0, 0.3],
        "test_size": 100,
        "n_range": [5, 60],  # from below the limit of the formula
        "N_fixed": 200,
        "N_range": [20, 200],
        "n_fixed": 60,
        "points": 3,
        "trials": 3,
    }
    publish.execute(NOTEBOOK, parameters, tmp_path / "out.ipynb")
    cells = {cell["id"]: cell for cell in json.loads((tmp_path / "out.ipynb").read_text())["cells"]}
    (ledger,) = (
        output["metadata"][LEDGER_KEY]
        for output in cells["ledger"]["outputs"]
        if LEDGER_KEY in output["metadata"]
    )
    assert [finding["claim"] for finding in ledger] == [8, 8, 8, 8]
    assert all(finding["verdict"] in VERDICTS[:3] for finding in ledger)
    assert all("on files" in finding["statement"] for finding in ledger)
    assert "files" in json.dumps(cells["data"]["outputs"])
