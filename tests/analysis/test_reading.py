"""Runs that are damaged, older, live or elsewhere."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading

import fsspec
import pandas as pd
import pytest
import yaml

from analysis import load_run
from analysis.columns import ADDED, DTYPES, empty_frame
from spaces.errors import RunDirectoryError
from spaces.tables import TABLES
from tests.analysis.runs import STUDY, frame, write_run
from tests.analysis.terminal import report_text

ROWS = [{"sequence": "", "score": 50.0}, {"sequence": "a>b", "score": 60.0, "seed": 1}]


def rewrite(folder, table, change, **options):
    path = folder / "tables" / f"{table}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, **options)


def kinds(run):
    return [problem.kind for problem in run.problems]


def test_a_sound_run_has_no_problem(tmp_path):
    run = load_run(write_run(tmp_path / "run", trials=ROWS), strict=True)
    assert run.problems == ()
    assert not run.finished
    (tmp_path / "run" / "finished.json").write_text("{}")
    assert load_run(tmp_path / "run").finished


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "\udcff"])
def test_a_damaged_study_leaves_the_tables(tmp_path, text):
    folder = write_run(tmp_path / "run", trials=ROWS)
    (folder / "study.yaml").write_text(text, errors="surrogateescape")
    run = load_run(folder)
    assert len(run.trials) == 2
    assert run.name == "run"
    (problem,) = run.problems
    assert problem.kind == "damaged"
    assert "study.yaml: " in str(problem)
    assert "Restore" in problem.message
    with pytest.raises(RunDirectoryError, match=r"study\.yaml: "):
        load_run(folder, strict=True)


def test_a_missing_study_leaves_the_tables(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS)
    (folder / "study.yaml").unlink()
    assert kinds(load_run(folder)) == ["missing"]


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_or_damaged_table_leaves_the_others(tmp_path, table):
    folder = write_run(tmp_path / "run", trials=ROWS, scores=[{}], stages=[{}])
    path = folder / "tables" / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    for kind, message in (("damaged", "cannot be read as"), ("missing", "no such table")):
        run = load_run(folder)
        (problem,) = run.problems
        assert problem.kind == kind
        assert problem.place.endswith(f"{table}.parquet")
        assert message in problem.message
        assert "taskorder resume" in problem.message
        pd.testing.assert_frame_equal(getattr(run, table), empty_frame(table))
        assert all(len(getattr(run, other)) for other in TABLES if other != table)
        with pytest.raises(RunDirectoryError, match=rf"{table}\.parquet: .*resume"):
            load_run(folder, strict=True)
        path.unlink(missing_ok=True)


def test_the_sound_row_groups_of_a_damaged_table_load(tmp_path):
    folder = write_run(
        tmp_path / "run", trials=[{"sequence": f"task{i}", "score": float(i)} for i in range(300)]
    )
    rewrite(folder, "rungs", lambda rungs: rungs, row_group_size=300)
    path = folder / "tables" / "rungs.parquet"
    payload = bytearray(path.read_bytes())
    payload[200:400] = b"\xff" * 200
    path.write_bytes(payload)
    run = load_run(folder)
    assert len(run.rungs) == 600
    assert len(run.trials) == 300
    assert kinds(run) == ["damaged"]
    assert "300 of 900 rows" in run.problems[0].message


def test_a_column_that_came_later_is_no_problem(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS, stages=[{}])
    for table, columns in ADDED.items():
        rewrite(folder, table, lambda frame, columns=columns: frame.drop(columns=list(columns)))
    run = load_run(folder, strict=True)
    assert run.problems == ()
    assert run.stages["model"].tolist() == [""]


def test_an_older_run_is_filled_and_says_so(tmp_path):
    folder = write_run(tmp_path / "run", trials=[*ROWS, {"sequence": "a"}], scores=[{}])
    rewrite(folder, "trials", lambda t: t.drop(columns=["phase", "num_stages", "steps_reused"]))
    rewrite(folder, "scores", lambda s: s.drop(columns=["rung", "headline"]))
    run = load_run(folder, strict=True)
    assert kinds(run) == ["filled"] * 5
    assert run.trials["num_stages"].tolist() == [0, 2, 1]
    assert set(run.trials["phase"]) == {"search"}
    assert run.trials["steps_reused"].tolist() == [0, 0, 0]
    assert run.scores["headline"].tolist() == [True]
    for table, columns in TABLES.items():
        found = getattr(run, table)
        assert list(found.columns) == [column.name for column in columns]
        assert all(found[column.name].dtype == DTYPES[column.kind] for column in columns)
    assert "An older run" in report_text(run)


def test_a_run_of_a_newer_version_says_so(tmp_path):
    study = {**STUDY, "resolved": {"format": 2}}
    run = load_run(write_run(tmp_path / "run", study, trials=ROWS))
    assert kinds(run) == ["version"]
    assert len(run.trials) == 2


def test_a_table_without_what_its_rows_are_about_is_left_out(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS)
    rewrite(folder, "trials", lambda t: t.drop(columns="sequence"))
    run = load_run(folder)
    assert run.trials.empty
    assert "column 'sequence' is missing" in run.problems[0].message


def test_rows_and_values_that_do_not_fit_are_left_out_and_named(tmp_path):
    folder = write_run(tmp_path / "run", trials=[*ROWS, {"sequence": "b"}, {"sequence": "c"}])

    def spoil(trials):
        trials["state"] = ["complete", "COMPLETE", "complete", "pruned"]
        trials["steps_trained"] = ["7", "many", "8", "9"]
        trials["wall_s"] = ["1.5", "2", None, "3"]
        return trials

    rewrite(folder, "trials", spoil)
    run = load_run(folder)
    assert run.trials["sequence"].tolist() == ["", "b", "c"]
    assert run.trials["steps_trained"].tolist() == [7, 8, 9]
    assert run.trials["wall_s"].isna().tolist() == [False, True, False]
    messages = [problem.message for problem in run.problems]
    assert any(
        "1 rows were left out: state 'COMPLETE' is not one of complete" in m for m in messages
    )
    assert any("1 values were filled: steps_trained 'many' is not int64" in m for m in messages)


def test_tables_of_different_moments_are_called_so(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS)
    rewrite(folder, "rungs", lambda rungs: rungs[rungs["rung"] < 2])
    run = load_run(folder, strict=True)
    assert kinds(run) == ["inconsistent"]
    assert "at rung 2, `rungs` at rung 1; 2 trials differ" in run.problems[0].message
    rewrite(folder, "trials", lambda trials: trials.iloc[:1])
    # Of a run that has ended they are read once.
    (folder / "finished.json").write_text("{}")
    assert "which `trials` does not have" in load_run(folder).problems[0].message


def test_a_live_run_is_read_at_one_moment(tmp_path):
    folder = write_run(tmp_path / "run")
    ended = threading.Event()

    def write(num_trials):
        """Replace every table as the driver does."""
        rows = [{"sequence": f"t{i}", "rung": 0, "score": float(i)} for i in range(num_trials)]
        write_run(tmp_path / f"next{num_trials}", trials=rows)
        for table in TABLES:
            new = tmp_path / f"next{num_trials}" / "tables" / f"{table}.parquet"
            new.replace(folder / "tables" / new.name)

    def keep_writing():
        for num_trials in range(1, 60):
            if ended.is_set():
                return
            write(num_trials)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        seen = [load_run(folder) for _ in range(8)]
    finally:
        ended.set()
        writer.join()
    for run in seen:
        sound = set(run.rungs["trial_id"]) == set(run.trials["trial_id"])
        assert sound or kinds(run) == ["inconsistent"]
    assert load_run(folder).problems == ()
    sizes = [len(run.trials) for run in seen]
    assert sizes == sorted(sizes)


def test_a_run_in_object_storage(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS, scores=[{}])
    memory = fsspec.filesystem("memory")
    memory.put(f"{folder}/", "/bucket/runs/one/", recursive=True)
    try:
        run = load_run("memory://bucket/runs/one", strict=True)
        pd.testing.assert_frame_equal(run.trials, load_run(folder).trials)
        assert run.location == "memory://bucket/runs/one"
        assert run.name == "synthetic"
        with pytest.raises(RunDirectoryError, match="memory://bucket/runs/two: no such folder"):
            load_run("memory://bucket/runs/two")
        assert load_run(f"file://{folder}").path == folder
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_run_behind_a_url(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/run"
        run = load_run(url, strict=True)
        pd.testing.assert_frame_equal(run.rungs, load_run(folder).rungs)
        shutil.rmtree(folder)
        with pytest.raises(RunDirectoryError, match="no such folder"):
            load_run(url)
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(RunDirectoryError, match="cannot be reached"):
        load_run(url)


def test_a_folder_may_be_called_anything(tmp_path, monkeypatch):
    folder = write_run(tmp_path / "a::b [1]*", trials=ROWS)
    assert len(load_run(folder).trials) == 2
    monkeypatch.chdir(tmp_path)
    assert len(load_run("a::b [1]*").trials) == 2


def test_an_address_that_nothing_can_read_is_refused():
    with pytest.raises(RunDirectoryError, match="nosuch"):
        load_run("nosuch://bucket/run")


def test_the_report_says_what_could_not_be_read(tmp_path):
    folder = write_run(tmp_path / "run", trials=ROWS)
    (folder / "tables" / "stages.parquet").unlink()
    text = " ".join(report_text(load_run(folder), width=200).split())
    assert "What of this run could not be read" in text
    assert "stages.parquet: no such table" in text


def test_a_study_is_plain_data(tmp_path):
    folder = write_run(tmp_path / "run")
    assert load_run(folder).study == yaml.safe_load((folder / "study.yaml").read_text())
    assert len(frame("trials", [])) == 0
