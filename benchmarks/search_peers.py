"""Searches as their own users would write them: real samplers, searchers and schedulers.

A peer has one parameter a position (a task, or none), as there is no sequence type in its library;
gaps are closed and a repeated task counts once. A trial trains its whole sequence from the base
model, then fine-tunes at growing budgets and reports after each. The objective ``average`` is one
study whose trial fine-tunes every target on top of the same sequence; ``per_target`` is one study a
target, in turns. Resources are told as 1, 3, 9... so that the rungs of every library are the same.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
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


class SyneTunePeer:
    """Syne Tune's ASHA with its own random searcher."""

    def __init__(self, goal: Goal, seed: int) -> None:
        import numpy as np  # noqa: PLC0415
        from syne_tune.config_space import choice  # noqa: PLC0415
        from syne_tune.optimizer.schedulers.asha import (  # noqa: PLC0415
            AsynchronousSuccessiveHalving,
        )

        # It draws its brackets from the global generator.
        np.random.seed(seed)
        self._scheduler = AsynchronousSuccessiveHalving(
            {name: choice(choices) for name, choices in positions(goal).items()},
            metric="score",
            do_minimize=False,
            time_attr="resource",
            max_t=ETA ** (NUM_RUNGS - 1),
            grace_period=1,
            reduction_factor=ETA,
            random_seed=seed,
        )
        self._count = 0
        self._trial: Any = None

    def ask(self) -> dict[str, str]:
        """Return the next trial's parameters."""
        from syne_tune.backend.trial_status import Trial  # noqa: PLC0415

        config = self._scheduler.suggest().config
        self._trial = Trial(self._count, config, datetime(2000, 1, 1, tzinfo=UTC))
        self._count += 1
        self._scheduler.on_trial_add(self._trial)
        return dict(config)

    def report(self, resource: int, score: float) -> bool:
        """Report the trial; whether it goes on."""
        result = {"score": score, "resource": resource}
        goes_on = self._scheduler.on_trial_result(self._trial, result) == "CONTINUE"
        if not goes_on:
            self._scheduler.on_trial_remove(self._trial)
        return goes_on


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
    "syne-asha": SyneTunePeer,
}


def is_installed(name: str) -> bool:
    """Whether a peer's library is there; Syne Tune's is nobody's requirement."""
    return name != "syne-asha" or importlib.util.find_spec("syne_tune") is not None


def steps_of_peer(
    goal: Goal, make_peer: Callable[[Goal, int], Peer], seed: int, max_steps: int
) -> float:
    """Return the steps that a peer takes to find the best; infinite beyond ``max_steps``."""
    peers = {entity: make_peer(goal, seed) for entity in goal.entities}
    best: dict[str, tuple[float, str]] = {}
    steps = 0
    while steps < max_steps:
        for entity, peer in peers.items():
            text, score, spent = run_trial(goal, entity, peer, seed)
            steps += spent
            if score is not None and (entity not in best or score > best[entity][0]):
                best[entity] = (score, text)
                if goal.is_found({name: answer for name, (_, answer) in best.items()}):
                    return float(steps)
    return math.inf


def run_trial(goal: Goal, entity: str, peer: Peer, seed: int) -> tuple[str, float | None, int]:
    """Run a peer's next trial.

    Returns:
        Its sequence, its score at the full budget (``None`` if it did not come to it), and the
        steps that it trained.
    """
    sequence = decode_sequence(peer.ask())
    recorded = goal.table.seeds[seed % len(goal.table.seeds)]
    steps = sum(goal.table.steps(str(prefix)) for prefix in sequence.prefixes())
    budgets = [goal.budgets(target) for target in goal.targets_of(entity)]
    for rung in range(NUM_RUNGS):
        steps += sum(at[rung] - (at[rung - 1] if rung else 0) for at in budgets)
        score = goal.observed(str(sequence), entity, recorded, rung)
        goes_on = peer.report(ETA**rung, score)
        if rung == NUM_RUNGS - 1:
            return str(sequence), score, steps
        if not goes_on:
            break
    return str(sequence), None, steps
