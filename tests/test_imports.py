"""Imports within the package run downwards only, as CONTRIBUTING.md says."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import w2s_utils

ROOT = Path(w2s_utils.__file__).parent
ORDER = [
    *("cli", "publish", "diagnosis", "sweeps", "_workers", "tasks", "features", "io", "plots"),
    *(
        "figure_data",
        "simulation",
        "theory",
        "measure",
        "softmax",
        "probes",
        "splits",
        "claims",
        "checks",
    ),
    *(
        "geometry",
        "shifted",
        "pair",
        "principal",
        "directions",
        "metrics",
        "thresholds",
        "subspaces",
        "_gram",
        "_ridge_path",
        "_progress",
        "_files",
        "_threads",
        "errors",
    ),
    "_validate",
]
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


def imported(path):
    """Modules of the package that a file names in an import, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (inner & MODULES.keys()) or {node.module} & MODULES.keys()
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & MODULES.keys()


def test_no_module_imports_itself_by_a_detour():
    graph = {name: set(imported(path)) for name, path in MODULES.items()}
    assert any(graph.values())
    TopologicalSorter(graph).prepare()  # raises on a circle


def test_rooms_import_only_from_below():
    for name, path in MODULES.items():
        room = name.split(".")[1:2]
        for target in imported(path) if room else ():
            below = ORDER[ORDER.index(*room) :]
            assert target.split(".")[1] in below, f"{name} imports {target}"
