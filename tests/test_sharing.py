"""What leaves the repository: the wheel, the workflows of a public host, files of containers."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SHELL = [ROOT / "postBuild", ROOT / ".ci/run"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment that has the dependencies, and of this package nothing but its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "w2s_utils", source / "w2s_utils")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    no_more = ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *no_more, "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("w2s_utils-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout
    # A path in a .pth file brings packages, but not the .pth files beside them: so not this tree.
    Path(place.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv/bin"


def run(program, *words, cwd):
    command = list(map(str, [program, *words]))
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_the_wheel_is_what_is_imported(installed, tmp_path):
    said = run(
        installed / "python", "-c", "import w2s_utils; print(w2s_utils.__file__)", cwd=tmp_path
    )
    assert said.returncode == 0, said.stderr
    assert Path(said.stdout.strip()).is_relative_to(installed.parent)


def test_the_wheel_diagnoses(installed, tmp_path):
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((600, 6))
    for name, width in (("weak", 8), ("strong", 12)):
        told = latent @ rng.standard_normal((6, width))
        np.save(tmp_path / f"{name}.npy", told + rng.standard_normal(told.shape))
    np.save(tmp_path / "labels.npy", latent[:, 0] + rng.standard_normal(600))
    files = [word for name in ("weak", "strong", "labels") for word in (f"--{name}", f"{name}.npy")]
    said = run(installed / "w2s", "diagnose", *files, "--out", "report", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "student" in said.stdout
    assert "<style>" in (tmp_path / "report/report.html").read_text()  # a file beside the modules


def test_the_wheel_has_the_data_of_the_tasks(installed, tmp_path):
    code = "from w2s_utils.tasks import finetuned; finetuned.load()"
    said = run(installed / "python", "-c", code, cwd=tmp_path)
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_do_what_the_repository_can(path):
    said = yaml.safe_load(path.read_text())
    assert said["permissions"] == {"contents": "read"}
    commands = []
    for job in said["jobs"].values():
        assert {"runs-on", "steps"} <= set(job)
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            else:
                commands.append(step["run"])
    assert commands
    for command in commands:
        program, *words = command.split()
        if program == "make":  # says what it would do
            subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)
        elif program != "git":
            assert (ROOT / program).stat().st_mode & 0o111


def test_workflows_are_such():
    schema = ["--builtin-schema", "vendor.github-workflows"]
    lint = [sys.executable, "-m", "check_jsonschema", *schema, *WORKFLOWS]
    linted = subprocess.run(lint, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_the_check_runs_on_every_supported_python():
    said = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    tested = said["jobs"]["check"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    assert tested == [f"3.{minor}" for minor in range(int(low), int(high))]


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_shell_scripts_parse_and_can_be_run(path):
    subprocess.run(["bash", "-n", path], check=True)
    assert path.stat().st_mode & 0o111


def test_the_container_has_what_the_check_needs():
    about = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    image = (ROOT / ".devcontainer" / about["build"]["dockerfile"]).read_text()
    needed = re.search(r"for program in (.*); do", (ROOT / ".ci/run").read_text())[1].split()
    assert needed
    assert all(program in image for program in needed)


def test_there_is_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == version
    assert f"version = {{{version}}}" in (ROOT / "book/citation.md").read_text()
    heading = f"## {version}, {cited['date-released']}\n"
    assert heading in (ROOT / "book/changelog.md").read_text()
