"""A run of several models: statistics are those of the first, and the report says so."""

from __future__ import annotations

from typing import Any

import pytest

from analysis import load_run
from analysis.incumbents import incumbent_curve
from analysis.report import report_text
from analysis.statistics import cost_summary, leaderboard
from tests.analysis.runs import STUDY, write_run


def trials(model: str, sequence: str, scores: list[float]) -> list[dict[str, Any]]:
    about = {"model": model, "sequence": sequence, "phase": "arm", "arm": sequence or "none"}
    return [{**about, "seed": seed, "score": score} for seed, score in enumerate(scores)]


@pytest.fixture
def run(tmp_path):
    # The table's first trial is the large model's; the study's order counts.
    rows = [
        *trials("large", "", [70, 72]),
        *trials("large", "a", [80, 82]),
        *trials("base", "", [50, 52]),
        *trials("base", "a", [55, 57]),
    ]
    models = {"base": {"name": "mini"}, "large": {"name": "mini"}}
    folder = tmp_path / "run"
    write_run(folder, {**STUDY, "models": models}, trials=rows)
    return load_run(folder)


def test_scores_of_two_models_are_not_averaged(run):
    board = leaderboard(run, "tags").set_index("sequence")
    assert board["score"].to_dict() == {"": 51.0, "a": 56.0}
    assert board.loc["a", "gain"] == 5.0
    assert incumbent_curve(run)["score"].max() == 57.0


def test_costs_are_of_all_models_and_arms_have_a_row(run):
    cost = cost_summary(run)
    assert cost.loc["arm", "num_trials"] == cost.loc["all", "num_trials"] == 8


def test_the_report_says_whose_figures_it_has(run):
    text = " ".join(report_text(run).split())
    assert "several models (large, base). Scores and gains are those of base" in text
