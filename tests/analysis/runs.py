"""Synthetic runs: rows that say only what matters to a test, defaults for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.frames import empty_frame, typed_frame
from spaces.tables import TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)

STUDY = {
    "name": "synthetic",
    "targets": [{"name": "tags"}, {"name": "spans"}],
    "select_on": "target_dev",
    "search": {"num_trials": 8, "confirm": {"top": 1, "seeds": 3}},
}

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "trials": {
        "target": "tags",
        "sequence": "",
        "state": "complete",
        "phase": "search",
        "score": float("nan"),
        "rung": 2,
        "steps_trained": 100,
        "steps_reused": 0,
        "seed": 0,
        "wall_s": 5.0,
        "started_at": START,
        "finished_at": START + timedelta(seconds=5),
        "error": "",
    },
    "scores": {
        "target": "tags",
        "rung": 2,
        "language": "en",
        "split": "test",
        "metric": "f1",
        "value": 50.0,
        "num_examples": 100,
        "selected_on": False,
        "headline": True,
    },
    "stages": {
        "fingerprint": "f0",
        "parent": "",
        "sequence": "a",
        "steps": 50,
        "wall_s": 2.0,
        "size_bytes": 1000,
        "times_trained": 1,
        "times_reused": 2,
        "evicted": False,
    },
    "rungs": {
        "target": "tags",
        "rung": 0,
        "budget_steps": 10,
        "score": 40.0,
        "decision": "promote",
        "reported_at": START,
    },
}
#: What a column has that no test of ours speaks of, by kind.
_UNKNOWN = {"string": "", "int64": 0, "float64": float("nan"), "bool": False, "timestamp": None}


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a typed frame from rows that say only what matters to the test."""
    filled = [{"trial_id": index, **_DEFAULTS[table], **row} for index, row in enumerate(rows)]
    for row in filled:
        if table == "trials":
            row.setdefault("num_stages", len([s for s in row["sequence"].split(">") if s]))
        if table == "stages":
            del row["trial_id"]
        for column in TABLES[table]:
            row.setdefault(column.name, _UNKNOWN[column.kind])
    return typed_frame(pd.DataFrame(filled), table) if filled else empty_frame(table)


def write_run(
    folder: Path, study: Mapping[str, Any] = STUDY, **tables: Iterable[Mapping[str, Any]]
) -> Path:
    """Write a run directory with the given rows.

    Tables that are not given are empty; ``rungs`` has what ``trials`` says was reached.
    """
    (folder / "tables").mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)), encoding="utf-8")
    tables.setdefault("rungs", _reached(frame("trials", tables.get("trials", ()))))
    for table in TABLES:
        frame(table, tables.get(table, ())).to_parquet(folder / "tables" / f"{table}.parquet")
    return folder


def _reached(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a report at every rung up to the one that each trial has reached."""
    return [
        {"trial_id": row["trial_id"], "target": row["target"], "rung": rung}
        | {"budget_steps": 10 * 3**rung, "score": row["score"]}
        | {"decision": "complete" if rung == row["rung"] else "promote"}
        for row in trials.to_dict("records")
        for rung in range(row["rung"] + 1)
    ]
