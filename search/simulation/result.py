"""What a simulated run came to."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from search.exhaustion import is_exhausted
from search.simulation.incumbents import Incumbent
from search.simulation.workers import Tally
from search.tables import rows
from search.trials import TrialRecord
from spaces.study import Study
from spaces.tables import TABLES


@dataclass(slots=True)
class Counts:
    """What was trained, lost and handled.

    Attributes:
        steps_trained: Optimizer steps that were reported, each stage once.
        steps_lost: Steps of units that were cut short, as far as they had got.
        failures: Units that failed.
        preemptions: Units whose worker was taken away.
        given_up: Trials that failed too often.
    """

    steps_trained: int = 0
    steps_lost: int = 0
    failures: int = 0
    preemptions: int = 0
    given_up: int = 0

    @property
    def steps_spent(self) -> int:
        """Steps trained and lost."""
        return self.steps_trained + self.steps_lost


@dataclass(frozen=True)
class SimulationResult:
    """A simulated run, finished or stopped. All but ``latencies_s`` is the same in every process.

    Attributes:
        study: The study.
        records: Every trial's record.
        tallies: How each worker spent its time.
        makespan_s: Virtual seconds until the last unit of work ended.
        counts: What was trained, lost and handled.
        incumbents: Each incumbent, in order of time.
        latencies_s: Real seconds of each of the coordinator's decisions (a selection or a report).
        stopped: Whether it was stopped before its end.
    """

    study: Study
    records: Sequence[TrialRecord]
    tallies: Sequence[Tally]
    makespan_s: float
    counts: Counts
    incumbents: Sequence[Incumbent]
    latencies_s: array[float]
    stopped: bool

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return the tables of a run directory: ``trials``, ``scores``, ``stages``, ``rungs``."""
        return {
            table: pd.DataFrame(content) if content else _empty(table)
            for table, content in rows(self.records).items()
        }

    def incumbent_frame(self) -> pd.DataFrame:
        """Return the incumbents: ``target, sequence, score, trial_id, at_s, steps``."""
        names = list(Incumbent.__slots__)
        return pd.DataFrame([asdict(found) for found in self.incumbents], columns=names)

    def worker_frame(self) -> pd.DataFrame:
        """Return a row a worker: ``worker, busy_s, lost_s, away_s, idle_s, utilisation``.

        ``utilisation`` is the share of the makespan that was work whose result was reported; NaN
        if nothing took any time.
        """
        frame = pd.DataFrame([asdict(tally) for tally in self.tallies])
        frame.insert(0, "worker", range(len(frame)))
        spent = frame["busy_s"] + frame["lost_s"] + frame["away_s"]
        # A worker may be away beyond the end of the run.
        frame["idle_s"] = (self.makespan_s - spent).clip(lower=0)
        frame["utilisation"] = frame["busy_s"] / (self.makespan_s or math.nan)
        return frame

    @property
    def utilisation(self) -> float:
        """Share of all workers' time that was work whose result was reported; NaN without any."""
        busy = math.fsum(tally.busy_s for tally in self.tallies)
        return busy / (self.makespan_s * len(self.tallies) or math.nan)

    def decision_latency(self) -> dict[str, float]:
        """Return ``count``, ``total_s``, ``mean_s``, ``p50_s`` and ``p99_s``, real seconds."""
        if not self.latencies_s:
            return dict.fromkeys(("count", "total_s", "mean_s", "p50_s", "p99_s"), 0.0)
        found = np.frombuffer(self.latencies_s)
        p50, p99 = np.percentile(found, [50, 99])
        return {
            "count": float(len(found)),
            "total_s": float(found.sum()),
            "mean_s": float(found.mean()),
            "p50_s": float(p50),
            "p99_s": float(p99),
        }

    @property
    def is_exhausted(self) -> bool:
        """Whether the search ended before its number of trials: nothing new was left."""
        return not self.stopped and is_exhausted(self.study, self.records)

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain data, decision latency left out; unknown is ``None``."""
        states = Counter(record.status for record in self.records)
        best = {found.target: found for found in self.incumbents}
        utilisation = self.utilisation
        return {
            "study": self.study.name,
            "seed": self.study.seed,
            "workers": len(self.tallies),
            "trials": {"total": len(self.records), **dict(sorted(states.items()))},
            "makespan_s": self.makespan_s,
            "utilisation": None if math.isnan(utilisation) else utilisation,
            "stages_trained": len({s.fingerprint for r in self.records for s in r.stages}),
            "steps_reused": sum(record.steps_reused for record in self.records),
            **asdict(self.counts),
            "exhausted": self.is_exhausted,
            "incumbents": {
                target: {"sequence": found.sequence, "score": found.score, "at_s": found.at_s,
                         "steps": found.steps}
                for target, found in best.items()
            },
        }  # fmt: skip


def _empty(table: str) -> pd.DataFrame:
    return pd.DataFrame(columns=[column.name for column in TABLES[table]])
