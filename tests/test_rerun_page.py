"""Every command of the page on rerunning is executed, in order, as a reader would type it.

The project is a copy with the notebooks that the page names, and of these the parameters and one
more cell, so that the whole page takes a minute; that the notebooks themselves run is what the rest
of the tests are for.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book/rerun.md").read_text()
BLOCKS = [block.splitlines() for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)]
COMMANDS = [command for block in BLOCKS for command in block]
SERVERS = ("dask scheduler", "dask worker")
NAMED = sorted(set(re.findall(r"\b\d\d_\w+", "\n".join(COMMANDS))))
MINIATURE = "\n".join(["format: jb-book", "root: book/intro", "chapters:"])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "book").mkdir()
    (root / "book/intro.md").write_text("# Introduction\n")
    (root / "_config.yml").write_text("title: Miniature\nonly_build_toc_files: true\n")
    (root / "notebooks/profiles").mkdir(parents=True)
    toc = MINIATURE
    for name in NAMED:
        path = ROOT / f"notebooks/{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        kept = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
        title = next(c for c in notebook.cells if c.cell_type == "markdown")
        title.source = title.source.splitlines()[0]
        answer = nbformat.v4.new_code_cell("print(6 * 7)", id="answer")
        answer.metadata["tags"] = ["nbval-check-output"]
        answer.execution_count = 1
        answer.outputs = [nbformat.v4.new_output("stream", name="stdout", text="42\n")]
        notebook.cells = [title, *kept, answer]
        nbformat.write(notebook, root / "notebooks" / path.name)
        toc += f"\n  - file: notebooks/{name}"
    for path in (ROOT / "notebooks/profiles").glob("*.yaml"):
        profile = yaml.safe_load(path.read_text())
        kept = {name: profile[name] for name in NAMED if name in profile}
        (root / "notebooks/profiles" / path.name).write_text(yaml.safe_dump(kept))
    (root / "_toc.yml").write_text(toc)
    return root


@pytest.fixture(scope="module")
def shell(project):
    """Run a command in the project as with its environment activated; servers stay till the end."""
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    servers = []
    with socket.socket() as free:  # another scheduler may have the usual port
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(command):
        # One seed is as good as eight: how they are told apart is tested in tests/test_publish.py.
        command = command.replace("8786", str(port)).replace("--seeds 8", "--seeds 1")
        words = shlex.split(command)
        if command.startswith(SERVERS):
            servers.append(subprocess.Popen(words, cwd=project, env=environment))
            wait_for(port)
            return None
        done = subprocess.run(
            words, cwd=project, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    yield run
    for server in reversed(servers):
        server.terminate()
        server.wait()


def wait_for(port):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("The scheduler did not start.")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_command_of_the_page_works(project, shell):
    assert len(COMMANDS) > 10
    printed = {command: shell(command) for command in COMMANDS}
    assert (project / "build/runs/04_w2s_risk.ipynb").exists()
    parameters = (project / "mine.ipynb").read_text()
    assert "n_grid = [600, 1200]" in parameters
    assert (project / "build/html/index.html").exists()
    assert (project / "notebooks/verdicts/paper.yaml").exists()
    assert (project / "report/report.html").exists()
    assert (project / "ranking/ranking.json").exists()
    last = pd.read_csv(project / "risks.csv", comment="#")  # written three times
    assert (set(last["n"]), set(last["trials"])) == ({400}, {1000})
    assert len(NAMED) > 1
    assert "2 passed" in printed[COMMANDS[-1]]  # the cell of parameters and the answer


def test_every_command_on_the_page_is_in_a_block_that_the_test_reads():
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)
    assert not re.findall(r"`(?:w2s|dask|pytest) [a-z]+ [^`]+`", prose)
