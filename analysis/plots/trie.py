"""The trie of sequences: what was tried, what it gained, what was given up, what was reused."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.frames import Run
from analysis.observations import stages_of
from analysis.plots.drawing import Axis, Labels, Lines, Mark, Points
from analysis.plots.nodes import target_of, trie_nodes
from analysis.plots.picture import Picture
from analysis.plots.style import BEST, SMALL, Scale, scale_of, shorten, text_width
from analysis.wording import clean, number, spell
from spaces.sequences import STAGE_SEPARATOR

_STATES = {
    "complete": "full budget",
    "pruned": "pruned",
    "failed": "failed",
    "running": "running",
    "waiting": "waiting",
    "passed": "not tried itself",
}


def trie(run: Run, target: str | None = None, *, max_nodes: int = 150) -> Picture:
    """Draw the prefixes that a search tried: the space as the search saw it.

    A node is a prefix, its colour the gain over no intermediate task, its size how often its
    checkpoint was reused. Hollow nodes were given up early, diamonds failed, small grey ones were
    only passed through. The best sequence is the thick line at the top; below every node, its
    extensions are in the order of the best gain that they lead to.

    Args:
        run: The run.
        target: The target; the first when ``None``.
        max_nodes: Draw no more nodes than this, those on the way to the best sequences; what was
            left out is counted at its parent and in the caption.

    Returns:
        The picture; ``data`` are the rows of ``trie_nodes`` that are drawn, with ``num_hidden``.

    Raises:
        UnknownNameError: No trial has that target.
    """
    target = target_of(run, target)
    nodes = trie_nodes(run, target)
    kept, hidden = _cut(nodes, max(max_nodes, 1))
    kept = kept.assign(num_hidden=kept["sequence"].map(hidden).fillna(0).astype("int64"))
    children = _children(kept)
    best = next(iter(kept.loc[kept["rank"] == 1, "sequence"]), "")
    rows = _rows(children)
    scale = scale_of(kept["gain"], "gain, points")
    num_rows, depth = max(rows.values()) + 1, int(kept["num_stages"].max())
    row_height = min(max(900 / num_rows, 5.0), 26.0)
    width, margin = 860.0, (30.0, 20.0, 40.0, 44.0)
    column = (width - margin[0] - margin[1]) / (depth + 1)
    height = num_rows * row_height + margin[2] + margin[3]
    paths = _paths(children, rows, best)
    marks: tuple[Mark, ...] = (
        Lines(paths[False], "line", 1.2),
        Lines(paths[True], BEST, 3.0, name="best sequence" if best else ""),
        *_points(kept, rows, scale, row_height),
        _labels(kept, rows, best, row_height, column),
        *_hidden(kept, rows),
    )
    left_out = len(nodes) - len(kept)
    caption = (
        "Each node is a prefix. Colour: gain over no intermediate task (of a pruned sequence: at "
        "the rung where it stopped). Size: how often its checkpoint was reused. Hollow: pruned. "
        "Diamond: failed. Small grey: only passed through."
    )
    if left_out:
        caption += (
            f" Drawn are {len(kept)} of {len(nodes)} prefixes, those on the way to the best; +n "
            "counts what was left out below a node."
        )
    heads = tuple(
        (float(k), "no stage" if k == 0 else f"{k} stage{'s' if k > 1 else ''}")
        for k in range(depth + 1)
    )
    return Picture(
        name="trie",
        title=f"{clean(target)}: the sequences tried",
        caption=caption,
        x=Axis(0.0, depth + 1.0, heads),
        y=Axis(num_rows - 0.5, -0.5),
        marks=marks,
        data=kept,
        width=width,
        height=height,
        margin=margin,
        scale=scale,
    )


def _cut(nodes: pd.DataFrame, max_nodes: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the prefixes of the best sequences; count the others at their nearest kept prefix."""
    ordered = nodes.assign(
        unranked=nodes["rank"] == 0, lower=-nodes["gain"].fillna(-math.inf)
    ).sort_values(["unranked", "rank", "lower", "num_stages", "sequence"], kind="stable")
    kept: set[str] = {""}
    for name in ordered["sequence"]:
        stages = stages_of(name)
        path = {STAGE_SEPARATOR.join(stages[:k]) for k in range(1, len(stages) + 1)} - kept
        if len(kept) + len(path) <= max_nodes:
            kept |= path
    hidden: dict[str, int] = defaultdict(int)
    for name in nodes["sequence"]:
        stages = stages_of(name)
        while STAGE_SEPARATOR.join(stages) not in kept:
            stages = stages[:-1]
        hidden[STAGE_SEPARATOR.join(stages)] += STAGE_SEPARATOR.join(stages) != name
    return nodes[nodes["sequence"].isin(kept)].reset_index(drop=True), hidden


def _children(nodes: pd.DataFrame) -> dict[str, list[str]]:
    """Return the extensions of each node, those first that lead to the best rank, then gain."""
    merit = {
        name: (-rank if rank else -math.inf, -math.inf if math.isnan(gain) else gain)
        for name, rank, gain in zip(nodes["sequence"], nodes["rank"], nodes["gain"], strict=True)
    }
    children: dict[str, list[str]] = {name: [] for name in nodes["sequence"]}
    for name, parent in sorted(
        zip(nodes["sequence"], nodes["parent"], strict=True), key=lambda pair: -len(pair[0])
    ):
        if name:
            children[parent].append(name)
            merit[parent] = max(merit[parent], merit[name])
    for found in children.values():
        found.sort(key=lambda name: (-merit[name][0], -merit[name][1], name))
    return children


def _rows(children: dict[str, list[str]]) -> dict[str, int]:
    """Return the row of each node: the first extension is on its parent's, so the best is on 0."""
    rows: dict[str, int] = {}
    free = 0
    stack = [("", True)]
    while stack:
        name, is_first = stack.pop()
        free += not is_first
        rows[name] = free
        stack += [(child, k == 0) for k, child in reversed(list(enumerate(children[name])))]
    return rows


def _paths(
    children: dict[str, list[str]], rows: dict[str, int], best: str
) -> dict[bool, list[list[tuple[float, float]]]]:
    """Return the elbows from parents to children, the best sequence's apart."""
    stages = stages_of(best)
    way = {STAGE_SEPARATOR.join(stages[:k]) for k in range(1, len(stages) + 1)}
    paths: dict[bool, list[list[tuple[float, float]]]] = {False: [], True: []}
    for name, found in children.items():
        x = float(len(stages_of(name)))
        for child in found:
            bend = x + 0.04
            paths[child in way].append(
                [
                    *((x, float(rows[name])), (bend, float(rows[name]))),
                    *((bend, float(rows[child])), (x + 1.0, float(rows[child]))),
                ]
            )
    return paths


def _points(
    nodes: pd.DataFrame, rows: dict[str, int], scale: Scale, row_height: float
) -> list[Points]:
    """Return the nodes: one mark for each shape."""
    # Where rows are close together, nodes are smaller, so that they do not cover each other.
    small, large = min(4.0, row_height * 0.4), min(10.0, row_height * 0.75)
    most = max(int(nodes["times_reused"].max()), 1)
    marks = []
    for shape in ("circle", "diamond"):
        chosen = nodes[(nodes["state"] == "failed") == (shape == "diamond")].to_dict("records")
        if not chosen:
            continue
        mark = Points(
            x=[float(row["num_stages"]) for row in chosen],
            y=[float(rows[row["sequence"]]) for row in chosen],
            color=[_color(row, scale) for row in chosen],
            # The area grows with the count.
            radius=[
                small * 0.6
                if row["state"] == "passed"
                else small + (large - small) * math.sqrt(row["times_reused"] / most)
                for row in chosen
            ],
            hollow=[row["state"] not in ("complete", "passed") for row in chosen],
            hints=[_hint(row) for row in chosen],
            shape="circle" if shape == "circle" else "diamond",
        )
        # A grey rim: the darkest and the lightest colour would be lost on some background.
        rim = [radius + 1.2 for radius in mark.radius]
        grey, filled = ["line"] * len(rim), [False] * len(rim)
        marks += [replace(mark, color=grey, radius=rim, hollow=filled, hints=()), mark]
    return marks


def _color(row: dict[Any, Any], scale: Scale) -> str:
    return "line" if math.isnan(row["gain"]) else scale.color(row["gain"])


def _hint(row: dict[Any, Any]) -> str:
    parts = [f"{spell(row['sequence'])}: {_STATES[row['state']]}"]
    if not math.isnan(row["score"]):
        parts.append(f"score {number(row['score'])}")
    if not math.isnan(row["gain"]) and row["sequence"]:
        parts.append(f"gain {number(row['gain'], sign=True)}")
    if row["rank"]:
        parts.append(f"rank {row['rank']}")
    return ", ".join([*parts, f"reused {row['times_reused']} times"])


def _labels(
    nodes: pd.DataFrame, rows: dict[str, int], best: str, row_height: float, column: float
) -> Labels:
    """Name the nodes where there is room; the best sequence's stages always."""
    stages = stages_of(best)
    way = {STAGE_SEPARATOR.join(stages[:k]) for k in range(len(stages) + 1)}
    shown = nodes if row_height >= 15 else nodes[nodes["sequence"].isin(way)]
    return Labels(
        x=[float(k) for k in shown["num_stages"]],
        y=[float(rows[name]) for name in shown["sequence"]],
        texts=[_label(row, column - 26) for row in shown.to_dict("records")],
        color=["ink"] * len(shown),
        anchor="start",
        dx=12.0,
        dy=8.0,
        bold=[name in way for name in shown["sequence"]],
    )


def _label(row: dict[Any, Any], room: float) -> str:
    gain = "" if math.isnan(row["gain"]) else f" {number(row['gain'], sign=True)}"
    if not row["sequence"]:
        return shorten(f"none {number(row['score'])}", room, SMALL)
    return shorten(clean(row["stage"]), room - text_width(gain, SMALL), SMALL) + gain


def _hidden(nodes: pd.DataFrame, rows: dict[str, int]) -> list[Labels]:
    cut = nodes[nodes["num_hidden"] > 0]
    if cut.empty:
        return []
    return [
        Labels(
            x=[float(k) for k in cut["num_stages"]],
            y=[float(rows[name]) for name in cut["sequence"]],
            texts=[f"+{count}" for count in cut["num_hidden"]],
            color=["muted"] * len(cut),
            anchor="end",
            dx=-11.0,
            size=9.0,
        )
    ]
