import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from w2s_utils.metrics import MODELS, mean
from w2s_utils.pair import GaussianPair
from w2s_utils.theory.exact import expected_risks

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "run.py"


@pytest.fixture(scope="module")
def bench():
    spec = spec_from_file_location("bench", SCRIPT)
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.environ", {})  # it sets the number of BLAS threads
        spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_committed_results(bench):
    run = json.loads(bench.RESULTS.read_text())
    assert bench.PAGE.read_text() == bench.render(run)
    assert all(map(bench.met, run["results"]))


def test_a_missed_target_is_seen(bench):
    slow = {"what": "", "value": 19.0, "target": 20, "relation": "at least"}
    assert not bench.met(slow)
    assert not bench.met({"what": "", "value": 1.3, "target": 1.2, "relation": "at most"})
    run = json.loads(bench.RESULTS.read_text())
    assert "missed" in bench.render(run | {"results": [slow]})


def test_the_direct_simulation_it_is_compared_with_is_right(bench):
    rng = np.random.default_rng(0)
    drawn = np.array([bench.naive_trial(400, 300, rng, d_sw=50) for _ in range(40)])
    expected = expected_risks(GaussianPair.paper(d_sw=50), 400, 300)
    for samples, model in zip(drawn.T, MODELS, strict=True):
        assert abs(mean(samples).z_score(float(expected[model]))) < 4
