"""Ray Tune's searcher and scheduler interfaces over the coordinator. No decision is made here.

One Ray trial is one trial of ours. The searcher hands out trials the coordinator selects for the
first time; the scheduler turns its actions into Ray's and wakes paused trials. A paused trial
holds no slot: Ray keeps the actor for the next trial.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from search.coordinator import Action, Coordinator
from search.failures import FailureBudget
from search.roster import Progress
from spaces.errors import StoreError
from spaces.reports import StageReport

_ACTIONS: dict[Action, str] = {
    "continue": TrialScheduler.CONTINUE,
    "pause": TrialScheduler.PAUSE,
    "stop": TrialScheduler.STOP,
}

#: How Ray says that a process or its node has gone.
_DEATH = re.compile(r"\b(ActorDied|ActorUnavailable|NodeDied|OutOfMemory|WorkerCrashed)Error\b")
#: The line that ends a traceback, less the module of its exception.
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*: .*)$", re.MULTILINE)


class _NotSaved:
    """Saves nothing of itself into Ray's experiment state: a resumed run is a new experiment."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class CoordinatorSearcher(_NotSaved, Searcher):
    """Hands out new trials.

    Args:
        coordinator: The run's coordinator.
        num_pausing: Returns how many trials Ray is still pausing.
    """

    def __init__(
        self, coordinator: Coordinator, num_pausing: Callable[[], int] = lambda: 0
    ) -> None:
        super().__init__(metric="score", mode="max")
        self._coordinator = coordinator
        self._num_pausing = num_pausing
        self.issued: set[int] = set()
        #: Whether Ray was told that nothing is left; otherwise it was interrupted.
        self.has_finished = False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next new trial's configuration, ``None`` if there is none now."""
        if not _has_room(self._coordinator, self._num_pausing()):
            return None
        chosen = self._coordinator.select()
        if chosen is None:
            self.has_finished = self._is_over()
            return Searcher.FINISHED if self.has_finished else None
        number = chosen.record.number
        if number in self.issued:
            return None  # Ray knows it already, paused: the scheduler wakes it.
        self.issued.add(number)
        self._coordinator.start(number)
        return trial_config(chosen)

    def _is_over(self) -> bool:
        """Whether Ray has nothing left to do, now that the coordinator has selected nothing.

        Trials that wait for other runs are no reason to go on, unless Ray has them already: it
        does not come back from asking for a first trial.
        """
        if self._coordinator.num_running:
            return False
        is_open = any(not self._coordinator.progress(n).record.is_final for n in self.issued)
        return not (is_open and self._coordinator.waits_for_others)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the scheduler has told the coordinator."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger holds all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a resumed run is a new Ray experiment."""


class CoordinatorScheduler(_NotSaved, TrialScheduler):
    """Passes results to the coordinator and its actions to Ray.

    Args:
        coordinator: The run's coordinator.
        failures: Says how often a trial is tried again; Ray itself would never end it.
    """

    def __init__(self, coordinator: Coordinator, failures: FailureBudget) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._failures = failures
        self._ray_trials: dict[int, Trial] = {}
        self._to_end: set[int] = set()
        self._pausing: set[int] = set()
        #: Why the whole run has to end, if it has to.
        self.halted = ""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember which Ray trial is which."""
        self._ray_trials[_number(trial)] = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report an event; return Ray's word for the action."""
        # Ray flattens nested results; a string it leaves alone.
        event = json.loads(result["event"])
        number = _number(trial)
        try:
            action = self._report(tune_controller, number, event)
        except StoreError as error:
            # Ray would make a traceback of it.
            self.halted, action = str(error), "pause"
        # A trial whose process dies starts from its configuration.
        trial.config.update(_position(self._coordinator.progress(number)))
        if action == "pause":
            self._pausing.add(number)
        return _ACTIONS[action]

    def num_pausing(self) -> int:
        """Return how many trials Ray is still pausing: until their processes answer."""
        trials = [(number, self._ray_trials.get(number)) for number in self._pausing]
        self._pausing = {n for n, trial in trials if trial and trial.status == Trial.RUNNING}
        return len(self._pausing)

    def _report(self, tune_controller: Any, number: int, event: dict[str, Any]) -> Action:
        if set_aside := event.pop("set_aside"):
            self._coordinator.on_set_aside(number, set_aside)
        match event.pop("kind"):
            case "stage":
                return self._coordinator.on_stage(number, StageReport(**event))
            case "rebuilt":
                return self._coordinator.on_rebuilt(number, StageReport(**event))
            case "rung":
                action = self._coordinator.on_rung(number, event)
                self._end_settled(tune_controller)
                return action
            case "lost":
                return self._coordinator.on_lost(number, event["error"])
            case "halt":
                self.halted = event["error"]
                return "pause"
        self._coordinator.on_failure(number, event["error"])
        return "stop"

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Let a failed trial be tried again, or report that it has failed for good."""
        number = _number(trial)
        is_retried = trial.status == Trial.ERROR  # Ray's word for one that it starts again
        if is_retried and self._failures.fail(number):
            return
        # The local file: Ray's own accessors look where it is copied to some time later.
        file = trial.error_file
        text = Path(file).read_text(encoding="utf-8") if file and Path(file).is_file() else ""
        self._coordinator.on_failure(number, describe_error(text))
        if is_retried:
            self._to_end.add(number)
        else:
            self._ray_trials.pop(number, None)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Forget a Ray trial: it has ended, by the coordinator's word."""
        self._ray_trials.pop(_number(trial), None)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Do nothing: a paused trial is removed by the coordinator's word alone."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Wake the paused trial that the coordinator selects, if any."""
        self._end_settled(tune_controller)
        for trial in self._ray_trials.values():
            if trial.status == Trial.PENDING:
                return trial
        if not _has_room(self._coordinator, self.num_pausing()):
            return None
        chosen = self._coordinator.select()
        self._end_settled(tune_controller)
        if chosen is None:
            return None
        number = chosen.record.number
        trial = self._ray_trials.get(number)
        if trial is None or trial.status != Trial.PAUSED:
            return None  # New (the searcher hands it out), or Ray is still pausing it.
        self._coordinator.start(number)
        return trial

    def debug_string(self) -> str:
        """Describe the scheduler for Ray's own status output."""
        return "taskorder coordinator"

    def _end_settled(self, tune_controller: Any) -> None:
        """End the Ray trials of trials that were decided while they held no process."""
        self._to_end.update(self._coordinator.take_settled())
        for number in sorted(self._to_end):
            trial = self._ray_trials.get(number)
            if trial is None:
                self._to_end.discard(number)  # Settled before Ray knew it: an interrupted run's.
            elif trial.status in (Trial.PAUSED, Trial.PENDING):
                self._to_end.discard(number)
                tune_controller.stop_trial(trial)
                self._ray_trials.pop(number, None)


class Watcher(_NotSaved, Callback):
    """Calls a function after each round of Ray's event loop.

    Args:
        refresh: What to call.
    """

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Call the function."""
        self._refresh()


def trial_config(progress: Progress) -> dict[str, Any]:
    """Return a trial's Ray configuration: its plan and how far it has got."""
    return {"plan": progress.plan.to_json(), **_position(progress)}


def _position(progress: Progress) -> dict[str, int]:
    record = progress.record
    return {"stages_done": len(record.stages), "rungs_done": len(record.rungs)}


def describe_error(text: str) -> str:
    r"""Say in one line why Ray gave a trial up.

    Args:
        text: What Ray notes of a trial's failures, tracebacks and all.

    >>> describe_error("Failure # 1\nTraceback ...\n  File ...\nbuiltins.OSError: disk full\n")
    'OSError: disk full'
    >>> describe_error("ray.exceptions.ActorDiedError: The actor died ...\n\tpid: 3\n")
    'a worker process of the trial died (killed, out of memory, or its node was lost)'
    >>> describe_error("")
    'unknown error'
    """
    latest = text.rpartition("Failure # ")[2]
    if _DEATH.search(latest):
        return "a worker process of the trial died (killed, out of memory, or its node was lost)"
    raised = _RAISED.findall(latest)
    if raised:
        return str(raised[-1])
    lines = [line.strip() for line in latest.splitlines() if line.strip()]
    return lines[-1] if lines else "unknown error"


def _has_room(coordinator: Coordinator, num_pausing: int) -> bool:
    """Whether a slot is free whose process is, too.

    A trial that is being paused has left its slot and not its process yet. That process is the next
    trial's: for one that is handed out now, Ray would start another.
    """
    return coordinator.num_running + num_pausing < coordinator.max_concurrent


def _number(trial: Trial) -> int:
    return int(trial.config["plan"]["trial_id"])
