"""The command ``w2s``: build the book, run a notebook, a sweep or a diagnosis, fetch data.

Exit codes: 0 success, 1 a notebook, the book or a download failed, 2 the request was wrong,
130 interrupted, 143 or 129 ended by SIGTERM or SIGHUP.
"""

import signal
import sys
from types import FrameType

import typer

from w2s_utils.cli.data import features, fetch
from w2s_utils.cli.diagnosis import diagnose
from w2s_utils.cli.notebooks import RunCommand, book, pdf, run
from w2s_utils.cli.ranking import rank
from w2s_utils.cli.sweeps import sweep
from w2s_utils.errors import UserError, WorkerError

INTERRUPTED = {130, 128 + signal.SIGTERM, 128 + signal.SIGHUP}
"""Exit codes after Ctrl-C, as typer sets it, and after the signals of `main`."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def describe() -> None:
    """Work with the executable book on weak-to-strong generalization.

    Start with: w2s book
    """


app.command()(book)
app.command()(pdf)
app.command(cls=RunCommand)(run)
app.command()(sweep)
app.command()(diagnose)
app.command()(rank)
app.command()(fetch)
app.add_typer(features, name="features", help="Compute features of a real task, once, into a file.")


def _leave(signum: int, frame: FrameType | None) -> None:
    """End through the finally clauses, so that processes and temporary folders go too."""
    sys.exit(128 + signum)


def main() -> None:
    """Run the command line, with errors as sentences."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) == signal.SIG_DFL:  # nohup ignores the second
            signal.signal(signum, _leave)
    try:
        app()
    except SystemExit as ended:
        if ended.code in INTERRUPTED:
            print(
                "w2s: interrupted. What is finished is kept: the same command goes on from there.",
                file=sys.stderr,
            )
        raise
    except (UserError, WorkerError, OSError, MemoryError) as error:
        print(f"w2s: {error or 'The memory is full.'}", file=sys.stderr)
        sys.exit(2 if type(error) is UserError else 1)
