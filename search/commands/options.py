"""What several commands have in common: their arguments, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spaces.study import ready_made_studies

INPUT_ERROR, RUN_FAILED, INTERRUPTED = 2, 1, 130

console = Console()


def complete_study(incomplete: str) -> list[str]:
    """Return the ready-made studies that a shell may complete to; it adds files by itself."""
    return [name for name in sorted(ready_made_studies()) if name.startswith(incomplete)]


StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study file, or the name of a ready-made study (`taskorder studies`).",
        autocompletion=complete_study,
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN_DIR", help="The folder of a run, such as runs/mini.")
]
RunLocation = Annotated[
    str,
    typer.Argument(
        metavar="RUN_DIR", help="The folder of a run, such as runs/mini, or a URL (s3://...)."
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        envvar="TASKORDER_DATA_ROOT",
        help="Folder of the official data files; `taskorder tasks NAME` lists what is looked for.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the study, such as search.num_trials=20; repeatable.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Join a running Ray cluster: auto, HOST:6379, or ray://HOST:10001.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
