"""The ledger: everything that decides, in the Optuna study's storage.

One process writes it (the run's driver). What was asked, which stages a trial has, what it scored
at which rung, in which order the reports arrived, what was decided: all of it is in trial
attributes, so a run is rebuilt from the storage alone, and the storage opens in optuna-dashboard.

Each note is one write, and what a note entails (a state told, an intermediate value) is written
after it, so that ``rebuild`` can make up for whatever a killed driver left undone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from search.encoding import encode_sequence, search_space
from search.ledger_storage import open_storage
from search.trials import Proposal, RungReport, TrialRecord
from spaces.model_axis import model_labels
from spaces.reports import StageReport
from spaces.study import Study

_FINAL_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_STATUSES = {state: status for status, state in _FINAL_STATES.items()}


def now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the sampler answered.

    Attributes:
        number: Number of the new trial in the Optuna study.
        parameters: Its parameters in the canonical encoding.
    """

    number: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a storage holds of a run.

    Attributes:
        records: Every trial, in the order they were asked.
        unnoted: Numbers of trials that were asked for when the driver died, and nothing more.
        num_repeats: Suggestions since the last new one that only repeated earlier trials.
    """

    records: list[TrialRecord]
    unnoted: list[int]
    num_repeats: int


class Ledger:
    """The trials of a run, durable.

    Args:
        study: The study.
        storage: Optuna storage, or its URL.
        sampler: The sampler that suggests; ``None`` to read only.
        clock: Returns the time, in UTC.
    """

    def __init__(
        self,
        study: Study,
        storage: str | optuna.storages.BaseStorage,
        sampler: optuna.samplers.BaseSampler | None = None,
        *,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.clock = clock
        self._study = study
        self._space = search_space(study)
        self._model = model_labels(study)[0]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = open_storage(storage) if isinstance(storage, str) else storage
        self.optuna = optuna.create_study(
            study_name=study.name,
            storage=self._storage,
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(study.name)
        self._ids: dict[int, int] = {}

    def launched(self) -> Study:
        """Return the study as it was launched; noted at the first call."""
        noted = self.optuna.user_attrs.get("study")
        if noted is None:
            self.optuna.set_user_attr("study", self._study.model_dump(mode="json"))
            return self._study
        return Study.model_validate(noted)

    def suggest(self) -> Suggestion:
        """Ask the sampler for parameters, as a new trial of the Optuna study."""
        trial = self.optuna.ask(fixed_distributions=self._space)
        return Suggestion(trial.number, trial.params)

    def suggest_again(self, number: int) -> Suggestion:
        """Finish a suggestion that the driver's end cut short; what was stored of it stays."""
        trial = optuna.trial.Trial(self.optuna, self._id(number))
        for name, distribution in self._space.items():
            if isinstance(distribution, CategoricalDistribution):
                trial.suggest_categorical(name, distribution.choices)
            elif isinstance(distribution, FloatDistribution):
                trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
            else:
                trial.suggest_int(name, distribution.low, distribution.high)
        return Suggestion(number, trial.params)

    def accept(self, number: int, proposal: Proposal) -> TrialRecord:
        """Note what a suggested trial is."""
        for name, value in proposal.attributes().items():
            self._note(number, name, value)
        return TrialRecord(number=number, proposal=proposal)

    def repeat(self, number: int, original: TrialRecord) -> None:
        """Answer a suggested trial that repeats an earlier one from the record.

        Whether the earlier one was settled by then is noted with it: only such a suggestion is in
        vain.
        """
        self._note(number, "in_vain", original.is_final)
        self._note(number, "repeats", original.number)
        if original.status == "complete" and math.isfinite(original.score):
            self.optuna.tell(number, original.score)
        else:
            self.optuna.tell(number, state=TrialState.FAIL)

    def add(self, proposal: Proposal) -> TrialRecord:
        """Add a trial that no sampler suggested (a baseline, a confirmation)."""
        values = dict(proposal.hyperparameters)
        # Parameters are what a sampler learns from: what it may suggest, on the model it searches.
        is_searched = proposal.model == self._model
        if is_searched and "target" in self._space:
            values["target"] = proposal.target
        if is_searched and proposal.sequence in self._study.space:
            values |= encode_sequence(proposal.sequence, self._study)
        trial_id = self._storage.create_new_trial(
            self._study_id,
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=values,
                distributions={name: self._space[name] for name in values},
                user_attrs=proposal.attributes(),
            ),
        )
        number = self._storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return TrialRecord(number=number, proposal=proposal)

    def start(self, record: TrialRecord) -> None:
        """Note that a trial runs for the first time."""
        if record.started_at is None:
            record.started_at = self.clock()
            self._note(record.number, "started_at", record.started_at.isoformat())

    def stage(self, record: TrialRecord, report: StageReport) -> None:
        """Note that a trial has a further stage."""
        self._note(record.number, f"stage:{len(record.stages)}", report.to_json())
        record.stages.append(report)

    def rebuilt(self, record: TrialRecord, report: StageReport) -> None:
        """Note that a trial trained a stage again that the store had lost."""
        self._note(record.number, f"rebuilt:{len(record.rebuilt)}", report.to_json())
        record.rebuilt.append(report)

    def set_aside(self, number: int, entries: Iterable[Mapping[str, Any]]) -> None:
        """Note what a trial found damaged in the store, so that it is kept on record.

        Args:
            number: The trial.
            entries: ``kind``, ``key``, ``reason``, ``where`` and ``at`` of each.
        """
        known = self.optuna.user_attrs
        for entry in entries:
            name = f"set_aside:{entry['where']}"
            if name not in known:
                self.optuna.set_user_attr(name, {**entry, "trial_id": number})

    def all_set_aside(self) -> list[dict[str, Any]]:
        """Return what was found damaged in the store so far."""
        found = self.optuna.user_attrs.items()
        return [entry for name, entry in found if name.startswith("set_aside:")]

    def rung(self, record: TrialRecord, report: RungReport) -> None:
        """Note what a trial scored at a rung."""
        self._note(record.number, f"rung:{report.rung}", report.to_json())
        record.rungs.append(report)
        self._storage.set_trial_intermediate_value(
            self._id(record.number), report.rung, report.score
        )

    def decide(self, record: TrialRecord, rung: int, decision: str) -> None:
        """Note a decision at a rung, replacing an earlier ``pause``."""
        if record.decisions.get(rung) != decision:
            self._note(record.number, f"decision:{rung}", decision)
            record.decisions[rung] = decision

    def finish(self, record: TrialRecord, status: str, error: str = "") -> None:
        """Note a trial's last state and tell it to Optuna.

        Args:
            record: The trial.
            status: ``complete``, ``pruned`` or ``failed``.
            error: What failed, one line.
        """
        at = self.clock()
        self._note(
            record.number, "finish", {"status": status, "error": error, "at": at.isoformat()}
        )
        record.status, record.error, record.finished_at = status, error, at
        self._tell(record)

    def load(self) -> list[TrialRecord]:
        """Read every trial, in the order they were asked; nothing is written."""
        trials = self.optuna.get_trials(deepcopy=False)
        return [_record(trial, self._model) for trial in trials if "sequence" in trial.user_attrs]

    def rebuild(self) -> Rebuilt:
        """Read every trial back and make up for what a killed driver left undone.

        A rung that was noted without its intermediate value gets it, a trial whose last state was
        noted and not told is told.
        """
        records: list[TrialRecord] = []
        unnoted: list[int] = []
        unanswered: dict[int, int] = {}
        num_repeats = 0
        for trial in self.optuna.get_trials(deepcopy=False):
            is_open = not trial.state.is_finished()
            if "sequence" in trial.user_attrs:
                record = _record(trial, self._model)
                records.append(record)
                if record.proposal.phase == "search":
                    num_repeats = 0
                if is_open:
                    self._make_up(trial, record)
            elif "repeats" in trial.user_attrs:
                num_repeats += trial.user_attrs["in_vain"]
                if is_open:
                    unanswered[trial.number] = trial.user_attrs["repeats"]
            elif is_open:
                unnoted.append(trial.number)
        by_number = {record.number: record for record in records}
        for number, original in unanswered.items():
            self.repeat(number, by_number[original])
        return Rebuilt(records, unnoted, num_repeats)

    def _make_up(self, trial: FrozenTrial, record: TrialRecord) -> None:
        for report in record.rungs:
            if report.rung not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(
                    self._id(record.number), report.rung, report.score
                )
        if record.is_final:
            self._tell(record)

    def _tell(self, record: TrialRecord) -> None:
        if record.status == "complete":
            self.optuna.tell(record.number, record.score)
        else:
            self.optuna.tell(record.number, state=_FINAL_STATES[record.status])

    def _note(self, number: int, name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._id(number), name, value)

    def _id(self, number: int) -> int:
        """Return the storage's own identity of a trial."""
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, number
            )
        return self._ids[number]


def _record(trial: FrozenTrial, model: str) -> TrialRecord:
    """Read a trial back; one that is not final is ``paused`` or ``waiting``."""
    attributes = trial.user_attrs
    proposal = Proposal.from_attributes(attributes, model)
    record = TrialRecord(number=trial.number, proposal=proposal)
    record.stages = [StageReport(**data) for data in _numbered(attributes, "stage").values()]
    record.rebuilt = [StageReport(**d) for d in _numbered(attributes, "rebuilt").values()]
    record.rungs = [RungReport.from_json(data) for data in _numbered(attributes, "rung").values()]
    record.decisions = _numbered(attributes, "decision")
    record.started_at = _time(attributes.get("started_at"))
    finish = attributes.get("finish", {})
    record.error = finish.get("error", "")
    record.finished_at = _time(finish.get("at"))
    paused = record.rungs and record.decisions.get(record.rungs[-1].rung) == "pause"
    record.status = (
        _STATUSES.get(trial.state) or finish.get("status") or ("paused" if paused else "waiting")
    )
    return record


def _numbered(attributes: Mapping[str, Any], kind: str) -> dict[int, Any]:
    """Return the attributes ``<kind>:<number>`` by number, rising."""
    prefix = f"{kind}:"
    found = {
        int(key.removeprefix(prefix)): value
        for key, value in attributes.items()
        if key.startswith(prefix)
    }
    return dict(sorted(found.items()))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
