"""What every reader refuses in the same way."""

from __future__ import annotations

MAX_BYTES, MAX_EXPANSION = 2**28, 100
"""What a file holds may take more than 256 MiB only if that is at most 100 times its own size."""


class Refused(ValueError):
    """The file is readable, and what it holds is not wanted; the sentence begins with its path."""


def choose(names: list[str], name: str) -> str:
    """Pick the named array or column of a file, or its only one."""
    shown = ", ".join(sorted(names)) or "one array without a name"
    if not name and len(names) == 1:
        return names[0]
    if name and name not in names:
        raise Refused(f"has no array {name!r}; it holds {shown}.")
    if names.count(name) > 1:
        raise Refused(f"holds {names.count(name)} arrays of the name {name!r}: rename them.")
    if not name and names:
        raise Refused(f"holds {len(names)} arrays: add ::NAME to choose one of {shown}.")
    return name


def refuse_expansion(expanded: int, stored: int) -> None:
    """Refuse what a small file would make large."""
    if expanded > max(MAX_BYTES, MAX_EXPANSION * stored):
        raise Refused(
            f"would grow {MAX_EXPANSION}-fold or more, to {expanded} bytes, which no features do: "
            "save them without compression."
        )
