"""The declared dependencies, the lock and the conda file say the same."""

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement

import bootstrap

ROOT = Path(bootstrap.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = [Requirement(line.split(" \\")[0]) for line in re.findall(r"^\S.*==.*$", LOCK, re.M)]


WITH_TORCH = {"vision", "hf"}


def declared():
    """What a build or a test may need: all but the extras with torch, which is heavy."""
    named = PROJECT["optional-dependencies"].items()
    extras = [lines for extra, lines in named if extra not in WITH_TORCH]
    return [Requirement(line) for lines in (PROJECT["dependencies"], *extras) for line in lines]


def pins_for(python):
    environment = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    return {
        pin.name.lower().replace("_", "-"): next(iter(pin.specifier)).version
        for pin in PINS
        if pin.marker is None or pin.marker.evaluate(environment)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_pins_every_declared_dependency_within_its_range(python):
    pins = pins_for(python)
    for requirement in declared():
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_lock_resolves_all_extras_but_those_with_torch():
    makefile = (ROOT / "Makefile").read_text()
    resolved = set(re.findall(r"--extra (\w+)", makefile))
    assert resolved == set(PROJECT["optional-dependencies"]) - WITH_TORCH
    assert "torch" not in pins_for("3.12")


def test_lock_is_hashed_and_names_no_place():
    assert len(PINS) > 100
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) == len(PINS)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_files_of_the_package_that_are_no_modules_are_installed_with_it():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    named = {
        path
        for package, patterns in tools["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    files = {path for path in (ROOT / "w2s_utils").rglob("*") if path.is_file()}
    assert named == {path for path in files if path.suffix not in (".py", ".pyc")}


def test_conda_file_adds_only_python_to_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, from_pip = environment["dependencies"]
    assert python.split() == ["python", PROJECT["requires-python"]]
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.lock"]}


def test_bootstrap_accepts_the_declared_pythons():
    oldest, newest = bootstrap.OLDEST[1], bootstrap.NEWEST[1]
    assert PROJECT["requires-python"] == f">=3.{oldest},<3.{newest + 1}"


# What is declared and not imported by name, and the file that uses it, with the word it uses.
USED_OTHERWISE = {
    "axe-playwright-python": ("tests/conftest.py", "axe_playwright_python"),
    "check-jsonschema": ("tests/test_sharing.py", "check_jsonschema"),
    "efficientnet_lite_pytorch": ("w2s_utils/features/efficientnet.py", "REQUIRED"),
    "ipykernel": ("w2s_utils/publish/kernel.py", "NATIVE_KERNEL_NAME"),
    "jupyter-book": ("w2s_utils/publish/build.py", "from jupyter_book.cli.main import main"),
    "mypy": ("bootstrap.py", "mypy"),
    "nbval": ("bootstrap.py", "--nbval-lax"),
    "numpydoc": ("_config.yml", "numpydoc"),
    "pandas-stubs": ("pyproject.toml", "[tool.mypy]"),
    "pytest-xdist": ("bootstrap.py", "--dist"),
    "ruff": ("bootstrap.py", "ruff"),
    "scipy-stubs": ("pyproject.toml", "[tool.mypy]"),
    "sphinx-exercise": ("_config.yml", "sphinx_exercise"),
    "sphinx-mathjax-offline": ("book/_ext/w2s_book/offline.py", "sphinx-mathjax-offline"),
    "sphinx-proof": ("_config.yml", "sphinx_proof"),
    "timm": ("w2s_utils/features/image.py", '"timm"'),
    "torchvision": ("w2s_utils/tasks/utkface.py", '"torchvision.models"'),
    "types-pyyaml": ("pyproject.toml", "[tool.mypy]"),
}
MODULE = {"beautifulsoup4": "bs4", "ipython": "IPython", "pyyaml": "yaml"}


def imported():
    """Top-level modules that our code imports, by statement or by name in a string."""
    names = set()
    folders = ("w2s_utils", "tests", "benchmarks", "book/_ext")
    for path in [path for folder in folders for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require":
                names |= {
                    a.value.split(".")[0] for a in node.args[:1] if isinstance(a, ast.Constant)
                }
    return names


def test_every_declared_dependency_is_used():
    every = {
        Requirement(line).name
        for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for line in lines
    }
    assert set(USED_OTHERWISE) <= every
    names = imported()
    unused = {name for name in every if MODULE.get(name, name.replace("-", "_")) not in names}
    assert unused == set(USED_OTHERWISE)
    for file, word in USED_OTHERWISE.values():
        assert word in (ROOT / file).read_text(), (file, word)


def test_every_imported_module_is_ours_or_pinned_or_pythons():
    ours = {"w2s_utils", "w2s_book", "tests", "benchmarks", "bootstrap"}
    foreign = imported() & set(metadata.packages_distributions()) - ours
    pinned = pins_for("3.12")
    for module in foreign:
        names = {d.lower().replace("_", "-") for d in metadata.packages_distributions()[module]}
        assert names & set(pinned), module
