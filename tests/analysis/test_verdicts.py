"""The report's answer: what it says where the truth is known, and that it says no more than the
table below it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import load_run, load_runs
from analysis.comparisons import compare_best
from analysis.statistics import leaderboard
from analysis.verdicts import answer_of, comparisons_table
from tests.analysis.landscapes import draw
from tests.analysis.runs import write_run

HELPS, UNSHOWN, UNCONFIRMED = "It helps:", "Not shown to help:", "Not confirmed:"


def answer(scores, compared=None):
    compared = compare_best(scores) if compared is None else compared
    return answer_of(leaderboard(scores).iloc[0].to_dict(), compared)


def test_a_large_true_gain_is_called_one_and_its_rivals_are_beaten():
    means = {"": 50.0, "a": 52.0, "b": 51.0, "a>b": 60.0, "a+b": 54.0}
    said = answer(draw(np.random.default_rng(0), means, 3, sd_noise=0.2))
    assert HELPS in said
    assert said.startswith("tags: a > b, ")
    assert "over no intermediate task (95% interval +" in said
    assert "It is better than the second best (a+b) and the best single task (a)." in said


def test_a_gain_without_a_lead_is_no_lead():
    means = {"": 50.0, "a": 52.0, "a>b": 60.0, "b>a": 60.0, "a+b": 54.0}
    said = answer(draw(np.random.default_rng(4), means, 3, sd_noise=0.4))
    assert HELPS in said
    assert "It is better than the best single task (a)." in said
    assert "Whether it is better than the second best (" in said
    assert said.count("not decided") == 1


def test_true_harm_is_never_called_help():
    means = {"": 60.0, "a": 50.0, "b": 40.0}
    said = answer(draw(np.random.default_rng(0), means, 3, sd_noise=0.2))
    assert "no intermediate task, " in said
    assert "No sequence of intermediate tasks scored higher." in said
    assert HELPS not in said


def test_what_ran_once_is_not_confirmed():
    said = answer(draw(np.random.default_rng(0), {"": 50.0, "a": 90.0}, 1))
    assert UNCONFIRMED in said
    assert "(one seed, no interval)" in said
    assert HELPS not in said


def test_without_the_target_alone_nothing_is_said_to_help():
    said = answer(draw(np.random.default_rng(0), {"a": 50.0, "b": 90.0}, 3))
    assert "Whether it helps is unknown" in said
    assert "It is better than the second best (a)." in said


def test_one_interval_of_many_does_not_decide():
    """The leaderboard's interval lies above 0, the simultaneous one does not: nothing is shown."""
    names = {"": 50.0, **{f"t{i}": 50.0 for i in range(20)}}
    for seed in range(40):
        scores = draw(np.random.default_rng(seed), names, 2)
        best = leaderboard(scores).iloc[0]
        low = compare_best(scores, against=["none"])["difference_low"]
        if best["gain_low"] > 0 and (low <= 0).all():
            assert UNSHOWN in answer(scores)
            return
    raise AssertionError("no draw had such a best")


@given(
    seed=st.integers(0, 10_000),
    effect=st.floats(-5, 5),
    num_seeds=st.integers(1, 4),
    holes=st.lists(st.booleans(), min_size=16, max_size=16),
)
@settings(max_examples=40, deadline=None)
def test_the_answer_and_the_table_say_the_same(seed, effect, num_seeds, holes):
    means = {"": 50.0, "a": 50.0 + effect, "b": 50.0 - effect, "a>b": 50.0 + effect / 2}
    scores = draw(np.random.default_rng(seed), means, num_seeds)
    kept = scores[holes[: len(scores)]]
    scores = kept if len(kept) else scores
    compared = compare_best(scores)
    said = answer(scores, compared)
    table = comparisons_table(compared)
    verdicts = {row[1].split(" (")[0]: row[2] for row in table.rows} if table else {}
    assert (HELPS in said) == (verdicts.get("no intermediate task") == "better")
    assert ("It hurts" in said) == (verdicts.get("no intermediate task") == "worse")
    if "better than the second best" in said and "Whether" not in said:
        assert verdicts["the second best"] == "better"


@pytest.mark.slow
def test_where_nothing_helps_help_is_seldom_found():
    """All are equal: `it helps` is an error, and may be made in one case of twenty."""
    rng = np.random.default_rng(5)
    means = {"": 50.0, **dict.fromkeys("abcdefgh", 50.0)}
    said = [answer(draw(rng, means, 3, sd_seed=2.0)) for _ in range(150)]
    assert np.mean([HELPS in text for text in said]) <= 0.05
    assert np.mean([UNSHOWN in text or "scored higher" in text for text in said]) >= 0.95


@pytest.mark.slow
def test_where_it_helps_help_is_mostly_found():
    rng = np.random.default_rng(6)
    means = {"": 50.0, **dict.fromkeys("abcdefgh", 50.0), "a>b": 56.0}
    said = [answer(draw(rng, means, 3, sd_seed=2.0)) for _ in range(60)]
    assert np.mean([HELPS in text for text in said]) >= 0.9


def test_the_table_is_the_frame():
    scores = pd.concat(
        [
            draw(np.random.default_rng(i), {"": 50.0, "a": 52.0, "b": 55.0}, 3, target=name)
            for i, name in enumerate(("one", "two"))
        ]
    )
    compared = compare_best(scores)
    table = comparisons_table(compared)
    assert [row[0] for row in table.rows] == list(compared["target"])
    assert [row[2] for row in table.rows] == list(compared["verdict"])
    assert [float(row[3]) for row in table.rows] == list(compared["difference"].round(1))
    assert comparisons_table(compared.head(0)) is None


def test_comparisons_print_as_the_answer_and_are_a_frame_in_all_else():
    scores = draw(np.random.default_rng(0), {"": 50.0, "a": 52.0, "a>b": 60.0}, 3, sd_noise=0.2)
    compared = compare_best(scores)
    words, _, note = str(compared).partition("\n\n")
    assert " ".join(words.split()) == answer(scores)
    assert "allows for the best having been picked" in note
    assert repr(compared) == repr(pd.DataFrame(compared))
    assert compared.attrs["units"]["difference"] == "points"
    assert type(compared[["question", "verdict"]]) is pd.DataFrame
    asked = compare_best(scores, against=["none"])
    assert str(asked) == repr(asked)


def test_the_printed_answer_names_its_level_and_its_run(tmp_path):
    scores = draw(np.random.default_rng(0), {"": 50.0, "a": 52.0}, 3, sd_noise=0.2)
    assert "(97.5% interval +" in str(compare_best(scores, confidence=0.975))
    rows = scores[["sequence", "seed", "score"]].to_dict("records")
    folder = write_run(tmp_path / "run", trials=rows)
    several = str(compare_best(load_runs({"one": folder, "two": folder})))
    assert several.startswith("one: tags: a, ")
    assert "\n\ntwo: tags: a, " in several
    assert "allows for" not in str(compare_best(scores[scores["seed"] == 0]))
    nothing = load_run(write_run(tmp_path / "nothing"))
    assert "so there is no answer" in str(compare_best(nothing))
