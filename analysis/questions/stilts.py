"""The table of Phang et al. 2020: every intermediate task on every target, beside their figures."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.average import AVERAGE
from analysis.columns import tidy
from analysis.comparisons import compare_best
from analysis.frames import Run
from analysis.intervals import Estimate
from analysis.models import models_of, of_first_model
from analysis.observations import NO_INTERMEDIATE, observations
from analysis.questions.answer import Answer, Finding, level, listed, undecided, why_open
from analysis.questions.model_size import model_section
from analysis.questions.published import BEST, MULTI_TASK, PHANG, published_gain
from analysis.questions.roles import Roles
from analysis.transfer import gains_over_none
from analysis.wording import number, plus_minus, spell
from spaces.tables import Column

QUESTION = (
    "What does each English intermediate task gain on each target, and does it agree with the "
    f"published figures ({PHANG})?"
)
#: Whose published gains they are.
MODEL = "xlm-roberta-large"
#: Kinds of rows, in the order of the paper's table.
KINDS = ("single task", "multi-task", "with multilingual MLM", "translated", "sequence")

ROWS = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("kind", "string", "", f"{', '.join(KINDS)}."),
    Column("sequence", "string", "", "What was trained before the target."),
    Column("score", "float64", "points", "Mean over the seeds that it shares with none."),
    Column("score_none", "float64", "points", "Of no intermediate task, over the same seeds."),
    Column("gain", "float64", "points", "The difference."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN below two seeds."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("published", "float64", "points", "The published gain; NaN where there is none."),
    Column("num_pairs", "int64", "", "Seeds that both have."),
)


def stilts(run: Run) -> Answer:
    """Lay out the gain of every sequence on every target as Phang et al. do.

    A gain is over no intermediate task under the same seed, its noise pooled over the repeated
    sequences of the target. Of the best single task of a target, which is picked by its score, the
    interval allows for all single tasks (``compare_best``).

    Args:
        run: The run; of several models the first one's trials.

    Source: Phang et al. 2020, arXiv:2005.13013, tables 2 and 3, for the layout.
    """
    run = of_first_model(run)
    roles = Roles(run.study)
    model = str(model_section(run, models_of(run)[0]).get("name", ""))
    is_theirs = model.rpartition("/")[2] == MODEL
    targets = list(dict.fromkeys(run.trials["target"]))
    found = observations(run, average=len(targets) > 1)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    sentences: list[str] = []
    for target in (*([AVERAGE] if AVERAGE in set(found["target"]) else []), *targets):
        part = found[found["target"] == target]
        mine = _rows(target, part, roles)
        rows += mine
        singles = {row["sequence"] for row in mine if row["kind"] == KINDS[0]}
        best, sentence = _best(target, part, singles, level(len(targets) + 1))
        findings.append(best)
        sentences.append(" ".join([sentence, *(_beside(target, mine) if is_theirs else [])]))
    frame = tidy(rows, ROWS)
    return Answer(
        "stilts",
        QUESTION,
        "\n".join(sentences) or undecided("the table", "no target was run"),
        tuple(findings),
        frame,
        (
            (
                f"Published: {PHANG}; nine tasks, XLM-R Large, gains on development sets in the "
                "rows of tasks, on test sets in the row of the best."
            ),
            (
                f"The average is over this run's {len(targets)} targets; the published one is over "
                "XTREME."
            ),
            *(() if is_theirs else (f"This run's model is {model}: only the layout compares.",)),
            (
                "A published gain has no interval: it is held against this run's interval alone, "
                "and its own noise is not known."
            ),
        ),
        layout(frame, frame_of_none(found)),
    )


def kind_of(roles: Roles, sequence: str) -> str:
    """Return which part of the table a sequence belongs to.

    Args:
        roles: Of the study's stages.
        sequence: The sequence; not empty.
    """
    parts = roles.of_sequence(sequence)
    if any(part.text_languages for part in parts):
        return KINDS[2]
    if len(parts) > 1:
        return KINDS[4]
    if not parts[0].is_english:
        return KINDS[3]
    return KINDS[0] if len(parts[0].tasks) == 1 else KINDS[1]


def layout(rows: pd.DataFrame, none: dict[str, float]) -> pd.DataFrame:
    """Lay the rows out as the paper does: tasks down, targets across.

    Args:
        rows: As ``stilts`` returns them.
        none: Score of no intermediate task by target.

    Returns:
        A frame of text: ``kind``, ``intermediate task``, and a column a target with the gain, half
        its interval, and the published gain in brackets. The first row is scores without
        intermediate task.
    """
    targets = list(dict.fromkeys(rows["target"]))
    first = {"kind": "", "intermediate task": "none (scores)"}
    lines = [first | {target: number(none.get(target, math.nan)) for target in targets}]
    cells = {(row["sequence"], row["target"]): _cell(row) for row in rows.to_dict("records")}
    ordered = rows.drop_duplicates("sequence").sort_values(
        "kind", key=lambda kinds: kinds.map(KINDS.index), kind="stable"
    )
    for kind, sequence in zip(ordered["kind"], ordered["sequence"], strict=True):
        line = {"kind": kind, "intermediate task": spell(sequence)}
        lines.append(line | {name: cells.get((sequence, name), "-") for name in targets})
    published = [published_gain(BEST, target) for target in targets]
    if any(value is not None for value in published):
        last = {"kind": "published", "intermediate task": "best task per target"}
        texts = ("-" if value is None else f"[{value:+.1f}]" for value in published)
        lines.append(last | dict(zip(targets, texts, strict=True)))
    return pd.DataFrame(lines)


def frame_of_none(found: pd.DataFrame) -> dict[str, float]:
    """Return the mean score of no intermediate task by target."""
    none = found[found["baseline"] == NO_INTERMEDIATE]
    return {str(key): float(value) for key, value in none.groupby("target")["score"].mean().items()}


def _rows(target: str, part: pd.DataFrame, roles: Roles) -> list[dict[str, Any]]:
    rows = []
    for row in gains_over_none(part, sorted(set(part["sequence"]) - {""}), 0.95):
        kind = kind_of(roles, row["sequence"])
        published = _published(target, kind, row["sequence"])
        rows.append({**row, "target": target, "kind": kind, "published": published})
    return sorted(rows, key=lambda row: (KINDS.index(row["kind"]), -row["gain"]))


def _published(target: str, kind: str, sequence: str) -> float:
    row = {KINDS[0]: sequence, KINDS[1]: MULTI_TASK}.get(kind, "")
    value = published_gain(row, target)
    return math.nan if value is None else value


def _best(
    target: str, part: pd.DataFrame, singles: set[str], confidence: float
) -> tuple[Finding, str]:
    """Return the gain of a target's best single task, and what that says."""
    what = f"{target}: gain of the best single task"
    kept = part[part["sequence"].isin(singles | {""})]
    if "" not in set(kept["sequence"]) or not singles & set(kept["sequence"]):
        reason = "no single task was run beside no intermediate task"
        return Finding(what, Estimate(), "points", reason), undecided(target, reason)
    if kept["score"].nunique() == 1 and len(kept) > 2:
        reason = f"every score is {number(kept['score'].iloc[0])}: the model has learned nothing"
        return Finding(what, Estimate(), "points", reason), undecided(target, reason)
    means = kept[kept["sequence"] != ""].groupby("sequence")["score"].mean()
    task = str(means.idxmax())
    # Where no task at all is the best, the best task is still what is asked about.
    rows = compare_best(
        kept[kept["target"] == target], against=("none",), confidence=confidence, fresh_only=False,
        average=False,
    )  # fmt: skip
    mine = rows[rows["sequence"] == task]
    if mine.empty:
        reason = f"no single task did better than none; {task} came closest"
        return Finding(what, Estimate(), "points", reason), undecided(target, reason)
    row = mine.to_dict("records")[0]
    estimate = Estimate(
        row["difference"], row["difference_low"], row["difference_high"], row["num_pairs"]
    )
    reason = "one seed only" if math.isnan(estimate.low) else ""
    found = Finding(f"{what}, {task}", estimate, "points", reason)
    published = published_gain(BEST, target)
    beside = "" if published is None else f"; published, best task: {published:+.1f}"
    if found.is_above:
        num = len(singles)
        return found, f"{target}: {task}, the best of {num} single tasks, gains {found}{beside}."
    return found, undecided(target, f"{why_open(found)}{beside}")


def _beside(target: str, rows: list[dict[str, Any]]) -> list[str]:
    """Say of each row with a published figure whether it agrees."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if math.isnan(row["published"]) or math.isnan(row["gain_low"]):
            continue
        name = MULTI_TASK if row["kind"] == KINDS[1] else row["sequence"]
        pair = f"{name} ({row['gain']:+.1f} against {row['published']:+.1f})"
        where = (row["gain_low"] > row["published"]) - (row["gain_high"] < row["published"])
        said.setdefault({0: "no different from", 1: "above", -1: "below"}[where], []).append(pair)
    return [f"{target}, {where} the published: {listed(names)}." for where, names in said.items()]


def _cell(row: dict[Any, Any]) -> str:
    text = plus_minus(row, "gain", sign=True)
    return text if math.isnan(row["published"]) else f"{text} [{row['published']:+.1f}]"
