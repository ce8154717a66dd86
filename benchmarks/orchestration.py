"""Seconds of orchestration a trial: a taskorder run beside a plain Ray Tune run of the same work.

    python benchmarks/orchestration.py [--trials N]

Both run one trial at a time on this machine. Orchestration is the run's wall time less the time
inside training and evaluation, divided by the number of trials; process start, imports, Optuna,
tables and checkpoints all count. The plain run is what one would write by hand: a function
trainable that does a trial's stages and budgets and reports them, with Ray Tune's own FIFO
scheduler. It gets the trials our search ran, one by one, and trains exactly what they trained.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console

from search.launch import launch
from search.ledger import Ledger
from search.rundir import RunDirectory
from spaces.plan import TrialPlan
from spaces.study import Study, load_study
from trainables.preparation import Preparation, prepare
from trainables.session_config import SessionConfig


def small_study(num_trials: int) -> Study:
    """Return the mini study with few and short trials, one at a time."""
    return load_study(
        "mini",
        (
            f"search.num_trials={num_trials}",
            "search.confirm.top=0",
            "search.max_concurrent=1",
            "training.stage.max_steps=20",
            "training.target.max_steps=18",
            "intermediate.max_length=2",
        ),
    )


def work_of(run_dir: Path, study: Study, preparation: Preparation) -> list[dict[str, Any]]:
    """Return what each trial of a run trained: its plan, the stages it trained, its rungs."""
    records = Ledger(study, RunDirectory(run_dir).optuna_url(study)).load()
    return [
        {
            "plan": preparation.planner.plan(
                record.number,
                record.proposal.sequence,
                record.proposal.target,
                seed=record.proposal.seed,
            ).to_json(),
            "stages": [i for i, stage in enumerate(record.stages) if not stage.reused],
            "rungs": len(record.rungs),
        }
        for record in records
    ]


def plain_trial(config: dict[str, Any], session: dict[str, Any]) -> None:
    """One trial as a function trainable: train, evaluate, report."""
    import torch  # noqa: PLC0415  (in the trial's process)

    from trainables.engine import init_process  # noqa: PLC0415
    from trainables.session import Session  # noqa: PLC0415

    torch.set_num_threads(1)
    init_process()
    worker = Session(SessionConfig.from_json(session))
    plan = TrialPlan.from_json(config["work"]["plan"])
    inside = 0.0
    for index in config["work"]["stages"]:
        inside += worker.train_stage(plan.stages[index], plan.base).wall_s
    for rung in range(config["work"]["rungs"]):
        result = worker.run_rung(plan, rung)
        inside += result.wall_s
        tune.report({"score": result.score, "inside": inside})


def run_ours(study: Study, folder: Path) -> tuple[float, float, int]:
    """Run the study; return wall seconds, seconds inside training, and trials."""
    started = time.monotonic()
    launch(study, folder, None, address=None, console=Console(file=io.StringIO()))
    wall = time.monotonic() - started
    records = Ledger(study, RunDirectory(folder).optuna_url(study)).load()
    return wall, sum(record.wall_s for record in records), len(records)


def run_plain(
    study: Study, work: list[dict[str, Any]], preparation: Preparation, folder: Path
) -> tuple[float, float, int]:
    """Run the same work under plain Ray Tune; return what ``run_ours`` returns."""
    session = SessionConfig(
        study, preparation.model_path, str(folder / "stages"), None, preparation.evaluation
    ).to_json()
    started = time.monotonic()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    results = tune.Tuner(
        tune.with_resources(tune.with_parameters(plain_trial, session=session), {"cpu": 1}),
        param_space={"work": tune.grid_search(work)},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), verbose=0),
    ).fit()
    ray.shutdown()
    wall = time.monotonic() - started
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} plain trials failed: {results.errors[0]}")
    return wall, sum(result.metrics["inside"] for result in results), len(results)


def main() -> None:
    """Run both and print their seconds of orchestration a trial, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=6, help="trials beside the baselines")
    arguments = parser.parse_args()
    study = small_study(arguments.trials)
    root = Path(tempfile.mkdtemp(prefix="taskorder-benchmark-"))
    try:
        preparation = prepare(study, None, root / "ours")
        ours = run_ours(study, root / "ours")
        plain = run_plain(study, work_of(root / "ours", study, preparation), preparation, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    each = {}
    print(f"{'':12}{'trials':>8}{'wall s':>10}{'inside s':>10}{'orchestration s/trial':>24}")
    for name, (wall, inside, trials) in {"taskorder": ours, "plain Tune": plain}.items():
        each[name] = (wall - inside) / trials
        print(f"{name:12}{trials:8}{wall:10.1f}{inside:10.1f}{each[name]:24.2f}")
    print(f"plain Tune / taskorder: {each['plain Tune'] / each['taskorder']:.2f}")


if __name__ == "__main__":
    main()
