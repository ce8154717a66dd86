"""What the report's page says beside pictures: facts, tables and caveats, as plain text."""

from __future__ import annotations

import math
import re
import shlex
from typing import Any

import pandas as pd
import yaml

from analysis.frames import Run
from analysis.models import models_of
from analysis.sections import Table
from analysis.statistics import cost_summary
from analysis.wording import clean, duration, number, spell

#: Trials that are listed.
MAX_TRIALS = 2000


def table_of(frame: pd.DataFrame, max_rows: int) -> Table:
    """Make a table of text of a frame: words at the left, numbers at the right.

    Args:
        frame: The frame.
        max_rows: Rows before it is cut; the note says so.
    """
    words = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    numbers = [name for name in frame.columns if name not in words]
    cut = frame.head(max_rows)
    columns = [[_cell(value) for value in cut[name]] for name in (*words, *numbers)]
    note = f"The first {len(cut)} of {len(frame)} rows." if len(cut) < len(frame) else ""
    rows = tuple(zip(*columns, strict=True)) if columns else ()
    return Table((*words, *numbers), rows, num_left=len(words), note=note)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "-"
        return f"{value:.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return clean(value)


def facts_of(run: Run) -> list[tuple[str, str]]:
    """Say what was searched, as names and values.

    Args:
        run: The run.
    """
    study = run.study
    cost = cost_summary(run).to_dict("index")["all"]
    labels = models_of(run)
    model = study.get("model") or {}
    single = model.get("name", "") if isinstance(model, dict) else model
    space = study.get("intermediate") or {}
    tasks = space.get("tasks") or []
    seeds = run.trials["seed"].nunique()
    facts = [
        ("models", ", ".join(labels)) if len(labels) > 1 else ("model", single),
        ("intermediate tasks", len(tasks) or ""),
        ("longest sequence", space.get("max_length", "")),
        ("targets", run.trials["target"].nunique()),
        ("objective", study.get("objective", "")),
        ("selected on", study.get("select_on", "")),
        ("trials", f"{len(run.trials):,}"),
        ("sequences tried", f"{run.trials['sequence'].nunique():,}"),
        ("seeds", seeds),
        ("training steps", f"{int(cost['steps_trained']):,}"),
        ("time", duration(cost["elapsed_s"])),
    ]
    return [(name, clean(value)) for name, value in facts if str(value)]


def trials_of(run: Run) -> Table:
    """List the trials, the best of each target first.

    Args:
        run: The run.
    """
    ordered = run.trials.sort_values(["target", "score"], ascending=[True, False], kind="stable")
    several = len(models_of(run)) > 1
    rows = tuple(
        (
            *([clean(row["model"])] if several else []),
            clean(row["target"]),
            spell(row["sequence"]),
            row["phase"],
            row["state"],
            str(row["trial_id"]),
            str(row["seed"]),
            str(row["rung"]) if row["rung"] >= 0 else "-",
            number(row["score"]),
            f"{row['steps_trained']:,}",
            f"{row['steps_reused']:,}",
            f"{row['wall_s']:,.1f}",
        )
        for row in ordered.head(MAX_TRIALS).to_dict("records")
    )
    names = (*(["model"] if several else []), "target", "sequence", "phase", "state")
    header = (*names, "trial", "seed", "rung", "score")
    note = "Scores at different rungs are of different budgets. Time in seconds."
    if len(rows) < len(ordered):
        note += f" The best {len(rows)} of {len(ordered)}; all are in tables/trials.parquet."
    return Table((*header, "steps", "spared", "time"), rows, num_left=len(names), note=note)


def caveats_of(run: Run, board: pd.DataFrame) -> list[str]:
    """Return what a reader has to know before quoting a number.

    Args:
        run: The run.
        board: Its leaderboard.
    """
    select_on = str(run.study.get("select_on", ""))
    states = run.trials["state"].value_counts().to_dict()
    once = int((board["num_seeds"] < 2).sum())
    caveats = [
        f"Selected on: {clean(select_on) or 'the study does not say'}."
        + (
            " Labelled data of the target languages chose the sequence, so its score overstates "
            "zero-shot transfer."
            if select_on == "target_dev"
            else ""
        ),
        f"Sequences that ran on one seed only: {once} of {len(board)}. Their ranks are leads.",
        f"Pruned trials: {states.get('pruned', 0)}. What they would have reached is unknown.",
        f"Failed trials: {states.get('failed', 0)}. They are in no score.",
        "Results hold for this model, this data, these budgets and hyperparameters.",
    ]
    first, *others = models_of(run)
    if others:
        caveats.insert(
            0,
            f"Several models ran. Tables and pictures are of {clean(first)}, unless their title "
            f"names another ({clean(', '.join(others))}); counts, cost and workers are of all.",
        )
    unfinished = states.get("running", 0) + states.get("waiting", 0)
    if unfinished:
        caveats.insert(0, f"The run is not finished; running or waiting: {unfinished}.")
    return caveats


def commands_of(run: Run) -> str:
    """Return the commands that repeat a run.

    Args:
        run: The run.
    """
    tables = shlex.quote(run.location or str(run.path))
    return (
        "taskorder check study.yaml\n"
        "taskorder launch study.yaml --run-dir NEW_RUN_DIR\n"
        f"taskorder report {tables} --out DIR    # this report, its tables and pictures"
    )


def study_of(run: Run) -> tuple[str, str]:
    """Return the study as YAML, ready to launch again, and what it was resolved to.

    Args:
        run: The run.
    """
    study = {name: value for name, value in run.study.items() if name != "resolved"}
    return _yaml(study), _yaml(run.study.get("resolved") or {})


def _yaml(content: Any) -> str:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True) if content else ""
    # A storage URL may hold a password, and reports are passed on.
    return re.sub(r"://[^/\s:@]*:[^/\s@]*@", "://...:...@", text)
