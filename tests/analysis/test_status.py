from __future__ import annotations

import io
import json
import shutil
from datetime import timedelta

import pytest
from rich.console import Console

from analysis.status import render_status, status, watch
from spaces.errors import RunDirectoryError
from tests.analysis.runs import START, STUDY, write_run


def test_a_live_run(tmp_path):
    rows = [
        {"phase": "baseline", "score": 50},
        {"sequence": "a", "score": 60, "steps_trained": 40, "steps_reused": 60}
        | {"finished_at": START + timedelta(seconds=20)},
        {"sequence": "b", "state": "running", "finished_at": None},
        {"sequence": "a>b", "state": "waiting", "started_at": None, "finished_at": None},
    ]
    stages = [{"times_trained": 1}, {"evicted": True, "size_bytes": 7}]
    found = status(write_run(tmp_path / "run", trials=rows, stages=stages))
    json.dumps(found, allow_nan=False)
    assert found["trials"] == {
        "total": 4, "complete": 2, "pruned": 0, "failed": 0, "running": 1, "waiting": 1,
    }  # fmt: skip
    assert not found["finished"]
    assert found["incumbents"]["tags"]["sequence"] == "a"
    assert found["incumbents"]["tags"]["gain"] == 10
    assert found["incumbents"]["tags"]["gain_low"] is None
    assert found["incumbents"]["spans"] is None
    assert found["stages"] == {"distinct": 2, "trained": 2, "reused": 4, "size_bytes": 1000}
    assert found["cost"]["share_saved"] == pytest.approx(60 / (140 + 200 + 60))
    # Two finished in 20 s. To come: 2 in the tables, 5 of the 8 to search, 3 x 3 x 2 to confirm.
    assert found["time_left_s"] == pytest.approx(10 * (2 + 5 + 18))


def rendered(found):
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(render_status(found))
    return console.file.getvalue()


def test_what_a_person_sees(tmp_path):
    rows = [
        {"phase": "baseline", "score": 50},
        {"sequence": "a>b", "score": 60, "steps_reused": 100},
        {"sequence": "c", "state": "failed", "error": "[red]disk full[/red]"},
    ]
    text = rendered(status(write_run(tmp_path / "run", trials=rows)))
    assert "trials: 3 (2 complete, 1 failed)" in text
    assert "a > b" in text
    assert "+10.0" in text
    assert "nothing complete yet" in text
    assert "300 trained, 100 spared (25% saved)" in text
    assert "trial 2 failed: [red]disk full[/red]" in text
    assert "left" in text
    assert "time left unknown" in rendered(status(write_run(tmp_path / "new")))


def test_a_finished_run(tmp_path):
    rows = [{"score": 1, "phase": phase} for phase in ("baseline", "search", "confirm")]
    found = status(write_run(tmp_path / "run", trials=rows))
    assert found["finished"]
    assert found["time_left_s"] == 0


def test_a_run_that_has_just_begun(tmp_path):
    found = status(str(write_run(tmp_path / "run", {**STUDY, "targets": ["tags"]})))
    assert found["time_left_s"] is None
    assert found["incumbents"] == {"tags": None}
    assert found["cost"]["elapsed_s"] is None
    json.dumps(found, allow_nan=False)


def test_no_run(tmp_path):
    with pytest.raises(RunDirectoryError):
        status(tmp_path / "nowhere")


def test_watching_shows_each_change_and_ends_with_the_run(tmp_path):
    folder = write_run(tmp_path / "run", trials=[{"state": "running", "finished_at": None}])
    phases = ("baseline", "search", "confirm")
    rows = [{"score": 1 + i, "phase": phase} for i, phase in enumerate(phases)]
    shown, waits = [], []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            shutil.rmtree(folder)
            write_run(folder, trials=rows)

    watch(folder, shown.append, every_s=7, wait=wait)
    assert waits == [7, 7]
    assert [found["finished"] for found in shown] == [False, True]
    assert shown[-1] == status(folder)
