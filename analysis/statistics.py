"""Leaderboard, incumbents and cost of a run, as frames.

Every function takes a ``Run`` or its ``trials`` frame and reads nothing else, so each number of a
report can be traced to rows of a table.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.average import AVERAGE, average_trials, hyperparameter_columns
from analysis.frames import Run, empty_frame
from analysis.intervals import Estimate, PooledNoise, estimate_mean, pool_noise
from spaces.errors import UnknownNameError
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR
from spaces.tables import PHASES, STATES

#: Values of the leaderboard's ``baseline`` column.
NO_INTERMEDIATE, ALL_AT_ONCE = "none", "all"

_LEADERBOARD = {
    "target": "str",
    "rank": "int64",
    "sequence": "str",
    "num_stages": "int64",
    "baseline": "str",
    "num_seeds": "int64",
    "confirmed": "bool",
    "score": "float64",
    "score_low": "float64",
    "score_high": "float64",
    "gain": "float64",
    "gain_low": "float64",
    "gain_high": "float64",
    "gain_pairs": "int64",
    "gain_over_all": "float64",
    "gain_over_all_low": "float64",
    "gain_over_all_high": "float64",
    "gain_over_all_pairs": "int64",
}


def leaderboard(
    run: Run | pd.DataFrame,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    pooled: bool = True,
    fresh_only: bool = True,
) -> pd.DataFrame:
    """Rank the sequences of each target by their mean score over seeds.

    Only complete trials count: they alone had the full budget. A sequence that was tried with
    several hyperparameters stands with one setting, the one with most seeds and, among those, the
    highest mean. Trials without a score are left out.

    Args:
        run: A run, or its ``trials`` frame.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of the intervals.
        pooled: Estimate the noise from all repeated sequences of the target together, so that two
            or three seeds give usable intervals; otherwise from each sequence's seeds alone.
        fresh_only: Where a sequence was confirmed on two fresh seeds or more, count those alone:
            the seed it was selected by flatters it. Reference rows always use all their seeds.

    Returns:
        One row per target and sequence, in order of ``target`` and ``rank``. A run whose objective
        is the average begins with the rows of the target ``average`` (``analysis.average``):

        - ``rank`` (from 1): by ``score``; once a target has confirmation trials, sequences with
          two seeds or more come before those with one;
        - ``sequence``, ``num_stages``, and ``baseline``: ``none`` for no intermediate task, ``all``
          for all tasks at once, else empty;
        - ``num_seeds`` and ``confirmed`` (two seeds or more);
        - ``score`` (points): mean over seeds, with ``score_low`` and ``score_high``;
        - ``gain`` (points): mean difference to no intermediate task over the seeds both have,
          with ``gain_low``, ``gain_high`` and ``gain_pairs``, the number of those seeds;
        - ``gain_over_all`` and so on: the same against all tasks at once.

        Intervals are NaN below two seeds or pairs, gains are NaN without a pair.

    Raises:
        UnknownNameError: No trial has that target.

    The intervals are Student's t on scores, or on differences paired by seed
    (``analysis.intervals``). They are for one sequence at a time: among many sequences some
    interval will miss, and the best of many is flattered unless it was confirmed on fresh seeds.
    """
    trials = run.trials if isinstance(run, Run) else run
    if isinstance(run, Run) and run.study.get("objective") == AVERAGE:
        trials = pd.concat([average_trials(trials), trials], ignore_index=True)
    targets = sorted(set(trials["target"]), key=lambda name: (name != AVERAGE, name))
    if target is not None and target not in targets:
        raise UnknownNameError("target", target, targets)
    chosen = targets if target is None else [target]
    rows = [
        row
        for name in chosen
        for row in _rank(trials[trials["target"] == name], confidence, pooled, fresh_only)
    ]
    return pd.DataFrame(rows, columns=list(_LEADERBOARD)).astype(_LEADERBOARD)


def incumbent(run: Run | pd.DataFrame) -> pd.DataFrame:
    """Return the best sequence of each target so far: the leaderboard's first ranks.

    Returns:
        The columns of ``leaderboard``, one row per target with a complete trial.
    """
    board = leaderboard(run)
    return board[board["rank"] == 1].reset_index(drop=True)


def cost_summary(run: Run | pd.DataFrame) -> pd.DataFrame:
    """Sum up what each phase cost and what the stage store spared it.

    Returns:
        One row per phase (``baseline``, ``search``, ``confirm``) and one for ``all``, as index:
        ``num_trials``; the number of trials ``complete``, ``pruned``, ``failed``, ``running`` and
        ``waiting``; ``steps_trained`` and ``steps_reused`` (optimiser steps);
        ``share_saved``, reused steps among all steps that the trials asked for (NaN for none);
        ``wall_s``, summed over trials, and ``elapsed_s``, from the first start to the last
        finish (seconds; NaN while nothing has finished).
    """
    trials = run.trials if isinstance(run, Run) else run
    rows = {phase: _cost(trials[trials["phase"] == phase]) for phase in PHASES}
    return pd.DataFrame.from_dict({**rows, "all": _cost(trials)}, orient="index")


def all_at_once(trials: pd.DataFrame) -> str | None:
    """Return the sequence that trains every task in one mixture, if it was run.

    Args:
        trials: Trials of one target. The search may try mixtures too, so baselines go first and
            then the mixture of most tasks.
    """
    names = trials["sequence"]
    mixtures = trials[
        names.str.contains(TASK_SEPARATOR, regex=False)
        & ~names.str.contains(STAGE_SEPARATOR, regex=False)
    ]
    if (mixtures["phase"] == "baseline").any():
        mixtures = mixtures[mixtures["phase"] == "baseline"]
    candidates = sorted(set(mixtures["sequence"]))
    return max(candidates, key=lambda name: name.count(TASK_SEPARATOR), default=None)


def seed_scores(trials: pd.DataFrame, *, fresh_only: bool = True) -> pd.DataFrame:
    """Reduce the complete trials of one target to one score per sequence and seed.

    Args:
        trials: Trials of one target.
        fresh_only: As in ``leaderboard``.

    Returns:
        ``sequence``, ``seed``, ``score`` (points), ``trial_id`` (of the latest, if repeated).
    """
    complete = trials[(trials["state"] == "complete") & trials["score"].notna()]
    references = {"", all_at_once(trials)}
    hyperparameters = hyperparameter_columns(trials)
    kept = []
    for name, group in complete.groupby("sequence", sort=True):
        setting = _best_setting(group, hyperparameters)
        fresh = setting[setting["phase"] == "confirm"]
        if fresh_only and name not in references and fresh["seed"].nunique() >= 2:
            setting = fresh
        kept.append(setting)
    if not kept:
        return empty_frame("trials")[["sequence", "seed", "score", "trial_id"]]
    return (
        pd.concat(kept)
        .groupby(["sequence", "seed"], as_index=False, sort=True)
        .agg({"score": "mean", "trial_id": "last"})
    )


def _best_setting(group: pd.DataFrame, hyperparameters: list[str]) -> pd.DataFrame:
    if not hyperparameters:
        return group
    settings = [part for _, part in group.groupby(hyperparameters, dropna=False, sort=True)]
    return max(settings, key=lambda part: (part["seed"].nunique(), part["score"].mean()))


def _rank(
    trials: pd.DataFrame, confidence: float, pooled: bool, fresh_only: bool
) -> list[dict[str, Any]]:
    scores = seed_scores(trials, fresh_only=fresh_only)
    by_sequence = {
        str(name): group.set_index("seed")["score"] for name, group in scores.groupby("sequence")
    }
    noise = pool_noise(scores) if pooled else PooledNoise()
    everything = all_at_once(trials)
    confirming = (trials["phase"] == "confirm").any()
    stages = trials.drop_duplicates("sequence").set_index("sequence")["num_stages"]

    rows = []
    for name, values in by_sequence.items():
        own = estimate_mean(values, confidence, noise.score if pooled else None)
        row = {
            "target": trials["target"].iloc[0],
            "sequence": name,
            "num_stages": stages[name],
            "baseline": {"": NO_INTERMEDIATE, everything: ALL_AT_ONCE}.get(name, ""),
            "num_seeds": own.num,
            "confirmed": own.num >= 2,
            **_columns("score", own),
        }
        for prefix, reference in (("gain", ""), ("gain_over_all", everything)):
            paired = _paired(values, by_sequence.get(reference) if reference is not None else None)
            gain = estimate_mean(paired, confidence, noise.difference if pooled else None)
            if name == reference:
                gain = Estimate(mean=0.0, num=gain.num)
            row |= {**_columns(prefix, gain), f"{prefix}_pairs": gain.num}
        rows.append(row)
    rows.sort(key=lambda row: (confirming and not row["confirmed"], -row["score"], row["sequence"]))
    return [{**row, "rank": rank} for rank, row in enumerate(rows, start=1)]


def _paired(values: pd.Series[Any], reference: pd.Series[Any] | None) -> Any:
    return [] if reference is None else (values - reference).dropna()


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.mean, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _cost(trials: pd.DataFrame) -> dict[str, Any]:
    trained, reused = int(trials["steps_trained"].sum()), int(trials["steps_reused"].sum())
    elapsed = trials["finished_at"].max() - trials["started_at"].min()
    return {
        "num_trials": len(trials),
        **{state: int((trials["state"] == state).sum()) for state in STATES},
        "steps_trained": trained,
        "steps_reused": reused,
        "share_saved": reused / (trained + reused) if trained + reused else float("nan"),
        "wall_s": float(trials["wall_s"].sum()),
        "elapsed_s": elapsed.total_seconds() if pd.notna(elapsed) else float("nan"),
    }
