"""The command line. Heavy packages are loaded by the commands that need them, not by ``--help``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from search import task_listing, task_page
from spaces.errors import InputError, TaskorderError
from spaces.holdings import Shelf
from spaces.study import load_study, parse_study, ready_made_studies
from spaces.tasks import load_catalogue

INPUT_ERROR, RUN_FAILED, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    name="taskorder",
    help="Find the best ordered subset of intermediate tasks for cross-lingual transfer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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


@app.command()
def launch(
    study: StudyArgument,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="Default: runs/<study name>.")
    ] = None,
    data_root: DataRoot = None,
    address: Address = None,
    overrides: Overrides = None,
) -> None:
    """Run a study: search, confirm the best, print the leaderboard."""
    loaded = load_study(study, tuple(overrides or ()))
    from search.launch import launch as launch_run  # noqa: PLC0415

    folder = run_dir or Path("runs") / loaded.name
    with _interruptible(folder):
        outcome = launch_run(loaded, folder, data_root, address=address, console=console)
    _end(outcome.finished, outcome.num_complete, folder)


@app.command()
def resume(run_dir: RunArgument, address: Address = None) -> None:
    """Continue an interrupted run; completed stages are not trained again."""
    from search.launch import resume as resume_run  # noqa: PLC0415

    with _interruptible(run_dir):
        outcome = resume_run(run_dir, address=address, console=console)
    _end(outcome.finished, outcome.num_complete, run_dir)


@app.command()
def status(
    run_dir: RunArgument,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until the run has ended.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks, with --watch.")
    ] = 5.0,
) -> None:
    """Show where a run stands: trials by state, incumbents, cost so far and saved, time left."""
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
    # To stop watching is no failure; the run goes on.
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            watch_run(run_dir, lambda found: print(json.dumps(found), flush=True), every_s=every)
        elif not console.is_terminal:
            watch_run(run_dir, lambda found: console.print(render_status(found)), every_s=every)
        else:
            with Live(console=console, auto_refresh=False) as live:
                watch_run(
                    run_dir,
                    lambda found: live.update(render_status(found), refresh=True),
                    every_s=every,
                )


@app.command()
def report(
    run_dir: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write report.html, .md and .tex and CSV tables here; without it, report.html "
            "goes into the run directory.",
        ),
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures", metavar="FORMAT", help="With --out: every picture as pdf, svg, png, html."
        ),
    ] = "",
) -> None:
    """Report a run: the answer, how sure it is, what it cost; as text and as one HTML page."""
    from analysis.frames import load_run  # noqa: PLC0415
    from analysis.page import write_page  # noqa: PLC0415
    from analysis.report import render_text, write_report  # noqa: PLC0415

    if pictures and out is None:
        raise InputError(f"--pictures {pictures}: needs a folder to write to. Add --out DIR.")
    run = load_run(run_dir)
    console.print(render_text(run))
    if out is None:
        written = [write_page(run, run_dir / "report.html")]
    else:
        written = write_report(run, out, pictures)
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    study: StudyArgument,
    data_root: DataRoot = None,
    address: Address = None,
    overrides: Overrides = None,
) -> None:
    """Validate a study and show what it would cost; nothing is written and Ray is not started."""
    loaded = load_study(study, tuple(overrides or ()))
    from search.launch import appraise  # noqa: PLC0415
    from search.pricing import render_price  # noqa: PLC0415

    console.print(render_price(loaded, *appraise(loaded, data_root, address)))


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="One task, in full.")] = None,
    data_root: DataRoot = None,
    role: Annotated[
        str | None, typer.Option("--role", help="List intermediate or target tasks only.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="List one section only, such as papers or mini.")
    ] = None,
    task_folders: Annotated[
        list[str] | None,
        typer.Option("--task-folder", metavar="DIR", help="Your own task files; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the task catalogue, or show one task; with a data root, count what is there."""
    catalogue = load_catalogue(tuple(task_folders or ()))
    shelf: Shelf | None = None
    if data_root is not None:
        from trainables.shelf import DataRootShelf  # noqa: PLC0415

        shelf = DataRootShelf(catalogue, data_root)
    content: Any
    with console.status(f"Reading {data_root}") if shelf else contextlib.nullcontext():
        if name is not None:
            task = catalogue[name]
            holdings = task_page.find_holdings(task, shelf) if shelf else None
            content = task_page.describe_page(task, holdings)
            shown = task_page.render_page(task, data_root, holdings)
        else:
            chosen = task_listing.select_tasks(catalogue, role, group)
            entries = task_listing.look_up(chosen, shelf)
            content = task_listing.describe_list(entries)
            shown = task_listing.render_list(entries, console.width)
    if as_json:
        console.print_json(json.dumps(content))
    else:
        console.print(shown)


@app.command()
def similarity(
    study: StudyArgument,
    data_root: DataRoot = None,
    measures: Annotated[
        list[str] | None,
        typer.Option("--measures", metavar="NAMES", help="Names with commas; all by default."),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir", help="A run: its stages, and its results to hold values against."
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="A recorded table to hold values against.")
    ] = None,
    sequences: Annotated[
        list[str] | None,
        typer.Option("--sequence", metavar="A>B", help="Guess a sequence; repeatable."),
    ] = None,
    num_examples: Annotated[
        int, typer.Option("--examples", help="Examples of each task that are looked at.")
    ] = 256,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write frames and heatmaps here.")
    ] = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure how alike tasks are; with results, how well that predicts what they gain."""
    loaded = load_study(study, tuple(overrides or ()))
    from search import similarity_command  # noqa: PLC0415
    from search.similarity_text import render_report  # noqa: PLC0415
    from trainables.preparation import prepare  # noqa: PLC0415
    from trainables.similarity import (  # noqa: PLC0415
        MEASURES,
        SimilaritySettings,
        measure_study,
        values_frame,
    )

    sources = similarity_command.find_sources(loaded, run_dir, data_root)
    results: Any = None
    if table is not None:
        from trainables.tabular import read_table  # noqa: PLC0415

        results = similarity_command.table_frame(read_table(table).scores)
    elif run_dir is not None:
        from analysis import load_run  # noqa: PLC0415

        results = load_run(run_dir)
    preparation = prepare(loaded, sources.data_root, sources.run_dir)
    with console.status("Measuring") as progress:
        values = measure_study(
            loaded,
            preparation,
            sources.data_root,
            measures=similarity_command.names_of(measures or ()),
            settings=SimilaritySettings(num_examples=num_examples),
            sequences=tuple(sequences or ()),
            store_url=sources.store_url,
            tell=lambda done, total, name: progress.update(f"{name} ({done} of {total} values)"),
        )
    about = {
        measure.name: {
            "description": measure.description, "paper": measure.paper, "cost": measure.cost
        }
        for measure in MEASURES.values()
    }  # fmt: skip
    found = similarity_command.make_report(loaded.name, values_frame(values), about, results)
    if as_json:
        console.print_json(json.dumps(found.to_json()))
    else:
        console.print(render_report(found, console.width), highlight=False)
    for path in similarity_command.write_report(found, out) if out else ():
        if not as_json:
            console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def simulate(
    study: StudyArgument,
    table: Annotated[Path, typer.Option("--table", help="A recorded table, CSV or Parquet.")],
    workers: Annotated[int, typer.Option("--workers", help="Simulated workers.")] = 1,
    seed_count: Annotated[int, typer.Option("--seed-count", help="Seeds to simulate.")] = 1,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="Write a run directory for the analysis.")
    ] = None,
    step_s: Annotated[float, typer.Option("--step-s", help="Virtual seconds of a step.")] = 1.0,
    task_step_s: Annotated[
        list[str] | None,
        typer.Option("--task-step-s", metavar="TASK=SECONDS", help="The same of one task."),
    ] = None,
    evaluation_s: Annotated[
        float, typer.Option("--evaluation-s", help="Virtual seconds of an evaluation.")
    ] = 0.0,
    overrides: Overrides = None,
) -> None:
    """Run the search on a recorded table under a virtual clock: nothing is trained."""
    loaded = load_study(study, tuple(overrides or ()))
    from search import simulation  # noqa: PLC0415
    from trainables.tabular import TabularTrainable, read_table  # noqa: PLC0415

    recorded = read_table(table)
    costs = simulation.CostModel(
        step_s, simulation.task_seconds(task_step_s or (), loaded), evaluation_s
    )
    results = simulation.simulate_seeds(
        loaded,
        lambda seeded: TabularTrainable.of(seeded, recorded),
        workers=workers,
        seed_count=seed_count,
        run_dir=run_dir,
        costs=costs,
    )
    console.print(simulation.render_simulation(results))


@app.command()
def studies(as_json: AsJson = False) -> None:
    """List the ready-made studies."""
    found = {
        name: parse_study(text, f"study {name}") for name, text in ready_made_studies().items()
    }
    if as_json:
        listed = {name: study.model_dump(mode="json") for name, study in found.items()}
        console.print_json(json.dumps(listed))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("study", "model", "sequences", "targets", "description"):
        table.add_column(column)
    for name, study in found.items():
        table.add_row(
            name,
            study.model.name,
            f"{study.space.size:,}",
            str(len(study.targets)),
            study.description,
        )
    console.print(table)


@contextlib.contextmanager
def _interruptible(run_dir: Path) -> Iterator[None]:
    """Say how to go on when the user interrupts outside the search, while it is being set up."""
    try:
        yield
    except KeyboardInterrupt:
        _interrupted(run_dir)


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


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
