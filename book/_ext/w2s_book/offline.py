"""What the theme and its tools need to work offline and without errors."""

import shutil
from importlib.resources import files
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

MATHJAX = Path(str(files("sphinx-mathjax-offline"))) / "static" / "mathjax"
SCRIPT, FONTS = "tex-chtml-full.js", "output/chtml/fonts/woff-v2"


def use_mathjax_from_package(app: Sphinx, config: Config) -> None:
    """Serve MathJax, all of it in one file, from the book itself."""
    config.html_static_path.append(str(MATHJAX / SCRIPT))
    config.mathjax_path = SCRIPT


def copy_fonts_of_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax's fonts where its script looks for them."""
    if error is None and app.builder.format == "html":
        shutil.copytree(MATHJAX / FONTS, Path(app.outdir) / "_static" / FONTS, dirs_exist_ok=True)


def remove_second_search_box(app: Sphinx, config: Config) -> None:
    """Empty the theme's persistent navigation bar, which shows a search box the sidebar has."""
    config.html_theme_options["navbar_persistent"] = []


def setup(app: Sphinx) -> None:
    """Register the hooks."""
    app.connect("config-inited", use_mathjax_from_package)
    app.connect("config-inited", remove_second_search_box)
    app.connect("build-finished", copy_fonts_of_mathjax)
