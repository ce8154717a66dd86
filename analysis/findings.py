"""What a run found, as plain sections: words and tables of text, for any renderer.

Every text that a run supplies (names, errors) leaves here without control characters; escaping
for a markup is the renderer's part.
"""

from __future__ import annotations

import math
import shlex

import pandas as pd

from analysis.certainty import certainty
from analysis.comparisons import compare_best
from analysis.diagnostics import pruning_cost
from analysis.frames import Run
from analysis.languages import language_scores
from analysis.models import models_of
from analysis.observations import ALL_AT_ONCE
from analysis.sections import Section, Table
from analysis.statistics import cost_summary, leaderboard
from analysis.verdicts import NO_ANSWER, answer_of, lead_of
from analysis.wording import clean, duration, number, plus_minus, spell

#: Rows of a leaderboard beside the references, and languages of a table, before it is cut.
TOP, LANGUAGES, FAILURES = 5, 12, 10


def findings(run: Run) -> list[Section]:
    """Tell what a run found, the answer first.

    Args:
        run: A run, finished or not.

    Returns:
        The answer per target; how sure it is; a leaderboard and the scores by language for each
        target; cost; failed trials, if any; where to look next.
    """
    board = leaderboard(run)
    compared = compare_best(run)
    sections = [_answer(run, board, compared), *_problems(run), *certainty(run, board, compared)]
    for target in dict.fromkeys(board["target"]):
        ranked = board[board["target"] == target]
        sections.append(_ranking(target, ranked))
        sections += _by_language(run, target, ranked["sequence"].iloc[0])
    sections += [_cost(run), *_failures(run), _next(run, board)]
    return sections


def _answer(run: Run, board: pd.DataFrame, compared: pd.DataFrame) -> Section:
    unfinished = run.trials["state"].isin(["running", "waiting"]).sum()
    paragraphs = []
    if unfinished:
        paragraphs.append(
            f"The run is not finished: trials running or waiting: {unfinished}. "
            "What follows is the state so far."
        )
    models = models_of(run)
    if len(models) > 1:
        paragraphs.append(
            f"The run has several models ({clean(', '.join(models))}). Scores and gains are those "
            f"of {clean(models[0])}; counts and cost are of all of them."
        )
    if board.empty:
        paragraphs.append(NO_ANSWER)
    best = board[board["rank"] == 1]
    paragraphs += [
        answer_of(row, compared[compared["target"] == row["target"]])
        for row in best.to_dict("records")
    ]
    title = f"{clean(run.name)}: the best sequence of intermediate tasks"
    leads = tuple(lead_of(row) for row in best.to_dict("records"))
    return Section(title, tuple(paragraphs), leads=leads)


def _problems(run: Run) -> list[Section]:
    found = tuple(clean(problem) for problem in run.problems if problem.kind != "filled")
    older = [problem for problem in run.problems if problem.kind == "filled"]
    if older:
        found += (f"An older run: columns that it lacks, filled: {len(older)} (run.problems).",)
    return [Section("What of this run could not be read", found)] if found else []


def _ranking(target: str, board: pd.DataFrame) -> Section:
    shown = board[(board["rank"] <= TOP) | (board["baseline"] != "")]
    rows = tuple(
        (
            spell(row["sequence"], row["baseline"]),
            str(row["rank"]),
            str(row["num_seeds"]),
            plus_minus(row, "score"),
            plus_minus(row, "gain", sign=True) if row["sequence"] else "-",
            plus_minus(row, "gain_over_all", sign=True) if row["baseline"] != ALL_AT_ONCE else "-",
        )
        for row in shown.to_dict("records")
    )
    header = ("sequence", "rank", "seeds", "score", "over none", "over all")
    note = (
        f"The best {min(TOP, len(board))} of {len(board)} sequences, and the references. +- is "
        "half a 95% interval of that sequence alone; where it is missing, it ran on one seed."
    )
    return Section(f"{clean(target)}: leaderboard", table=Table(header, rows, note=note))


def _by_language(run: Run, target: str, sequence: str) -> list[Section]:
    scores = language_scores(run, target, sequence)
    unselected = scores[~scores["selected_on"]]
    chosen = scores if unselected.empty else unselected
    if chosen.empty:
        return []
    cut = chosen
    if len(chosen) > LANGUAGES:
        ordered = chosen.sort_values("gain", ascending=False, kind="stable")
        cut = pd.concat([ordered.head(LANGUAGES // 2), ordered.tail(LANGUAGES // 2)])
    rows = tuple(
        (
            clean(row["language"]),
            clean(row["split"]),
            clean(row["metric"]),
            number(row["score"]),
            number(row["score_none"]),
            number(row["gain"], sign=True),
            str(row["num_examples"]),
        )
        for row in cut.to_dict("records")
    )
    header = ("language", "split", "metric", "score", "without", "gain", "examples")
    basis = (
        "The search chose by these scores, so they flatter."
        if unselected.empty
        else "The search did not choose by these scores."
    )
    left_out = (
        f" The largest and the smallest gains of {len(chosen)} rows."
        if len(cut) < len(chosen)
        else ""
    )
    table = Table(header, rows, num_left=3, note=f"Means over seeds. {basis}{left_out}")
    return [Section(f"{clean(target)}: the best sequence by language", table=table)]


def _cost(run: Run) -> Section:
    cost = cost_summary(run)
    total = cost.to_dict("index")["all"]
    rows = tuple(
        (
            str(phase),
            *(str(int(row[name])) for name in ("num_trials", "complete", "pruned", "failed")),
            f"{int(row['steps_trained']):,}",
            f"{int(row['steps_reused']):,}",
            duration(row["wall_s"]),
        )
        for phase, row in cost.iterrows()
    )
    header = ("phase", "trials", "complete", "pruned", "failed", "steps", "spared", "trial time")
    trained, reused = run.stages["times_trained"].sum(), run.stages["times_reused"].sum()
    saved, elapsed = total["share_saved"], total["elapsed_s"]
    when = "so far" if math.isnan(elapsed) else f"in {duration(elapsed)}"
    paragraphs = [
        f"{int(total['steps_trained']):,} training steps {when}. "
        f"The stage store spared {int(total['steps_reused']):,} more"
        + ("." if math.isnan(saved) else f" ({saved:.0%} of what the trials asked for).")
        + f" Stages: {len(run.stages)} distinct, trained {trained} times, reused {reused} times.",
        *_pruned(run),
    ]
    return Section("What it cost and saved", tuple(paragraphs), Table(header, rows))


def _pruned(run: Run) -> list[str]:
    """Say what ASHA pruned and what running it on would have cost; nothing if it pruned none."""
    found = pruning_cost(run)
    rows = [row for row in found.to_dict("records") if row["target"] == "all"]
    return [
        f"Stopped early: {row['num_pruned']} of {row['num_trials']} trials (confirmation apart). "
        f"To their full budget they would have trained {row['steps_to_finish']:,} more steps "
        f"({row['share_saved']:.0%} of what these trials would have taken)."
        for row in rows
        if row["num_pruned"]
    ]


def _failures(run: Run) -> list[Section]:
    failed = run.trials[run.trials["state"] == "failed"]
    if failed.empty:
        return []
    rows = tuple(
        (
            clean(row["trial_id"]),
            clean(row["target"]),
            spell(row["sequence"]),
            clean(row["error"]) or "(no message)",
        )
        for row in failed.head(FAILURES).to_dict("records")
    )
    note = f"The first {FAILURES} of {len(failed)}." if len(failed) > FAILURES else ""
    table = Table(("trial", "target", "sequence", "error"), rows, num_left=4, note=note)
    return [Section(f"Failed trials: {len(failed)}", table=table)]


def _next(run: Run, board: pd.DataFrame) -> Section:
    path = run.location
    quoted = shlex.quote(path)
    code = [
        "from analysis import compare_best, load_run, plots",
        f"print(compare_best(run := load_run({path!r})))",
    ]
    if not board.empty:
        target = str(board["target"].iloc[0])
        code.append(f"plots.trie(run, {target!r}).save('trie.pdf')")
    code.append("run.trials   # and run.scores, run.stages, run.rungs: pandas frames")
    code += ["", f"taskorder report {quoted} --out DIR   # page, Markdown, LaTeX, every table"]
    for target in dict.fromkeys(run.trials.loc[run.trials["state"] == "complete", "target"]):
        chosen = shlex.quote(clean(target))
        code.append(f"taskorder export {quoted} --target {chosen} --out DIR   # its best model")
        break
    if run.trials["state"].isin(["running", "waiting"]).any():
        code.append(f"taskorder status {quoted} --watch   # while it goes on")
        code.append(f"taskorder resume {quoted}   # continue an interrupted run")
    return Section("Where to look next", code=tuple(code))
