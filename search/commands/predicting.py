"""Without training: how alike tasks are, and the search on recorded results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from search.commands.guards import check_folder
from search.commands.options import AsJson, DataRoot, Overrides, StudyArgument, console
from spaces.study import load_study


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
            "--run-dir",
            metavar="DIR",
            help="A run: its stages, and its results to hold values against.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE", help="A recorded table to hold values against."),
    ] = None,
    sequences: Annotated[
        list[str] | None,
        typer.Option("--sequence", metavar="A>B", help="Guess a sequence; repeatable."),
    ] = None,
    num_examples: Annotated[
        int, typer.Option("--examples", help="Examples of each task that are looked at.")
    ] = 256,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write frames and heatmaps here.")
    ] = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure how alike tasks are; with results, how well that predicts what they gain."""
    if out is not None:
        check_folder("--out", out)
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


def simulate(
    study: StudyArgument,
    table: Annotated[
        Path, typer.Option("--table", metavar="FILE", help="A recorded table, CSV or Parquet.")
    ],
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=100_000, help="Simulated workers.")
    ] = 1,
    seed_count: Annotated[int, typer.Option("--seed-count", min=1, help="Seeds to simulate.")] = 1,
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", metavar="DIR", help="Write a run directory for the analysis."),
    ] = None,
    step_s: Annotated[
        float, typer.Option("--step-s", min=0.0, help="Virtual seconds of a step.")
    ] = 1.0,
    task_step_s: Annotated[
        list[str] | None,
        typer.Option("--task-step-s", metavar="TASK=SECONDS", help="The same of one task."),
    ] = None,
    evaluation_s: Annotated[
        float, typer.Option("--evaluation-s", min=0.0, help="Virtual seconds of an evaluation.")
    ] = 0.0,
    orchestration_s: Annotated[
        float,
        typer.Option(
            "--orchestration-s", min=0.0, help="Virtual seconds between two units of work."
        ),
    ] = 0.0,
    failures_per_hour: Annotated[
        float,
        typer.Option(
            "--failures-per-hour", min=0.0, help="Units of work that fail, an hour of one worker."
        ),
    ] = 0.0,
    preemptions_per_hour: Annotated[
        float,
        typer.Option(
            "--preemptions-per-hour",
            min=0.0,
            help="Times a worker is taken away, an hour of its work.",
        ),
    ] = 0.0,
    preemption_s: Annotated[
        float,
        typer.Option("--preemption-s", min=0.0, help="Virtual seconds until a worker is back."),
    ] = 600.0,
    overrides: Overrides = None,
) -> None:
    """Run the search on a recorded table under a virtual clock: nothing is trained."""
    if run_dir is not None:
        check_folder("--run-dir", run_dir)
    loaded = load_study(study, tuple(overrides or ()))
    from search import simulation  # noqa: PLC0415
    from trainables.tabular import TabularTrainable, read_table  # noqa: PLC0415

    recorded = read_table(table)
    costs = simulation.CostModel(
        step_s,
        simulation.task_seconds(task_step_s or (), loaded),
        evaluation_s,
        orchestration_s,
    )
    faults = simulation.FaultModel(
        failures_per_hour, preemptions_per_hour, preemption_s, seed=loaded.seed
    )
    results = simulation.simulate_seeds(
        loaded,
        lambda seeded: TabularTrainable.of(seeded, recorded),
        workers=workers,
        seed_count=seed_count,
        run_dir=run_dir,
        costs=costs,
        faults=faults,
    )
    console.print(simulation.render_simulation(results))
