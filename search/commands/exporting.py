"""Hand over a trained model."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.commands.guards import check_folder
from search.commands.options import DataRoot, RunArgument, console
from spaces.errors import InputError
from spaces.plan import TrialPlan
from spaces.planner import TaskData


def export(
    run_dir: RunArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder to make; new or empty.")
    ],
    target: Annotated[
        str | None, typer.Option("--target", help="The target; needed if the run has several.")
    ] = None,
    trial: Annotated[
        int | None, typer.Option("--trial", help="A trial's number; the best one by default.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            min=0.0,
            help="Points that the score may differ from the recorded one; 0.1 if not given.",
        ),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Write the best model as a Hugging Face folder with a model card; it is trained again."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: is there already. Give a new or an empty folder.")
    check_folder("--out", out.parent)
    from analysis.frames import load_run  # noqa: PLC0415
    from search import export_command  # noqa: PLC0415
    from search.model_card import card  # noqa: PLC0415
    from search.run_setup import RunSetup  # noqa: PLC0415
    from search.rundir import RunDirectory  # noqa: PLC0415

    directory = RunDirectory(run_dir)
    study, resolved = directory.read()
    choice = export_command.choose_trial(load_run(run_dir), target, trial)
    record = export_command.read_trial(directory, study, choice.trial_id)
    if data_root is not None:
        resolved["data_root"] = str(data_root.resolve())
    setup = RunSetup.of_launched(study, resolved, directory)
    plan = record.plan(setup.preparation.planner)
    export_command.check_plan(plan, record)
    # The run's own predictions stay as they are.
    config = replace(setup.session().of_model(record.proposal.model), predictions_dir=None)
    from trainables.exporting import export_model  # noqa: PLC0415  (torch)

    with _made_whole(out) as folder:
        with console.status("Starting") as shown:
            exported = export_model(config, plan, folder, tell=shown.update)
        scores = [score.to_json() for score in exported.scores]
        most = export_command.TOLERANCE if tolerance is None else tolerance
        check = export_command.check_score(record, exported.objective, scores, most)
        text = card(
            config.study,
            record,
            choice,
            plan,
            check,
            task=study.catalogue()[plan.target],
            scores=scores,
            data=_fingerprints(plan, setup.preparation.planner.data),
            facts={
                "class": f"{exported.architecture} ({exported.auto})",
                "trained again on": f"{exported.device}, {exported.precision}",
                **{name: str(version) for name, version in resolved["versions"].items()},
            },
            pipeline=exported.pipeline,
        )
        (folder / "README.md").write_text(text, encoding="utf-8")
    how = (
        f'transformers.pipeline("{exported.pipeline}", model="{out}")'
        if exported.pipeline
        else f"transformers.{exported.auto}: there is no pipeline for {plan.target}"
    )
    for line in (check.sentence(), f"wrote {out}", f"load it with {how}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _made_whole(out: Path) -> Iterator[Path]:
    """Let a folder be filled beside its place; it gets there only if nothing was raised."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fingerprints(plan: TrialPlan, data: Mapping[str, TaskData]) -> dict[str, str]:
    """Return the identity of every training set that a trial is trained on, by its stream."""
    streams = [str(stream) for stage in plan.stages for stream in stage.mixture.all_streams]
    return {name: data[name].fingerprint for name in dict.fromkeys((*streams, plan.target))}
