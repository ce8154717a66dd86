"""Writes the tables of a run directory; a pure function of the trials' records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from search.trials import TrialRecord
from spaces.tables import HYPERPARAMETER_PREFIX, TABLES

_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def rows(records: Sequence[TrialRecord]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table."""
    return {
        "trials": [_trial(record) for record in records],
        "scores": [
            {
                "trial_id": record.number,
                "target": record.proposal.target,
                "rung": report.rung,
                **score,
            }
            for record in records
            for report in record.rungs
            for score in report.scores
        ],
        "stages": _stages(records),
        "rungs": [
            {
                "trial_id": record.number,
                "target": record.proposal.target,
                "rung": report.rung,
                "budget_steps": report.budget_steps,
                "score": report.score,
                "decision": record.decisions.get(report.rung, "pause"),
                "reported_at": report.reported_at,
            }
            for record in records
            for report in record.rungs
        ],
    }


def write_tables(folder: Path, records: Sequence[TrialRecord]) -> None:
    """Write every table, each replaced in one step, so that a reader never sees half of one.

    Args:
        folder: The run's ``tables`` folder; made if it is not there.
        records: The trials.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table, content in rows(records).items():
        declared = {column.name: _TYPES[column.kind] for column in TABLES[table]}
        further = dict.fromkeys(name for row in content for name in row if name not in declared)
        schema = pa.schema(
            [
                *declared.items(),
                *((name, pa.array([row.get(name) for row in content]).type) for name in further),
            ]
        )
        path = folder / f"{table}.parquet"
        temporary = path.with_suffix(".tmp")
        parquet.write_table(pa.Table.from_pylist(content, schema=schema), temporary)
        temporary.replace(path)


def _trial(record: TrialRecord) -> dict[str, Any]:
    proposal = record.proposal
    state = "waiting" if record.status == "paused" else record.status
    return {
        "trial_id": record.number,
        "target": proposal.target,
        "sequence": str(proposal.sequence),
        "num_stages": len(proposal.sequence),
        "state": state,
        "phase": proposal.phase,
        "score": record.score,
        "rung": record.rungs[-1].rung if record.rungs else -1,
        "steps_trained": record.steps_trained,
        "steps_reused": record.steps_reused,
        "seed": proposal.seed,
        "wall_s": record.wall_s,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "error": record.error,
        **{HYPERPARAMETER_PREFIX + name: value for name, value in proposal.hyperparameters.items()},
    }


def _stages(records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    by_fingerprint: dict[str, dict[str, Any]] = {}
    for record in records:
        for position, stage in enumerate(record.stages):
            row = by_fingerprint.setdefault(
                stage.fingerprint,
                {
                    "fingerprint": stage.fingerprint,
                    "parent": stage.parent if position else "",
                    "sequence": stage.sequence,
                    "steps": stage.steps,
                    "wall_s": stage.wall_s,
                    "size_bytes": stage.size_bytes,
                    "times_trained": 0,
                    "times_reused": 0,
                    "evicted": False,
                },
            )
            row["times_reused" if stage.reused else "times_trained"] += 1
    return list(by_fingerprint.values())
