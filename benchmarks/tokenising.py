"""Pairs of sentences tokenised a second, and the memory it takes, beside ``datasets.map``.

    python benchmarks/tokenising.py [--pairs N] [--processes N] [--repeats N]

A training set in MultiNLI's JSON Lines, with lengths like MultiNLI's, is made from a vocabulary of
invented words, and a Unigram tokenizer from its first sentences. Then each side turns the file into
features on disk, in a process of its own: taskorder reads it with the task's own reader into its
cache, and ``datasets`` with ``load_dataset("json")`` and a batched ``map`` that calls the same fast
tokenizer, in as many processes. The sides take turns, and medians over the repeats are compared.
Time runs from opening the file until the features can be read, the start of processes included,
imports not. A tenth of the pairs is done first, so that memory can be compared between the sizes.

Memory is the highest proportional set size (PSS) of the process and its descendants together:
pages that several of them share count once. CPU seconds are those of all of them, imports included;
other work on the machine disturbs them less than the clock. Both are read from /proc, four times a
second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TASK = "mnli"
FILE = "multinli_1.0/multinli_1.0_train.jsonl"
LABELS = ("entailment", "neutral", "contradiction")
NUM_WORDS, VOCAB_SIZE, TOKENIZER_SENTENCES = 40_000, 16_000, 40_000
#: Words of the two sentences: medians, and the spread of their logarithm.
MEDIAN_WORDS, SPREAD, LONGEST = (18, 9), 0.5, 150
BLOCK = 20_000
SAMPLE_S = 0.25
#: Examples whose tokens are counted, to see that both sides have the same.
SEEN = 1000


def words(rng: np.random.Generator) -> list[str]:
    """Return distinct words of one to four syllables, short ones first."""
    onsets = ["", *"bcdfghlmnprst", "st", "tr", "pl", "sh", "th"]
    codas = ["", *"nrstl", "ng", "rd", "ck"]
    syllables = [a + b + c for a in onsets for b in "aeiou" for c in codas]
    found: dict[str, None] = {}
    while len(found) < NUM_WORDS:
        parts = rng.integers(0, len(syllables), 1 + min(3, int(rng.geometric(0.5))))
        found.setdefault("".join(syllables[part] for part in parts))
    return sorted(found, key=len)


def sentences(
    vocabulary: list[str], count: int, median: int, rng: np.random.Generator
) -> list[str]:
    """Return sentences whose words are as unevenly frequent as real ones (Zipf's law)."""
    shares = 1 / np.arange(1, len(vocabulary) + 1)
    lengths = np.clip(rng.lognormal(np.log(median), SPREAD, count).astype(int), 1, LONGEST)
    chosen = rng.choice(len(vocabulary), lengths.sum(), p=shares / shares.sum())
    ends = np.cumsum(lengths)
    return [
        " ".join(vocabulary[word] for word in chosen[end - length : end]).capitalize() + "."
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]


def pairs(vocabulary: list[str], count: int) -> Iterator[tuple[str, str]]:
    """Yield pairs of sentences, the same ones every time."""
    for start in range(0, count, BLOCK):
        rng = np.random.default_rng([1, start])
        sides = (sentences(vocabulary, BLOCK, median, rng) for median in MEDIAN_WORDS)
        yield from list(zip(*sides, strict=True))[: count - start]


def write(path: Path, vocabulary: list[str], count: int) -> None:
    """Write a training set as MultiNLI's release has it, less the parse trees."""
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        for i, (text, pair) in enumerate(pairs(vocabulary, count)):
            record = {
                "gold_label": LABELS[i % len(LABELS)],
                "pairID": str(i),
                "sentence1": text,
                "sentence2": pair,
            }
            file.write(json.dumps(record) + "\n")


def make_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    """Train the tokenizer that both sides use."""
    from trainables.pretraining import train_tokenizer  # noqa: PLC0415

    texts = [text for pair in pairs(vocabulary, TOKENIZER_SENTENCES // 2) for text in pair]
    train_tokenizer(texts, VOCAB_SIZE).save_pretrained(folder)


def ours(root: Path, tokenizer_dir: Path, num_processes: int) -> dict[str, float]:
    """Tokenise with taskorder."""
    from spaces.stages import Stream  # noqa: PLC0415
    from spaces.study import TrainingSection  # noqa: PLC0415
    from spaces.tasks import load_catalogue  # noqa: PLC0415
    from trainables.inputs import TaskInputs  # noqa: PLC0415
    from trainables.pretrained import load_tokenizer  # noqa: PLC0415
    from trainables.tokenising import Tokenising  # noqa: PLC0415

    tokenizer = load_tokenizer(str(tokenizer_dir))
    catalogue = load_catalogue()
    with tempfile.TemporaryDirectory(dir=root) as cache:

        def features() -> Any:
            inputs = TaskInputs(catalogue, TrainingSection(), root, tokenizer, Path(cache))
            with Tokenising(tokenizer, num_processes=num_processes) as tokenising:
                return inputs.train_features(Stream(TASK), tokenising)

        started = time.perf_counter()
        found = features()
        made_s = time.perf_counter() - started
        started = time.perf_counter()
        features()
        again_s = time.perf_counter() - started
        lengths = [len(found[i].rows[0]) for i in range(min(SEEN, len(found)))]
        return _figures(made_s, again_s, len(found), lengths)


def theirs(root: Path, tokenizer_dir: Path, num_processes: int) -> dict[str, float]:
    """Tokenise with ``datasets``."""
    import datasets  # noqa: PLC0415

    from spaces.tasks import load_catalogue  # noqa: PLC0415
    from trainables.pretrained import load_tokenizer  # noqa: PLC0415

    tokenizer = load_tokenizer(str(tokenizer_dir))
    max_length = load_catalogue()[TASK].max_length
    index = {label: i for i, label in enumerate(LABELS)}
    datasets.disable_progress_bars()

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        encoded = tokenizer(
            batch["sentence1"], batch["sentence2"], truncation=True, max_length=max_length
        )
        return {**encoded, "label": [index[label] for label in batch["gold_label"]]}

    with tempfile.TemporaryDirectory(dir=root) as cache:

        def features() -> Any:
            rows = datasets.load_dataset(
                "json", data_files=str(root / FILE), split="train", cache_dir=cache
            )
            columns = rows.column_names
            return rows.map(encode, batched=True, num_proc=num_processes, remove_columns=columns)

        started = time.perf_counter()
        found = features()
        made_s = time.perf_counter() - started
        started = time.perf_counter()
        features()
        again_s = time.perf_counter() - started
        lengths = [len(row) for row in found[:SEEN]["input_ids"]]
        return _figures(made_s, again_s, len(found), lengths)


def _figures(made_s: float, again_s: float, count: int, lengths: list[int]) -> dict[str, float]:
    tokens = sum(lengths) / len(lengths)
    return {"seconds": made_s, "again": again_s, "count": count, "tokens": tokens}


SIDES = {"taskorder": ours, "datasets": theirs}


def descendants(pid: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [one for child in task.read_text().split() for one in descendants(int(child))]
    return found


def proportional_set_size(pid: int) -> int:
    """Return a process's memory in bytes, its part alone of pages that several share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watcher(threading.Thread):
    """Samples a process and its descendants until it is told to stop.

    Args:
        pid: The process.

    Attributes:
        peak: Bytes they had together, at most.
        cpu: CPU seconds by process.
    """

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid
        self._done = threading.Event()
        self.peak = 0
        self.cpu: dict[int, float] = {}

    def run(self) -> None:
        """Sample."""
        while not self._done.wait(SAMPLE_S):
            try:
                together = descendants(self._pid)
                self.peak = max(self.peak, sum(proportional_set_size(pid) for pid in together))
                self.cpu |= {pid: cpu_seconds(pid) for pid in together}
            except OSError:
                continue  # One of them has just ended.

    def stop(self) -> None:
        """Stop."""
        self._done.set()
        self.join()


def measure(side: str, root: Path, tokenizer_dir: Path, num_processes: int) -> dict[str, float]:
    """Run one side in a process of its own, and watch it."""
    command = [sys.executable, __file__, "--side", side, "--processes", str(num_processes)]
    with subprocess.Popen(
        [*command, "--root", str(root), "--tokenizer", str(tokenizer_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"},
    ) as process:
        watcher = Watcher(process.pid)
        watcher.start()
        output, _ = process.communicate()
        watcher.stop()
    if process.returncode:
        raise SystemExit(f"{side} failed")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return {**result, "cpu": sum(watcher.cpu.values()), "peak": watcher.peak}


def compare(count: int, vocabulary: list[str], tokenizer_dir: Path, options: Any) -> None:
    """Print what each side takes for a set of ``count`` pairs."""
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / FILE, vocabulary, count)
        size_mb = (root / FILE).stat().st_size / 1e6
        for turn in range(options.repeats):
            # Whoever is first has the file read for the first time.
            for side in sorted(SIDES, reverse=turn % 2 == 0):
                runs[side].append(measure(side, root, tokenizer_dir, options.processes))
    found = {
        side: {key: statistics.median(run[key] for run in many) for key in many[0]}
        for side, many in runs.items()
    }
    mine, other = found["taskorder"], found["datasets"]
    assert mine["count"] == other["count"] == count
    assert mine["tokens"] == other["tokens"]
    print(f"\n{count:,} pairs, {size_mb:,.0f} MB, {mine['tokens']:.1f} tokens a pair")
    print(f"{'':10} {'pairs/s':>10} {'seconds':>9} {'CPU s':>8} {'again s':>8} {'peak PSS MB':>12}")
    for side, figures in found.items():
        print(
            f"{side:10} {count / figures['seconds']:10,.0f} {figures['seconds']:9.1f} "
            f"{figures['cpu']:8.1f} {figures['again']:8.2f} {figures['peak'] / 1e6:12,.0f}"
        )
    print(
        f"taskorder: {other['seconds'] / mine['seconds']:.2f} times the speed of datasets.map, "
        f"{other['cpu'] / mine['cpu']:.2f} times a CPU second",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tokenizer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side = SIDES[arguments.side]
        print(json.dumps(side(arguments.root, arguments.tokenizer, arguments.processes)))
        return
    vocabulary = words(np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        make_tokenizer(Path(folder), vocabulary)
        print(f"{arguments.processes} processes, a vocabulary of {VOCAB_SIZE:,} subwords")
        for count in (arguments.pairs // 10, arguments.pairs):
            compare(count, vocabulary, Path(folder), arguments)


if __name__ == "__main__":
    main()
