from __future__ import annotations

import math
from datetime import timedelta

import pandas as pd
import pytest
from scipy import stats

from analysis import load_run, load_runs
from analysis.diagnostics import (
    PRUNING,
    RUNG_AGREEMENT,
    RUNG_SURVIVAL,
    STAGE_SAVINGS,
    pruning_cost,
    rung_agreement,
    rung_survival,
    stage_savings,
)
from analysis.incumbents import INCUMBENT_BAND, INCUMBENTS, incumbent_band, incumbent_curve
from analysis.timeline import SEGMENTS, UTILISATION, timeline, utilisation
from tests.analysis.runs import START, STUDY, write_run


def at(seconds):
    return START + timedelta(seconds=seconds)


def trial(number, scores, ends, **about):
    """Return a trial that started 10 s before its first report, and its reports."""
    row = {
        "trial_id": number,
        "score": scores[-1],
        "rung": len(scores) - 1,
        "started_at": at(ends[0] - 10),
        "finished_at": at(ends[-1]),
        "wall_s": 10.0 + ends[-1] - ends[0],
        **about,
    }
    reports = [
        {
            "trial_id": number,
            "target": row.get("target", "tags"),
            "rung": rung,
            "budget_steps": 10 * 3**rung,
            "score": score,
            "reported_at": at(end),
            "decision": "promote",
        }
        for rung, (score, end) in enumerate(zip(scores, ends, strict=True))
    ]
    last = {"complete": "complete", "pruned": "stop", "waiting": "pause", "failed": "stop"}
    reports[-1]["decision"] = last[row.get("state", "complete")]
    return row, reports


def make(folder, *trials, study=STUDY, **tables):
    rows = [row for row, _ in trials]
    reports = [report for _, reports in trials for report in reports]
    return load_run(write_run(folder, study, trials=rows, rungs=reports, **tables))


@pytest.fixture
def run(tmp_path):
    return make(
        tmp_path / "run",
        trial(0, [40, 45, 50], [10, 20, 40], phase="baseline", steps_trained=90),
        trial(1, [42, 46, 55], [20, 30, 60], sequence="a", steps_trained=190),
        trial(2, [41], [30], sequence="b", state="pruned", steps_trained=110),
        trial(3, [44, 44], [40, 50], sequence="c", state="pruned", steps_trained=130),
        trial(4, [43], [50], sequence="d", state="waiting", steps_trained=10),
        trial(5, [43, 47, 60], [60, 70, 90], sequence="a>b", steps_trained=90),
        trial(6, [50, 60, 70], [100, 110, 120], sequence="a", phase="confirm", seed=1),
        trial(7, [math.nan], [55], sequence="e", state="failed", score=math.nan),
        stages=[
            {"fingerprint": "1", "steps": 100, "times_reused": 3, "wall_s": 4.0},
            {"fingerprint": "2", "steps": 50, "sequence": "a>b", "evicted": True},
        ],
    )


def row_of(frame, **values):
    for name, value in values.items():
        frame = frame[frame[name] == value]
    (found,) = frame.to_dict("records")
    return found


def test_what_became_of_trials_at_each_rung(run):
    found = rung_survival(run)
    first = row_of(found, rung=0)
    assert (first["num_arrived"], first["num_passed"]) == (6, 3)
    assert (first["num_stopped"], first["num_waiting"], first["num_diverged"]) == (2, 1, 1)
    interval = stats.binomtest(3, 6).proportion_ci(method="wilson")
    assert (first["share_passed_low"], first["share_passed_high"]) == pytest.approx(
        (interval.low, interval.high)
    )
    assert (first["score_best"], first["score_median"]) == (44, 43)
    last = row_of(found, rung=2)
    assert (last["num_arrived"], last["num_passed"], last["budget_steps"]) == (2, 2, 90)
    assert row_of(rung_survival(run, phase="baseline"), rung=1)["num_passed"] == 1


def test_whether_a_rung_tells_the_end(run):
    found = row_of(rung_agreement(run), rung=0)
    assert found["num_trials"] == 4
    assert found["spearman"] == pytest.approx(
        stats.spearmanr([40, 42, 43, 50], [50, 55, 60, 70]).statistic
    )
    assert found["spearman_low"] < 1
    assert set(rung_agreement(run)["rung"]) == {0, 1}


def test_what_was_pruned_and_what_it_would_have_cost(run):
    found = row_of(pruning_cost(run), target="tags")
    assert (found["num_trials"], found["num_pruned"]) == (5, 2)
    assert found["steps_spent"] == 110 + 130
    assert found["steps_to_finish"] == (90 - 10) + (90 - 30)
    assert found["share_saved"] == pytest.approx(140 / (90 + 190 + 110 + 130 + 90 + 140))
    everything = row_of(pruning_cost(run), target="all")
    assert everything == {**found, "target": "all"}


def test_what_the_stage_store_saved(run):
    found = stage_savings(run).set_index("num_stages")
    assert found["steps_saved"].to_dict() == {0: 300 + 100, 1: 300, 2: 100}
    assert found.loc[1, "share_saved"] == pytest.approx(300 / 400)
    assert found.loc[1, "wall_saved_s"] == 12
    assert found["size_bytes"].to_dict() == {0: 1000, 1: 1000, 2: 0}


def test_segments_add_up_to_the_trials(run):
    found = timeline(run)
    reported = run.trials[run.trials["rung"] >= 0].set_index("trial_id")
    by_trial = found.groupby("trial_id")
    assert by_trial["steps"].sum().to_dict() == reported["steps_trained"].to_dict()
    for number, seconds in by_trial["wall_s"].sum().items():
        assert seconds == pytest.approx(reported.loc[number, "wall_s"])
    mine = found[found["trial_id"] == 1]
    assert mine["steps"].tolist() == [100 + 10, 20, 60]
    assert mine["ended_at"].tolist() == [at(20), at(30), at(60)]
    # It worked without a pause, so every segment begins where the one before ended.
    assert mine["started_at"].tolist() == [at(10), at(20), at(30)]
    assert found["ended_at"].is_monotonic_increasing


def test_a_pause_is_not_work(tmp_path):
    paused = trial(0, [40, 45], [10, 100], steps_trained=30, wall_s=13.0)
    found = timeline(make(tmp_path / "run", paused))
    assert found["wall_s"].tolist() == pytest.approx([13 / 3, 26 / 3])
    assert found["started_at"].iloc[1] > at(90)


def test_fine_tuning_taken_from_the_store_is_not_counted_twice(tmp_path):
    found = timeline(make(tmp_path / "run", trial(0, [40, 45, 50], [10, 20, 30], steps_trained=65)))
    assert found["steps"].tolist() == [0, 5, 60]


def test_times_of_reports_are_used_where_a_run_has_them(tmp_path):
    row, reports = trial(0, [40, 45], [10, 100], wall_s=13.0)
    for report, wall_s in zip(reports, (3.0, 200.0), strict=True):
        report["wall_s"] = wall_s
    assert timeline(make(tmp_path / "run", (row, reports)))["wall_s"].tolist() == [3, 90]
    failed = {"trial_id": 1, "state": "failed", "rung": -1, "wall_s": 4.0}
    failed |= {"started_at": at(0), "finished_at": at(20)}
    found = timeline(make(tmp_path / "failed", (row, reports), (failed, [])))
    assert found.set_index("trial_id")["wall_s"].to_dict()[1] == 4
    assert sorted(found["wall_s"]) == [3, 4, 90]


def test_how_busy_the_slots_were(tmp_path):
    run = make(
        tmp_path / "run",
        trial(0, [1], [10], rung=0),
        trial(1, [1], [10], rung=0),
        trial(2, [1], [20], rung=0),
    )
    found = utilisation(run, num_bins=4)
    assert found["busy"].tolist() == pytest.approx([2, 2, 1, 1])
    assert found["slots"].tolist() == [2] * 4
    assert found["share"].tolist() == pytest.approx([1, 1, 0.5, 0.5])
    asked = {**STUDY, "search": {"max_concurrent": 4}}
    run = make(tmp_path / "four", trial(0, [1], [10]), study=asked)
    assert set(utilisation(run)["slots"]) == {4}


def test_the_incumbent_over_cost(run):
    found = incumbent_curve(run)
    assert found["trial_id"].tolist() == [0, 1, 5, 5]
    assert found["score"].tolist() == [50, 55, 60, 60]
    assert found["elapsed_s"].tolist() == [40, 60, 90, 90]
    # By then: all of trial 0, trial 1 up to its second rung, and trial 2.
    assert found["steps"].iloc[0] == 90 + 130 + 110
    # The end: all but the confirmation.
    assert found["steps"].iloc[-1] == run.trials["steps_trained"].sum() - 100


def test_the_incumbent_over_several_runs(tmp_path):
    for name, score in (("x", 50.0), ("y", 54.0)):
        make(
            tmp_path / name,
            trial(0, [score], [10], rung=0, steps_trained=100),
            trial(1, [score + 6], [20], rung=0, steps_trained=100),
            study={**STUDY, "name": name},
        )
    runs = load_runs([tmp_path / "x", tmp_path / "y"])
    band = incumbent_band(runs, num_points=3)
    assert band["steps"].tolist() == [100, 200]
    assert band["score"].tolist() == [52, 58]
    interval = stats.ttest_1samp([50, 54], 0).confidence_interval(0.95)
    assert band["score_low"].iloc[0] == pytest.approx(interval.low)
    assert set(incumbent_curve(runs)["run"]) == {"x", "y"}
    assert math.isnan(incumbent_band(load_runs([tmp_path / "x"]))["score_low"].iloc[0])


def test_a_run_that_has_just_begun_gives_typed_empty_frames(tmp_path):
    run = load_run(
        write_run(tmp_path / "run", trials=[{"state": "running", "rung": -1, "finished_at": None}])
    )
    for function, columns in (
        (rung_survival, RUNG_SURVIVAL),
        (rung_agreement, RUNG_AGREEMENT),
        (pruning_cost, PRUNING),
        (stage_savings, STAGE_SAVINGS),
        (timeline, SEGMENTS),
        (utilisation, UTILISATION),
        (incumbent_curve, INCUMBENTS),
    ):
        found = function(run)
        assert found.empty, function
        assert list(found.columns) == [column.name for column in columns]
    empty = incumbent_band(load_runs({"run": tmp_path / "run"}))
    assert list(empty.columns) == [column.name for column in INCUMBENT_BAND]
    assert isinstance(empty, pd.DataFrame)
