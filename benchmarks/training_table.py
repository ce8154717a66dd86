"""The whole table of a machine: useful tokens a second by length, rows and ZeRO stage, with peers.

    python benchmarks/training_table.py --json table.json          # on a GPU: XLM-R Large, bf16
    OMP_NUM_THREADS=1 python benchmarks/training_table.py --size mini --lengths 64 --json table.json

Needs torch, transformers, accelerate and deepspeed, no Ray and no data: the texts are made up
(``training_texts``). Rows are ``full``, all of the length, or ``mixed``, a third of it in the mean.
Each line is the median of the repeats: useful tokens a second, milliseconds a step, the share of
the device's own rate of multiplying matrices in the same precision (MFU, counted as in
``training_throughput``), the most memory that torch had allocated, and how many times as fast a
session's engine is. What fails is told so, out of memory above all, and the table goes on; the JSON
is written anew after every line, so that a machine which is taken away leaves what it has measured.

A session's time is that of its trainer's loop, the end of a stage included. A bare loop and
Hugging Face's Trainer know no ZeRO stage and are measured once. In bf16 stage 0 is stage 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import deepspeed
import torch
import transformers
from training_peers import Job
from training_texts import ROWS, TASKS, task_of, write_texts
from training_throughput import (
    CLOCKS,
    PEERS,
    SIZES,
    flops,
    make_model,
    matmul_rate,
    study_of,
    token_counts,
)

from spaces.sequences import Sequence
from trainables.devices import is_out_of_memory
from trainables.engine import init_process
from trainables.preparation import prepare
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.trainer import Trainer, Training

OURS = "taskorder"
#: Peers that have a ZeRO stage.
WITH_ZERO = ("HF + DeepSpeed", "DeepSpeed")
USUAL_PEERS = ("bare, longest", "HF", "HF + DeepSpeed")


@dataclass
class Line:
    """One line of the table.

    Attributes:
        length: Tokens of the longest rows.
        rows: ``full`` or ``mixed``.
        zero_stage: ZeRO stage; ``None`` without DeepSpeed.
        who: ``taskorder`` or a peer.
        tokens_per_s: Useful tokens a second; ``None`` if there was no room.
        step_ms: Milliseconds a step.
        mfu: Share of the device's own rate of multiplying matrices.
        peak_gib: Most memory allocated on the GPU; ``None`` on a CPU.
        spread: Slowest repeat beside the fastest.
        ratio: How many times as fast ``taskorder`` is under the same ZeRO stage, the lowest that
            was measured for peers without one.
        note: What went wrong; else empty.
    """

    length: int
    rows: str
    zero_stage: int | None
    who: str
    tokens_per_s: float | None = None
    step_ms: float | None = None
    mfu: float | None = None
    peak_gib: float | None = None
    spread: float | None = None
    ratio: float | None = None
    note: str = ""

    def __str__(self) -> str:
        stage = "-" if self.zero_stage is None else self.zero_stage
        start = f"{self.length:6} {self.rows:6} {stage!s:>4}  {self.who:16}"
        if self.tokens_per_s is None:
            return f"{start}  {self.note}"
        peak = "-" if self.peak_gib is None else f"{self.peak_gib:.1f}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        return (
            f"{start} {self.tokens_per_s:12,.0f} {self.step_ms:10,.2f} {self.mfu:8.1%} "
            f"{peak:>9} {self.spread:8.2f} {ratio:>7}"
        )


HEAD = (
    f"{'length':>6} {'rows':6} {'ZeRO':>4}  {'':16} {'tok/s':>12} {'ms a step':>10} {'MFU':>8} "
    f"{'peak GiB':>9} {'spread':>8} {'ratio':>7}"
)


class Bench:
    """What is measured of rows of one length.

    Args:
        arguments: The command's.
        length: Tokens of the longest rows.
        rows: ``full`` or ``mixed``.
        folder: For the model, the texts and the caches.
    """

    def __init__(self, arguments: argparse.Namespace, length: int, rows: str, folder: Path) -> None:
        self._arguments, self._length, self._rows = arguments, length, rows
        self._folder, self._task = folder, task_of(length)
        self._root = folder / "data"
        # Few enough to be made in seconds, enough for all steps of an epoch.
        count = arguments.batch_size * (arguments.warm_up + arguments.steps)
        write_texts(self._root, length, rows, count)
        arguments.data_root = str(self._root)
        self._model = make_model(arguments, [self._task], folder / "model")
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        job = self.job(0)
        self._flops = flops(job, arguments.steps) / arguments.steps
        lengths = list(token_counts(job, arguments.steps))
        self._tokens = sum(map(sum, lengths)) / arguments.steps

    def _session(self, zero_stage: int) -> tuple[Session, Training]:
        steps = self._arguments.warm_up + self._arguments.steps
        options = argparse.Namespace(**{**vars(self._arguments), "zero_stage": zero_stage})
        study = study_of(options, self._model, [self._task], steps)
        training = study.training.model_copy(update={"max_length": self._length})
        study = study.model_copy(update={"training": training})
        preparation = prepare(study, self._root, self._folder)
        config = SessionConfig(
            study,
            self._model,
            str(self._folder / "store"),
            str(self._root),
            {},
            cache_dir=str(self._folder / "cache"),
        )
        (plan,) = preparation.planner.stages(Sequence.of(self._task), seed=0)
        base = preparation.planner.base
        return Session(config), Training(
            plan.sequence, plan.mixture, plan.settings, plan.parent, base
        )

    def job(self, zero_stage: int) -> Job:
        """Return what the peers train."""
        session, training = self._session(zero_stage)
        stream = training.mixture.all_streams[0]
        return Job(
            model_path=self._model,
            task=self._task,
            form=session.inputs.catalogue[self._task].format,
            num_labels=session.inputs.head_size(stream),
            features=list(session.inputs.train_features(stream)),
            settings=training.settings,
            pad_id=session.inputs.tokenizer.pad_token_id,
            max_length=self._length,
            device=self._device,
            precision=self._arguments.precision,
            zero_stage=zero_stage,
            warm_up=self._arguments.warm_up,
            clock=CLOCKS[self._arguments.clock],
        )

    def ours(self, zero_stage: int) -> Callable[[], float]:
        """Return what trains by a session's trainer and returns the seconds of the steps."""
        session, training = self._session(zero_stage)
        now = self.job(zero_stage).now

        def train() -> float:
            trainer = Trainer(session.config, session.inputs, session.store, 0, 1)
            try:
                trainer.build(training)
                trainer.train(training, until=self._arguments.warm_up)
                started = now()
                engine = trainer.train(training, until=training.settings.steps)
                seconds = now() - started
                if engine.micro_batch_size < training.settings.batch_size:
                    print(f"        in micro-batches of {engine.micro_batch_size}", flush=True)
                return seconds
            finally:
                trainer.close()

        return train

    def peer(self, name: str, zero_stage: int | None) -> Callable[[], float]:
        """Return what trains by a peer and returns the seconds of the steps."""
        job = self.job(zero_stage or 0)
        return lambda: PEERS[name](job, self._arguments.steps)

    def line(self, who: str, zero_stage: int | None) -> Line:
        """Measure one line."""
        line = Line(self._length, self._rows, zero_stage, who)
        train = self.ours(zero_stage or 0) if who == OURS else self.peer(who, zero_stage)
        seconds = []
        is_gpu = self._device.type == "cuda"
        for _ in range(self._arguments.repeats):
            _free(is_gpu)
            try:
                seconds.append(train() / self._arguments.steps)
            except Exception as error:  # noqa: BLE001  (told in the line)
                # The machine may be lent for an hour: what else can be measured is.
                what = "out of memory" if is_out_of_memory(error) else type(error).__name__
                line.note = f"{what} ({str(error).partition(chr(10))[0][:100]})"
                break
            if is_gpu:
                line.peak_gib = torch.cuda.max_memory_allocated() / 2**30
        _free(is_gpu)
        if seconds and not line.note:
            median = statistics.median(seconds)
            line.tokens_per_s = self._tokens / median
            line.step_ms = median * 1e3
            line.mfu = self._flops / median / self._arguments.rate
            line.spread = max(seconds) / min(seconds)
        return line


def _free(is_gpu: bool) -> None:
    """Return what the one before has left, and count memory from there."""
    gc.collect()
    if is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def measure(arguments: argparse.Namespace, told: Callable[[list[Line]], None]) -> list[Line]:
    """Return all lines, telling of them after each new one."""
    lines: list[Line] = []
    for length in arguments.lengths:
        for rows in arguments.rows:
            with tempfile.TemporaryDirectory() as folder:
                bench = Bench(arguments, length, rows, Path(folder))
                ours: dict[int, Line] = {}
                for stage in arguments.zero_stages:
                    ours[stage] = bench.line(OURS, stage)
                    told([*lines, ours[stage]])
                    lines.append(ours[stage])
                for peer in arguments.peers:
                    for stage in arguments.zero_stages if peer in WITH_ZERO else [None]:
                        line = bench.line(peer, stage)
                        beside = ours[arguments.zero_stages[0] if stage is None else stage]
                        if line.tokens_per_s and beside.tokens_per_s:
                            line.ratio = beside.tokens_per_s / line.tokens_per_s
                        told([*lines, line])
                        lines.append(line)
    return lines


def _arguments() -> argparse.Namespace:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the table there, too")
    parser.add_argument("--size", choices=SIZES, default="large" if on_gpu else "mini")
    parser.add_argument("--lengths", type=int, nargs="+", default=sorted(TASKS))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--zero-stages", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(USUAL_PEERS))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50 if on_gpu else 4)
    parser.add_argument("--warm-up", type=int, default=10 if on_gpu else 2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=250_002 if on_gpu else 8000)
    parser.add_argument("--precision", default="bf16" if on_gpu else "fp32")
    parser.add_argument("--clock", choices=CLOCKS, default="wall" if on_gpu else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.precision == "bf16" and 0 in arguments.zero_stages:
        # Stage 0 in bf16 is stage 1.
        arguments.zero_stages = sorted({max(1, stage) for stage in arguments.zero_stages})
    arguments.max_examples, arguments.zero_stage = 10**6, 0
    return arguments


def main() -> None:
    """Print the table and write the JSON."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    init_process()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arguments.rate = matmul_rate(device, arguments.precision, CLOCKS[arguments.clock])
    machine = {
        "device": torch.cuda.get_device_name()
        if device.type == "cuda"
        else (platform.processor() or "CPU"),
        "matmul_gflops": round(arguments.rate / 1e9, 1),
        "precision": arguments.precision,
        "model": f"XLM-R {arguments.size}, {arguments.vocabulary:,} subwords",
        "batch_size": arguments.batch_size,
        "steps": arguments.steps,
        "repeats": arguments.repeats,
        "clock": arguments.clock,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "deepspeed": deepspeed.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(HEAD, flush=True)

    def tell(lines: list[Line]) -> None:
        print(lines[-1], flush=True)
        if arguments.json:
            content = {"machine": machine, "lines": [asdict(line) for line in lines]}
            arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    lines = measure(arguments, tell)
    if failed := [line for line in lines if line.who == OURS and line.note]:
        raise SystemExit("\n".join(str(line) for line in failed))


if __name__ == "__main__":
    main()
