"""The models of a run: which there are, and the run as if one were its only one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.frames import Run
from spaces.errors import UnknownNameError


def models_of(run: Run) -> tuple[str, ...]:
    """Return the labels of the models that a run has trials of, in the study's order.

    Args:
        run: The run.

    Returns:
        The labels, the one that was searched with first; the empty one for a run without trials.
    """
    return _labels(run.trials, run.study) or ("",)


def first_model(trials: pd.DataFrame, study: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return the trials of the first model that there are trials of: scores of two are not one's.

    Args:
        trials: Trials, maybe of several models.
        study: The resolved study, which orders the models; the first trial's model without it.
    """
    if "model" not in trials or trials["model"].nunique() < 2:
        return trials
    chosen: pd.DataFrame = trials[trials["model"] == _labels(trials, study or {})[0]]
    return chosen


def of_first_model(run: Run) -> Run:
    """Return the part of a run that is of its first model, the one that was searched with."""
    return of_model(run, models_of(run)[0])


def of_model(run: Run, label: str) -> Run:
    """Return the part of a run that is of one model.

    Args:
        run: The run.
        label: One of ``models_of(run)``.

    Returns:
        The run with that model's trials, scores, rungs and stages. A stage whose model is not
        known, of an older run, is kept.

    Raises:
        UnknownNameError: The run has no trials of that model.
    """
    known = models_of(run)
    if label not in known:
        raise UnknownNameError("model", label, known)
    if len(known) == 1:
        return run
    trials = run.trials[run.trials["model"] == label]
    ids = set(trials["trial_id"])
    models = run.study.get("models") or {}
    study = {key: value for key, value in run.study.items() if key != "models"}
    if label in models:
        study["models"] = {label: models[label]}
    return replace(
        run,
        study=study,
        trials=trials.reset_index(drop=True),
        scores=run.scores[run.scores["trial_id"].isin(ids)].reset_index(drop=True),
        rungs=run.rungs[run.rungs["trial_id"].isin(ids)].reset_index(drop=True),
        stages=run.stages[run.stages["model"].isin([label, ""])].reset_index(drop=True),
    )


def _labels(trials: pd.DataFrame, study: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models that there are trials of: in the study's order, then as they come."""
    there = dict.fromkeys(map(str, trials["model"]))
    return tuple(
        dict.fromkeys([*(name for name in study.get("models") or () if name in there), *there])
    )
