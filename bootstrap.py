"""Set the project up in .venv, once, and run one of its tasks there. Needs nothing but Python.

python3 bootstrap.py                    only set up
python3 bootstrap.py book [options]     build the book (the options are those of "w2s book")
python3 bootstrap.py test [options]     lint, check types, test (the options are pytest's)
python3 bootstrap.py test --quick       the same without what is slow, a minute in all
python3 bootstrap.py bench              measure the samplers, rewrite the book's page on it
python3 bootstrap.py serve [port]       show the built book on this machine
python3 bootstrap.py run|fetch ...      any other command of w2s
"""

# Runs on older Pythons too, if only to find a newer one: nothing here needs more than 3.8.
from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

OLDEST, NEWEST = (3, 11), (3, 13)  # as requires-python in pyproject.toml
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
W2S = VENV / "bin" / "w2s"
STAMP = VENV / "w2s-setup"
LOCK = ROOT / ".venv.lock"
VALIDATED = ["notebooks/04_w2s_risk.ipynb", "notebooks/08_excess_risk.ipynb"]  # as users do

# Of the caller's variables those that say how pip downloads. Others that begin so, and all that
# begin with PYTHON, say where packages come from or go to, which is .venv alone.
DOWNLOADS = re.compile(
    "PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|RETRIES"
    "|CONFIG_FILE|CACHE_DIR|NO_CACHE_DIR|(DEFAULT_)?TIMEOUT|KEYRING_PROVIDER)"
)


def fail(sentence: str) -> NoReturn:
    """End with one sentence on the error stream."""
    sys.exit(f"bootstrap: {sentence}")


def find_python() -> str:
    """Give the running interpreter if it is new enough, else the newest suitable one."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        # In an active .venv, which is about to be emptied, the one that it was made with.
        return str(getattr(sys, "_base_executable", sys.executable))
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        # A name on the PATH may be a version manager's shim for something not installed.
        if shutil.which(name) and subprocess.run([name, "-V"], capture_output=True).returncode == 0:
            return name
    running = ".".join(map(str, sys.version_info[:2]))
    fail(
        f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed, this is {running} and no other is on "
        "the PATH: install one and try again."
    )


def quietly(step: str, command: list[str]) -> None:
    """Run a command that says nothing unless it fails."""
    print(f"setup: {step}", flush=True)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        fail(f"this step failed ({step}):\n{result.stdout.strip()}")


def make_venv() -> None:
    """Create an empty .venv, on Debian with the package that Python lacks for it there."""
    python = find_python()
    if subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True).returncode:
        version = subprocess.run([python, "-V"], capture_output=True, text=True).stdout
        package = f"python{'.'.join(version.split()[1].split('.')[:2])}-venv"
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            fail(f"{python} cannot make virtual environments: install {package} and try again.")
        quietly("reading Debian's list of packages", ["apt-get", "update"])
        quietly(f"installing {package}", ["apt-get", "install", "-y", package])
    quietly("making .venv", [python, "-m", "venv", "--clear", str(VENV)])


def digest(*parts: bytes) -> str:
    """Hash what a step of the setup depends on."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def version() -> bytes:
    """Version of .venv's interpreter; empty if it does not run."""
    question = "import sys; print(sys.version_info[:2])"
    try:
        return subprocess.run([PYTHON, "-I", "-c", question], capture_output=True).stdout
    except OSError:
        return b""


def steps() -> list[str]:
    """What the stamp holds when all is done, a line for each step."""
    lock, project = ((ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    return [digest(lock, version()), digest(os.fsencode(ROOT), project)]


def done() -> list[str]:
    """Lines of the stamp whose results are there."""
    try:
        lines = STAMP.read_bytes().decode("ascii", "replace").split("\n")
    except OSError:
        return []
    return lines if W2S.exists() else lines[:1]


def write_stamp(lines: list[str]) -> None:
    """Vouch for finished steps."""
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text("\n".join(lines))
    unfinished.replace(STAMP)


def set_up() -> None:
    """Install the locked packages and this one, unless the stamp says that both are there.

    The stamp gets a line when a step's result was tried, so a killed setup is done again.
    """
    for name in list(os.environ):
        if name.startswith(("PIP_", "PYTHON")) and not DOWNLOADS.fullmatch(name):
            del os.environ[name]
    if done() == steps():
        return
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another setup of this project is running; waiting for it to finish.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if done() != steps():  # by the other one
            install()


def install() -> None:
    """Do the steps that the stamp does not vouch for."""
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-user"]
    if done()[:1] != steps()[:1]:
        make_venv()
        quietly(
            "installing the packages of requirements.lock (about two minutes)",
            [*pip, "--require-hashes", "-r", "requirements.lock"],
        )
        quietly("trying them", [str(PYTHON), "-c", "import numpy, scipy, pandas, matplotlib"])
        write_stamp(steps()[:1])
    quietly("installing w2s", [*pip, "--no-deps", "--no-build-isolation", "-e", "."])
    quietly("trying it", [str(W2S), "--help"])
    write_stamp(steps())


def test(options: list[str]) -> list[str]:
    """Lint and check types; give the command that tests the package and the notebooks."""
    for check in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        code = subprocess.call([str(PYTHON), "-m", *check])
        if code != 0:
            sys.exit(code)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # The reference values of the other notebooks are read from the build of the book.
    command = [str(PYTHON), "-m", "pytest", "-n", "auto", "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", "--nbval-lax", "--nbval-current-env"]
    command += ["w2s_utils", "tests", *VALIDATED]
    if "--quick" in options:
        command += ["-m", "not slow"]
    return command + [option for option in options if option != "--quick"]


def bench(options: list[str]) -> list[str]:
    """Give the command that measures the samplers."""
    return [str(PYTHON), "benchmarks/run.py", *options]


def serve(options: list[str]) -> list[str]:
    """Give the command that serves the built book."""
    book = ROOT / "build" / "html"
    if not book.exists():
        fail("there is no book yet: build it with 'make book' or 'python3 bootstrap.py book'.")
    port = options[0] if options else "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        fail(f"a port is a number from 1 to 65535, not {port!r}.")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(port))) == 0:
            fail(f"port {port} is in use: choose another, as in 'python3 bootstrap.py serve 8001'.")
    return [str(PYTHON), "-m", "http.server", "--bind", "127.0.0.1", "-d", str(book), port]


def main(arguments: list[str]) -> None:
    """Set up, then become the task."""
    os.chdir(ROOT)
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        return
    set_up()
    if not arguments:
        return
    task, *options = arguments
    tasks = {"test": test, "bench": bench, "serve": serve}
    command = tasks[task](options) if task in tasks else [str(W2S), *arguments]
    sys.stdout.flush()
    # In place of this process, so that Ctrl-C and the exit code are the task's own.
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
