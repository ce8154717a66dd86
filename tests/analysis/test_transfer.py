from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analysis import Run, load_run, load_runs
from analysis.breakdowns import language_breakdown
from analysis.observations import language_observations
from analysis.selection import selection_bias
from analysis.statistics import leaderboard
from analysis.transfer import language_transfer, transfer_matrix
from spaces.errors import UnknownNameError
from tests.analysis.landscapes import coverage, draw
from tests.analysis.runs import STUDY, frame, write_run

#: Points that a language adds to the gain of `a`.
SHIFT = {"fi": 4.0, "hu": 6.0, "de": 0.0, "fr": 1.0, "en": 30.0, "xx": 0.5}


def run_rows(num_seeds=3, noise=None):
    """Return trials and scores: dev is selected on, test is not; the search used seed 0."""
    noise = noise or (lambda: 0.0)
    trials, scores = [], []
    for name, gain in (("", 0.0), ("a", 5.0), ("b", -1.0)):
        for seed in range(num_seeds):
            phase = "baseline" if seed == 0 else "confirm"
            lucky = 2.0 if (name, seed) == ("a", 0) else 0.0
            score = 50 + seed + gain + lucky
            number = len(trials)
            trials.append(
                {"trial_id": number, "sequence": name, "seed": seed, "score": score, "phase": phase}
            )
            scores += [
                {
                    "trial_id": number,
                    "language": language,
                    "split": split,
                    "selected_on": split == "dev" and language != "en",
                    "metric": metric,
                    "value": 40 + seed + gain + shift * (name == "a") + side + noise(),
                    "headline": metric != "other",
                }
                for language, shift in SHIFT.items()
                for split in ("dev", "test")
                for metric, side in (("em", -1.0), ("f1", 1.0), ("other", 99.0))
            ]
    return {"trials": trials, "scores": scores}


@pytest.fixture
def run(tmp_path):
    return load_run(write_run(tmp_path / "run", **run_rows()))


def test_the_gain_of_each_task_by_seed():
    scores = draw(np.random.default_rng(0), {"": 50, "a": 55, "b": 49, "a>b": 60, "a+b": 61}, 3)
    found = transfer_matrix(scores)
    assert found["task"].tolist() == ["a", "b"]
    board = leaderboard(scores).set_index("sequence")
    for row in found.to_dict("records"):
        assert row["gain"] == pytest.approx(board.loc[row["task"], "gain"])
        assert row["gain_low"] == pytest.approx(board.loc[row["task"], "gain_low"])
        assert row["score"] - row["score_none"] == pytest.approx(row["gain"])
    assert (found["p_holm"] >= found["p"]).all()
    with pytest.raises(UnknownNameError):
        transfer_matrix(scores, "tagz")


def test_without_the_empty_sequence_or_a_common_seed_there_is_no_gain():
    assert transfer_matrix(draw(np.random.default_rng(0), {"a": 55, "b": 49}, 3)).empty
    scores = draw(np.random.default_rng(0), {"": 50, "a": 55}, 2)
    apart = scores[(scores["sequence"] == "") == (scores["seed"] == 0)]
    assert transfer_matrix(apart).empty
    once = transfer_matrix(draw(np.random.default_rng(0), {"": 50, "a": 55}, 1))
    assert math.isnan(once["gain_low"].iloc[0])


def test_the_average_over_targets():
    rng = np.random.default_rng(0)
    one, two = draw(rng, {"": 50, "a": 54}, 2), draw(rng, {"": 50, "a": 58}, 2, target="spans")
    import pandas as pd  # noqa: PLC0415

    found = transfer_matrix(pd.concat([one, two]), average=True).set_index("target")["gain"]
    assert list(found.index) == ["average", "spans", "tags"]
    assert found["average"] == pytest.approx((found["spans"] + found["tags"]) / 2)


def test_gains_by_language_are_of_the_headline_metrics(run):
    found = language_transfer(run).set_index(["language", "split", "task"])
    assert found.loc[("fi", "test", "a"), "gain"] == pytest.approx(9)
    assert found.loc[("fi", "test", "a"), "score"] == pytest.approx(40 + 1 + 9)
    assert found.loc[("de", "dev", "b"), "gain"] == pytest.approx(-1)
    assert found.loc[("de", "dev", "b"), "selected_on"]
    assert not found.loc[("en", "dev", "b"), "selected_on"]
    assert len(found) == 6 * 2 * 2


def test_several_runs_are_told_apart(tmp_path):
    write_run(tmp_path / "x", **run_rows())
    write_run(tmp_path / "y", **run_rows(2))
    runs = load_runs({"x": tmp_path / "x", "y": tmp_path / "y"})
    found = language_transfer(runs).groupby("run")["num_pairs"].max()
    assert found.to_dict() == {"x": 3, "y": 2}
    assert len(language_breakdown(runs)["run"].unique()) == 2
    assert len(selection_bias(runs)["run"].unique()) == 2
    assert set(language_observations(runs)["run"]) == {"x", "y"}


def test_groups_of_languages(run):
    found = language_breakdown(run, "morphology")
    assert set(found["sequence"]) == {"a"}
    test = found[~found["selected_on"]].set_index("group")
    assert test.loc["agglutinative", "gain"] == pytest.approx(5 + (4 + 6) / 2)
    assert test.loc["fusional", "gain"] == pytest.approx(5 + (0 + 1) / 2)
    assert test.loc["unknown", "gain"] == pytest.approx(5.5)
    assert test["num_languages"].to_dict() == {"agglutinative": 2, "fusional": 2, "unknown": 1}
    rest = test.loc["agglutinative"]
    assert rest["rest"] == pytest.approx(5 - (0 + 1 + 0.5) / 3)
    assert rest["rest_low"] < rest["rest"] < rest["rest_high"]
    assert math.isnan(test.loc["unknown", "rest_low"])
    families = language_breakdown(run, "family", sequences=["b"], exclude=())
    assert set(families["sequence"]) == {"b"}
    assert families["gain"].to_numpy() == pytest.approx(-1)


def test_what_picking_flattered(run):
    (row,) = selection_bias(run)[lambda f: f["sequence"] == "a"].to_dict("records")
    assert row["gain_selected"] == pytest.approx(7)
    assert row["gain_fresh"] == pytest.approx(5)
    assert row["optimism"] == pytest.approx(2)
    # Test sets in all languages but English.
    assert row["gain_held_out"] == pytest.approx(5 + (4 + 6 + 0 + 1 + 0.5) / 5)
    assert (row["num_selected"], row["num_fresh"]) == (1, 2)


def test_what_was_not_confirmed_is_not_judged(tmp_path):
    rows = run_rows(1)
    assert selection_bias(load_run(write_run(tmp_path / "run", **rows))).empty
    trials = frame("trials", run_rows()["trials"])
    only_dev = [row for row in run_rows()["scores"] if row["selected_on"]]
    run = load_run(write_run(tmp_path / "dev", trials=trials.to_dict("records"), scores=only_dev))
    assert selection_bias(run)["gain_held_out"].isna().all()


@pytest.mark.slow
def test_gains_of_groups_cover_the_truth():
    from analysis.intervals import Noise, estimate_crossed  # noqa: PLC0415

    rng = np.random.default_rng(4)
    intervals = []
    for _ in range(300):
        # Ten other sequences tell the noise of a seed; three languages, two seeds.
        pooled = Noise(float(np.sqrt(rng.chisquare(10) / 10) * np.sqrt(1 + 0.25 / 3)), 10)
        rows, columns = rng.normal(0, 1, (3, 1)), rng.normal(0, 1, (1, 2))
        values = rows + columns + rng.normal(0, 0.5, (3, 2))
        found = estimate_crossed(values, 0.9, pooled)
        intervals.append((found.low, found.high))
    assert 0.85 <= coverage(intervals, 0.0) <= 0.96


@pytest.mark.slow
def test_gains_on_fresh_seeds_cover_the_truth_of_what_was_picked():
    """Nothing helps; the two of eight that look best are confirmed, and flattered by 1 to 2."""
    rng = np.random.default_rng(7)
    names, noise = ["", *"abcdefgh"], 1.0
    intervals, optimism = [], []
    for _ in range(80):
        luck = rng.normal(0, 2.0, 4)
        first = rng.normal(0, noise, len(names)) + luck[0]
        picked = [names[1 + i] for i in np.argsort(-first[1:])[:2]]
        rows = [
            {"sequence": name, "score": score, "phase": "search" if name else "baseline"}
            for name, score in zip(names, first, strict=True)
        ]
        rows += [
            {"sequence": name, "seed": seed, "phase": "confirm"}
            | {"score": rng.normal(0, noise) + luck[seed]}
            for seed in (1, 2, 3)
            for name in ("", *picked)
        ]
        tables = {table: frame(table, ()) for table in ("scores", "stages", "rungs")}
        run = Run(Path("run"), STUDY, frame("trials", rows), **tables)
        found = selection_bias(run, confidence=0.9)
        intervals += zip(found["gain_fresh_low"], found["gain_fresh_high"], strict=True)
        optimism += found["optimism"].tolist()
    assert 0.83 <= coverage(intervals, 0.0) <= 0.97
    assert 1.0 < np.mean(optimism) < 2.0
