"""What ``taskorder export`` exports: which trial, and whether the model is the one on record.

The model itself is made elsewhere (``trainables.exporting``), its card by ``model_card``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.average import AVERAGE
from analysis.comparisons import compare_best
from analysis.observations import Source, observations
from analysis.statistics import leaderboard
from search.ledger import Ledger
from search.rundir import RunDirectory
from search.trials import TrialRecord
from spaces.errors import InputError, RunDirectoryError, TaskorderError, UnknownNameError
from spaces.plan import TrialPlan
from spaces.study import Study

if TYPE_CHECKING:
    from analysis.frames import Run

#: Points that the exported model's score may differ from the recorded one.
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Choice:
    """The trial to export.

    Attributes:
        trial_id: Its number.
        reason: Why this one, a sentence.
        mean: Mean score of its sequence over the seeds that count; NaN if there is none.
        num_seeds: Those seeds.
        gain: Mean gain over no intermediate task, and its 95% interval; NaN where unknown.
    """

    trial_id: int
    reason: str
    mean: float = math.nan
    num_seeds: int = 0
    gain: tuple[float, float, float] = (math.nan, math.nan, math.nan)


def choose_trial(run: Run, target: str | None, trial_id: int | None) -> Choice:
    """Choose the trial to export: the one asked for, or the best of a target.

    The best is the leaderboard's first sequence (of the average, if the study's objective is
    that), and of its seeds that count the one that scored highest.

    Args:
        run: The run.
        target: The target; may be left out of a run with a single one.
        trial_id: A trial; then the target needs not be given.

    Raises:
        UnknownNameError: No such target.
        InputError: No such trial, it never reached the full budget, it is another target's, or
            the target has to be named.
    """
    target = _target_of(run, target, trial_id)
    source: Source = run
    if trial_id is not None:
        (row,) = run.trials[run.trials["trial_id"] == trial_id].to_dict("records")
        # The leaderboard of a run is that of its first model.
        source = run.trials[run.trials["model"] == row["model"]]
    board = leaderboard(source, target, average=False)
    if trial_id is not None:
        sequence = str(row["sequence"])
        reason = f"Trial {trial_id} was asked for."
    else:
        by_average = run.study.get("objective") == AVERAGE
        ranked = leaderboard(run, AVERAGE, average=True) if by_average else board
        sequence = str(ranked["sequence"].iloc[0])
        seen = observations(run, target, fresh_only=True, average=False)
        seen = seen[seen["sequence"] == sequence].sort_values("score", ascending=False)
        trial_id = int(seen["trial_id"].iloc[0])
        picked = (
            f"of its {len(seen)} seeds that count, this one scored highest."
            if len(seen) > 1
            else "this is its only seed that counts."
        )
        first = "Its sequence is the first of the leaderboard" + " of the average" * by_average
        reason = f"{first}; {picked}"
    (found,) = board[board["sequence"] == sequence].to_dict("records")
    gain = (found["gain"], found["gain_low"], found["gain_high"])
    if sequence == board["sequence"].iloc[0]:
        # It was picked by these scores: the interval has to allow for that.
        compared = compare_best(source, target, against=["none"], average=False)
        for none in compared.to_dict("records"):
            gain = (none["difference"], none["difference_low"], none["difference_high"])
    return Choice(trial_id, reason, found["score"], int(found["num_seeds"]), gain)


def _target_of(run: Run, target: str | None, trial_id: int | None) -> str:
    """Return the target; it and the trial, if one is given, have a score at the full budget."""
    if trial_id is not None:
        rows = run.trials[run.trials["trial_id"] == trial_id].to_dict("records")
        if not rows:
            raise InputError(
                f"--trial {trial_id}: the run has no such trial. `taskorder report` lists them, or "
                "leave --trial out for the best."
            )
        row = rows[0]
        if row["state"] != "complete" or math.isnan(row["score"]):
            raise InputError(
                f"--trial {trial_id}: is {row['state']} and has no score at the full budget. "
                "Choose a complete one, or leave --trial out for the best."
            )
        if target not in (None, row["target"]):
            raise InputError(f"--trial {trial_id}: is of {row['target']!r}, not of {target!r}.")
        return str(row["target"])
    targets = list(dict.fromkeys(run.trials["target"]))
    if target is None and len(targets) > 1:
        raise InputError(f"--target: the run has {len(targets)}: {', '.join(targets)}. Name one.")
    chosen = target if target is not None else next(iter(targets), "")
    if chosen not in targets:
        raise UnknownNameError("target", chosen, targets)
    own = run.trials[run.trials["target"] == chosen]
    if not ((own["state"] == "complete") & own["score"].notna()).any():
        raise InputError(f"--target {chosen}: none of its trials has reached the full budget yet.")
    return chosen


def read_trial(directory: RunDirectory, study: Study, trial_id: int) -> TrialRecord:
    """Read a trial from the run's Optuna storage; nothing is written.

    Args:
        directory: The run directory.
        study: Its study.
        trial_id: Number of the trial.

    Raises:
        RunDirectoryError: The storage is not there, or does not have it.
    """
    database = directory.path / "optuna.db"
    if study.storage.optuna is None and not database.is_file():
        raise RunDirectoryError(
            f"{directory.path} has no optuna.db, which says how its trials were trained. Export "
            "from the run directory that `taskorder launch` wrote."
        )
    for record in Ledger(study, directory.optuna_url(study)).load():
        if record.number == trial_id:
            return record
    raise RunDirectoryError(
        f"{directory.path}: trial {trial_id} is in the tables and not in the Optuna storage. "
        "Export from the run directory that `taskorder launch` wrote."
    )


def check_plan(plan: TrialPlan, record: TrialRecord) -> None:
    """Check that what would be trained is what was trained.

    Raises:
        InputError: The data, the base model or a task's definition is not what it was.
    """
    then = [stage.fingerprint for stage in record.stages]
    now = [stage.fingerprint for stage in plan.stages]
    budget = record.rungs[-1].budget_steps
    if then != now or budget != plan.budgets[-1]:
        raise InputError(
            f"trial {record.number}: its stages have other fingerprints now than when they were "
            "trained: the training data, the base model, a task or taskorder itself has changed "
            "since. Put back what the run had; study.yaml names the versions."
        )


@dataclass(frozen=True, slots=True)
class Check:
    """The exported model against the record.

    Attributes:
        recorded: The trial's objective.
        measured: The exported model's.
        largest: Largest difference of any score, in points, and what it is of.
        tolerance: Points that the objective may differ.
    """

    recorded: float
    measured: float
    largest: tuple[float, str]
    tolerance: float

    @property
    def difference(self) -> float:
        """Measured less recorded, in points."""
        return self.measured - self.recorded

    def sentence(self) -> str:
        """Say how the two compare."""
        where = f" The largest difference of a single score is {self.largest[0]:.2f}"
        where += f" ({self.largest[1]})." if self.largest[0] > 0 else "."
        return (
            f"Recorded {self.recorded:.2f}, the exported model scores {self.measured:.2f} "
            f"(difference {self.difference:+.2f}, tolerance {self.tolerance:g}).{where}"
        )


def check_score(
    record: TrialRecord, objective: float, scores: Sequence[Mapping[str, Any]], tolerance: float
) -> Check:
    """Hold the exported model's scores against the recorded ones.

    Args:
        record: The trial.
        objective: The exported model's objective, in points.
        scores: Its scores, as rows of the ``scores`` table.
        tolerance: Points that the objective may differ.

    Raises:
        TaskorderError: It differs by more.
    """

    def by_set(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        return {f"{r['language']} {r['split']} {r['metric']}": r["value"] for r in rows}

    then, now = by_set(record.rungs[-1].scores), by_set(scores)
    differences = [(abs(now[name] - then[name]), name) for name in then if name in now]
    check = Check(record.score, objective, max(differences, default=(0.0, "")), tolerance)
    # Not `>`: a NaN is no match either.
    if not abs(check.difference) <= tolerance:
        raise TaskorderError(
            f"export: the model does not reproduce trial {record.number}. {check.sentence()} "
            "Other hardware, precision or package versions round otherwise (study.yaml has the "
            "run's). Export where it was trained, or accept it with a larger --tolerance. Nothing "
            "was written."
        )
    return check
