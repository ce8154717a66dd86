"""The ledger: everything that decides, in the Optuna study's storage.

One process writes it (the run's driver). What was asked, which stages a trial has, what it scored
at which rung, in which order the reports arrived, what was decided: all of it is in trial
attributes, so a run is rebuilt from the storage alone, and the storage opens in optuna-dashboard.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from search.trials import Proposal, RungReport, StageReport, TrialRecord
from spaces.hyperparameters import Distribution
from spaces.sequences import Sequence
from spaces.study import Study

#: Stands for "no stage at this position" in the encoding.
NO_STAGE = "-"

_FINAL_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def search_space(study: Study) -> dict[str, BaseDistribution]:
    """Return the canonical encoding of a study as Optuna distributions.

    ``target`` (unless the objective is the average), ``stage_1`` to ``stage_<max_length>`` (a task
    or ``-``), and the hyperparameters under their own names. Any Optuna sampler works on it.
    """
    space: dict[str, BaseDistribution] = {}
    if study.objective == "per_target":
        space["target"] = CategoricalDistribution([target.name for target in study.targets])
    for position in range(1, study.space.max_length + 1):
        space[f"stage_{position}"] = CategoricalDistribution([NO_STAGE, *study.space.tasks])
    for name, spec in study.hyperparameters.items():
        if isinstance(spec, Distribution):
            space[name] = _optuna_distribution(spec)
    return space


def _optuna_distribution(spec: Distribution) -> BaseDistribution:
    if spec.uniform is not None:
        return FloatDistribution(*spec.uniform)
    if spec.log_uniform is not None:
        return FloatDistribution(*spec.log_uniform, log=True)
    if spec.int_uniform is not None:
        return IntDistribution(*spec.int_uniform)
    return CategoricalDistribution(list(spec.choice or ()))


def encode_sequence(sequence: Sequence, max_length: int) -> dict[str, str]:
    """Return the parameters of a sequence of single-task stages."""
    names = [*sequence.names, *[NO_STAGE] * (max_length - len(sequence))]
    return {f"stage_{i}": name for i, name in enumerate(names, start=1)}


def decode_sequence(parameters: dict[str, Any]) -> Sequence:
    """Return the sequence of some parameters: gaps are closed, a repeated task counts once.

    >>> str(decode_sequence({"stage_1": "b", "stage_2": "-", "stage_3": "b"}))
    'b'
    """
    positions = sorted(
        (int(name.removeprefix("stage_")), value)
        for name, value in parameters.items()
        if name.startswith("stage_")
    )
    return Sequence.of(*dict.fromkeys(task for _, task in positions if task != NO_STAGE))


class Ledger:
    """The trials of a run, durable.

    Args:
        study: The study.
        url: Optuna storage URL.
        sampler: The sampler that suggests; ``None`` to read only.
    """

    def __init__(
        self, study: Study, url: str, sampler: optuna.samplers.BaseSampler | None = None
    ) -> None:
        self._study = study
        self._space = search_space(study)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna.create_study(
            study_name=study.name,
            storage=url,
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )

    def suggest(self) -> dict[str, Any]:
        """Ask the sampler for parameters, as a new trial of the Optuna study.

        Returns:
            ``number`` of the new trial and its ``parameters``.
        """
        trial = self.optuna.ask(fixed_distributions=self._space)
        return {"number": trial.number, "parameters": trial.params}

    def accept(self, number: int, proposal: Proposal) -> TrialRecord:
        """Note what a suggested trial is."""
        trial = self._trial(number)
        for name, value in proposal.attributes().items():
            trial.set_user_attr(name, value)
        return TrialRecord(number=number, proposal=proposal)

    def repeat(self, number: int, original: TrialRecord) -> None:
        """Answer a suggested trial that repeats an earlier one from the record."""
        self._trial(number).set_user_attr("repeats", original.number)
        last = original.rungs[-1] if original.rungs else None
        if original.status == "complete" and last is not None and math.isfinite(last.score):
            self.optuna.tell(number, last.score)
        else:
            self.optuna.tell(number, state=TrialState.FAIL)

    def add(self, proposal: Proposal) -> TrialRecord:
        """Add a trial that no sampler suggested (a baseline, a confirmation)."""
        values = dict(proposal.hyperparameters)
        distributions = {name: self._space[name] for name in values}
        if "target" in self._space:
            values["target"] = proposal.target
            distributions["target"] = self._space["target"]
        if proposal.sequence in self._study.space:
            encoded = encode_sequence(proposal.sequence, self._study.space.max_length)
            values |= encoded
            distributions |= {name: self._space[name] for name in encoded}
        self.optuna.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=values,
                distributions=distributions,
                user_attrs=proposal.attributes(),
            )
        )
        number = self.optuna.get_trials(deepcopy=False)[-1].number
        return TrialRecord(number=number, proposal=proposal)

    def start(self, record: TrialRecord) -> None:
        """Note that a trial runs for the first time."""
        if record.started_at is None:
            record.started_at = now()
            self._trial(record.number).set_user_attr("started_at", record.started_at.isoformat())

    def stage(self, record: TrialRecord, report: StageReport) -> None:
        """Note that a trial has a further stage."""
        record.stages.append(report)
        self._trial(record.number).set_user_attr(
            f"stage:{len(record.stages) - 1}", report.to_json()
        )

    def rung(self, record: TrialRecord, report: RungReport) -> None:
        """Note what a trial scored at a rung, and what was decided there so far."""
        trial = self._trial(record.number)
        trial.set_user_attr(f"rung:{report.rung}", report.to_json())
        record.rungs.append(report)
        trial.report(report.score, report.rung)

    def decide(self, record: TrialRecord, rung: int, decision: str) -> None:
        """Note a decision at a rung, replacing an earlier ``pause``."""
        if record.decisions.get(rung) != decision:
            record.decisions[rung] = decision
            self._trial(record.number).set_user_attr(f"decision:{rung}", decision)

    def finish(self, record: TrialRecord, status: str, error: str = "") -> None:
        """Tell Optuna a trial's last state."""
        record.status, record.error, record.finished_at = status, error, now()
        if error:
            self._trial(record.number).set_user_attr("error", error)
        self._trial(record.number).set_user_attr("finished_at", record.finished_at.isoformat())
        score = record.score
        if status == "complete" and math.isfinite(score):
            self.optuna.tell(record.number, score)
        else:
            self.optuna.tell(record.number, state=_FINAL_STATES[status])

    def load(self) -> list[TrialRecord]:
        """Rebuild every trial from the storage, in the order they were asked.

        A trial that was suggested and never noted (the driver died in between) is told FAILED: it
        had not begun, and the sampler suggests in its place.
        """
        records = []
        for trial in self.optuna.get_trials(deepcopy=False):
            if "sequence" not in trial.user_attrs:
                if trial.state == TrialState.RUNNING:
                    self.optuna.tell(trial.number, state=TrialState.FAIL)
                continue
            records.append(_record(trial))
        return records

    def _trial(self, number: int) -> optuna.trial.Trial:
        trials = self.optuna.get_trials(deepcopy=False)
        return optuna.trial.Trial(self.optuna, trials[number]._trial_id)


def _record(trial: FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    record = TrialRecord(number=trial.number, proposal=Proposal.from_attributes(attributes))
    record.stages = [StageReport(**attributes[key]) for key in _numbered(attributes, "stage")]
    record.rungs = [RungReport.from_json(attributes[key]) for key in _numbered(attributes, "rung")]
    record.decisions = {
        int(key.removeprefix("decision:")): attributes[key]
        for key in _numbered(attributes, "decision")
    }
    record.error = attributes.get("error", "")
    record.started_at = _time(attributes.get("started_at"))
    record.finished_at = _time(attributes.get("finished_at"))
    by_state: dict[TrialState, str] = {state: name for name, state in _FINAL_STATES.items()}
    record.status = by_state.get(trial.state, "paused" if record.rungs else "waiting")
    return record


def _numbered(attributes: dict[str, Any], kind: str) -> list[str]:
    prefix = f"{kind}:"
    keys = [key for key in attributes if key.startswith(prefix)]
    order: Callable[[str], int] = lambda key: int(key.removeprefix(prefix))  # noqa: E731
    return sorted(keys, key=order)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
