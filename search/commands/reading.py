"""Look at a run: where it stands, and what it found."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from search.commands.guards import check_folder
from search.commands.options import AsJson, RunLocation, console
from spaces.errors import InputError

#: Seconds between two looks.
EVERY_S = 5.0


def status(
    run_dir: RunLocation,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until the run has ended.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            "--every", min=0.1, help="Seconds between two looks, with --watch; 5 if not given."
        ),
    ] = None,
) -> None:
    """Show where a run stands: trials by state, incumbents, cost so far and saved, time left."""
    if every is not None and not watch:
        raise InputError(f"--every {every:g}: is for looking again and again. Add --watch.")
    from analysis.status import render_status  # noqa: PLC0415
    from analysis.status import status as describe_run  # noqa: PLC0415
    from analysis.status import watch as watch_run  # noqa: PLC0415

    if not watch:
        found = describe_run(run_dir)
        if as_json:
            console.print_json(json.dumps(found))
        else:
            console.print(render_status(found))
        return
    every_s = EVERY_S if every is None else every
    # To stop watching is no failure; the run goes on.
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            watch_run(run_dir, lambda found: print(json.dumps(found), flush=True), every_s=every_s)
        elif not console.is_terminal:
            watch_run(run_dir, lambda found: console.print(render_status(found)), every_s=every_s)
        else:
            with Live(console=console, auto_refresh=False) as live:
                watch_run(
                    run_dir,
                    lambda found: live.update(render_status(found), refresh=True),
                    every_s=every_s,
                )


def report(
    run_dir: RunLocation,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write report.html, .md, .tex and CSV tables here; without it, report.html "
            "goes into the run directory.",
        ),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures",
            metavar="FORMAT",
            help="With --out: write every picture too, as pdf, svg, png or html.",
        ),
    ] = "",
) -> None:
    """Report a run: the answer, how sure it is, what it cost; as text and as one HTML page."""
    from analysis.frames import load_run  # noqa: PLC0415
    from analysis.page import write_page  # noqa: PLC0415
    from analysis.report import check_pictures, render_text, write_report  # noqa: PLC0415

    if pictures and out is None:
        raise InputError(f"--pictures {pictures}: needs a folder to write to. Add --out DIR.")
    if out is None and "://" in run_dir:
        raise InputError(f"{run_dir}: the page is written to a folder of this machine. Add --out.")
    check_pictures(pictures)
    if out is not None:
        check_folder("--out", out)
    run = load_run(run_dir)
    console.print(render_text(run))
    if out is None:
        written = [write_page(run, run.path / "report.html")]
    else:
        written = write_report(run, out, pictures)
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
