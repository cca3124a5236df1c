"""The command line as a whole; each command stands in `commands`."""

from __future__ import annotations

import sys

import typer

from .commands.bench import bench
from .commands.data import data_check, data_prepare, data_show
from .commands.doctor import doctor
from .commands.lists import list_
from .commands.method import method_check, method_new
from .commands.model import export, predict
from .commands.noise import noise_export, noise_import, noise_make, noise_show
from .commands.report import report
from .commands.reproduce import reproduce
from .commands.run import run, table
from .commands.terminal import plain_output
from .contract.errors import BadInput
from .contract.text import one_line


def _group(about: str) -> typer.Typer:
    return typer.Typer(no_args_is_help=True, help=about)


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A noisy-label benchmark suite that compares uncertainty methods under one protocol.",
)
app.command("run")(run)
app.command("table")(table)
app.command("report")(report)
app.command("reproduce")(reproduce)
app.command("doctor")(doctor)
app.command("list")(list_)
app.command("export")(export)
app.command("predict")(predict)
app.command("bench")(bench)

method = _group("Start a method of your own, and check it.")
method.command("new")(method_new)
method.command("check")(method_check)
app.add_typer(method, name="method")

data = _group("Get, verify and look at a dataset.")
data.command("prepare")(data_prepare)
data.command("check")(data_check)
data.command("show")(data_show)
app.add_typer(data, name="data")

noise = _group("Make, show and exchange noisy labels.")
noise.command("make")(noise_make)
noise.command("show")(noise_show)
noise.command("export")(noise_export)
noise.command("import")(noise_import)
app.add_typer(noise, name="noise")

LONGEST = 1_000
"""Characters of either end of a message."""
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]  # click's own, wherever this version of typer keeps it


def main() -> None:
    """The console script. Bad input ends in one line on standard error and exit status 2."""
    try:
        with plain_output():
            sys.exit(app(standalone_mode=False) or 0)
    except BadInput as error:
        _complain(str(error))
    except _CLICK_ERROR as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if "Usage:" in message:  # no command was given: the whole help
            print(message, file=sys.stderr)
        else:
            _complain(message)
    except typer.Abort:
        sys.exit(130)
    sys.exit(2)


def _complain(message: str) -> None:
    """One line that can be read, whatever a user's names hold."""
    line = one_line(message)
    cut = line if len(line) <= 2 * LONGEST else f"{line[:LONGEST]} … {line[-LONGEST:]}"  # what was wanted stands at the end
    print("error:", cut, file=sys.stderr)
