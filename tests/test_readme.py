"""What the README says that can go stale."""

import re
from pathlib import Path

import yaml

from w2s_utils.claims import CLAIMS, overall

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def summary(records):
    """The table of verdicts that the records of the profiles amount to."""
    said = {
        profile: [line for rows in yaml.safe_load(record).values() for line in rows.items()]
        for profile, record in records.items()
    }

    def cell(profile, about):
        return overall(verdict for row, verdict in said[profile] if row.startswith(f"{about}: "))

    return "\n".join(
        f"| {claim}. {text} | "
        + " | ".join(
            cell(profile, f"claim {claim}, {data} data")
            for data in ("synthetic", "real")
            for profile in records
        )
        + " |"
        for claim, text in CLAIMS.items()
    )


def test_verdicts_are_those_on_record():
    records = {p: (ROOT / f"notebooks/verdicts/{p}.yaml").read_text() for p in ("paper", "quick")}
    assert summary(records) in README


def test_commands_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make (\w+)", README))
    assert named <= set(re.findall(r"^(\w+):", makefile, re.M))


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / target).exists(), target
