"""What two worker processes compute together, for comparison with one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
import torch.distributed as dist
import torch.multiprocessing

from spaces.errors import TrainingError
from spaces.plan import TrialPlan
from spaces.study import DeepSpeedSection
from tests.trainables import tiny
from tests.trainables.loops import Stage
from trainables.engine import init_process
from trainables.meeting import meeting_file
from trainables.session import Session
from trainables.session_config import SessionConfig

#: Formats whose padded layout is trained under each ZeRO stage, each under two of them: how a batch
#: is laid out and how weights are divided know nothing of each other, and one worker trains every
#: combination (``test_engine``).
PADDED = {
    0: ("sequence_classification", "question_answering", "masked_lm"),
    1: ("token_classification", "multiple_choice"),
    2: ("sequence_classification", "multiple_choice"),
    3: ("token_classification", "question_answering", "masked_lm"),
}


@dataclass
class Job:
    """What the workers are to do, and where worker 0 writes the results."""

    model: Path
    config: dict[str, Any]
    plans: list[dict[str, Any]]
    results: Path


def stages(model: Path) -> dict[str, Stage]:
    """Return the stages to train, by name; the same for every number of workers."""
    made = {}
    for zero_stage in range(4):
        section = DeepSpeedSection(zero_stage=zero_stage)
        for form in tiny.TASKS:
            made[f"{form}/{zero_stage}"] = Stage(model, (form,), section=section)
        for form in PADDED[zero_stage]:
            made[f"{form}/{zero_stage}/padded"] = Stage(
                model, (form,), section=section, packed=False
            )
        made[f"clipped/{zero_stage}"] = Stage(
            model,
            ("token_classification",),
            tiny.settings(max_grad_norm=1e-7),
            section,
            micro_batch_size=2,
        )
        made[f"mixture/{zero_stage}"] = Stage(
            model, tuple(tiny.TASKS), section=section, micro_batch_size=2
        )
        made[f"bf16/{zero_stage}"] = Stage(
            model, ("token_classification",), section=section, precision="bf16", micro_batch_size=2
        )
    return made


def run(job: Job) -> dict[str, Any]:
    """Do a job with two workers; return worker 0's results."""
    with TemporaryDirectory() as folder:
        meeting = meeting_file(Path(folder))
        torch.multiprocessing.spawn(_work, args=(job, meeting), nprocs=2)  # type: ignore[no-untyped-call]
    results: dict[str, Any] = torch.load(job.results, weights_only=True)
    return results


def _work(rank: int, job: Job, meeting: str) -> None:
    torch.set_num_threads(1)
    init_process(rank, 2, meeting)
    results: dict[str, Any] = {"losses": {}, "states": {}, "rungs": [], "continued": {}}
    for name, stage in stages(job.model).items():
        stage.rank, stage.world_size = rank, 2
        engine = stage.engine()
        shares = torch.tensor(stage.run(engine, 3))
        state = engine.state()
        shares = torch.cat([shares, torch.tensor(stage.run(engine, stage.settings.steps))])
        if name.startswith("token") and not name.endswith("padded"):
            # The state is worker 0's; every worker needs it to go on.
            received = [state]
            dist.broadcast_object_list(received)
            engine.destroy()
            engine = stage.engine(received[0])
            continued = torch.tensor(stage.run(engine, stage.settings.steps))
            dist.all_reduce(continued)
            results["continued"][name] = (continued / 2).tolist()
            results["states"][name] = state
        engine.destroy()
        dist.all_reduce(shares)
        results["losses"][name] = (shares / 2).tolist()
    results["dropout"] = [_with_dropout(job.model, rank) for _ in range(2)]
    results["diverged"] = _diverge(job.model, rank)
    session = Session(SessionConfig.from_json(job.config), rank, 2)
    for plan_json in job.plans:
        plan = TrialPlan.from_json(plan_json)
        for stage_plan in plan.stages:
            session.train_stage(stage_plan, plan.base)
        rungs = [session.run_rung(plan, rung) for rung in range(len(plan.budgets))]
        results["rungs"].append(
            [
                [(s.language, s.split, s.metric, s.value, s.num_examples) for s in rung.scores]
                for rung in rungs
            ]
        )
    if rank == 0:
        results["listening"] = listening(psutil.Process())
        torch.save(results, job.results)


def listening(process: psutil.Process) -> list[str]:
    """Return the addresses at which a process listens."""
    connections = process.net_connections(kind="inet")
    return sorted({c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN})


def _with_dropout(model: Path, rank: int) -> list[list[float]]:
    """Return each worker's shares of the losses of a stage with dropout."""
    settings = tiny.settings(dropout=0.3)
    stage = Stage(model, ("token_classification",), settings, rank=rank, world_size=2)
    shares = torch.tensor(stage.losses())
    parts = [torch.empty_like(shares) for _ in range(2)]
    dist.all_gather(parts, shares)
    return [part.tolist() for part in parts]


def _diverge(model: Path, rank: int) -> str:
    """Let one worker's share alone be NaN; return the error this worker raised."""
    stage = Stage(model, ("token_classification",), rank=rank, world_size=2)
    engine = stage.engine()
    stage.run(engine, 1)
    if rank == 1:
        next(engine.module.parameters()).data.fill_(float("nan"))
    try:
        stage.run(engine, 2)
        engine.check_finite()
    except TrainingError as error:
        return str(error)
    finally:
        engine.destroy()
    return ""
