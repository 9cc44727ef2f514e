"""Install the package with one extra at a time, and use what the extra is for.

    python -m tests.extras            all but vision, whose torch is heavy
    python -m tests.extras vision

Each gets a virtual environment of its own with the lock's versions. Takes minutes, so it is not
part of the test run.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

USES = {
    "": """
import numpy as np
from w2s_utils.diagnosis import Report, diagnose
Z = np.random.default_rng(0).standard_normal((500, 20))
print(Report(diagnose(Z[:, :12], Z[:, 8:], Z.sum(axis=1))).text)
""",
    "text": """
from w2s_utils.features import backbones
for name in backbones.BACKBONES:
    assert backbones.features(["An extra is installed alone."], name).shape == (1, 384)
""",
    "tables": """
import numpy as np
import pandas as pd
from w2s_utils.io.files import read_features
pd.DataFrame({"a": [0.5, 1.0]}).to_parquet("{scratch}/X.parquet")
assert np.array_equal(read_features("{scratch}/X.parquet"), [[0.5], [1.0]])
""",
    "cluster": """
from distributed import Client
from w2s_utils import sweeps
from w2s_utils.pair import GaussianPair
with Client(n_workers=1, processes=False, dashboard_address=":0") as cluster:
    found = sweeps.run({"pair": GaussianPair.paper()}, [(400, 400)], 10, 0, cluster=cluster)
    assert len(found.risks) == 1
""",
    "book": """
from importlib.metadata import version
from pathlib import Path
from w2s_utils.publish import execute
import jupyter_book, numpydoc, sphinx_exercise, sphinx_proof
version("sphinx-mathjax-offline")
execute(Path("notebooks/05_recovery_bounds.ipynb"), {}, Path("{scratch}/executed.ipynb"))
""",
    "pdf": """
import bs4
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    assert playwright.chromium.name == "chromium"
""",
    "vision": """
import numpy as np
from w2s_utils.features import efficientnet
image = np.zeros((1, 28, 28, 3), np.uint8)
assert efficientnet.pooled_outputs(image, ["lite0-3"])["lite0-3"].shape[0] == 1
""",
}


def constraints():
    """Return the lock's versions without their hashes: the package itself has none."""
    lock = (ROOT / "requirements.lock").read_text()
    return "".join(f"{pin}\n" for pin in re.findall(r"^(\S.*?)(?: \\)?$", lock, re.M))


def check(extra):
    """Install and use one extra."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "constraints.txt").write_text(constraints())
        venv.create(scratch / "venv", with_pip=True)
        python = scratch / "venv/bin/python"
        what = f"{ROOT}[{extra}]" if extra else str(ROOT)
        install = ["-m", "pip", "install", "--quiet", "-c", str(scratch / "constraints.txt"), what]
        use = ["-c", USES[extra].replace("{scratch}", name)]
        for command in (install, use):
            subprocess.run([python, *command], check=True, cwd=ROOT, capture_output=True)


def main():
    """Check the named extras and say which work."""
    failed = []
    for extra in sys.argv[1:] or [extra for extra in USES if extra != "vision"]:
        try:
            check(extra)
        except subprocess.CalledProcessError as error:
            failed.append(extra)
            print(f"{extra or 'no extra'}: fails\n{error.stderr.decode()}", flush=True)
        else:
            print(f"{extra or 'no extra'}: works", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
