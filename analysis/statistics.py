"""Leaderboard, incumbents and cost of a run, as frames.

Every number of a report can be traced from here to rows of a table.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run
from analysis.intervals import Estimate, PooledNoise, estimate_mean, pool_noise
from analysis.observations import (
    ALL_AT_ONCE,
    NO_INTERMEDIATE,
    Source,
    by_target,
    observations,
)
from spaces.tables import PHASES, STATES, Column

LEADERBOARD = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("rank", "int64", "", "From 1; confirmed sequences first once any is confirmed."),
    Column("sequence", "string", "", "Stage names joined by '>'; empty for no stage."),
    Column("num_stages", "int64", "stages", "Length of the sequence."),
    Column("baseline", "string", "", "none, all (all tasks at once), or empty: no reference."),
    Column("num_seeds", "int64", "", "Seeds that the score is a mean over."),
    Column("confirmed", "bool", "", "Whether it ran on two seeds or more."),
    Column("score", "float64", "points", "Mean over seeds."),
    Column("score_low", "float64", "points", "Lower end of its interval; NaN below two seeds."),
    Column("score_high", "float64", "points", "Upper end."),
    Column("gain", "float64", "points", "Mean difference to no intermediate task, by seed."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN below two pairs."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("gain_pairs", "int64", "", "Seeds that both have."),
    Column("gain_over_all", "float64", "points", "The same against all tasks at once."),
    Column("gain_over_all_low", "float64", "points", "Lower end of its interval."),
    Column("gain_over_all_high", "float64", "points", "Upper end."),
    Column("gain_over_all_pairs", "int64", "", "Seeds that both have."),
)


def leaderboard(
    source: Source,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    pooled: bool = True,
    fresh_only: bool = True,
    average: bool | None = None,
) -> pd.DataFrame:
    """Rank the sequences of each target by their mean score over seeds.

    Only complete trials count: they alone had the full budget. A sequence that was tried with
    several hyperparameters stands with one setting, the one with most seeds and, among those, the
    highest mean. Trials without a score are left out.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of the intervals.
        pooled: Estimate the noise from all repeated sequences of the target together, so that two
            or three seeds give usable intervals; otherwise from each sequence's seeds alone.
        fresh_only: Where a sequence was confirmed on two fresh seeds or more, count those alone:
            the seed it was selected by flatters it. Reference rows always use all their seeds.
        average: Whether to rank on the average over targets too, before the targets; when
            ``None``, if it is the study's objective.

    Returns:
        One row per target and sequence, in order of ``target`` and ``rank``, with the columns of
        ``LEADERBOARD``. Once a target has confirmation trials, sequences with two seeds or more
        come before those with one. Intervals are NaN below two seeds or pairs, gains are NaN
        without a pair.

    Raises:
        UnknownNameError: No trial has that target.

    The intervals are Student's t on scores, or on differences paired by seed
    (``analysis.intervals``). They are for one sequence at a time: among many sequences some
    interval will miss, and the best of many is flattered unless it was confirmed on fresh seeds.
    ``analysis.comparisons`` accounts for that.
    """
    found = observations(source, target, fresh_only=fresh_only, average=average)
    rows = [
        {**names, **row}
        for names, part in by_target(found)
        for row in _rank(part, confidence, pooled)
    ]
    return tidy(rows, LEADERBOARD)


def incumbent(source: Source) -> pd.DataFrame:
    """Return the best sequence of each target so far: the leaderboard's first ranks.

    Returns:
        The columns of ``leaderboard``, one row per target with a complete trial.
    """
    board = leaderboard(source)
    return board[board["rank"] == 1].reset_index(drop=True)


def cost_summary(run: Run | pd.DataFrame) -> pd.DataFrame:
    """Sum up what each phase cost and what the stage store spared it.

    Returns:
        One row per phase (``baseline``, ``arm`` if there is any, ``search``, ``confirm``) and one
        for ``all``, as index: ``num_trials``; the number of trials ``complete``, ``pruned``,
        ``failed``, ``running`` and ``waiting``; ``steps_trained`` and ``steps_reused`` (optimiser
        steps);
        ``share_saved``, reused steps among all steps that the trials asked for (NaN for none);
        ``wall_s``, summed over trials, and ``elapsed_s``, from the first start to the last
        finish (seconds; NaN while nothing has finished).
    """
    trials = run.trials if isinstance(run, Run) else run
    rows = {phase: _cost(trials[trials["phase"] == phase]) for phase in PHASES}
    if not rows["arm"]["num_trials"]:
        del rows["arm"]
    return pd.DataFrame.from_dict({**rows, "all": _cost(trials)}, orient="index")


def _rank(scores: pd.DataFrame, confidence: float, pooled: bool) -> list[dict[str, Any]]:
    by_sequence: dict[str, dict[Any, float]] = defaultdict(dict)
    columns = (scores[name] for name in ("sequence", "seed", "score"))
    for name, seed, score in zip(*columns, strict=True):
        by_sequence[str(name)][seed] = score
    noise = pool_noise(scores) if pooled else PooledNoise()
    num_stages = dict(zip(scores["sequence"], scores["num_stages"], strict=True))
    baseline = dict(zip(scores["sequence"], scores["baseline"], strict=True))
    references = {
        kind: next((name for name in by_sequence if baseline[name] == kind), None)
        for kind in (NO_INTERMEDIATE, ALL_AT_ONCE)
    }
    confirming = (scores["phase"] == "confirm").any()

    rows: list[dict[str, Any]] = []
    for name, values in by_sequence.items():
        own = estimate_mean(list(values.values()), confidence, noise.score if pooled else None)
        row = {
            "sequence": name,
            "num_stages": num_stages[name],
            "baseline": baseline[name],
            "num_seeds": own.num,
            "confirmed": own.num >= 2,
            **own.as_columns("score"),
        }
        for prefix, kind in (("gain", NO_INTERMEDIATE), ("gain_over_all", ALL_AT_ONCE)):
            reference = references[kind]
            other = {} if reference is None else by_sequence[reference]
            paired = [values[seed] - other[seed] for seed in values if seed in other]
            gain = estimate_mean(paired, confidence, noise.difference if pooled else None)
            if name == reference:
                gain = Estimate(mean=0.0, num=gain.num)
            row |= {**gain.as_columns(prefix), f"{prefix}_pairs": gain.num}
        rows.append(row)
    rows.sort(key=lambda row: (confirming and not row["confirmed"], -row["score"], row["sequence"]))
    return [{**row, "rank": rank} for rank, row in enumerate(rows, start=1)]


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
