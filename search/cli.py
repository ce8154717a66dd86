"""The command line: the commands together, and what an error becomes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from search.commands import exporting, planning, predicting, reading, running
from search.commands.options import INPUT_ERROR, INTERRUPTED, RUN_FAILED
from spaces.errors import InputError, TaskorderError

app = typer.Typer(
    name="taskorder",
    help="Find the best ordered subset of intermediate tasks for cross-lingual transfer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A first run, without any data: taskorder launch mini",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"taskorder {importlib.metadata.version('taskorder')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of ``taskorder`` itself; each acts by its own callback."""


#: In the order that ``--help`` lists them.
COMMANDS = (
    running.launch,
    running.resume,
    reading.status,
    reading.report,
    exporting.export,
    planning.check,
    planning.tasks,
    predicting.similarity,
    predicting.simulate,
    planning.studies,
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line with the contract's exit statuses: 0, 1, 2 or 130."""
    try:
        app()
    except InputError as error:
        _tell(f"error: {error}")
        sys.exit(INPUT_ERROR)
    except KeyboardInterrupt:
        _tell("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): end as other tools do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except TaskorderError as error:
        _tell(f"failed: {error}")
        sys.exit(RUN_FAILED)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        # A full disk, a folder that was taken away: the file says more than where it happened.
        _tell(f"failed: {os.fspath(error.filename)}: {error.strerror}")
        sys.exit(RUN_FAILED)


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
