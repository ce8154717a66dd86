"""What memory one process keeps that builds, trains and gives back engine after engine.

    OMP_NUM_THREADS=1 python benchmarks/training_rebuilds.py --engines 200

Prints, for each ZeRO stage, how much the resident memory of so many engines grew after some to warm
up, two steps of the built-in model each; on a GPU also what torch's allocator still holds there.
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

import torch

from spaces.plan import TrainSettings
from spaces.study import DeepSpeedSection
from trainables.devices import device_precision
from trainables.engine import Engine, init_process
from trainables.mini import MODEL_DIR
from trainables.models import build_model

TASK, FORM, NUM_LABELS = "mini_entail", "sequence_classification", 3
MIB = 2**20


def resident_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / MIB


def train_one(zero_stage: int, batch_size: int, precision: str) -> None:
    """Build an engine, train two steps and give it back."""
    settings = TrainSettings(
        steps=2, batch_size=batch_size, learning_rate=1e-3, warmup_fraction=0.0, schedule="linear",
        weight_decay=0.01, max_grad_norm=1.0, dropout=0.1, seed=0,
    )  # fmt: skip
    engine = Engine(
        build_model(str(MODEL_DIR), {TASK: (FORM, NUM_LABELS)}, dropout=0.1, seed=0),
        settings,
        DeepSpeedSection(zero_stage=zero_stage),  # type: ignore[arg-type]
        precision=precision,
        world_size=1,
    )
    ids = torch.full((batch_size, 16), 9, device=engine.device)
    batch = {
        "task": TASK,
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.zeros(batch_size, dtype=torch.long, device=engine.device),
        "scale": 1 / batch_size,
    }
    for _ in range(settings.steps):
        engine.train_step(iter([batch]))
    engine.check_finite()
    engine.destroy()
    # As a session does. Nothing of the engine may be held here.
    gc.freeze()


def main() -> None:
    """Print the growth under each ZeRO stage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--zero-stages", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    init_process()
    precision = device_precision(arguments.precision)
    for stage in arguments.zero_stages:
        for _ in range(arguments.warm_up):
            train_one(stage, arguments.batch_size, precision)
        before = resident_mib()
        for _ in range(arguments.engines):
            train_one(stage, arguments.batch_size, precision)
        text = f"ZeRO {stage}, {precision}: {arguments.engines} engines, resident memory grew by "
        text += f"{resident_mib() - before:.1f} MiB"
        if torch.cuda.is_available():
            text += (
                f"; on the GPU {torch.cuda.memory_allocated() / MIB:.1f} MiB allocated, "
                f"{torch.cuda.memory_reserved() / MIB:.1f} reserved"
            )
        print(text, flush=True)


if __name__ == "__main__":
    main()
