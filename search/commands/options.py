"""What several commands have in common: their arguments, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

INPUT_ERROR, RUN_FAILED, INTERRUPTED = 2, 1, 130

console = Console()

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or the name of a ready-made study.")
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run directory.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        envvar="TASKORDER_DATA_ROOT",
        help="Folder of the official data files.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study; repeatable."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="A running Ray cluster, for example auto or ray://host:10001."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
