"""Writes the tables of a run directory; a function of the trials' records and the store's state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
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


#: Tables are written at most this often while the run goes on.
TABLES_PERIOD_S = 2.0
#: ... and after a pause of this many times what the last writing took.
TABLES_PAUSE = 20.0


@dataclass(frozen=True, slots=True)
class StoreState:
    """What became of stages after they were trained.

    Attributes:
        evicted: Fingerprints of those that made room and are not there.
        times_set_aside: How often each was found damaged.
    """

    evicted: Collection[str] = frozenset()
    times_set_aside: Mapping[str, int] = field(default_factory=dict)


def rows(
    records: Sequence[TrialRecord], store: StoreState | None = None
) -> dict[str, list[dict[str, Any]]]:
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
        "stages": _stages(records, store or StoreState()),
        "rungs": [
            {
                "trial_id": record.number,
                "target": record.proposal.target,
                "rung": report.rung,
                "budget_steps": report.budget_steps,
                "score": report.score,
                "decision": record.decisions.get(report.rung, "pause"),
                "reported_at": report.reported_at,
                "wall_s": report.wall_s + (_stages_wall_s(record) if i == 0 else 0.0),
            }
            for record in records
            for i, report in enumerate(record.rungs)
        ],
    }


class TableWriter:
    """Writes the tables now and then, less often as they grow.

    Args:
        folder: The run's ``tables`` folder.
        records: Returns the trials.
        store: Returns what became of the stages.
        clock: A monotonic clock.
    """

    def __init__(
        self,
        folder: Path,
        records: Callable[[], Sequence[TrialRecord]],
        store: Callable[[], StoreState],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._records = records
        self._store = store
        self._clock = clock
        self._due_at = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time to write them again."""
        return self._clock() >= self._due_at

    def write(self) -> None:
        """Write them now."""
        started = self._clock()
        write_tables(self._folder, self._records(), self._store())
        ended = self._clock()
        self._due_at = ended + max(TABLES_PERIOD_S, TABLES_PAUSE * (ended - started))


def write_tables(
    folder: Path, records: Sequence[TrialRecord], store: StoreState | None = None
) -> None:
    """Write every table, each replaced in one step, so that a reader never sees half of one.

    Args:
        folder: The run's ``tables`` folder; made if it is not there.
        records: The trials.
        store: What became of the stages; as they were trained if not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table, content in rows(records, store).items():
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


def _stages_wall_s(record: TrialRecord) -> float:
    """Return what is left of a trial's time without its rungs: that of the stages it trained."""
    return record.wall_s - sum(report.wall_s for report in record.rungs)


def _trial(record: TrialRecord) -> dict[str, Any]:
    proposal = record.proposal
    return {
        "trial_id": record.number,
        "target": proposal.target,
        "sequence": str(proposal.sequence),
        "num_stages": len(proposal.sequence),
        "state": record.state,
        "phase": proposal.phase,
        "model": proposal.model,
        "arm": proposal.arm,
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


def _stages(records: Sequence[TrialRecord], store: StoreState) -> list[dict[str, Any]]:
    by_fingerprint: dict[str, dict[str, Any]] = {}
    for record in records:
        for position, stage in enumerate(record.stages):
            row = by_fingerprint.setdefault(
                stage.fingerprint,
                {
                    "fingerprint": stage.fingerprint,
                    "parent": stage.parent if position else "",
                    "sequence": stage.sequence,
                    "model": record.proposal.model,
                    "steps": stage.steps,
                    "wall_s": stage.wall_s,
                    "size_bytes": stage.size_bytes,
                    "times_trained": 0,
                    "times_reused": 0,
                    "evicted": stage.fingerprint in store.evicted,
                    "times_set_aside": store.times_set_aside.get(stage.fingerprint, 0),
                },
            )
            row["times_reused" if stage.reused else "times_trained"] += 1
    for record in records:
        for stage in record.rebuilt:
            by_fingerprint[stage.fingerprint]["times_trained"] += 1
    return list(by_fingerprint.values())
