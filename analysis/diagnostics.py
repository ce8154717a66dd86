"""How the search went: rungs, pruning, and what the stage store saved."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from scipy import stats

from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.intervals import estimate_spearman
from analysis.observations import stages_of
from analysis.timeline import each_run
from spaces.tables import Column

RUNG_SURVIVAL = (
    Column("target", "string", "", "Name of the target task."),
    Column("rung", "int64", "", "Index of the rung, from 0."),
    Column("budget_steps", "int64", "steps", "Fine-tuning steps on the target by then."),
    Column("num_arrived", "int64", "trials", "Trials that reported there."),
    Column("num_passed", "int64", "trials", "Those that were promoted, or completed."),
    Column("num_stopped", "int64", "trials", "Those that were given up."),
    Column("num_waiting", "int64", "trials", "Those that wait for a promotion."),
    Column("num_diverged", "int64", "trials", "Those without a score."),
    Column("share_passed", "float64", "", "Passed of arrived."),
    Column("share_passed_low", "float64", "", "Lower end of its interval."),
    Column("share_passed_high", "float64", "", "Upper end."),
    Column("score_median", "float64", "points", "Median score of those that arrived."),
    Column("score_best", "float64", "points", "Best score there."),
)
RUNG_AGREEMENT = (
    Column("target", "string", "", "Name of the target task."),
    Column("rung", "int64", "", "Index of the rung, from 0; not the last."),
    Column("budget_steps", "int64", "steps", "Fine-tuning steps on the target by then."),
    Column("spearman", "float64", "", "Rank correlation of the score there and at the end."),
    Column("spearman_low", "float64", "", "Lower end of its interval; NaN below four trials."),
    Column("spearman_high", "float64", "", "Upper end."),
    Column("num_trials", "int64", "trials", "Complete trials."),
)
PRUNING = (
    Column("target", "string", "", "Name of the target task; `all` for their sum."),
    Column("num_trials", "int64", "trials", "Trials that have ended, the confirmation apart."),
    Column("num_pruned", "int64", "trials", "Those that were pruned."),
    Column("share_pruned", "float64", "", "Pruned of ended."),
    Column("share_pruned_low", "float64", "", "Lower end of its interval."),
    Column("share_pruned_high", "float64", "", "Upper end."),
    Column("steps_spent", "int64", "steps", "Steps that the pruned trials trained."),
    Column("steps_to_finish", "int64", "steps", "Further steps to their full budget, not trained."),
    Column("share_saved", "float64", "", "The latter, of all the ended trials' steps."),
)
STAGE_SAVINGS = (
    Column("num_stages", "int64", "stages", "Depth of the checkpoint in its sequence; 0: all."),
    Column("num_checkpoints", "int64", "", "Distinct stages of that depth."),
    Column("times_trained", "int64", "", "How often they were trained; each once is ideal."),
    Column("times_reused", "int64", "", "How often a trial took one from the store."),
    Column("steps_trained", "int64", "steps", "Steps of their training."),
    Column("steps_saved", "int64", "steps", "Steps that reuse spared."),
    Column("share_saved", "float64", "", "Spared, of all that trials asked for."),
    Column("wall_saved_s", "float64", "seconds", "Time that reuse spared, by what training took."),
    Column("size_bytes", "int64", "bytes", "Size of the checkpoints still kept."),
)


def rung_survival(
    source: Run | Runs, *, phase: str = "search", confidence: float = 0.95
) -> pd.DataFrame:
    """Return what became of the trials at each rung.

    Args:
        source: A run, or several.
        phase: Trials of this phase; baselines and the confirmation pass every rung.
        confidence: Coverage of the intervals, Wilson's: as though trials were drawn at random.

    Returns:
        The columns of ``RUNG_SURVIVAL``, one row per target and rung.

    Source: Wilson 1927, JASA 22(158).
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        numbers = run.trials.loc[run.trials["phase"] == phase, "trial_id"]
        reports = run.rungs[run.rungs["trial_id"].isin(numbers)]
        for (target, rung), part in reports.groupby(["target", "rung"], sort=True):
            decision = part["decision"]
            passed = int(decision.isin(["promote", "complete"]).sum())
            share = _share("share_passed", passed, len(part), confidence)
            rows.append(
                {
                    **names,
                    "target": target,
                    "rung": rung,
                    "budget_steps": part["budget_steps"].max(),
                    "num_arrived": len(part),
                    "num_passed": passed,
                    "num_stopped": (decision == "stop").sum(),
                    "num_waiting": (decision == "pause").sum(),
                    "num_diverged": part["score"].isna().sum(),
                    **share,
                    "score_median": part["score"].median(),
                    "score_best": part["score"].max(),
                }
            )
    return tidy(rows, RUNG_SURVIVAL)


def rung_agreement(source: Run | Runs, *, confidence: float = 0.95) -> pd.DataFrame:
    """Say how far the score at a rung tells the score at the end: whether pruning can be trusted.

    Only complete trials show both. Of a search these did well early, which hides how badly the
    others would have ended and makes the correlation smaller than it is among all.

    Args:
        source: A run, or several.
        confidence: Coverage of the intervals.

    Returns:
        The columns of ``RUNG_AGREEMENT``, one row per target and rung before the last.

    Source: Bonett and Wright 2000, Psychometrika 65(1), for the intervals.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        final = run.trials[(run.trials["state"] == "complete") & run.trials["score"].notna()]
        joined = run.rungs.merge(final[["trial_id", "rung", "score"]], on="trial_id")
        early = joined[(joined["rung_x"] < joined["rung_y"]) & joined["score_x"].notna()]
        for (target, rung), part in early.groupby(["target", "rung_x"], sort=True):
            found = estimate_spearman(part["score_x"], part["score_y"], confidence)
            rows.append(
                {
                    **names,
                    "target": target,
                    "rung": rung,
                    "budget_steps": part["budget_steps"].max(),
                    **found.as_columns("spearman"),
                    "num_trials": found.num,
                }
            )
    return tidy(rows, RUNG_AGREEMENT)


def pruning_cost(source: Run | Runs, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return what was pruned, and what it would have cost to run it on.

    The full budget of a target is the largest that any trial of it reached.

    Args:
        source: A run, or several.
        confidence: Coverage of the interval of the share pruned, Wilson's.

    Returns:
        The columns of ``PRUNING``, one row per target and one for ``all``. Trials that wait for a
        promotion are not pruned yet and do not count.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        trials = run.trials[run.trials["phase"] != "confirm"]
        ended = trials[trials["state"].isin(["complete", "pruned"])]
        reached = run.rungs.groupby("trial_id")["budget_steps"].max()
        full = run.rungs.groupby("target")["budget_steps"].max()
        budget = ended["target"].map(full).astype("float64")
        own = ended["trial_id"].map(reached).astype("float64")
        ended = ended.assign(left=(budget - own).fillna(0))
        parts = [(str(target), part) for target, part in ended.groupby("target", sort=True)]
        if parts:
            parts.append(("all", ended))
        for target, part in parts:
            pruned = part[part["state"] == "pruned"]
            spent, left = int(pruned["steps_trained"].sum()), int(pruned["left"].sum())
            whole = int(part["steps_trained"].sum()) + left
            rows.append(
                {
                    **names,
                    "target": target,
                    "num_trials": len(part),
                    "num_pruned": len(pruned),
                    **_share("share_pruned", len(pruned), len(part), confidence),
                    "steps_spent": spent,
                    "steps_to_finish": left,
                    "share_saved": left / whole if whole else math.nan,
                }
            )
    return tidy(rows, PRUNING)


def stage_savings(source: Run | Runs) -> pd.DataFrame:
    """Return what the stage store saved, by depth of the checkpoints.

    Args:
        source: A run, or several.

    Returns:
        The columns of ``STAGE_SAVINGS``, one row per depth and one for all. These are counts, so
        there are no intervals.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        stages = run.stages.assign(
            depth=[len(stages_of(str(name))) for name in run.stages["sequence"]],
            trained=run.stages["steps"] * run.stages["times_trained"],
            saved=run.stages["steps"] * run.stages["times_reused"],
            wall_saved=run.stages["wall_s"] * run.stages["times_reused"],
            kept=run.stages["size_bytes"].where(~run.stages["evicted"], 0),
        )
        parts = [(0, stages), *stages.groupby("depth", sort=True)]
        for depth, part in parts if len(stages) else []:
            trained, saved = int(part["trained"].sum()), int(part["saved"].sum())
            rows.append(
                {
                    **names,
                    "num_stages": depth,
                    "num_checkpoints": len(part),
                    "times_trained": part["times_trained"].sum(),
                    "times_reused": part["times_reused"].sum(),
                    "steps_trained": trained,
                    "steps_saved": saved,
                    "share_saved": saved / (trained + saved) if trained + saved else math.nan,
                    "wall_saved_s": part["wall_saved"].sum(),
                    "size_bytes": part["kept"].sum(),
                }
            )
    return tidy(rows, STAGE_SAVINGS)


def _share(name: str, count: int, total: int, confidence: float) -> dict[str, float]:
    """Return a share with Wilson's interval."""
    found = stats.binomtest(count, total).proportion_ci(confidence, method="wilson")
    return {name: count / total, f"{name}_low": found.low, f"{name}_high": found.high}
