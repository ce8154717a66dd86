"""Searches as their own users would write them: real samplers, searchers and schedulers.

A peer has one parameter a position (a task, or none), as there is no sequence type in its library;
gaps are closed and a repeated task counts once. A trial trains its whole sequence from the base
model, then fine-tunes at growing budgets and reports after each. The objective ``average`` is one
study whose trial fine-tunes every target on top of the same sequence; ``per_target`` is one study a
target, in turns. Resources are told as 1, 3, 9... so that the rungs of every library are the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.search_goal import ETA, NUM_RUNGS, Goal
from search.encoding import NO_STAGE, decode_sequence

POSITION = "stage_{}"


class Peer(Protocol):
    """One study of another library, one trial at a time."""

    def ask(self) -> dict[str, str]:
        """Return the next trial's parameters."""

    def report(self, resource: int, score: float) -> bool:
        """Report the trial; whether it goes on. At the full resource it ends."""


def positions(goal: Goal) -> dict[str, list[str]]:
    """Return the parameters and their choices."""
    choices = [NO_STAGE, *goal.tasks]
    return {POSITION.format(i): choices for i in range(1, goal.max_length + 1)}


class OptunaPeer:
    """Optuna's ask and tell, with its SuccessiveHalvingPruner."""

    def __init__(self, goal: Goal, make_sampler: Callable[[], Any]) -> None:
        import optuna  # noqa: PLC0415

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = positions(goal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = make_sampler()
        self._study = optuna.create_study(
            direction="maximize",
            sampler=sampler,
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA),
        )
        self._states = optuna.trial.TrialState
        self._trial: Any = None

    def ask(self) -> dict[str, str]:
        """Return the next trial's parameters."""
        self._trial = self._study.ask()
        return {
            name: self._trial.suggest_categorical(name, choices)
            for name, choices in self._space.items()
        }

    def report(self, resource: int, score: float) -> bool:
        """Report the trial; whether it goes on."""
        if resource == ETA ** (NUM_RUNGS - 1):
            self._study.tell(self._trial, score)
            return False
        self._trial.report(score, resource)
        if self._trial.should_prune():
            self._study.tell(self._trial, state=self._states.PRUNED)
            return False
        return True


def optuna_tpe(goal: Goal, seed: int) -> Peer:
    """Return Optuna's TPE."""
    import optuna  # noqa: PLC0415

    return OptunaPeer(goal, lambda: optuna.samplers.TPESampler(seed=seed))


def optuna_gp(goal: Goal, seed: int) -> Peer:
    """Return Optuna's Gaussian process."""
    import optuna  # noqa: PLC0415

    return OptunaPeer(goal, lambda: optuna.samplers.GPSampler(seed=seed))


class RayPeer:
    """Ray Tune's OptunaSearch (TPE) and ASHAScheduler, called as Tune's event loop calls them."""

    def __init__(self, goal: Goal, seed: int) -> None:
        from ray.tune.experiment import Trial  # noqa: PLC0415
        from ray.tune.schedulers import TrialScheduler  # noqa: PLC0415

        self._make_trial = lambda name: Trial("peer", trial_id=name, stub=True)
        self._stop = TrialScheduler.STOP
        self._searcher, self._scheduler = ray_search(goal, seed)
        self._count = 0
        self._trial: Any = None

    def ask(self) -> dict[str, str]:
        """Return the next trial's parameters."""
        self._count += 1
        name = f"trial_{self._count:05}"
        parameters = self._searcher.suggest(name)
        self._trial = self._make_trial(name)
        self._scheduler.on_trial_add(None, self._trial)
        self._reports = 0
        return dict(parameters)

    def report(self, resource: int, score: float) -> bool:
        """Report the trial; whether it goes on."""
        self._reports += 1
        result = {"score": score, "resource": resource, "training_iteration": self._reports}
        action = self._scheduler.on_trial_result(None, self._trial, result)
        if action == self._stop:
            self._searcher.on_trial_complete(self._trial.trial_id, result=result)
            self._scheduler.on_trial_complete(None, self._trial, result)
            return False
        self._searcher.on_trial_result(self._trial.trial_id, result)
        return True


def ray_search(goal: Goal, seed: int) -> tuple[Any, Any]:
    """Return OptunaSearch and ASHAScheduler as a user sets them up."""
    import optuna  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray.tune.schedulers import ASHAScheduler  # noqa: PLC0415
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {name: tune.choice(choices) for name, choices in positions(goal).items()}
    searcher = OptunaSearch(metric="score", mode="max", seed=seed)
    searcher.set_search_properties("score", "max", space)
    scheduler = ASHAScheduler(
        time_attr="resource", max_t=ETA ** (NUM_RUNGS - 1), grace_period=1, reduction_factor=ETA
    )
    scheduler.set_search_properties("score", "max")
    return searcher, scheduler


PEERS: dict[str, Callable[[Goal, int], Peer]] = {
    "ray-tune": RayPeer,
    "optuna-tpe": optuna_tpe,
    "optuna-gp": optuna_gp,
}


def steps_of_peer(goal: Goal, name: str, seed: int, max_steps: int) -> float:
    """Return the steps that a peer takes to find the best; infinite beyond ``max_steps``."""
    peers = {entity: PEERS[name](goal, seed) for entity in goal.entities}
    recorded = goal.table.seeds[seed % len(goal.table.seeds)]
    best: dict[str, tuple[float, str]] = {}
    steps = 0
    while steps < max_steps:
        for entity, peer in peers.items():
            sequence = decode_sequence(peer.ask())
            text = str(sequence)
            steps += sum(goal.table.steps(str(prefix)) for prefix in sequence.prefixes())
            budgets = [goal.table.budgets(target) for target in goal.targets_of(entity)]
            for rung in range(NUM_RUNGS):
                steps += sum(b[rung] - (b[rung - 1] if rung else 0) for b in budgets)
                score = goal.observed(text, entity, recorded, rung)
                goes_on = peer.report(ETA**rung, score)
                if rung == NUM_RUNGS - 1:
                    assert not goes_on, "a trial ends at its full budget"
                    if entity not in best or score > best[entity][0]:
                        best[entity] = (score, text)
                        if goal.is_found({e: found[1] for e, found in best.items()}):
                            return steps
                elif not goes_on:
                    break
    return math.inf
