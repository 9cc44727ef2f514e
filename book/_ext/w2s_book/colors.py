"""The package's colours, as properties that the book's style sheets use."""

from pathlib import Path

from sphinx.application import Sphinx

from w2s_utils import plots

FILE = "colors.css"


def write_colors(app: Sphinx, error: Exception | None) -> None:
    """Write them for the light and the dark theme."""
    if error is None and app.builder.format == "html":
        light, dark = plots.css(plots.COLORS | plots.PARTS), plots.css(plots.ON_DARK)
        (Path(app.outdir) / "_static" / FILE).write_text(
            f':root {{ {light} }}\nhtml[data-theme="dark"] {{ {dark} }}\n'
        )


def setup(app: Sphinx) -> None:
    """Register the hook and the file."""
    app.add_css_file(FILE)
    app.connect("build-finished", write_colors)
