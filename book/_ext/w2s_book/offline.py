"""What the theme and its tools need to work offline and without errors."""

from importlib.resources import files

from sphinx.application import Sphinx
from sphinx.config import Config


def use_mathjax_from_package(app: Sphinx, config: Config) -> None:
    """Serve MathJax, all of it in one file, from the book itself."""
    script = files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg-full.js"
    config.html_static_path.append(str(script))
    config.mathjax_path = "tex-svg-full.js"


def remove_second_search_box(app: Sphinx, config: Config) -> None:
    """Empty the theme's persistent navigation bar, which shows a search box the sidebar has."""
    config.html_theme_options["navbar_persistent"] = []


def setup(app: Sphinx) -> None:
    """Register the hooks."""
    app.connect("config-inited", use_mathjax_from_package)
    app.connect("config-inited", remove_second_search_box)
