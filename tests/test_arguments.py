"""No public function changes an array that it is given, and all take arrays that cannot be written.

Every public function with an array among its parameters is found by its annotations and called
with `GIVEN`, by parameter name: one with a new name fails here until it is added.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import w2s_utils
from w2s_utils.diagnosis import diagnose, rank_routes
from w2s_utils.directions import EQUAL
from w2s_utils.pair import GaussianPair, ShiftedPair
from w2s_utils.splits import Splits
from w2s_utils.theory.chain import Stage
from w2s_utils.theory.classes import Logistic
from w2s_utils.theory.fits import fit_features
from w2s_utils.theory.fixed_point import CrossEntropy
from w2s_utils.theory.lessons import drawn
from w2s_utils.theory.logistic import Probes
from w2s_utils.theory.ridge import Ridges

ROOMS = ("diagnosis", "measure", "metrics", "pair", "probes", "shifted", "simulation", "softmax",
         "subspaces", "theory")  # fmt: skip
ROWS = 240
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, 6))
W, S, Y = X[:, :4].copy(), X[:, 2:].copy(), X[:, 1] + X[:, 3] + RNG.standard_normal(ROWS)
PAIR = GaussianPair.aligned(d_w=4, d_s=4, d_sw=2, target=np.ones(6), noise_variance=0.1)
SHIFTED = ShiftedPair(
    weak_map=PAIR.weak_basis, strong_map=PAIR.strong_basis, target=np.ones(6), noise_variance=0.1,
    labelled=np.eye(6), unlabelled=np.eye(6), test=np.eye(6),
)  # fmt: skip
SPECTRUM = np.array([4.0, 2.0, 1.0, 0.5])
SIZES = {"n": [20, 40], "N": [60, 120], "energy": 1.0}
WEAK = PAIR.along(SPECTRUM, SPECTRUM).weak
LABELS = Logistic(power=6.0)
ONE_HOT = np.eye(2)[(Y > 0).astype(int)]

BASES = [PAIR.weak_basis.copy(), PAIR.strong_basis.copy()]
CHAIN = {
    "bases": BASES, "target": np.ones(6), "noise_variance": 0.1, "sizes": [20, 30],
    "teachers": [Stage(basis, 20) for basis in BASES], "students": [Stage(BASES[1], 30)],
    "ridge": np.array([0.1, 0.2]), "moments": None,
}  # fmt: skip
ANSWERS = [one.taught_labels(np.ones(6), 0.1) for one in CHAIN["teachers"]]

GIVEN = {
    "A": PAIR.weak_basis, "B": PAIR.strong_basis, "basis": PAIR.weak_basis, "vector": np.ones(6),
    "X": W, "y": Y, "features": W, "weak": W, "strong": S, "labels": Y, "replicates": Y + 0.1,
    "target": Y, "teachers": {"a": W, "b": W[:, :3].copy()}, "residual": Y,
    "weights": np.ones((4, 2)),
    "samples": np.arange(1.0, 9), "numerator": Y, "denominator": np.abs(Y), "x": np.arange(1.0, 3),
    "angles": np.array([0.3, 0.7]), "variances": SPECTRUM, "spectrum": SPECTRUM,
    "spectrum_w": SPECTRUM, "spectrum_s": SPECTRUM, "alpha_w": np.array([0.1, 0.2]),
    "alpha_s": np.array([0.2, 0.1]), "alpha": np.array([0.1, 0.2]), "m": np.array([40, 60]),
    "n": np.array([40, 60]), "N": np.array([60, 90]), "delta": np.array([0.1, 0.5]),
    "pair": PAIR, "risk": "population", "energy": 0.9, "ridge": 0.1, "noise_variance": None,
    "rng": RNG, "seed": 0, "trials": 2, "splits": Splits(2, 40, 0), "grid": [(20, 60)],
    "dimension": 4, "rank_a": 2, "rank_b": 2, "opponent": "weak",
    "directions": PAIR.along(SPECTRUM, SPECTRUM), "radii": EQUAL,
    "ridges": Ridges(*np.full((4, 2), 0.1)),
    "shares": np.array([0.2, 0.5]), "split": np.repeat(["labelled", "unlabelled", "test"], 80),
    "unlabelled": (S[:, :4].copy(), S.copy()),
    "test": (W[:200].copy(), S[:200].copy(), Y[:200].copy()),
    "pools": {"a": (W + 1, S + 1), "b": (2 * W, 2 * S)}, "groups": None,
    "means": None, "classes": None, "diagnosis": diagnose(W, S, Y, **SIZES),
}  # fmt: skip
# Where a name means another thing: labels by level, classes of a softmax, one place of a grid.
LEVELS = {0: lambda rng: Y + rng.standard_normal(ROWS)}
SPECIAL = {
    "metrics.rank_correlation": {"x": W[:, 0].copy()},
    "metrics.power_law": {"samples": np.arange(1.0, 9).reshape(2, 4)},
    "probes.probe_sweep": {"labels": LEVELS},
    "probes.sweep_teachers": {"labels": LEVELS},
    "softmax.fit_softmax": {"labels": ONE_HOT},
    "softmax.fit_logistic": {"log_odds": W[:, 0].copy()},
    "softmax.softmax_sweep": {"draw_labels": lambda rng: ONE_HOT, "target": ONE_HOT},
    "diagnosis.diagnose_shift.diagnose_shift": {"groups": np.repeat([0, 1], 100)},
    "diagnosis.ranking.rank_teachers": {"n": 20, "N": 60, "unlabelled": None, "test": None},
    "diagnosis.ranking.rank_pools": {"n": 20, "N": 60},
    "diagnosis.study.study": {
        "teachers": {"a": W.copy(), "b": W[:, :3].copy()},
        "students": {"c": S.copy()},
        "n": 20,
        "N": 60,
    },
    "diagnosis.meter.gain_from_misfit": {
        "teacher": Y,
        "student": W[:, 0].copy(),
        "d_s": 4,
        "N": 60,
    },
    "diagnosis.meter.class_gain_from_misfit": {
        "teacher": np.full(ROWS, 0.3),
        "student": np.linspace(0.1, 0.9, ROWS),
    },
    "diagnosis.routes.rank_routes": {"middles": {"m": X[:, 1:5].copy()}, "n": 20, "N": 60},
    "diagnosis.routes_verification.verify_routes": {
        "middles": {"m": X[:, 1:5].copy()},
        "routes": rank_routes(W, {"m": X[:, 1:5].copy()}, S, Y, n=20, N=60),
    },
    "simulation.chain.simulate_chain": {**CHAIN, "test": np.eye(6)},
    "theory.chain.committee": {**CHAIN, "weights": np.array([0.5, 0.5])},
    "theory.chain.average": {"answers": ANSWERS, "weights": np.array([0.5, 0.5])},
    "theory.chain.expected_risks": {**CHAIN, "test": np.eye(6)},
    "theory.chain.stages_of": {**CHAIN, "moments": [np.eye(6)] * 2},
    "theory.misfit.metered_gain": {
        "misfit": np.array([0.1, 0.2]),
        "d_s": np.array([3, 4]),
        "where": "training",
    },
    "theory.misfit.divergence": {"odds": Y, "other": W[:, 0].copy()},
    "theory.accuracy.least_squares_scores": {"labels": LABELS},
    "theory.fixed_point.fit": {
        "penalties": np.full(4, 0.1),
        "m": 40.0,
        "powers": (SPECTRUM * WEAK.target**2 / 6)[None, None],
        "teach": drawn(LABELS, CrossEntropy()),
        "loss": CrossEntropy(),
        "intercept": False,
    },
    "theory.logistic.expected_scores": {"probes": Probes(GIVEN["directions"], LABELS)},
    "theory.quadrature.between": {"one": X[:, :1].copy(), "other": X[:, 1:2].copy()},
    "theory.joint_ridges.joint_ridges": {"n": 40, "N": 60},
    "theory.selection.most_confident": {
        "moments": np.stack([np.eye(2), np.diag([4.0, 1.0])]),
        "shares": np.array([0.7, 0.3]),
        "direction": np.ones(2),
        "kept": 0.2,
        "means": np.array([[0.5, 0.0], [0.0, 0.5]]),
    },
    "theory.fits.fit_features": {
        "features": WEAK,
        "m": np.array([[40], [60]]),
        "size_name": "m",
        "alpha_name": "alpha",
        "finite_size": True,
        "strict": True,
    },
    "theory.fits.misfit_to": {
        "power_s": SPECTRUM,
        "unseen": np.array(0.3),
        "student": fit_features(WEAK, 40, 0.1, "m", "alpha", True, True),
    },
    "theory.fits.teacher_answers": {
        "weak": WEAK,
        "noise_variance": 0.1,
        "cross": np.eye(4),
        "power": np.eye(4),
        "fit": fit_features(WEAK, 40, 0.1, "m", "alpha", True, True),
    },
    "theory.shift.expected_risks": {"pair": SHIFTED},
    "theory.shifted_ridge.expected_risks": {"pair": SHIFTED, "alpha_w": 0.1, "alpha_s": 0.2},
    "theory.shift.student_terms": {"pair": SHIFTED},
    "diagnosis.tuned.predict_tuned": {"noise_variance": 0.5},
    "simulation.ridge.simulate_ridge": {"n": 20, "N": 60},
    "subspaces.pair_with_angles": {"dimension": 6},
}


def takes_arrays(function):
    return any(
        word in str(parameter.annotation)
        for parameter in inspect.signature(function).parameters.values()
        for word in ("Array", "Rows")
    )


def public_functions():
    """Name and function of each that takes arrays and that its room exports."""
    found = {}
    for module in pkgutil.walk_packages(w2s_utils.__path__, "w2s_utils."):
        room, *_ = module.name.removeprefix("w2s_utils.").split(".")
        if room in ROOMS:
            exported = getattr(importlib.import_module(f"w2s_utils.{room}"), "__all__", None)
            for name, function in vars(importlib.import_module(module.name)).items():
                public = name in exported if exported else name[0] != "_"
                own = getattr(function, "__module__", None) == module.name
                if public and own and inspect.isfunction(function) and takes_arrays(function):
                    found[f"{module.name}.{name}".removeprefix("w2s_utils.")] = function
    return found


FUNCTIONS = public_functions()


def arrays_in(value):
    if isinstance(value, np.ndarray):
        return [value]
    if not isinstance(value, dict | tuple | list):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [array for part in parts for array in arrays_in(part)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_read_and_not_written(name):
    function = FUNCTIONS[name]
    given = GIVEN | SPECIAL.get(name, {})
    parameters = inspect.signature(function).parameters.values()
    arguments = {
        p.name: given[p.name] for p in parameters if p.name in given or p.default is p.empty
    }
    arrays = [array for value in arguments.values() for array in arrays_in(value)]
    before = [array.copy() for array in arrays]
    for writeable in (True, False):
        for array in arrays:
            array.flags.writeable = writeable
        result = function(**arguments)
        if inspect.isgenerator(result):
            list(result)
        for array, copy in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, copy)
            array.flags.writeable = True


def test_there_are_functions_to_test():
    assert len(FUNCTIONS) > 30
    assert {"diagnosis.diagnose.diagnose", "probes.fit_ridge"} <= set(FUNCTIONS)
