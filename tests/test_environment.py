"""The declared dependencies, the lock and the conda file say the same."""

import re
import tomllib
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


def declared():
    """What a build or a test may need: all but the extra vision, whose torch is heavy."""
    named = PROJECT["optional-dependencies"].items()
    extras = [lines for extra, lines in named if extra != "vision"]
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


def test_lock_resolves_all_extras_but_vision():
    makefile = (ROOT / "Makefile").read_text()
    resolved = set(re.findall(r"--extra (\w+)", makefile))
    assert resolved == set(PROJECT["optional-dependencies"]) - {"vision"}
    assert "torch" not in pins_for("3.12")


def test_lock_is_hashed_and_names_no_place():
    assert len(PINS) > 100
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) == len(PINS)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_conda_file_adds_only_python_to_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, from_pip = environment["dependencies"]
    assert python.split() == ["python", PROJECT["requires-python"]]
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.lock"]}


def test_bootstrap_accepts_the_declared_pythons():
    oldest, newest = bootstrap.OLDEST[1], bootstrap.NEWEST[1]
    assert PROJECT["requires-python"] == f">=3.{oldest},<3.{newest + 1}"
