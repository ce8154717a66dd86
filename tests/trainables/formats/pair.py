"""Stages of text and of retrieval, trained by two workers together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing

from tests.trainables import tiny
from tests.trainables.loops import COUNT, Stage
from trainables.batches import derived_seed, micro_batches
from trainables.engine import init_process
from trainables.meeting import meeting_port

FORMS = ("masked_lm", "retrieval")


def stages(model: Path) -> dict[str, Stage]:
    """Return the stages, by name. ZeRO 3 parts every parameter, however small."""
    made = {}
    for zero_stage in range(4):
        config = {
            "zero_optimization": {"stage": zero_stage, "stage3_param_persistence_threshold": 0}
        }
        path = model.parent / f"pair{zero_stage}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        for form in FORMS:
            made[f"{form}/{zero_stage}"] = Stage(
                model, (form,), section=str(path), micro_batch_size=2
            )
    return made


def plain_losses(stage: Stage) -> list[float]:
    """Train in plain PyTorch, each worker's micro-batches one after the other."""
    model = stage.build()
    settings = stage.settings
    groups = [
        {
            "params": [p for p in model.parameters() if p.ndim >= 2],
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    losses = []
    for step in range(settings.steps):
        form, indices = stage.batch(step)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(step)
        optimizer.zero_grad()
        total = 0.0
        for rank in range(stage.world_size):
            for batch in micro_batches(
                tiny.features(form, COUNT),
                indices,
                task=form,
                form=form,
                tokenizer=tiny.tokenizer(),
                device=torch.device("cpu"),
                rank=rank,
                world_size=stage.world_size,
                micro_batch_size=stage.micro_batch_size or settings.batch_size,
                seed=derived_seed("mask", step),
            ):
                loss = model(**batch) / stage.world_size
                loss.backward()
                total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        losses.append(total)
    return losses


def run(model: Path, results: Path) -> dict[str, Any]:
    """Train all stages with two workers; return worker 0's results."""
    torch.multiprocessing.spawn(_work, args=(model, results, meeting_port("127.0.0.1")), nprocs=2)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = torch.load(results, weights_only=True)
    return found


def _work(rank: int, model: Path, results: Path, meeting: str) -> None:
    torch.set_num_threads(1)
    init_process(rank, 2, meeting)
    found = {}
    for name, stage in stages(model).items():
        stage.rank, stage.world_size = rank, 2
        engine = stage.engine()
        shares = torch.tensor(stage.run(engine, stage.settings.steps))
        weights = engine.encoder_weights()
        engine.destroy()
        dist.all_reduce(shares)
        found[name] = {"losses": (shares / 2).tolist(), "weights": weights}
    if rank == 0:
        torch.save(found, results)
