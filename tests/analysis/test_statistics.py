from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import estimate_mean, pool_noise
from analysis.observations import all_at_once, observations
from analysis.statistics import cost_summary, incumbent, leaderboard
from spaces.errors import UnknownNameError
from tests.analysis.runs import frame


def grid(scores, **common):
    """Trials from ``{sequence: {seed: score}}``."""
    return [
        {"sequence": sequence, "seed": seed, "score": score, **common}
        for sequence, by_seed in scores.items()
        for seed, score in by_seed.items()
    ]


def row_of(board, sequence):
    (found,) = board[board["sequence"] == sequence].to_dict("records")
    return found


def test_unpooled_gain_is_students_paired_t():
    trials = frame(
        "trials", grid({"": {0: 50, 1: 52, 2: 48}, "a": {0: 55, 1: 56, 2: 55}, "b": {0: 51}})
    )
    board = leaderboard(trials, "tags", pooled=False)
    best = row_of(board, "a")
    differences = np.array([5.0, 4.0, 7.0])
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert best["gain"] == pytest.approx(differences.mean())
    assert (best["gain_low"], best["gain_high"]) == pytest.approx((expected.low, expected.high))
    assert best["gain_pairs"] == best["num_seeds"] == 3
    own = stats.ttest_1samp([55, 56, 55], 0).confidence_interval(0.95)
    assert (best["score_low"], best["score_high"]) == pytest.approx((own.low, own.high))


def test_a_single_seed_has_no_interval_and_is_not_confirmed():
    board = leaderboard(frame("trials", grid({"": {0: 50, 1: 51}, "a": {0: 60}})))
    single = row_of(board, "a")
    assert not single["confirmed"]
    assert single["gain"] == 10
    assert all(math.isnan(single[name]) for name in ("score_low", "gain_low", "gain_high"))
    assert row_of(board, "")["confirmed"]


def test_gains_without_a_common_seed_are_unknown():
    board = leaderboard(frame("trials", grid({"": {0: 50}, "a": {1: 60}})))
    assert math.isnan(row_of(board, "a")["gain"])
    assert row_of(board, "a")["gain_pairs"] == 0


def test_references_are_marked_and_compared_with():
    trials = frame(
        "trials",
        [
            *grid({"": {0: 50}, "a+b+c": {0: 53}, "a": {0: 51}}, phase="baseline"),
            *grid({"a>b": {0: 55}, "a+b": {0: 54}, "c>a+b": {0: 52}}),
        ],
    )
    board = leaderboard(trials)
    assert all_at_once(trials) == "a+b+c"
    assert row_of(board, "a+b+c")["baseline"] == "all"
    assert row_of(board, "")["baseline"] == "none"
    assert row_of(board, "a>b")["gain_over_all"] == 2
    assert row_of(board, "a>b")["gain"] == 5
    assert row_of(board, "")["gain"] == 0
    assert row_of(board, "a+b")["baseline"] == row_of(board, "a")["baseline"] == ""
    assert board["sequence"].tolist() == ["a>b", "a+b", "a+b+c", "c>a+b", "a", ""]
    assert board["rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_only_complete_trials_with_a_score_count():
    rows = [
        *grid({"": {0: 50}, "a": {0: 51}}),
        {"sequence": "b", "score": 90, "state": "pruned"},
        {"sequence": "c", "score": 90, "state": "running"},
        {"sequence": "d", "score": float("nan")},
    ]
    assert leaderboard(frame("trials", rows))["sequence"].tolist() == ["a", ""]


def test_the_seed_a_sequence_was_selected_by_does_not_count_once_it_is_confirmed():
    rows = [
        *grid({"": {0: 50}}, phase="baseline"),
        *grid({"a": {0: 70}, "b": {0: 65}, "c": {0: 63}}),
        *grid({"": {1: 50, 2: 52}, "a": {1: 60, 2: 62}, "b": {1: 61, 2: 64}}, phase="confirm"),
    ]
    board = leaderboard(frame("trials", rows))
    assert board["sequence"].tolist() == ["b", "a", "", "c"]
    assert row_of(board, "a")["score"] == 61
    assert row_of(board, "a")["gain"] == 10
    assert row_of(board, "")["num_seeds"] == 3
    flattered = leaderboard(frame("trials", rows), fresh_only=False)
    assert row_of(flattered, "a")["score"] == 64


def test_one_hyperparameter_setting_stands_for_a_sequence():
    rows = [
        {"sequence": "a", "seed": 0, "score": 80, "hp.target.learning_rate": 1.0},
        {"sequence": "a", "seed": 0, "score": 60, "hp.target.learning_rate": 2.0},
        {"sequence": "a", "seed": 1, "score": 62, "hp.target.learning_rate": 2.0},
        {"sequence": "b", "seed": 0, "score": 10, "hp.target.learning_rate": 1.0},
        {"sequence": "b", "seed": 0, "score": 20, "hp.target.learning_rate": float("nan")},
    ]
    scores = observations(frame("trials", rows)).set_index(["sequence", "seed"])["score"]
    assert scores.to_dict() == {("a", 0): 60, ("a", 1): 62, ("b", 0): 20}


def test_targets_are_ranked_apart_and_an_unknown_one_is_named():
    rows = [
        *grid({"": {0: 50}, "a": {0: 60}}),
        *grid({"": {0: 20}, "a": {0: 10}}, target="spans"),
    ]
    trials = frame("trials", rows)
    best = incumbent(trials).set_index("target")["sequence"]
    assert best.to_dict() == {"tags": "a", "spans": ""}
    assert set(leaderboard(trials, "spans")["target"]) == {"spans"}
    with pytest.raises(UnknownNameError, match="Did you mean 'tags'"):
        leaderboard(trials, "tagz")


def test_nothing_complete_gives_typed_empty_frames():
    for rows in ([], [{"state": "running"}]):
        board = leaderboard(frame("trials", rows))
        assert board.empty
        assert board["gain"].dtype == "float64"
        assert incumbent(frame("trials", rows)).empty


def test_cost_summary_counts_states_steps_and_savings():
    rows = [
        {"phase": "baseline", "steps_trained": 300, "steps_reused": 0, "wall_s": 10},
        {"state": "pruned", "steps_trained": 50, "steps_reused": 150, "wall_s": 2},
        {"state": "failed", "steps_trained": 50, "steps_reused": 50, "wall_s": 1},
        {"state": "waiting", "steps_trained": 0, "wall_s": 0, "started_at": None}
        | {"finished_at": None},
    ]
    cost = cost_summary(frame("trials", rows))
    assert cost.index.tolist() == ["baseline", "search", "confirm", "all"]
    assert cost.loc["all", ["num_trials", "complete", "pruned", "failed", "waiting"]].tolist() == [
        4, 1, 1, 1, 1,
    ]  # fmt: skip
    assert cost.loc["all", "steps_trained"] == 400
    assert cost.loc["all", "share_saved"] == pytest.approx(200 / 600)
    assert cost.loc["search", "share_saved"] == pytest.approx(200 / 300)
    assert cost.loc["all", "wall_s"] == 13
    assert cost.loc["all", "elapsed_s"] == 5
    assert math.isnan(cost.loc["confirm", "share_saved"])


def simulate(rng, means, num_seeds, *, sigma_s, sigma_e):
    luck = rng.normal(0, sigma_s, num_seeds)
    return pd.DataFrame(
        [
            (str(i), j, mean + luck[j] + rng.normal(0, sigma_e))
            for i, mean in enumerate(means)
            for j in range(num_seeds)
        ],
        columns=["sequence", "seed", "score"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("sigma_s", [0.0, 2.0])
@pytest.mark.parametrize("num_seeds", [2, 3])
def test_intervals_cover_the_truth_as_often_as_they_say(num_seeds, sigma_s):
    rng = np.random.default_rng(7)
    means, repeats = [50.0, 52.0, 55.0, 47.0], 800
    hits = dict.fromkeys(("score", "difference", "unpooled"), 0)
    widths = dict.fromkeys(hits, 0.0)
    for _ in range(repeats):
        scores = simulate(rng, means, num_seeds, sigma_s=sigma_s, sigma_e=1.5)
        noise = pool_noise(scores)
        wide = scores.pivot(index="seed", columns="sequence", values="score")
        difference = wide["2"] - wide["0"]
        for name, values, spread, truth in (
            ("score", wide["2"], noise.score, 55.0),
            ("difference", difference, noise.difference, 5.0),
            ("unpooled", difference, None, 5.0),
        ):
            found = estimate_mean(values, 0.95, spread)
            hits[name] += found.low <= truth <= found.high
            widths[name] += found.high - found.low
    assert hits["difference"] / repeats == pytest.approx(0.95, abs=0.02)
    assert hits["unpooled"] / repeats == pytest.approx(0.95, abs=0.02)
    # Satterthwaite's degrees are an approximation: it may err, but not by more than this.
    assert hits["score"] / repeats == pytest.approx(0.95, abs=0.035)
    assert widths["difference"] < widths["unpooled"] / 1.5


def test_pooled_noise_agrees_with_the_textbook_on_a_balanced_table():
    scores = simulate(np.random.default_rng(0), [1.0, 5.0, 9.0], 4, sigma_s=3.0, sigma_e=1.0)
    wide = scores.pivot(index="seed", columns="sequence", values="score").to_numpy()
    residuals = wide - wide.mean(0) - wide.mean(1, keepdims=True) + wide.mean()
    noise = pool_noise(scores)
    assert noise.difference.degrees == 6
    assert noise.difference.sd == pytest.approx(math.sqrt(2 * (residuals**2).sum() / 6))
    assert noise.score.sd == pytest.approx(math.sqrt(wide.var(axis=0, ddof=1).mean()))
    assert 3 <= noise.score.degrees <= 9


# Without a deadline: a busy machine must not fail it.
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.floats(0, 100)),
        unique_by=lambda cell: cell[:2],
        max_size=20,
    )
)
def test_any_table_gives_ordered_intervals_and_sound_degrees(cells):
    rows = [{"sequence": "abcd"[i - 1] if i else "", "seed": j, "score": s} for i, j, s in cells]
    board = leaderboard(frame("trials", rows))
    assert sorted(board["sequence"]) == sorted({row["sequence"] for row in rows})
    repeated = board[board["confirmed"]]
    assert (repeated["score_low"] <= repeated["score"]).all()
    assert (repeated["score"] <= repeated["score_high"]).all()
    assert board.loc[~board["confirmed"], "score_low"].isna().all()
    assert (board["gain_pairs"] <= board["num_seeds"]).all()
    assert board["score"].is_monotonic_decreasing
