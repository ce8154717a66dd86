"""Useful tokens a second of a stage: a taskorder session beside its peers, all in one run.

    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py --data-root DATA
    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py          # the built-in tasks

The peers: a bare PyTorch loop whose batches are padded to their longest row, the same padded to the
task's fixed length, Hugging Face's Trainer, and DeepSpeed's own loop. All train the same encoder
and head on the same number of examples in batches of the same size, with AdamW, clipping and
dropout, one after the other in this process, in turn, and the medians are compared. Useful tokens
are those of the examples: padding counts for nothing. A session's speed is taken from two stages of
different lengths: what the longer one takes more is steps alone, without start-up, which is printed
apart.

``--clock cpu`` (the default on a CPU) counts this process's CPU seconds, which other processes
disturb less. On a GPU the clock is the wall's, the model XLM-R Large and the precision bf16, unless
told otherwise; the share of the device's own matrix multiplication rate, measured first, is printed
as well (MFU: 6 floating-point operations a parameter and token, and attention's 12 a token, layer,
hidden unit and token of its row).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from training_peers import WARM_UP, Clock, Job, bare, bare_deepspeed, token_counts, trainer
from transformers import XLMRobertaForMaskedLM

from spaces.sequences import Sequence
from spaces.study import Study, load_study
from trainables.data import load_records
from trainables.engine import free_port, init_process
from trainables.preparation import Preparation, prepare
from trainables.pretraining import make_config, save_model, train_tokenizer
from trainables.session import Session
from trainables.session_config import SessionConfig

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
#: Steps of the shorter of a session's two stages.
FEW_STEPS = WARM_UP
#: Width, layers and heads of the encoders.
SIZES = {
    "mini": (64, 2, 4),
    "small": (256, 4, 4),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}
PEERS = {
    "bare, longest": bare,
    "bare, fixed": lambda job, steps: bare(job, steps, fixed=True),
    "HF Trainer": trainer,
    "DeepSpeed": bare_deepspeed,
}
REAL_TASKS = ("mnli", "ud_upos", "squad1")
MINI_TASKS = ("mini_entail", "mini_supertag", "mini_qa", "mini_completion")


def make_model(arguments: argparse.Namespace, tasks: list[str], folder: Path) -> str:
    """Write an untrained XLM-R of the asked size, its tokenizer trained on the tasks' text."""
    study = study_of(arguments, "mini", tasks, 1)
    catalogue = study.catalogue()
    texts: list[str] = []
    for task in tasks:
        root = Path(arguments.data_root) if arguments.data_root else None
        records = load_records(
            catalogue[task],
            "train",
            catalogue[task].train_language,
            data_root=root,
            catalogue=catalogue,
            limit=1000,
        )
        for record in records:
            parts = [getattr(record, name, "") for name in ("text", "context", "question")]
            tokens = getattr(record, "tokens", ())
            texts += [part for part in (*parts, " ".join(tokens)) if part]
    tokenizer = train_tokenizer(texts, arguments.vocabulary)
    hidden, layers, heads = SIZES[arguments.size]
    torch.manual_seed(0)
    config = make_config(
        len(tokenizer), hidden_size=hidden, num_layers=layers, num_heads=heads, max_tokens=512
    )
    save_model(XLMRobertaForMaskedLM(config), tokenizer, folder)
    return str(folder)


def study_of(arguments: argparse.Namespace, model: str, tasks: list[str], steps: int) -> Study:
    """Return a study whose stages have the given steps."""
    return load_study(
        "mini",
        (
            f"model={{name: {model}}}",
            f"intermediate={{tasks: [{', '.join(tasks)}], max_length: 1}}",
            f"training.stage.max_steps={steps}",
            f"training.batch_size={arguments.batch_size}",
            "training.micro_batch_size=null",
            f"training.precision={arguments.precision}",
            f"deepspeed={{zero_stage: {arguments.zero_stage}}}",
        ),
    )


def ours(session: Session, preparation: Preparation, task: str, now: Clock) -> float:
    """Return the seconds of a stage, start-up included."""
    (plan,) = preparation.planner.stages(Sequence.of(task), seed=0)
    started = now()
    session.train_stage(plan, preparation.planner.base)
    return now() - started


def matmul_rate(device: torch.device, precision: str, clock: Clock) -> float:
    """Return the floating-point operations a second of a large matrix multiplication."""
    size = 8192 if device.type == "cuda" else 768
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    rates = []
    for _ in range(8):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = clock()
        for _ in range(4):
            left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(4 * 2 * size**3 / (clock() - started))
    return max(rates)


def flops(job: Job, steps: int) -> float:
    """Return the floating-point operations that the examples of the steps need."""
    model = job.model()
    config: Any = model.encoder.config
    embeddings = sum(
        p.numel() for n, p in model.encoder.named_parameters() if n.startswith("embeddings.")
    )
    dense = sum(p.numel() for p in model.parameters()) - embeddings
    attention = 12 * config.num_hidden_layers * config.hidden_size
    return float(
        sum(
            6 * dense * length + attention * length**2
            for lengths in token_counts(job, steps)
            for length in lengths
        )
    )


def measure(
    task: str, model: str, arguments: argparse.Namespace, folder: str
) -> dict[str, dict[str, float]]:
    """Return each contender's seconds a step and figures of the task; print what they came to."""
    root = Path(arguments.data_root) if arguments.data_root else None
    sessions = []
    for steps in (FEW_STEPS, FEW_STEPS + arguments.steps):
        study = study_of(arguments, model, [task], steps)
        preparation = prepare(study, root, Path(folder))
        config = SessionConfig(
            study, model, folder, arguments.data_root, {}, cache_dir=str(Path(folder) / "cache")
        )
        sessions.append((Session(config), preparation))
    (short, short_plan), (long, long_plan) = sessions
    (plan,) = long_plan.planner.stages(Sequence.of(task), seed=0)
    stream = plan.mixture.all_streams[0]
    catalogue = long.inputs.catalogue
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    job = Job(
        model_path=model,
        task=task,
        form=catalogue[task].format,
        num_labels=long.inputs.head_size(stream),
        features=list(long.inputs.train_features(stream)),
        settings=plan.settings,
        pad_id=long.inputs.tokenizer.pad_token_id,
        max_length=catalogue[task].max_length,
        device=device,
        precision=arguments.precision,
        clock=CLOCKS[arguments.clock],
    )
    # The first stage of a process pays for imports and caches.
    ours(short, short_plan, task, job.now)
    times: dict[str, list[float]] = {"taskorder": [], **{peer: [] for peer in arguments.peers}}
    start_up = []
    for _ in range(arguments.repeats):
        few = ours(short, short_plan, task, job.now)
        many = ours(long, long_plan, task, job.now)
        times["taskorder"].append((many - few) / arguments.steps)
        start_up.append(few - FEW_STEPS * times["taskorder"][-1])
        for peer in arguments.peers:
            times[peer].append(PEERS[peer](job, arguments.steps) / arguments.steps)
    lengths = list(token_counts(job, arguments.steps))
    useful = sum(map(sum, lengths)) / arguments.steps
    padded = sum(len(step) * max(step) for step in lengths) / arguments.steps
    print(
        f"{task}: {useful:,.0f} useful tokens a step of {arguments.batch_size} examples, "
        f"{useful / padded:.0%} of a batch padded to its longest row; a session's start-up "
        f"{statistics.median(start_up):.2f} s",
        flush=True,
    )
    needed = flops(job, arguments.steps) / arguments.steps
    rows = {}
    for name, seconds in times.items():
        median = statistics.median(seconds)
        rows[name] = {"seconds": median, "spread": max(seconds) / min(seconds)}
        print(
            f"    {name:14} {useful / median:12,.0f} tok/s   {needed / median / 1e9:9.2f} GFLOP/s"
            f"   {needed / median / arguments.rate:6.1%} of the matmul rate"
            f"   slowest/fastest {rows[name]['spread']:.2f}",
            flush=True,
        )
    return rows


def _arguments() -> argparse.Namespace:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", help="folder of the official files")
    parser.add_argument("--tasks", nargs="+", help="by default of each kind of length")
    parser.add_argument("--size", choices=SIZES, default="large" if on_gpu else "small")
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=100 if on_gpu else 12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall" if on_gpu else "cpu")
    parser.add_argument("--precision", default="bf16" if on_gpu else "fp32")
    parser.add_argument("--zero-stage", type=int, default=0)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    arguments = parser.parse_args()
    if not arguments.tasks:
        arguments.tasks = list(REAL_TASKS if arguments.data_root else MINI_TASKS)
    return arguments


def main() -> None:
    """Print the figures, the ratios last."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    init_process(0, 1, "127.0.0.1", free_port())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    arguments.rate = matmul_rate(device, arguments.precision, CLOCKS[arguments.clock])
    print(
        f"{where}, {arguments.threads} thread(s), {arguments.precision}, ZeRO "
        f"{arguments.zero_stage}, XLM-R {arguments.size}, {arguments.steps} steps, "
        f"{arguments.repeats} repeats, {arguments.clock} clock; matmul "
        f"{arguments.rate / 1e9:,.0f} GFLOP/s"
    )
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(arguments, arguments.tasks, Path(folder) / "model")
        for task in arguments.tasks:
            rows = measure(task, model, arguments, folder)
            ratios[task] = {
                peer: rows[peer]["seconds"] / rows["taskorder"]["seconds"]
                for peer in arguments.peers
            }
    print(f"\n{'taskorder is so many times as fast as':38}" + "".join(f"{p:>15}" for p in PEERS))
    for task, row in ratios.items():
        print(f"{task:38}" + "".join(f"{row.get(peer, float('nan')):15.2f}" for peer in PEERS))


if __name__ == "__main__":
    main()
