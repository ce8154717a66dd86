"""The average over targets, for studies whose objective it is."""

from __future__ import annotations

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
    if "run" in trials and trials["run"].nunique() > 1:
        return pd.concat([average_trials(part) for _, part in trials.groupby("run")])
    complete = trials[(trials["state"] == "complete") & trials["score"].notna()]
    keys = ["sequence", "seed", *hyperparameter_columns(trials)]
    num_targets = trials["target"].nunique()
    rows = []
    for _, group in complete.groupby(keys, dropna=False, sort=True):
        by_target = group.groupby("target")["score"].mean()
        if len(by_target) == num_targets:
            sums = group[["steps_trained", "steps_reused", "wall_s"]].sum()
            rows.append({**group.iloc[0], **sums, "target": AVERAGE, "score": by_target.mean()})
    return pd.DataFrame(rows, columns=trials.columns).astype(trials.dtypes)


def hyperparameter_columns(trials: pd.DataFrame) -> list[str]:
    """Return the names of the columns that hold hyperparameters."""
    return [str(name) for name in trials.columns if str(name).startswith(HYPERPARAMETER_PREFIX)]
