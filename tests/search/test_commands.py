"""The commands that train nothing: similarity and simulate, on the built-in suite."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis import load_run

TABLE = Path(__file__).parents[2] / "benchmarks" / "data" / "mini_table.csv"

pytestmark = [pytest.mark.timeout(300)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_simulate_writes_a_run_that_the_analysis_reads(tmp_path):
    folder = tmp_path / "run"
    accidents = (
        "--orchestration-s", "2", "--failures-per-hour", "20", "--preemptions-per-hour", "20",
        "--preemption-s", "60",
    )  # fmt: skip
    done = run(
        "simulate", "mini", "--table", TABLE, "--workers", "3", "--run-dir", folder, *accidents
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    assert figures["failures"] > 0
    assert figures["preemptions"] > 0
    assert "simulated on 3 workers, virtual time" in done.stdout
    trials = load_run(folder).trials
    assert set(trials.state) <= {"complete", "pruned", "failed"}
    assert len(trials) > 40


def test_simulate_refuses_what_the_table_cannot_answer(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(TABLE.read_text("utf-8").replace("mini_pos", "mini_ner"), "utf-8")
    done = run("simulate", "mini", "--table", table, "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert "mini_pos" in done.stderr
    assert not (tmp_path / "run").exists()


def test_similarity_is_written_and_guides_a_search(tmp_path):
    done = run(
        "similarity", "mini", "--measures", "vocabulary_overlap", "--examples", "64",
        "--table", TABLE, "--out", tmp_path, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    values = pd.read_parquet(tmp_path / "similarity.parquet")
    assert set(values.kind) == {"source_target", "source_source"}
    guided = run(
        "simulate", "mini", "--table", TABLE, "--set", "search.num_trials=12",
        "--set", f"search.similarity={tmp_path / 'similarity.parquet'}",
    )  # fmt: skip
    assert guided.returncode == 0, guided.stderr


def test_similarity_refuses_unknown_measures():
    done = run("similarity", "mini", "--measures", "vocabulary_overlapp")
    assert done.returncode == 2
    assert "vocabulary_overlap" in done.stderr
