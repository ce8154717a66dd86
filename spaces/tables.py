"""The tables of a run directory: every column's name, kind, unit and meaning.

This is the contract between the writer (in ``search``) and the reader (in ``analysis``), as data.
A table may carry more columns than are declared here (``hp.<name>`` in ``trials``, for instance);
none of the declared ones may be missing or renamed.

No column is ever null: text that does not apply is empty, a rung that was not reached is -1.
The exceptions are scores (NaN where there is none) and points in time (null while pending).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "int64", "float64", "bool", "timestamp"]

#: States of a trial, as Optuna tells them apart, in the order in which they are listed.
STATES = ("complete", "pruned", "failed", "running", "waiting")

#: What a trial was run for: a reference, an arm of the study, the search itself, or fresh seeds of
#: the best.
PHASES = ("baseline", "arm", "search", "confirm")

#: What was decided at a rung: go on, wait for a promotion, give up, or done (the last rung).
DECISIONS = ("promote", "pause", "stop", "complete")

#: Begins the columns of ``trials`` that hold hyperparameters.
HYPERPARAMETER_PREFIX = "hp."


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column.

    Attributes:
        name: Its name in the table.
        kind: How a value is stored; a timestamp is UTC with microseconds.
        unit: Unit of the values; empty for names and flags.
        meaning: One line for the documentation.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str


TABLES: Mapping[str, tuple[Column, ...]] = {
    "trials": (
        Column("trial_id", "int64", "", "Number of the trial in the Optuna study."),
        Column("target", "string", "", "Name of the target task."),
        Column("sequence", "string", "", "Stage names joined by '>'; empty for no stage."),
        Column("num_stages", "int64", "stages", "Length of the sequence."),
        Column("state", "string", "", "complete, pruned, failed, running or waiting."),
        Column("phase", "string", "", "baseline, arm, search, or confirm (the best, fresh seeds)."),
        Column("model", "string", "", "Label of the model in the study; a single one's name."),
        Column("arm", "string", "", "Arm of the study it is in, whatever its phase; else empty."),
        Column("score", "float64", "points", "The objective at the last rung; higher is better."),
        Column("rung", "int64", "", "Highest rung it has reported at; -1 before the first."),
        Column("steps_trained", "int64", "steps", "Optimiser steps it trained, all stages."),
        Column("steps_reused", "int64", "steps", "Optimiser steps the stage store spared it."),
        Column("seed", "int64", "", "Seed of data order, heads and dropout."),
        Column("wall_s", "float64", "seconds", "Time spent running, over all attempts."),
        Column("started_at", "timestamp", "UTC", "When it first ran; null while waiting."),
        Column("finished_at", "timestamp", "UTC", "When it reached its last state; else null."),
        Column("error", "string", "", "What failed, one line; empty otherwise."),
    ),
    "scores": (
        Column("trial_id", "int64", "", "Number of the trial in the Optuna study."),
        Column("target", "string", "", "Name of the target task."),
        Column("rung", "int64", "", "Rung at which it was evaluated."),
        Column("language", "string", "", "Language code of the evaluation set."),
        Column("split", "string", "", "Evaluation split: dev or test."),
        Column("metric", "string", "", "Name of the metric."),
        Column("value", "float64", "points", "Score from 0 to 100."),
        Column("num_examples", "int64", "examples", "Size of the evaluation set."),
        Column("selected_on", "bool", "", "Whether the search chose by this score."),
        Column("headline", "bool", "", "Whether the task's score is made of this metric."),
    ),
    "stages": (
        Column("fingerprint", "string", "", "Identity of the checkpoint."),
        Column("parent", "string", "", "Fingerprint it was trained from; empty for the first."),
        Column("sequence", "string", "", "Stage names up to and including this one."),
        Column("model", "string", "", "Label of the model it is of; the first that asked for it."),
        Column("steps", "int64", "steps", "Optimiser steps of this stage."),
        Column("wall_s", "float64", "seconds", "Time its training took."),
        Column("size_bytes", "int64", "bytes", "Size of the checkpoint."),
        Column("times_trained", "int64", "", "How often it was trained; more than 1 is waste."),
        Column("times_reused", "int64", "", "How often a trial took it from the store."),
        Column("evicted", "bool", "", "Whether the store has dropped the checkpoint."),
        Column("times_set_aside", "int64", "", "How often it was found damaged, and made again."),
    ),
    "rungs": (
        Column("trial_id", "int64", "", "Number of the trial in the Optuna study."),
        Column("target", "string", "", "Name of the target task."),
        Column("rung", "int64", "", "Index of the rung, from 0."),
        Column("budget_steps", "int64", "steps", "Fine-tuning steps on the target so far."),
        Column("score", "float64", "points", "The objective there; NaN if training diverged."),
        Column("decision", "string", "", "promote, pause, stop or complete."),
        Column("reported_at", "timestamp", "UTC", "When it was reported."),
        Column("wall_s", "float64", "seconds", "Time since the rung before; first: stages too."),
    ),
}
