"""Launch a study and resume a run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from search.client import STUDY, is_client, run_on_head
from search.commands.guards import check_address, check_folder
from search.commands.options import (
    INTERRUPTED,
    Address,
    DataRoot,
    Overrides,
    RunArgument,
    StudyArgument,
    console,
)
from spaces.errors import InputError, TaskorderError
from spaces.study import load_study


def launch(
    study: StudyArgument,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            metavar="DIR",
            help="A new folder for the run; runs/<study name> if not given.",
        ),
    ] = None,
    data_root: DataRoot = None,
    address: Address = None,
    overrides: Overrides = None,
) -> None:
    """Run a study: its arms, its search, the best again on fresh seeds; then print the answer."""
    loaded = load_study(study, tuple(overrides or ()))
    folder = run_dir or Path("runs") / loaded.name
    check_address(address)
    if is_client(address):
        file = Path(study) if Path(study).is_file() else None
        root = ["--data-root", str(data_root.resolve())] if data_root else []
        settings = [part for setting in overrides or () for part in ("--set", setting)]
        arguments = [STUDY if file else study, "--run-dir", str(folder.resolve()), *root, *settings]
        _run_on_head(str(address), ["launch", *arguments], file)
    check_folder("--run-dir", folder)
    from search.launch import launch as launch_run  # noqa: PLC0415

    with _interruptible(folder), _joining(address, folder):
        outcome = launch_run(loaded, folder, data_root, address=address, console=console)
    _end(outcome.finished, outcome.num_complete, folder)


def resume(run_dir: RunArgument, address: Address = None) -> None:
    """Go on with an interrupted run; what is trained is not trained again."""
    check_address(address)
    if is_client(address):
        _run_on_head(str(address), ["resume", str(run_dir.resolve())], None)
    from search.launch import resume as resume_run  # noqa: PLC0415

    with _interruptible(run_dir), _joining(address, run_dir):
        outcome = resume_run(run_dir, address=address, console=console)
    _end(outcome.finished, outcome.num_complete, run_dir)


def _run_on_head(address: str, arguments: list[str], study: Path | None) -> NoReturn:
    """Run a command on the head of a cluster, and end as it does."""

    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    raise typer.Exit(run_on_head(address, arguments, study, write))


@contextlib.contextmanager
def _interruptible(run_dir: Path) -> Iterator[None]:
    """Say how to go on when the user interrupts outside the search, while it is being set up."""
    try:
        yield
    except KeyboardInterrupt:
        _interrupted(run_dir)


@contextlib.contextmanager
def _joining(address: str | None, run_dir: Path) -> Iterator[None]:
    """Say what to do where there is no cluster to join."""
    try:
        yield
    except ConnectionError as error:
        if address is None:
            raise
        # Ray's second sentence speaks of its own options.
        reason = str(error).partition(". ")[0]
        is_there = (run_dir / "study.yaml").is_file()
        then = f" Then: taskorder resume {run_dir} --address {address}" if is_there else ""
        raise InputError(
            f"--address {address}: {reason}. Start a cluster with `ray start --head`, or leave "
            f"--address out.{then}"
        ) from error


def _interrupted(run_dir: Path) -> NoReturn:
    """End an interrupted run with the contract's status."""
    resumable = (run_dir / "study.yaml").is_file()
    remedy = f"Continue with: taskorder resume {run_dir}" if resumable else "Nothing was written."
    console.print(f"Interrupted. {remedy}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(INTERRUPTED)


def _end(finished: bool, num_complete: int, run_dir: Path) -> None:
    """Print the report of a finished run, or how to continue; exit with the contract's status."""
    if not finished:
        _interrupted(run_dir)
    from analysis.frames import load_run  # noqa: PLC0415
    from analysis.report import render_text  # noqa: PLC0415

    console.print(render_text(load_run(run_dir)))
    if num_complete == 0:
        raise TaskorderError(
            f"no trial reached the full budget; see the errors with `taskorder status {run_dir}`"
        )
