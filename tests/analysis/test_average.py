from __future__ import annotations

import pandas as pd
import pytest

from analysis import load_run
from analysis.average import AVERAGE, average_trials
from analysis.statistics import incumbent, leaderboard
from analysis.status import status
from tests.analysis.runs import STUDY, frame, write_run
from tests.analysis.terminal import report_text

ROWS = [
    {"sequence": sequence, "target": target, "seed": seed, "score": score, "hp.x": value}
    for sequence, target, seed, score, value in [
        ("", "tags", 0, 50.0, None),
        ("", "spans", 0, 20.0, None),
        ("a", "tags", 0, 60.0, 1.0),
        ("a", "spans", 0, 30.0, 1.0),
        ("b", "tags", 0, 90.0, 1.0),
        ("b", "spans", 1, 90.0, 1.0),
        ("c", "tags", 0, 80.0, 1.0),
        ("c", "spans", 0, 80.0, 2.0),
    ]
]


def test_a_sequence_counts_once_it_is_complete_for_every_target_alike():
    trials = frame("trials", ROWS)
    means = average_trials(trials)
    assert means.set_index("sequence")["score"].to_dict() == {"": 35, "a": 45}
    assert means["steps_trained"].tolist() == [200, 200]
    assert (means.dtypes == trials.dtypes).all()
    assert average_trials(frame("trials", [])).empty


def test_several_trials_of_a_target_count_once():
    rows = [*ROWS, {"sequence": "", "target": "spans", "seed": 0, "score": 40.0, "trial_id": 99}]
    means = average_trials(frame("trials", rows)).set_index("sequence")
    assert means.loc["", "score"] == (50 + (20 + 40) / 2) / 2
    assert means.loc["", "steps_trained"] == 300


def test_runs_are_averaged_apart():
    trials = frame("trials", ROWS)
    both = pd.concat([trials.assign(run="x"), trials[trials["target"] == "tags"].assign(run="y")])
    found = average_trials(both)
    assert found.groupby("run")["score"].apply(list).to_dict() == {
        "x": [35, 45],
        "y": [50, 60, 90, 80],
    }


def test_nothing_complete_yet(tmp_path):
    study = {**STUDY, "objective": "average"}
    run = load_run(write_run(tmp_path / "run", study, trials=[{"state": "running"}]))
    assert leaderboard(run).empty


def test_the_average_leads_where_it_is_the_objective(tmp_path):
    study = {**STUDY, "objective": "average"}
    folder = write_run(tmp_path / "run", study, trials=ROWS)
    run = load_run(folder)
    board = leaderboard(run)
    assert board["target"].iloc[0] == AVERAGE
    assert board["gain"].iloc[0] == pytest.approx(10)
    assert incumbent(run)["target"].tolist() == [AVERAGE, "spans", "tags"]
    assert leaderboard(run, AVERAGE)["sequence"].tolist() == ["a", ""]
    assert "average: a, 45.0 points" in report_text(run, width=300)
    assert next(iter(status(folder)["incumbents"])) == AVERAGE
