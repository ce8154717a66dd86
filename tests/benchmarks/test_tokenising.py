"""The benchmark of tokenising runs, and both of its sides come to the same tokens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tokenising import pairs, words


def test_the_pairs_are_the_same_every_time():
    vocabulary = words(np.random.default_rng(0))
    assert len(vocabulary) == len(set(vocabulary)) == 40_000
    some = list(pairs(vocabulary, 3))
    assert some == list(pairs(vocabulary, 30_000))[:3]
    assert all(text.endswith(".") and pair.endswith(".") for text, pair in some)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read in /proc")
def test_it_compares_both_sides():
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "benchmarks/tokenising.py", "--pairs", "3000", "--processes", "1"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^3,000 pairs, \d+ MB, [\d.]+ tokens a pair$", result.stdout, re.MULTILINE)
    for side in ("taskorder", "datasets"):
        assert len(re.findall(rf"^{side} +[\d,]+ +[\d.]+", result.stdout, re.MULTILINE)) == 2
