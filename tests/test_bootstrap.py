"""The setup does again what is damaged, once at a time, and takes nothing from who calls it.

A stand-in for pip and venv writes the files that they would, and an interpreter that only tells
its version; that the real ones work is what every run of the tests shows.
"""

import fcntl
import importlib.util
import shutil
import threading
from pathlib import Path

import pytest

from tests.toy_book import wait_until

SOURCE = Path(__file__).parents[1] / "bootstrap.py"
PACKAGES, PACKAGE = "requirements.lock", "-e"


def interpreter(version):
    return f"#!/bin/sh\necho '({version})'\n"


ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own with its bootstrap; `project.ran` are the installations done."""
    shutil.copy(SOURCE, tmp_path)
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("bootstrap_of_a_test", tmp_path / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.os, "environ", module.os.environ.copy())
    module.ran, module.environments, module.version_made = [], [], "3, 11"

    def write_program(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def quietly(step, command):
        module.environments.append(dict(module.os.environ))
        if "venv" in command:
            shutil.rmtree(module.VENV, ignore_errors=True)
            write_program(module.PYTHON, interpreter(module.version_made))
        elif PACKAGES in command:
            module.ran.append(PACKAGES)
        elif PACKAGE in command:
            module.ran.append(PACKAGE)
            write_program(module.W2S, "#!/bin/sh\n")

    module.quietly = quietly
    module.write_program = write_program
    return module


@pytest.fixture
def ready(project):
    project.set_up()
    assert project.ran == [PACKAGES, PACKAGE]
    project.ran.clear()
    project.set_up()
    assert project.ran == []
    return project


def new_python(project):
    project.write_program(project.PYTHON, interpreter("3, 12"))


def no_python(project):
    project.PYTHON.unlink()


def no_command(project):
    project.W2S.unlink()


def no_stamp(project):
    project.STAMP.unlink()


def damaged_stamp(project):
    project.STAMP.write_bytes(b"\xff" + project.STAMP.read_bytes()[1:])


def folder_for_a_stamp(project):
    project.STAMP.unlink()
    project.STAMP.mkdir()


def new_lock(project):
    Path("requirements.lock").write_text("numpy==3\n")


def new_project(project):
    Path("pyproject.toml").write_text("[project]\nname = 'x'\n")


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (new_python, [PACKAGES, PACKAGE]),
        (no_python, [PACKAGES, PACKAGE]),
        (no_stamp, [PACKAGES, PACKAGE]),
        (damaged_stamp, [PACKAGES, PACKAGE]),
        (folder_for_a_stamp, [PACKAGES, PACKAGE]),
        (new_lock, [PACKAGES, PACKAGE]),
        (no_command, [PACKAGE]),
        (new_project, [PACKAGE]),
    ],
)
def test_what_is_damaged_is_done_again(ready, damage, again):
    damage(ready)
    ready.set_up()
    assert ready.ran == again
    ready.set_up()
    assert ready.ran == again


@pytest.mark.parametrize("failing", ["trying them", "trying it"])
def test_what_was_tried_in_vain_is_not_vouched_for(project, failing):
    quietly = project.quietly

    def fail(step, command):
        quietly(step, command)
        if step == failing:
            project.fail("no")

    project.quietly = fail
    with pytest.raises(SystemExit, match="bootstrap: no"):
        project.set_up()
    project.quietly = quietly
    project.ran.clear()
    project.set_up()
    assert project.ran == ([PACKAGES, PACKAGE] if failing == "trying them" else [PACKAGE])


def test_the_callers_packages_do_not_enter_and_his_index_does(project, monkeypatch):
    given = {"PYTHONPATH": "x", "PYTHONHOME": "x", "PIP_USER": "1", "PIP_TARGET": "x"}
    kept = {"PIP_INDEX_URL": "x", "PIP_CERT": "x", "HOME": "x"}
    for name, value in (given | kept).items():
        monkeypatch.setenv(name, value)
    project.set_up()
    assert len(project.environments) == 5
    for environment in project.environments:
        assert not given.keys() & environment.keys()
        assert kept.items() <= environment.items()


def test_two_setups_at_once_are_one(project, capfd):
    said = []
    with Path(project.LOCK).open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = threading.Thread(target=project.set_up)
        second.start()
        wait_until(lambda: said.append(capfd.readouterr().out) or "waiting" in "".join(said))
        assert project.ran == []
        project.install()  # the first
    second.join()
    assert project.ran == [PACKAGES, PACKAGE]


def test_a_quick_run_leaves_out_slow_tests_that_are_there():
    """A name that is no test any more would let a slow one back in."""
    for name in (ROOT / "tests/slow.txt").read_text().split():
        file, function = name.split("::")
        assert f"def {function}(" in (ROOT / file).read_text(), name
