"""Figures that the reader moves: the directive ``{live}``."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Live(SphinxDirective):
    """Place one of the figures of live.js, under what it says; nothing of both is printed."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Leave room for it, with a sentence for readers without scripts."""
        part = nodes.container(classes=["live-part"])
        part += self.parse_content_to_nodes()
        part += nodes.raw(
            "",
            f'<figure class="live" data-live="{self.arguments[0]}">'
            "<p>This figure moves where scripts run.</p></figure>",
            format="html",
        )
        return [part]


def setup(app: Sphinx) -> None:
    """Register the directive and its files."""
    app.add_directive("live", Live)
    app.add_css_file("live.css")
    for script in ("engine.js", "live.js"):
        app.add_js_file(script)
