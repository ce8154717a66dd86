"""How sure the answer of a run is: sections of the report.

What it was selected on, what it is better than, how much picking it flattered it, and whether the
order of the stages matters at all.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.frames import Run
from analysis.sections import Section, Table
from analysis.selection import selection_bias
from analysis.variance import variance_components
from analysis.verdicts import comparisons_table
from analysis.wording import clean, number, p_equals, p_value, plus_minus, spell

#: Titles of the sections, and how a page finds them.
CERTAINTY = ("How sure this is", "How much picking flattered", "Does the order matter?")

_DUE_TO = {
    "set": "which stages",
    "order": "their order",
    "seed": "the seed",
    "residual": "the rest",
    "order+residual": "their order, or the rest",
}
#: Of a p-value below which order is said to matter.
_LEVEL = 0.05


def certainty(run: Run, board: pd.DataFrame, compared: pd.DataFrame) -> list[Section]:
    """Say how sure the answer is.

    Args:
        run: The run.
        board: Its leaderboard.
        compared: Its ``compare_best``.

    Returns:
        What the answer rests on, with a table of what the best is better than; what picking the
        best flattered it by, where sequences were confirmed; what order is worth, where it can be
        told.
    """
    lines = [_selection(str(run.study.get("select_on", "")))]
    num_repeated = int(board["confirmed"].sum())
    lines.append(
        f"{num_repeated} of {len(board)} sequences ran on two seeds or more. A rank that rests on "
        "one seed is a lead, not a result."
    )
    lines.append(
        "Intervals are 95%, Student's t on scores or on differences under the same seed, with the "
        "noise of all repeated sequences of a target pooled. Those of the answer and of the table "
        "here allow for the best having been picked by the same scores, a target and question at a "
        "time; those elsewhere are of one sequence alone. All hold only for this data and these "
        "hyperparameters."
    )
    unscored = ((run.trials["state"] == "complete") & run.trials["score"].isna()).sum()
    if unscored:
        lines.append(f"Complete trials without a score (NaN), left out: {unscored}.")
    first = Section(CERTAINTY[0], tuple(lines), comparisons_table(compared))
    return [first, *_flattered(run), *_order(run)]


def _selection(select_on: str) -> str:
    if select_on == "target_dev":
        return (
            "Selected on the development sets of the target languages: as zero-shot transfer these "
            "scores are overstated, for labelled data of the target languages was used to choose."
        )
    if select_on == "english_dev":
        return (
            "Selected on English development data alone: a true zero-shot choice, though English "
            "does not always rank sequences as the target languages do."
        )
    return f"The study does not say what it selected on ({clean(select_on) or 'no select_on'})."


def _flattered(run: Run) -> list[Section]:
    found = selection_bias(run)
    if found.empty:
        return []
    rows = tuple(
        (
            clean(row["target"]),
            spell(row["sequence"]),
            number(row["gain_selected"], sign=True),
            plus_minus(row, "gain_fresh", sign=True),
            plus_minus(row, "optimism", sign=True),
            plus_minus(row, "gain_held_out", sign=True),
        )
        for row in found.to_dict("records")
    )
    header = ("target", "sequence", "picked", "fresh seeds", "flattered by", "held out")
    note = (
        "Gain over no intermediate task: on the seed that it was picked by; on fresh seeds; the "
        "first less the second; on fresh seeds and data that the search did not select on. +- is "
        "half a 95% interval."
    )
    return [Section(CERTAINTY[1], table=Table(header, rows, num_left=2, note=note))]


def _order(run: Run) -> list[Section]:
    found = variance_components(run)
    if found.empty:
        return []
    lines = [
        _verdict(str(target), {row["component"]: row for row in part.to_dict("records")})
        for target, part in found.groupby("target", sort=False)
    ]
    rows = tuple(
        (
            clean(row["target"]),
            _DUE_TO[row["component"]],
            _share(row["share"]),
            "-"
            if math.isnan(row["share_low"])
            else f"{_share(row['share_low'])} to {_share(row['share_high'])}",
            number(row["sd"]),
            p_value(row["p"]),
        )
        for row in found.to_dict("records")
    )
    header = ("target", "due to", "share", "95% interval", "sd", "p")
    note = (
        "Share of the variance of scores at the full budget, and its standard deviation in points. "
        "A search takes few sequences that far, the better ones, so what tells them apart is "
        "understated."
    )
    return [Section(CERTAINTY[2], tuple(lines), Table(header, rows, num_left=2, note=note))]


def _verdict(target: str, components: dict[Any, dict[Any, Any]]) -> str:
    order = components.get("order")
    if order is None or math.isnan(order["p"]):
        return (
            f"{clean(target)}: what order is worth cannot be told from noise; no stages ran in two "
            "orders and on two seeds."
        )
    said = f"({p_equals(order['p'])}, its share of the variance {_share(order['share'])})"
    if order["p"] < _LEVEL:
        return f"{clean(target)}: the order of the same stages matters {said}."
    return f"{clean(target)}: the order of the same stages is not shown to matter {said}."


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}"
