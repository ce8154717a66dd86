"""docs/examples: each script runs on a small simulated run and prints what the frames say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis import compare_best, cost_summary, load_run, transfer_matrix
from tests.analysis.synthetic import write_synthetic_run

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted((DOCS / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = write_synthetic_run(tmp_path_factory.mktemp("examples") / "run")
    gains = transfer_matrix(load_run(folder))
    similar = gains.rename(columns={"task": "source", "gain": "value"})
    similar = similar.assign(kind="source_target", measure="oracle")
    similar.to_csv(folder.parent / "similarity.csv", index=False)
    return folder


def answer(script, run_dir, tmp_path, monkeypatch, capsys):
    """Run a script as a user does; return what it printed and wrote."""
    monkeypatch.chdir(tmp_path)
    more = [str(run_dir.parent / "similarity.csv")] if "similarity" in script.stem else []
    monkeypatch.setattr(sys, "argv", [str(script), str(run_dir), *more])
    with pd.option_context("display.width", 160, "display.max_columns", 20):
        runpy.run_path(str(script), run_name="__main__")
    return capsys.readouterr().out, sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_answers(script, run_dir, tmp_path, monkeypatch, capsys):
    printed, written = answer(script, run_dir, tmp_path, monkeypatch, capsys)
    assert printed.count("\n") > 8
    assert "Empty DataFrame" not in printed
    assert bool(written) == ("plots" in script.read_text(encoding="utf-8"))
    for name in written:
        assert (tmp_path / name).read_bytes().startswith(b"%PDF")
        assert f"wrote {name}" in printed


def test_the_answers_are_those_of_the_frames(run_dir, tmp_path, monkeypatch, capsys):
    run = load_run(run_dir)
    printed, _ = answer(DOCS / "examples/best_order.py", run_dir, tmp_path, monkeypatch, capsys)
    compared = compare_best(run)
    assert printed.count("not decided") == (compared["verdict"] == "not decided").sum()
    printed, _ = answer(DOCS / "examples/search_cost.py", run_dir, tmp_path, monkeypatch, capsys)
    assert str(cost_summary(run).loc["all", "steps_trained"]) in printed
    name = DOCS / "examples/similarity_predicts.py"
    printed, _ = answer(name, run_dir, tmp_path, monkeypatch, capsys)
    (row,) = [line for line in printed.splitlines() if line.startswith("oracle")][:1]
    assert row.split()[1:] == ["1.00", "0.00", "1.0"] or "1.0" in row


def test_every_example_is_on_the_page():
    page = (DOCS / "analysis.md").read_text(encoding="utf-8")
    assert len(SCRIPTS) >= 5
    for script in SCRIPTS:
        assert f"examples/{script.name}" in page
