"""The built book, and a browser to look at it, for the tests that need them."""

import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import hypothesis
import pytest

from w2s_utils import cli, publish

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that a colour scheme can break
# Whether a text can be read depends on how it looks alone, and the rule is slow: one text a look.
OF_EACH_LOOK = """rules => {
    const clear = "rgba(0, 0, 0, 0)", looks = new Map();
    const ground = element => {
        while (element && getComputedStyle(element).backgroundColor === clear) {
            element = element.parentElement;
        }
        return element && getComputedStyle(element).backgroundColor;
    };
    for (const element of document.body.querySelectorAll("*")) {
        const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!text || !element.checkVisibility()) continue;
        const {color, fontSize, fontWeight, opacity} = getComputedStyle(element);
        const look = [color, ground(element), fontSize, fontWeight, opacity].join();
        if (!looks.has(look)) looks.set(look, element);
    }
    if (looks.size === 0) return {violations: []};
    const include = [...looks.values()];
    return axe.run({include}, {resultTypes: ["violations"], preload: false, runOnly: rules});
}"""
OTHERWISE = """rules => axe.run(document, {
    resultTypes: ["violations"],
    preload: false,
    rules: Object.fromEntries(rules.map(rule => [rule, {enabled: false}])),
})"""
GRAVE = ("serious", "critical")
ROOT = Path(__file__).parents[1]
SLOWEST = ("test_browser.py", "test_rerun_page.py", "test_faults.py")


def pytest_configure():
    """Try the same examples in every run, and give children the usual signals.

    In the background, or under nohup, some signals are ignored.
    """
    hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("same")
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Start with the files that take minutes, so that no worker is left alone with one."""
    items.sort(key=lambda item: item.path.name not in SLOWEST)
    slow = set((ROOT / "tests/slow.txt").read_text().split())
    for item in items:
        # After an edit of the package the book takes minutes.
        waits = item.path.suffix == ".ipynb" or "built" in item.fixturenames
        if waits or item.nodeid.partition("[")[0] in slow:
            item.add_marker("slow")


def violations(page, of_colours=False):
    """List what axe finds on the open page: the rule and the first place that breaks it."""
    page.evaluate("window.MathJax?.startup?.promise")
    page.evaluate(AXE)
    runs = [OF_EACH_LOOK] if of_colours else [OF_EACH_LOOK, OTHERWISE]
    return [
        f"{found['id']} at {found['nodes'][0]['html'][:120]}"
        for run in runs
        for found in page.evaluate(run, OF_COLOURS)["violations"]
        if found["impact"] in GRAVE
    ]


@contextmanager
def served(folder):
    """Serve a folder; give its address and those of its pages."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        start = f"http://127.0.0.1:{server.server_port}/"
        pages = [
            f"{start}{path.relative_to(folder)}"
            for path in sorted(folder.rglob("*.html"))
            if "_static" not in path.parts and 'http-equiv="Refresh"' not in path.read_text()
        ]
        yield start, pages
        server.shutdown()


@pytest.fixture
def w2s(monkeypatch, capfd):
    """Run the command; give its exit code, its output and its error output."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["w2s", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return call


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed.")
    with sync_playwright() as playwright:
        quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
        quiet += ["--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(
            executable_path=program, args=quiet, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def built():
    """Build the quick profile's book if a source has changed; give its folder."""
    return publish.build_book(ROOT, before_execution=cli.fetch, name="tested").parent.resolve()


@pytest.fixture(scope="module")
def book(chromium, built):
    """Serve the book, where there is a browser to open it."""
    with served(built) as site:
        yield site


@pytest.fixture(scope="module")
def cluster():
    """A client of two Dask workers on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local,
        Client(local) as client,
    ):
        yield client
