"""Figures that the reader moves: the directive ``{live}``."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Live(SphinxDirective):
    """Place one of the figures of live.js."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave room for it, with a sentence for readers without scripts."""
        name = nodes.fully_normalize_name(self.arguments[0])
        return [
            nodes.raw(
                "",
                f'<figure class="live" data-live="{name}">'
                "<p>This figure moves where scripts run.</p></figure>",
                format="html",
            )
        ]


def setup(app: Sphinx) -> None:
    """Register the directive and its files."""
    app.add_directive("live", Live)
    app.add_css_file("live.css")
    for script in ("engine.js", "live.js"):
        app.add_js_file(script)
