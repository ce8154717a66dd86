"""What the stage store costs beside plain safetensors files, in one run on one disk.

    python benchmarks/store.py [--folder DIR] [--share 0.125] [--rounds 5]

The large entry has the shapes of XLM-R Large's encoder (560 million parameters), its width scaled
so that ``share`` of the bytes remain. Each round does everything once, in turn, and medians are
printed. *Durable* means that the file is synced to disk, which the store always does and a plain
save does not. The plain load copies the tensors out of the file's map: a map alone reads nothing.
Loads find the file in the operating system's cache, so they show what the checksum costs at the
worst; from a slower disk the ratio is nearer to one. The store of many entries is read once without
an index, which leaves one; then it is opened with it. ``--share 0`` measures that alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trainables.store import StageStore

HIDDEN, LAYERS, VOCABULARY, POSITIONS = 1024, 24, 250_002, 514


def encoder(share: float) -> dict[str, torch.Tensor]:
    """Return random tensors with the shapes of XLM-R Large, narrower.

    Args:
        share: Share of its bytes.
    """
    width = max(8, round(HIDDEN * share**0.5 / 8) * 8)
    vocabulary = round(VOCABULARY * share**0.5)
    shapes = {"embeddings.word": (vocabulary, width), "embeddings.position": (POSITIONS, width)}
    for layer in range(LAYERS):
        for name in ("query", "key", "value", "output"):
            shapes[f"layer.{layer}.{name}.weight"] = (width, width)
        shapes[f"layer.{layer}.up.weight"] = (4 * width, width)
        shapes[f"layer.{layer}.down.weight"] = (width, 4 * width)
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def seconds(act: Callable[[], Any]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def wall_and_cpu(act: Callable[[], Any]) -> tuple[float, float]:
    """Return how long something takes, and how much of it this process computes."""
    cpu = time.process_time()
    return seconds(act), time.process_time() - cpu


def sync(path: Path) -> None:
    """Write a file's content to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def large(folder: Path, tensors: dict[str, torch.Tensor], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way to write and read a large entry."""
    store = StageStore(str(folder / "store"))
    plain, copied = folder / "plain.safetensors", folder / "copied.safetensors"

    def save_durably() -> None:
        save_file(tensors, plain)
        sync(plain)

    def copy_durably() -> None:
        shutil.copyfile(plain, copied)
        sync(copied)

    def load() -> None:
        entry = store.get("stages", key)
        assert entry is not None
        store.load(entry)

    def checksum() -> None:
        with plain.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    found: dict[str, list[float]] = {}
    for number in range(rounds):
        key = f"{number:04}"
        steps: dict[str, Callable[[], Any]] = {
            "plain save": lambda: save_file(tensors, plain),
            "plain save, durable": save_durably,
            "store put": lambda key=key: store.put("stages", key, tensors, {}),  # type: ignore[misc]
            "sha256 alone": checksum,
            "plain load": lambda: {n: t.clone() for n, t in load_file(plain).items()},
            "store load": load,
            "plain copy, durable": copy_durably,
        }
        for name, step in steps.items():
            if name.startswith("plain save"):
                plain.unlink(missing_ok=True)
            copied.unlink(missing_ok=True)
            found.setdefault(name, []).append(seconds(step))
        store.drop("stages", key)
    return {name: statistics.median(times) for name, times in found.items()}


def small(folder: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each operation on an entry of a few bytes."""
    store = StageStore(str(folder / "small"))
    tensors = {"x": torch.zeros(8)}
    plain = folder / "small.safetensors"
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        key = f"{number:06}"
        steps: dict[str, Callable[[], Any]] = {
            "plain save": lambda: save_file(tensors, plain),
            "plain load": lambda: load_file(plain),
            "miss": lambda key=key: store.get("stages", key),  # type: ignore[misc]
            "put": lambda key=key: store.put("stages", key, tensors, {}),  # type: ignore[misc]
            "hit": lambda key=key: store.get("stages", key),  # type: ignore[misc]
            "load": lambda key=key: store.load(store.get("stages", key)),  # type: ignore[misc, arg-type]
            "lease and release": lambda key=key: store.leases.release(  # type: ignore[misc]
                store.leases.acquire("stages", key)  # type: ignore[arg-type]
            ),
        }
        for name, step in steps.items():
            found.setdefault(name, []).append(seconds(step))
    return {name: statistics.median(times) for name, times in found.items()}


def many(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Return the seconds, and those of the CPU, that a store of many entries takes.

    Args:
        folder: Where the store is made.
        count: Its entries.
    """
    store = StageStore(str(folder / "many"))
    made = store.put("stages", "0000", {"x": torch.zeros(8)}, {"wall_s": 1.0, "parent": "base"})
    meta = store.files.read("stages/00/0000/meta.json")
    data = store.files.read(made.data_name)
    for number in range(1, count):
        key = f"{number % 256:02x}{number:08}"
        place = Path(store.files.where(f"stages/{key[:2]}/{key}"))
        place.mkdir(parents=True)
        (place / made.data).write_bytes(data)
        (place / "meta.json").write_bytes(meta.replace(b'"0000"', f'"{key}"'.encode()))
    opened, read = StageStore(store.url), StageStore(store.url)
    found = {
        "find one entry": wall_and_cpu(lambda: StageStore(store.url).get("stages", "0000")),
        "read every entry": wall_and_cpu(read.entries),
        "open with the index": wall_and_cpu(opened.size_bytes),
        "size again": wall_and_cpu(opened.size_bytes),
        "list every file": wall_and_cpu(opened.entries),
    }
    limit = opened.size_bytes() - 1
    return found | {"eviction round": wall_and_cpu(lambda: opened.evict(limit))}


def print_one(folder: Path, share: float, rounds: int) -> None:
    """Print what one entry costs, a large one and a small one."""
    tensors = encoder(share)
    megabytes = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
    print(f"One entry of {megabytes:.0f} MB, median of {rounds}:")
    times = large(folder, tensors, rounds)
    for label, time_s in times.items():
        print(f"  {label:22} {time_s * 1e3:8.0f} ms {megabytes / time_s:8.0f} MB/s")
    print(f"  put / durable save  {times['store put'] / times['plain save, durable']:.2f}")
    print(f"  put / durable copy  {times['store put'] / times['plain copy, durable']:.2f}")
    print(f"  load / plain load   {times['store load'] / times['plain load']:.2f}")
    print("One entry of 32 bytes, median of 200:")
    for label, time_s in small(folder, 200).items():
        print(f"  {label:22} {time_s * 1e3:8.3f} ms")


def print_many(folder: Path, count: int) -> None:
    """Print what a store of many entries costs."""
    print(f"A store of {count:,} entries:")
    times = many(folder, count)
    for label, (wall_s, cpu_s) in times.items():
        print(f"  {label:22} {wall_s:8.3f} s, of the CPU {cpu_s:8.3f} s")
    opened, read = times["open with the index"], times["read every entry"]
    wall, cpu = (ours / plain for ours, plain in zip(opened, read, strict=True))
    print(f"  open / read every entry  {wall:.3f}, of the CPU {cpu:.3f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--share", type=float, default=0.125, help="of the bytes of XLM-R Large")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entries", type=int, default=100_000, help="of the large store")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        if arguments.share:
            print_one(Path(name), arguments.share, arguments.rounds)
        if arguments.entries:
            print_many(Path(name), arguments.entries)


if __name__ == "__main__":
    main()
