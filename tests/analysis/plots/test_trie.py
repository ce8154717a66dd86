from __future__ import annotations

import itertools
import math

import pytest

from analysis import load_run, plots
from analysis.plots.drawing import Labels, Lines, Points
from analysis.plots.nodes import trie_nodes
from analysis.statistics import leaderboard
from tests.analysis.runs import STUDY, write_run


@pytest.fixture
def run(tmp_path):
    trials = [
        {"sequence": "", "seed": seed, "score": 50.0 + seed, "phase": "baseline"} for seed in (0, 1)
    ]
    trials += [
        {"sequence": "a", "seed": 0, "score": 52.0},
        {"sequence": "b>a", "seed": 0, "score": 58.0},
        {"sequence": "b>c", "seed": 1, "score": 40.0, "state": "pruned", "rung": 0},
        {"sequence": "c", "seed": 0, "state": "failed", "rung": -1},
    ]
    rungs = [
        {"trial_id": trial, "rung": rung, "score": score}
        for trial, rung, score in (
            *((0, 0, 30.0), (0, 1, 40.0), (0, 2, 50.0)),
            *((1, 0, 36.0), (1, 1, 40.0), (1, 2, 51.0)),
            *((2, 2, 52.0), (3, 2, 58.0), (4, 0, 40.0)),
        )
    ]
    stages = [
        {"fingerprint": "1", "sequence": "a", "times_reused": 1},
        {"fingerprint": "2", "sequence": "b", "times_reused": 3},
        {"fingerprint": "3", "sequence": "b", "times_reused": 1, "times_trained": 2},
    ]
    return load_run(write_run(tmp_path / "run", trials=trials, rungs=rungs, stages=stages))


def test_nodes_are_all_prefixes_with_score_state_and_reuse(run):
    nodes = trie_nodes(run, "tags").set_index("sequence")
    assert list(nodes.index) == ["", "a", "b", "b>a", "b>c", "c"]
    assert nodes["parent"].to_dict()["b>c"] == "b"
    assert nodes["state"].to_dict() == {
        "": "complete", "a": "complete", "b": "passed", "b>a": "complete", "b>c": "pruned",
        "c": "failed",
    }  # fmt: skip
    assert nodes["times_reused"].to_dict()["b"] == 4
    board = leaderboard(run).set_index("sequence")
    assert nodes.loc["b>a", ["score", "gain", "rank"]].tolist() == [58, 8, 1]
    assert nodes.loc["a", "gain"] == board.loc["a", "gain"]
    # Pruned at rung 0 under seed 1, where no intermediate task had 36.
    assert nodes.loc["b>c", ["score", "gain", "rung", "rank"]].tolist() == [40, 4, 0, 0]
    assert math.isnan(nodes.loc["b", "score"])


def test_the_best_path_is_marked_and_on_top(run):
    picture = plots.trie(run)
    (best,) = [m for m in picture.marks if isinstance(m, Lines) and m.name == "best sequence"]
    assert [path[-1] for path in best.paths] == [(1.0, 0.0), (2.0, 0.0)]
    names = next(m for m in picture.marks if isinstance(m, Labels))
    bold = {text for text, is_bold in zip(names.texts, names.bold, strict=True) if is_bold}
    assert bold == {"none 50.5", "b", "a +8.0"}


def test_hollow_means_pruned_and_a_diamond_failed(run):
    points = [m for m in plots.trie(run).marks if isinstance(m, Points) and m.hints]
    hollow = [
        hint
        for mark in points
        for hint, is_hollow in zip(mark.hints, mark.hollow, strict=True)
        if is_hollow and mark.shape == "circle"
    ]
    assert hollow == ["b > c: pruned, score 40.0, gain +4.0, reused 0 times"]
    (diamond,) = [mark for mark in points if mark.shape == "diamond"]
    assert diamond.hints == ["c: failed, reused 0 times"]


@pytest.mark.parametrize("max_nodes", [1, 7, 40, 600])
def test_any_number_of_nodes_is_cut_to_those_on_the_way_to_the_best(tmp_path, max_nodes):
    names = [
        ">".join(chosen)
        for length in range(5)
        for chosen in itertools.permutations("abcdef", length)
    ][:500]
    trials = [{"sequence": name, "score": 50.0 + i % 37} for i, name in enumerate(names)]
    study = {**STUDY, "targets": [{"name": "tags"}]}
    run = load_run(write_run(tmp_path / "run", study, trials=trials))
    picture = plots.trie(run, max_nodes=max_nodes)
    drawn = set(picture.data["sequence"])
    assert len(drawn) <= max_nodes
    assert all(parent in drawn for parent in picture.data["parent"])
    assert len(drawn) + picture.data["num_hidden"].sum() == len(names)
    if max_nodes >= 7:
        assert 1 in set(picture.data["rank"])
    assert ("Drawn are" in picture.caption) == (max_nodes < len(names))
    assert picture.height < 3500
    rows = [
        (x, y)
        for mark in picture.marks
        if isinstance(mark, Points) and mark.hints
        for x, y in zip(mark.x, mark.y, strict=True)
    ]
    assert len(set(rows)) == len(drawn)
