"""Execute the notebooks and turn them into a book.

::

    notebooks/*.ipynb  --papermill-->  build/executed/PROFILE/  --+
    book/, _config.yml, _toc.yml  --------------------------------+-->  build/book_src
    build/book_src     --jupyter-book-->  build/books/ID/  <--  build/html (a symbolic link)

Between the two steps the findings of the notebooks are compared with ``notebooks/verdicts/``.

A notebook is executed again only when something that its outputs depend on has changed, and the
book is built again only when something in ``build/book_src`` has.  Whatever is finished appears
under its final name in one step, so a killed build loses only what it was working on.
"""

from w2s_utils.publish.build import build_book, unstable_verdicts
from w2s_utils.publish.execution import BuildError, execute
from w2s_utils.publish.notebook import check_parameters
from w2s_utils.publish.project import page_names
from w2s_utils.publish.yaml import parse_yaml

__all__ = [
    "BuildError", "build_book", "check_parameters", "execute", "page_names", "parse_yaml",
    "unstable_verdicts",
]  # fmt: skip
