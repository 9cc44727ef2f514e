"""Mutation testing: break the mathematics in small ways and see whether its tests notice.

    python -m tests.mutation 90 --seed 1

Takes a seeded sample of all the places where an operator, comparison, sign or number of the chosen
modules can be changed, runs the module's own tests and doctests on each change, in a copy of the
sources, and prints the mutants that survive. Not part of the test run: it takes half an hour.
"""

import argparse
import ast
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).parents[1]
CPU_SECONDS = 90  # of a mutant's tests; one that takes longer hangs, which is noticed

MODULES = {
    "metrics": "tests/test_metrics.py",
    "probes": "tests/test_probes.py",
    "measure/correlation": "tests/measure/test_correlation.py",
    "measure/leverage": "tests/measure/test_leverage.py",
    "measure/sketch": "tests/measure/test_sketch.py",
    "measure/spectrum": "tests/measure/test_spectrum.py",
    "softmax": "tests/test_softmax.py",
    "theory/accuracy": "tests/theory/test_accuracy.py",
    "theory/bounds": "tests/theory/test_bounds.py",
    "theory/classes": "tests/theory/test_classes.py",
    "theory/exact": "tests/theory/test_exact.py",
    "theory/fixed_point": "tests/theory/test_logistic.py",
    "theory/lessons": "tests/theory/test_logistic.py",
    "theory/logistic": "tests/theory/test_logistic.py",
    "theory/logistic_ridges": "tests/theory/test_logistic.py",
    "theory/joint_ridges": "tests/theory/test_ridge.py",
    "theory/quadrature": "tests/theory/test_classes.py",
    "theory/phases": "tests/theory/test_phases.py",
    "theory/ridge": "tests/theory/test_ridge.py",
    "theory/chain": "tests/theory/test_chain.py",
    "theory/misfit": "tests/theory/test_misfit.py",
    "theory/shift": "tests/theory/test_shift.py",
    "theory/shifted_ridge": "tests/theory/test_shifted_ridge.py",
    "shifted": "tests/theory/test_shifted_ridge.py",
    "theory/effective": "tests/theory/test_effective.py",
    "simulation/classes": "tests/simulation/test_classes.py",
    "simulation/direct": "tests/simulation/test_simulation.py",
    "simulation/inputs": "tests/simulation/test_inputs.py",
    "simulation/ridge": "tests/simulation/test_ridge.py",
    "simulation/teacher_student": "tests/simulation/test_teacher_student.py",
    "simulation/wishart": "tests/simulation/test_wishart.py",
}
ALSO = ["tests/test_numerics.py", "tests/test_invariance.py"]  # run first: they are quick

SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def changes(tree):
    """Yield (line, description, apply) for each small change of the code, error texts left out."""
    skipped = {
        id(part)
        for node in ast.walk(tree)
        for root in (
            [node]
            if isinstance(node, ast.Raise)
            else [node.annotation]
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation
            else []
        )
        for part in ast.walk(root)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
            yield node, lambda n=node: setattr(n, "op", SWAPS[type(n.op)]())
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, lambda n=node: n.ops.__setitem__(0, SWAPS[type(n.ops[0])]())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield (
                node,
                lambda n=node: (
                    setattr(n, "op", ast.UAdd() if isinstance(n.op, ast.USub) else ast.Not())
                    or (
                        isinstance(n.op, ast.Not)
                        and setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand))
                    )
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, lambda n=node: setattr(n, "value", not n.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield node, lambda n=node: setattr(n, "value", n.value + 1)


def sites():
    """All (module, number of the change) pairs."""
    for module in MODULES:
        tree = ast.parse((ROOT / f"w2s_utils/{module}.py").read_text())
        yield from ((module, number) for number, _ in enumerate(changes(tree)))


def mutated(module, number):
    """Source of the mutant, and the line before and after."""
    tree = ast.parse((ROOT / f"w2s_utils/{module}.py").read_text())
    node, apply = list(changes(tree))[number]
    line, before = node.lineno, ast.unparse(node)
    apply()
    return ast.unparse(tree), f"{module}.py:{line}: {before}  ->  {ast.unparse(node)}"


def run_tests(folder, module):
    """Exit with pytest's code; in a forked process, so that the libraries are there already."""
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "w2s_utils")]:
        del sys.modules[name]
    also = [path for path in ALSO if Path(path).exists()]
    tests = [f"w2s_utils/{module}.py", *also, MODULES[module]]
    with Path("tests.log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])
    os._exit(int(code))


def killed(folder, module):
    """Whether the module's tests fail."""
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=(folder, module))
    process.start()
    process.join()
    if process.exitcode not in (0, 1, 2, -signal.SIGXCPU, -signal.SIGKILL):
        raise RuntimeError(f"The tests of {module} ended with {process.exitcode}.")
    return process.exitcode != 0


def main():
    """Run the sample and print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="begin of the modules' names", default="")
    options = parser.parse_args()
    chosen = [site for site in sites() if site[0].startswith(options.only)]
    sample = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    for library in ("matplotlib.pyplot", "pandas", "scipy.stats"):  # here, once for all forks
        __import__(library)
    survivors, doubtful = 0, {module for module, _ in sample}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        for part in ("w2s_utils", "tests"):
            shutil.copytree(ROOT / part, folder / part)
        for part in ("pyproject.toml", "bootstrap.py"):
            shutil.copy(ROOT / part, folder)
        for done, (module, number) in enumerate(sorted(sample), start=1):
            path = folder / f"w2s_utils/{module}.py"
            original = path.read_text()
            source, description = mutated(module, number)
            path.write_text(source)
            survived = not killed(folder, module)
            path.write_text(original)
            survivors += survived
            doubtful.discard(module) if survived else None
            print(f"{'SURVIVED' if survived else 'killed  '} {description}", flush=True)
            if done % 10 == 0 or done == len(sample):
                print(f"-- {done - survivors} of {done} killed; {len(chosen)} sites", flush=True)
        for module in sorted(doubtful):  # all killed: are the tests good for anything?
            if killed(folder, module):
                raise RuntimeError((folder / "tests.log").read_text()[-2000:])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
