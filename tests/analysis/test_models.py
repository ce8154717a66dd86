"""A run of several models: statistics are those of the first, and the report says so."""

from __future__ import annotations

from typing import Any

import pytest

from analysis import load_run
from analysis.incumbents import incumbent_curve
from analysis.models import models_of, of_model
from analysis.page import all_pictures, render_page
from analysis.page_parts import trials_of
from analysis.plots.nodes import trie_nodes
from analysis.statistics import cost_summary, leaderboard
from spaces.errors import UnknownNameError
from tests.analysis.runs import STUDY, write_run
from tests.analysis.terminal import report_text


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
    stages = [
        {"fingerprint": "f1", "sequence": "a", "model": "base", "times_reused": 2},
        {"fingerprint": "f2", "sequence": "a", "model": "large", "times_reused": 5},
    ]
    # The giant has not begun, and not on every target.
    rows.append({"model": "giant", "target": "tags", "state": "waiting", "rung": -1})
    rows.append({"model": "base", "target": "spans", "sequence": "a", "score": 30.0})
    write_run(folder, {**STUDY, "models": models}, trials=rows, stages=stages)
    return load_run(folder)


def test_scores_of_two_models_are_not_averaged(run):
    board = leaderboard(run, "tags").set_index("sequence")
    assert board["score"].to_dict() == {"": 51.0, "a": 56.0}
    assert board.loc["a", "gain"] == 5.0
    assert incumbent_curve(run)["score"].max() == 57.0


def test_costs_are_of_all_models_and_arms_have_a_row(run):
    cost = cost_summary(run)
    assert cost.loc["arm", "num_trials"] == 8
    assert cost.loc["all", "num_trials"] == 10


def test_the_report_says_whose_figures_it_has(run):
    text = " ".join(report_text(run).split())
    assert "several models (base, large, giant). Scores and gains are those of base" in text


def test_a_run_is_told_apart_by_model(run):
    assert models_of(run) == ("base", "large", "giant")
    large = of_model(run, "large")
    assert set(large.trials["model"]) == {"large"}
    assert set(large.rungs["trial_id"]) == set(large.trials["trial_id"])
    assert large.stages["fingerprint"].tolist() == ["f2"]
    assert leaderboard(large, "tags").set_index("sequence")["gain"]["a"] == 10.0
    with pytest.raises(UnknownNameError, match="model 'larger'"):
        of_model(run, "larger")


def test_a_trie_counts_the_first_models_trials_and_checkpoints(run):
    nodes = trie_nodes(run, "tags").set_index("sequence")
    assert nodes["num_trials"].to_dict() == {"": 2, "a": 2}
    assert nodes.loc["a", "times_reused"] == 2


def test_pictures_say_whose_they_are_and_each_model_has_its_ranking(run):
    pictures = dict(all_pictures(run))
    assert {name for name in pictures if name.startswith("ranking")} == {
        "ranking-tags",
        "ranking-large-tags",
        "ranking-spans",
    }
    assert pictures["ranking-tags"].title.endswith("(base)")
    assert pictures["ranking-large-tags"].title.endswith("(large)")
    assert pictures["transfer-large"].data["gain"].tolist() == [10.0]
    assert pictures["transfer"].data["gain"].dropna().tolist() == [5.0]


def test_the_page_names_every_model_and_lists_trials_by_model(run):
    page = render_page(run)
    assert "<dt>models</dt><dd>base, large, giant</dd>" in page
    assert "Tables and pictures are of base, unless their title names another" in page
    listed = trials_of(run)
    assert listed.header[:2] == ("model", "target")
    assert {row[0] for row in listed.rows} == {"base", "large", "giant"}


def test_a_run_of_one_model_is_not_named(tmp_path):
    folder = tmp_path / "run"
    write_run(folder, STUDY, trials=[{"model": "base", "sequence": "a", "score": 1.0}])
    run = load_run(folder)
    assert of_model(run, "base") is run
    assert not any("(base)" in picture.title for _, picture in all_pictures(run))
    assert "Several models ran" not in render_page(run)
