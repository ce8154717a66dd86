from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pandas as pd
import pytest

from analysis import load_run
from analysis.frames import DTYPES, empty_frame, typed_frame
from benchmarks.frames import write_run as write_large_run
from spaces.errors import RunDirectoryError
from spaces.tables import TABLES
from tests.analysis.runs import START, frame, write_run


def test_frames_have_the_declared_columns_and_types(tmp_path):
    run = load_run(
        write_run(
            tmp_path / "run",
            trials=[{"sequence": "a>b", "score": 1.5, "hp.target.learning_rate": 1e-5}],
            scores=[{}],
            stages=[{}],
        )
    )
    for table, columns in TABLES.items():
        found = getattr(run, table)
        assert list(found.columns[: len(columns)]) == [column.name for column in columns]
        for column in columns:
            assert found[column.name].dtype == DTYPES[column.kind], (table, column.name)
    assert run.trials["hp.target.learning_rate"].tolist() == [1e-5]
    assert run.trials["num_stages"].tolist() == [2]
    assert run.trials["finished_at"].iloc[0] - run.trials["started_at"].iloc[0] == timedelta(
        seconds=5
    )
    assert run.study["select_on"] == "target_dev"
    assert run.name == "synthetic"


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_run_has_the_same_columns_and_types(tmp_path, table):
    run = load_run(str(write_run(tmp_path / "run")))
    pd.testing.assert_frame_equal(getattr(run, table), empty_frame(table))


def test_null_text_and_pending_times_survive(tmp_path):
    raw = frame("trials", [{"state": "waiting", "finished_at": None, "started_at": None}])
    raw["error"] = None
    typed = typed_frame(raw, "trials")
    assert typed["error"].tolist() == [""]
    assert typed["finished_at"].isna().all()
    assert typed["started_at"].dtype == DTYPES["timestamp"]
    assert START.tzinfo is not None


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"nowhere: no such folder.*taskorder launch"):
        load_run(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"study\.yaml: no such file"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("state", "COMPLETE", "state 'COMPLETE' is none of complete, pruned"),
        ("phase", "", "phase '' is none of baseline"),
        ("seed", "x", "column 'seed' is not int64"),
        ("score", "high", "column 'score' is not float64"),
    ],
)
def test_values_that_do_not_fit_are_refused(column, value, message):
    raw = frame("trials", [{}]).astype({column: "object"})
    raw[column] = value
    with pytest.raises(ValueError, match=message):
        typed_frame(raw, "trials")


def test_a_null_flag_is_refused():
    raw = frame("stages", [{}]).astype({"evicted": "object"})
    raw["evicted"] = None
    with pytest.raises(ValueError, match="'evicted' is not bool"):
        typed_frame(raw, "stages")


def test_importing_the_package_does_not_load_pandas():
    code = (
        "import sys, analysis; assert 'pandas' not in sys.modules; analysis.load_run; analysis.Run"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import analysis; analysis.nothing"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode


def test_the_large_run_of_the_benchmark_loads_whole(tmp_path):
    write_large_run(tmp_path / "run", 3000)
    run = load_run(tmp_path / "run", strict=True)
    assert run.problems == ()
    assert len(run.rungs) == 3000


def test_frames_may_be_written_to(tmp_path):
    trials = [{"hp.target.learning_rate": 1e-5, "score": 1.0}, {"state": "failed", "rung": -1}]
    run = load_run(write_run(tmp_path / "run", trials=trials, scores=[{}, {}], stages=[{}, {}]))
    for table in TABLES:
        found = getattr(run, table)
        before = found.copy()
        for name in found.columns:
            found.loc[0, name] = before[name].iloc[1]
        pd.testing.assert_series_equal(found.loc[0], before.loc[1], check_names=False)
