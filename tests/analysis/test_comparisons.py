from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.comparisons import compare_best, compare_pairs
from analysis.statistics import leaderboard
from spaces.errors import UnknownNameError
from tests.analysis.landscapes import draw
from tests.analysis.runs import frame

MEANS = {"": 50.0, "a": 52.0, "b": 51.0, "a>b": 60.0, "a+b": 54.0}


def by_question(found):
    return {row["question"]: row for row in found.to_dict("records")}


def test_the_questions_and_their_references():
    found = by_question(compare_best(draw(np.random.default_rng(0), MEANS, 3, sd_noise=0.2)))
    assert {kind: row["reference"] for kind, row in found.items()} == {
        "second": "a+b", "single": "a", "none": "", "all": "a+b",
    }  # fmt: skip
    assert {row["sequence"] for row in found.values()} == {"a>b"}
    assert {row["verdict"] for row in found.values()} == {"better"}
    assert found["second"]["num_compared"] == 10
    assert found["none"]["num_compared"] == 4


def test_differences_are_the_leaderboards():
    scores = draw(np.random.default_rng(1), MEANS, 3)
    board = leaderboard(scores).set_index("sequence")
    found = by_question(compare_best(scores))
    assert found["none"]["difference"] == pytest.approx(board.loc["a>b", "gain"])
    assert found["all"]["difference"] == pytest.approx(board.loc["a>b", "gain_over_all"])
    # Simultaneous, so wider than the leaderboard's for one sequence alone.
    assert found["none"]["difference_low"] < board.loc["a>b", "gain_low"]


def test_one_seed_decides_nothing():
    scores = draw(np.random.default_rng(0), MEANS, 1)
    found = compare_best(scores)
    assert set(found["verdict"]) == {"not decided"}
    assert found["difference"].notna().all()
    assert found[["difference_low", "p", "p_adjusted"]].isna().all(axis=None)
    # Noise is known from others, yet the best itself was seen once.
    best_once = scores[(scores["sequence"] != "a>b") | (scores["seed"] == 0)]
    more = draw(np.random.default_rng(0), MEANS, 3)
    best_once = more[(more["sequence"] != "a>b") | (more["seed"] == 0)]
    assert set(compare_best(best_once)["verdict"]) == {"not decided"}


def test_what_the_best_is_itself_is_not_asked():
    found = compare_best(draw(np.random.default_rng(0), {"": 60.0, "a": 50.0}, 2, sd_noise=0.1))
    assert found["question"].tolist() == ["second", "single"]
    assert compare_best(draw(np.random.default_rng(0), {"": 60.0}, 2)).empty


def test_all_pairs_of_a_complete_table_are_tukeys():
    scores = draw(np.random.default_rng(3), {"": 50.0, "a": 50.5, "b": 51.0, "c": 51.2}, 5)
    found = compare_best(scores, against=["others"], confidence=0.95)
    wide = scores.pivot(index="seed", columns="sequence", values="score").to_numpy()
    rest = wide - wide.mean(0) - wide.mean(1, keepdims=True) + wide.mean()
    error = math.sqrt((rest**2).sum() / 12)
    half = stats.studentized_range.ppf(0.95, 4, 12) * error / math.sqrt(5)
    widths = found["difference_high"] - found["difference"]
    assert widths.to_numpy() == pytest.approx(half, rel=0.02)
    q = found["difference"].abs() / error * math.sqrt(5)
    expected = stats.studentized_range.sf(q, 4, 12)
    assert found["p_adjusted"].to_numpy() == pytest.approx(expected, abs=0.012)


def test_tables_with_holes_agree_with_the_complete_ones_formula():
    # The same family, once by its range and once by the general way (a hole elsewhere).
    scores = draw(np.random.default_rng(3), {"": 50.0, "a": 50.5, "b": 51.0}, 4)
    whole = compare_best(scores, against=["others"])
    extra = pd.DataFrame({"target": "tags", "sequence": "z", "seed": [0], "score": [0.0]})
    general = compare_pairs(
        pd.concat([scores, extra]), [("b", ""), ("b", "a"), ("a", "")], adjust="max-t"
    )
    ratio = (general["difference_high"] - general["difference"]).iloc[0] / (
        whole["difference_high"] - whole["difference"]
    ).iloc[0]
    assert ratio == pytest.approx(1, rel=0.03)


def test_pairs_chosen_beforehand_are_adjusted_by_holm():
    scores = draw(np.random.default_rng(0), MEANS, 3)
    pairs = [("a>b", ""), ("a>b", "a"), ("a", "b")]
    plain = compare_pairs(scores, pairs, adjust="none")
    holm = compare_pairs(scores, pairs)
    assert (plain["p_adjusted"] == plain["p"]).all()
    assert holm["p_adjusted"].max() == pytest.approx(min(1, holm["p"].max()))
    assert holm["p_adjusted"].min() == pytest.approx(min(1, 3 * holm["p"].min()))
    assert (holm["difference_low"] < plain["difference_low"]).all()
    joint = compare_pairs(scores, pairs, adjust="max-t")
    assert (joint["difference_low"] < plain["difference_low"]).all()
    assert (joint["difference_low"] > holm["difference_low"] - 0.1).all()
    with pytest.raises(UnknownNameError, match="unknown sequence 'a>c'"):
        compare_pairs(scores, [("a>c", "")])


def test_a_search_is_compared_on_its_fresh_seeds():
    rows = [
        {"sequence": name, "seed": seed, "score": score, "phase": phase}
        for name, scores, phase in [
            ("", (50, 50.4, 49.6, 50.1), "baseline"),
            ("a", (99, 60.1, 59.8, 60.3), "search"),
            ("b", (70, 55.2, 54.9, 55.1), "search"),
            ("c", (65,), "search"),
        ]
        for seed, score in enumerate(scores)
        for phase in ["confirm" if seed else phase]
    ]
    found = by_question(compare_best(frame("trials", rows), against=["second", "none"]))
    assert found["second"]["reference"] == "b"
    assert found["second"]["difference"] == pytest.approx(5, abs=0.2)
    assert found["second"]["num_pairs"] == 3
    assert found["none"]["verdict"] == "better"


def test_the_answer_is_the_same_each_time_and_for_each_target():
    scores = draw(np.random.default_rng(0), MEANS, 3)
    both = pd.concat([scores, scores.assign(target="spans")])
    found = compare_best(both)
    pd.testing.assert_frame_equal(found, compare_best(both))
    halves = [found[found["target"] == name].drop(columns="target") for name in ("tags", "spans")]
    pd.testing.assert_frame_equal(*(half.reset_index(drop=True) for half in halves))
    averaged = compare_best(both, average=True)
    assert averaged["target"].iloc[0] == "average"


@pytest.mark.slow
@pytest.mark.parametrize("question", ["none", "second"])
def test_picking_the_best_of_equals_is_seldom_called_better(question):
    """All are equal, so every `better` is an error: at most one in ten may be."""
    rng = np.random.default_rng(11)
    means = {"": 50.0, **dict.fromkeys("abcdefgh", 50.0)}
    adjusted, alone = [], []
    for _ in range(150):
        found = compare_best(draw(rng, means, 3, sd_seed=2.0), against=[question], confidence=0.9)
        adjusted += list(found["verdict"] != "not decided")
        alone += list(found["p"] < 0.1)
    assert np.mean(adjusted) <= 0.1
    # A plain t on the best, picked from the same scores, errs more often than it says.
    assert np.mean(alone) > 0.12 or question == "second"
