"""The trie of a run as a frame: one row per prefix, with score, pruning and reuse."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.average import AVERAGE
from analysis.columns import tidy
from analysis.frames import Run
from analysis.models import of_first_model
from analysis.observations import stages_of
from analysis.statistics import leaderboard
from spaces.errors import UnknownNameError
from spaces.sequences import STAGE_SEPARATOR
from spaces.tables import Column

NODES = (
    Column("sequence", "string", "", "The prefix: stage names joined by '>'; empty for the root."),
    Column("parent", "string", "", "The prefix without its last stage; empty for the root."),
    Column("stage", "string", "", "Its last stage; empty for the root."),
    Column("num_stages", "int64", "stages", "Its length."),
    Column("state", "string", "", "complete, pruned, failed, running, waiting; passed: no trial."),
    Column("num_trials", "int64", "", "Trials of exactly this sequence, for the target."),
    Column("rung", "int64", "", "Highest rung one of them reported at; -1 for none."),
    Column("score", "float64", "points", "Mean over seeds, there."),
    Column("gain", "float64", "points", "Over no intermediate task at that rung, by seed."),
    Column("rank", "int64", "", "Rank in the leaderboard; 0 if it is not in it."),
    Column("times_reused", "int64", "", "How often a trial of any target took its checkpoint."),
    Column("times_trained", "int64", "", "How often its last stage was trained, all seeds."),
)

#: Of several trials of a sequence, the first of these states that one has is the node's.
_ORDER = ("complete", "running", "waiting", "pruned", "failed")


def target_of(run: Run, target: str | None) -> str:
    """Return the target, or the first there is: the average, if the search ranked by that.

    Raises:
        UnknownNameError: Another target than the run has.
    """
    averaged = [AVERAGE] if run.study.get("objective") == AVERAGE else []
    known = [*averaged, *sorted(set(run.trials["target"]))]
    if target is None:
        return known[0] if known else ""
    if target not in known and (known or target):
        raise UnknownNameError("target", target, known)
    return target


def trie_nodes(run: Run, target: str | None = None) -> pd.DataFrame:
    """Return the prefixes that a run tried or passed through for a target.

    A sequence that reached the full budget has its score and gain of the leaderboard. One that was
    given up earlier has those of the highest rung that it reached, compared with no intermediate
    task at that rung under the same seed: gains at different rungs are of different budgets. Of a
    run of several models, the first is shown (``analysis.models.of_model`` gives the others).

    Args:
        run: The run.
        target: The target; the first when ``None``.

    Returns:
        The columns of ``NODES``, a parent before its children, by name.

    Raises:
        UnknownNameError: No trial has that target.
    """
    target = target_of(run, target)
    run = of_first_model(run)
    board = leaderboard(run)
    ranked = board[board["target"] == target].set_index("sequence")
    trials = run.trials if target == AVERAGE else run.trials[run.trials["target"] == target]
    early = {} if target == AVERAGE else _early(run, target)
    states = trials.groupby("sequence")["state"].agg(set).to_dict()
    counts = trials["sequence"].value_counts().to_dict()
    rungs = trials.groupby("sequence")["rung"].max().to_dict()
    stores = run.stages.groupby("sequence")[["times_reused", "times_trained"]].sum()

    rows = []
    for name in sorted(_prefixes(counts), key=stages_of):
        stages = stages_of(name)
        known = states.get(name, set())
        row: dict[str, Any] = {
            "sequence": name,
            "parent": STAGE_SEPARATOR.join(stages[:-1]),
            "stage": stages[-1] if stages else "",
            "num_stages": len(stages),
            "state": next((state for state in _ORDER if state in known), "passed"),
            "num_trials": counts.get(name, 0),
            "rung": rungs.get(name, -1),
            "times_reused": stores["times_reused"].get(name, 0),
            "times_trained": stores["times_trained"].get(name, 0),
        }
        if name in ranked.index:
            best = ranked.loc[name]
            row |= {"score": best["score"], "gain": best["gain"], "rank": best["rank"]}
        else:
            score, gain = early.get(name, (float("nan"), float("nan")))
            row |= {"score": score, "gain": gain, "rank": 0}
        rows.append(row)
    return tidy(rows, NODES)


def _prefixes(sequences: Any) -> set[str]:
    found = {""}
    for name in sequences:
        stages = stages_of(name)
        found |= {STAGE_SEPARATOR.join(stages[:k]) for k in range(1, len(stages) + 1)}
    return found


def _early(run: Run, target: str) -> dict[str, tuple[float, float]]:
    """Return score and gain of each sequence at the highest rung that it reported at."""
    trials = run.trials.loc[run.trials["target"] == target, ["trial_id", "sequence", "seed"]]
    reports = run.rungs[["trial_id", "rung", "score"]].merge(trials, on="trial_id")
    scores = reports.groupby(["sequence", "rung", "seed"], as_index=False)["score"].mean()
    none = scores[scores["sequence"] == ""].drop(columns="sequence")
    paired = scores.merge(none, on=["rung", "seed"], how="left", suffixes=("", "_none"))
    paired["gain"] = paired["score"] - paired["score_none"]
    last = paired[paired["rung"] == paired.groupby("sequence")["rung"].transform("max")]
    means = last.groupby("sequence")[["score", "gain"]].mean()
    return {str(name): (row.score, row.gain) for name, row in means.iterrows()}
