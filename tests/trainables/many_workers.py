"""What any number of worker processes get when they evaluate together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing

from spaces.study import DeepSpeedSection, TrainingSection
from tests.trainables import tiny
from trainables import forward
from trainables.engine import Engine, init_process
from trainables.evaluation_plan import EvaluationSet
from trainables.inputs import TaskInputs
from trainables.meeting import meeting_port
from trainables.models import build_model

SETS = {
    "panx": (EvaluationSet("de", "dev"), EvaluationSet("fr", "dev")),
    "xquad": (EvaluationSet("de", "test"),),
    "tatoeba": (EvaluationSet("de", "test"), EvaluationSet("fr", "test")),
}
#: Some batches for each worker, fewer batches than workers, and a gathering after every turn.
BATCHES = ((4, 256), (100, 256), (3, 1))


def evaluate(model: Path, data_root: Path, rank: int, world_size: int) -> dict[str, Any]:
    """Return the outputs of every feature by task, ZeRO stage and batch size; on worker 0."""
    study = tiny.study(data_root)
    inputs = TaskInputs(study.catalogue(), TrainingSection(), data_root, tiny.tokenizer())
    found = {}
    for name, sets in SETS.items():
        task = inputs.catalogue[name]
        for zero_stage in (0, 3):
            built = build_model(
                str(model), {name: (task.format, len(task.labels))}, dropout=0.0, seed=1
            )
            engine = Engine(
                built,
                tiny.settings(batch_size=2 * world_size),
                DeepSpeedSection(zero_stage=zero_stage),
                precision="fp32",
                world_size=world_size,
            )
            for batch_size, forward.GATHERED_TURNS in BATCHES:
                outputs = forward.outputs_of(
                    engine,
                    inputs,
                    name,
                    sets,
                    batch_size=batch_size,
                    rank=rank,
                    world_size=world_size,
                )
                assert (outputs is None) == (rank > 0)
                found[f"{name}/{zero_stage}/{batch_size}"] = [
                    plain(output) for chosen in sets for output in (outputs or {}).get(chosen, [])
                ]
            engine.destroy()
    return found


def plain(output: Any) -> Any:
    """Return an output as a list of numbers, whatever its kind."""
    if isinstance(output, (list, tuple)):
        return [plain(part) for part in output]
    return output.tolist() if hasattr(output, "tolist") else output


def run(model: Path, data_root: Path, results: Path, world_size: int) -> dict[str, Any]:
    """Evaluate with so many workers; return worker 0's results."""
    arguments = (model, data_root, results, world_size, meeting_port("127.0.0.1"))
    spawn: Any = torch.multiprocessing.spawn
    spawn(_work, args=arguments, nprocs=world_size)
    found: dict[str, Any] = torch.load(results, weights_only=True)
    return found


def _work(
    rank: int, model: Path, data_root: Path, results: Path, world_size: int, meeting: str
) -> None:
    torch.set_num_threads(1)
    init_process(rank, world_size, meeting)
    found = evaluate(model, data_root, rank, world_size)
    if rank == 0:
        torch.save(found, results)


def flat(output: Any) -> Sequence[float]:
    """Return the numbers of an output."""
    if isinstance(output, list):
        return [number for part in output for number in flat(part)]
    return [float(output)] if isinstance(output, (int, float)) else []
