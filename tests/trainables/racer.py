"""A process that makes a set of features at a word, beside others, or dies on the way.

Run as ``python -m tests.trainables.racer FOLDER FATE``. It imports no more than the cache does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from trainables.arrow_features import ArrowFeatures
from trainables.feature_cache import FeatureCache
from trainables.feature_files import FeatureWriter, pack
from trainables.formats.base import Feature

KEY = "0123abcd"


def number(value: int, rows=((1, 2),), units=1) -> Feature:
    return Feature(rows, value, value, units)


def writes(features, *, skipped=None, chunk=7):
    """Return a function that writes features in chunks; each feature is a record of its own."""

    def make(writer: FeatureWriter) -> None:
        for start in range(0, len(features), chunk):
            part = features[start : start + chunk]
            own = [replace(feature, record=i) for i, feature in enumerate(part)]
            writer.write(pack(own, len(own), start))
        writer.finish(skipped or {})

    return make


def race(folder: Path, fate: str) -> None:
    """Make the set once there is a line to read, and print the sum of its labels.

    Args:
        folder: The cache's; ``made`` in it has a letter for each process that made the set.
        fate: ``lives``, or where the process dies: ``begun``, ``written``, ``closed``, ``renamed``.
    """
    rename = Path.replace

    def make(writer: FeatureWriter) -> None:
        with (folder / "made").open("a") as file:
            file.write("x")
        if fate == "begun":
            writer.write(pack([number(1)] * 9000, 9000, 0))
            os._exit(9)
        writes([number(i) for i in range(2000)])(writer)
        if fate == "written":
            os._exit(9)

    def die(self: Path, target: Path) -> None:
        if fate == "renamed":
            rename(self, target)
        os._exit(9)

    if fate in ("closed", "renamed"):
        Path.replace = die  # type: ignore[method-assign,assignment]
    print("ready", flush=True)
    sys.stdin.readline()
    found = ArrowFeatures([FeatureCache(folder).find_or_make(KEY, make)])
    print(sum(feature.label for feature in found))


if __name__ == "__main__":
    race(Path(sys.argv[1]), sys.argv[2])
