from __future__ import annotations

import fsspec
import pandas as pd
import pytest

from analysis import load_run, load_runs
from spaces.errors import InputError, RunDirectoryError
from spaces.tables import TABLES
from tests.analysis.runs import STUDY, write_run

ROWS = [
    {"sequence": "", "score": 50.0, "hp.target.learning_rate": 1e-5},
    {"sequence": 'a>"b", c', "score": None, "state": "running", "finished_at": None},
]


@pytest.fixture
def run(tmp_path):
    return load_run(write_run(tmp_path / "run", trials=ROWS, scores=[{}], stages=[{}]))


def test_parquet_keeps_every_frame_as_it_is(run, tmp_path):
    written = run.export(tmp_path / "out")
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "out").iterdir())
    for table in TABLES:
        found = pd.read_parquet(tmp_path / "out" / f"{table}.parquet")
        pd.testing.assert_frame_equal(found, getattr(run, table))


def test_csv_keeps_every_value(run, tmp_path):
    run.export(tmp_path / "out", format="csv")
    read = pd.read_csv(
        tmp_path / "out" / "trials.csv", keep_default_na=False, na_values={"score": [""]}
    )
    assert read["sequence"].tolist() == ["", 'a>"b", c']
    assert read["score"].isna().tolist() == [False, True]
    assert pd.to_datetime(read["started_at"]).tolist() == run.trials["started_at"].tolist()
    assert read["finished_at"].iloc[1] == ""


def test_every_column_is_described(run, tmp_path):
    run.export(tmp_path / "out", format="csv")
    columns = pd.read_csv(tmp_path / "out" / "columns.csv", keep_default_na=False)
    described = columns.set_index(["table", "name"])
    for table in TABLES:
        assert list(columns[columns["table"] == table]["name"]) == list(getattr(run, table))
    assert described.loc[("rungs", "budget_steps"), "unit"] == "steps"
    assert described.loc[("trials", "hp.target.learning_rate"), "kind"] == "float64"
    assert (columns["meaning"] != "").all()


def test_frames_go_to_any_filesystem(run):
    run.export("memory://exported/run")
    memory = fsspec.filesystem("memory")
    assert memory.isfile("/exported/run/trials.parquet")
    memory.rm("/exported", recursive=True)


def test_what_cannot_be_written_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="'excel': is none of parquet, csv"):
        run.export(tmp_path / "out", format="excel")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        run.export(tmp_path / "file")


def test_several_runs_stand_side_by_side(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path / name, {**STUDY, "name": name}, trials=ROWS)
    runs = load_runs([tmp_path / "one", tmp_path / "two"])
    assert next(iter(runs.trials.columns)) == "run"
    assert runs.trials.groupby("run").size().to_dict() == {"one": 2, "two": 2}
    assert [run.name for run in runs] == ["one", "two"]
    assert runs.problems == ()
    runs.export(tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out" / "rungs.parquet")["run"].nunique() == 2
    again = load_runs({"a": tmp_path / "one", "b": tmp_path / "one"})
    assert set(again.rungs["run"]) == {"a", "b"}
    same = load_runs([tmp_path / "one", str(tmp_path / "one") + "/"])
    assert set(same.trials["run"]) == {str(tmp_path / "one"), str(tmp_path / "one") + "/"}
    assert load_runs([]).trials.empty
    with pytest.raises(RunDirectoryError, match="no such folder"):
        load_runs([tmp_path / "one", tmp_path / "three"])


def test_runs_of_one_study_can_be_pooled(tmp_path):
    for seed in (0, 1):
        rows = [{"sequence": "a", "score": 50.0 + seed, "seed": seed, "trial_id": 3}]
        write_run(tmp_path / f"run{seed}", {**STUDY, "seed": seed}, trials=rows)
    pooled = load_runs([tmp_path / "run0", tmp_path / "run1"]).pooled()
    assert pooled.trials["trial_id"].is_unique
    assert pooled.trials["seed"].tolist() == [0, 1]
    joined = pooled.rungs.merge(pooled.trials, on="trial_id")
    assert (joined["score_x"] == joined["score_y"]).all()
    write_run(tmp_path / "other", {**STUDY, "model": {"name": "mini"}})
    with pytest.raises(InputError, match="run 'other' has another 'model'"):
        load_runs({"run": tmp_path / "run0", "other": tmp_path / "other"}).pooled()
    with pytest.raises(InputError, match="no run to pool"):
        load_runs([]).pooled()
