"""What every request has to meet before it is worked on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w2s_utils._files import check_output
from w2s_utils.errors import UserError


@contextmanager
def request() -> Iterator[None]:
    """Turn what is wrong with a request into its sentence and exit code 2."""
    try:
        yield
    except (ValueError, ImportError) as error:
        raise UserError(str(error)) from error


def check_targets(*files: Path) -> None:
    """Refuse what must not be replaced, before hours are spent."""
    with request():
        for file in files:
            check_output(file)
