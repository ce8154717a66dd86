"""The average over targets, for studies whose objective it is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spaces.tables import HYPERPARAMETER_PREFIX

#: Stands for all targets together in the column ``target``.
AVERAGE = "average"


def average_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Make one trial of the target ``average`` from the complete trials of all targets.

    Args:
        trials: A ``trials`` frame.

    Returns:
        One row per sequence, seed and setting of hyperparameters that is complete for *every*
        target of the frame, with the columns of ``trials``: ``score`` (points) is the plain mean
        over targets, as XTREME averages its tasks; the steps and times are sums; what differs
        between the targets otherwise is that of the first.
    """
    runs = ["run"] if "run" in trials else []
    complete = trials[(trials["state"] == "complete") & trials["score"].notna()]
    keys = [*runs, "sequence", "seed", *hyperparameter_columns(trials)]
    groups = complete.groupby(keys, dropna=False, sort=True)
    needed: Any = trials["target"].nunique()
    if runs:
        needed = complete["run"].map(trials.groupby("run")["target"].nunique())
    found: pd.DataFrame = complete[groups["target"].transform("nunique") == needed]
    if found.empty:
        return found
    number = found.groupby(keys, dropna=False, sort=True).ngroup()
    by_target = found.groupby([number, found["target"]])["score"].mean()
    firsts = ~number.duplicated()
    averaged: pd.DataFrame = found[firsts].set_axis(number[firsts].to_numpy())
    sums = found.groupby(number)[["steps_trained", "steps_reused", "wall_s"]].sum()
    averaged = averaged.assign(
        **{str(name): sums[name] for name in sums},
        target=AVERAGE,
        score=by_target.groupby(level=0).mean(),
    )
    return averaged.sort_index().reset_index(drop=True).astype(trials.dtypes)


def hyperparameter_columns(trials: pd.DataFrame) -> list[str]:
    """Return the names of the columns that hold hyperparameters."""
    return [str(name) for name in trials.columns if str(name).startswith(HYPERPARAMETER_PREFIX)]
