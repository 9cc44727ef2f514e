"""What the README says that can go stale."""

import re
from collections import defaultdict
from pathlib import Path

import yaml

from w2s_utils.claims import CLAIMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LINE = re.compile(r"claim (\d), (synthetic|real) data, (holds|does not hold|not tested): ")


def summary(record):
    """The table of verdicts that a record of them amounts to."""
    tested = defaultdict(list)
    for verdicts in yaml.safe_load(record).values():
        for claim, data, verdict in (LINE.match(verdict).groups() for verdict in verdicts):
            if verdict != "not tested":
                tested[int(claim), data].append(verdict == "holds")
    rows = []
    for claim, text in CLAIMS.items():
        cells = []
        for data in ("synthetic", "real"):
            held, total = sum(tested[claim, data]), len(tested[claim, data])
            verdict = "does not hold" if held == 0 else "holds in part" if held < total else "holds"
            cells.append(f"{verdict} ({held} of {total})" if total else "not tested")
        rows.append(f"| {claim}. {text} | {' | '.join(cells)} |")
    return "\n".join(rows)


def test_verdicts_are_those_on_record():
    record = (ROOT / "notebooks/verdicts/quick.yaml").read_text()
    assert summary(record) in README


def test_commands_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make (\w+)", README))
    assert named <= set(re.findall(r"^(\w+):", makefile, re.M))


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / target).exists(), target
