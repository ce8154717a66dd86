"""Useful tokens a second of a stage: a taskorder session beside its peers, all in one run.

    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py --data-root DATA
    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py          # the built-in tasks

The peers: a bare PyTorch loop whose batches are padded to their longest row, the same padded to the
task's fixed length, Hugging Face's Trainer with and without DeepSpeed, and DeepSpeed's own loop.
All train the same encoder and head on the same examples in batches of the same size, with AdamW,
clipping and dropout, one after the other in this process, in turn, and the medians are compared.
Useful tokens are those of the examples: padding counts for nothing. A session's speed is taken from
two stages of different lengths: what the longer one takes more is steps alone, without start-up.

``bare, compiled`` is the bare loop with a compiled encoder, without the time that compiling takes.
``--evaluate`` adds examples a second of an evaluation, beside a loop that pads batches in the
set's own order; ``--start-up`` adds the seconds from nothing to the first step, in a new process
and in one that has trained before. ``--save FILE`` keeps the ratios, and ``--check FILE`` fails if
one is worse than those kept by more than a fifth.

``--clock cpu`` (the default on a CPU) counts this process's CPU seconds, which other processes
disturb less. On a GPU the clock is the wall's, the model XLM-R Large and the precision bf16, unless
told otherwise; the share of the device's own matrix multiplication rate, measured first, is printed
as well (MFU: 6 floating-point operations a parameter and token, and attention's 12 a token, layer,
hidden unit and token of its row), and on a GPU the most memory that a stage had allocated.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from training_evaluation import measure_evaluation
from training_peers import (
    Clock,
    Job,
    bare,
    bare_compiled,
    bare_deepspeed,
    token_counts,
    trainer,
    trainer_deepspeed,
)
from training_ratios import compare_ratios, load_ratios, save_ratios
from training_start import measure_start_up
from transformers import XLMRobertaForMaskedLM

from spaces.plan import StagePlan
from spaces.sequences import Sequence
from spaces.study import Study, load_study
from trainables.data import load_records
from trainables.engine import init_process
from trainables.preparation import Preparation, prepare
from trainables.pretraining import make_config, save_model, train_tokenizer
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.steps import Layout, stage_steps

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
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
    "HF": trainer,
    "HF + DeepSpeed": trainer_deepspeed,
    "DeepSpeed": bare_deepspeed,
    "bare, compiled": bare_compiled,
}
#: Peers that are measured unless others are named: compiling takes minutes.
USUAL_PEERS = tuple(peer for peer in PEERS if peer != "bare, compiled")
#: Subwords that a tokenizer is trained to; an embedding may have more, as XLM-R's 250,002.
TRAINED_SUBWORDS = 8000
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
    tokenizer = train_tokenizer(texts, min(arguments.vocabulary, TRAINED_SUBWORDS))
    hidden, layers, heads = SIZES[arguments.size]
    torch.manual_seed(0)
    config = make_config(
        max(len(tokenizer), arguments.vocabulary if arguments.vocabulary > TRAINED_SUBWORDS else 0),
        hidden_size=hidden,
        num_layers=layers,
        num_heads=heads,
        max_tokens=512,
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
            f"training.max_train_examples={arguments.max_examples}",
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


def making_seconds(session: Session, plan: StagePlan, device: torch.device, now: Clock) -> float:
    """Return the seconds in which a step's batches are made: what a device could wait for."""
    settings = plan.settings
    layout = Layout(0, 1, device, settings.batch_size, packed=True)
    steps = stage_steps(
        session.inputs, plan.mixture, settings, layout, start=0, until=settings.steps
    )
    next(steps)  # the order of the examples is drawn for it
    started = now()
    made = sum(1 for _ in steps)
    return (now() - started) / made


def measure(task: str, model: str, arguments: argparse.Namespace, folder: str) -> dict[str, float]:
    """Return how many times as fast as each peer a session trains a task; print the figures."""
    root = Path(arguments.data_root) if arguments.data_root else None
    sessions = []
    for steps in (arguments.warm_up, arguments.warm_up + arguments.steps):
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
        zero_stage=arguments.zero_stage,
        warm_up=arguments.warm_up,
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
        start_up.append(few - arguments.warm_up * times["taskorder"][-1])
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
    making = making_seconds(long, plan, device, job.now)
    share = making / statistics.median(times["taskorder"])
    print(
        f"    making a step's batches takes {making * 1e3:.2f} ms, {share:.1%} of a step"
        + (", in a thread of its own" if device.type == "cuda" else ""),
        flush=True,
    )
    needed = flops(job, arguments.steps) / arguments.steps
    rows = {}
    for name, seconds in times.items():
        rows[name] = median = statistics.median(seconds)
        print(
            f"    {name:14} {useful / median:12,.0f} tok/s   {needed / median / 1e9:9.2f} GFLOP/s"
            f"   {needed / median / arguments.rate:6.1%} of the matmul rate"
            f"   slowest/fastest {max(seconds) / min(seconds):.2f}",
            flush=True,
        )
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        ours(long, long_plan, task, job.now)
        peak = torch.cuda.max_memory_allocated() / 2**30
        print(f"    most memory allocated by a session {peak:.1f} GiB", flush=True)
    ratios = {peer: rows[peer] / rows["taskorder"] for peer in arguments.peers}
    if arguments.evaluate:
        ratios["evaluation"] = measure_evaluation(
            job, long.inputs, arguments.eval_batch_size, arguments.repeats
        )
    if arguments.start_up:
        (few_plan,) = short_plan.planner.stages(Sequence.of(task), seed=0)
        cold, reused = measure_start_up(short, few_plan, short_plan.planner.base)
        print(f"    to the first step: new process {cold:.1f} s, reused {reused:.2f} s", flush=True)
    return ratios


def _arguments() -> argparse.Namespace:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", help="folder of the official files")
    parser.add_argument("--tasks", nargs="+", help="by default of each kind of length")
    parser.add_argument("--size", choices=SIZES, default="large" if on_gpu else "small")
    parser.add_argument("--max-examples", type=int, default=10_000, help="of a training set")
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=100 if on_gpu else 12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the clock starts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall" if on_gpu else "cpu")
    parser.add_argument("--precision", default="bf16" if on_gpu else "fp32")
    parser.add_argument("--zero-stage", type=int, default=0)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(USUAL_PEERS))
    parser.add_argument("--evaluate", action="store_true", help="measure an evaluation, too")
    parser.add_argument("--eval-batch-size", type=int, default=64)
    parser.add_argument("--start-up", action="store_true", help="measure a new process, too")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the ratios")
    parser.add_argument("--check", type=Path, metavar="FILE", help="fail if they have become worse")
    arguments = parser.parse_args()
    if not arguments.tasks:
        arguments.tasks = list(REAL_TASKS if arguments.data_root else MINI_TASKS)
    return arguments


def main() -> None:
    """Print the figures, the ratios last."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    init_process()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    arguments.rate = matmul_rate(device, arguments.precision, CLOCKS[arguments.clock])
    print(
        f"{where}, {arguments.threads} thread(s), {arguments.precision}, ZeRO "
        f"{arguments.zero_stage}, XLM-R {arguments.size}, {arguments.steps} steps, "
        f"{arguments.repeats} repeats, {arguments.clock} clock; matmul "
        f"{arguments.rate / 1e9:,.0f} GFLOP/s"
    )
    setting = f"XLM-R {arguments.size}, {arguments.precision}, ZeRO {arguments.zero_stage}, {where}"
    kept = load_ratios(arguments.check, setting) if arguments.check else None
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(arguments, arguments.tasks, Path(folder) / "model")
        for task in arguments.tasks:
            ratios[task] = measure(task, model, arguments, folder)
    peers = arguments.peers
    print(f"\n{'taskorder is so many times as fast as':38}" + "".join(f"{p:>16}" for p in peers))
    for task, row in ratios.items():
        print(f"{task:38}" + "".join(f"{row[peer]:16.2f}" for peer in peers))
    if arguments.save:
        save_ratios(arguments.save, setting, ratios)
    if kept is not None and (worse := compare_ratios(kept, ratios)):
        raise SystemExit("\n".join(worse))


if __name__ == "__main__":
    main()
