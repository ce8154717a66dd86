from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.similarity import format_value, sequence_gains, similarity_heatmap
from spaces.errors import UnknownNameError

ROWS = [
    ("source_target", "a", "t", "m", 0.5),
    ("source_target", "b", "t", "m", -1.0),
    ("source_target", "a", "u", "m", 62.25),
    ("source_target", "b", "u", "m", math.nan),
    ("source_source", "a", "b", "m", 0.25),
    ("source_source", "b", "a", "m", 0.25),
]
FRAME = pd.DataFrame(ROWS, columns=["kind", "source", "target", "measure", "value"])


def test_a_heatmap_has_a_cell_for_each_known_value(tmp_path):
    picture = similarity_heatmap(FRAME, "m")
    boxes, labels = picture.marks
    assert labels.texts == ["0.500", "-1.000", "62.2"]
    assert list(zip(labels.x, labels.y, strict=True)) == [(0, 0), (0, 1), (1, 0)]
    assert [text for _, text in picture.y.ticks] == ["a", "b"]
    # The lightest of the first column is its highest value; the second column has one value.
    assert boxes.color[0] != boxes.color[1]
    assert len(picture.data) == 4
    for ending in ("pdf", "svg"):
        assert picture.save(tmp_path / f"{picture.name}.{ending}").stat().st_size
    assert picture.name == "source_target-m"


def test_sources_among_themselves_are_a_square():
    picture = similarity_heatmap(FRAME, "m", "source_source")
    assert [text for _, text in picture.x.ticks] == [text for _, text in picture.y.ticks]
    _, labels = picture.marks
    assert list(zip(labels.x, labels.y, strict=True)) == [(1, 0), (0, 1)]


def test_an_unknown_measure_is_told():
    with pytest.raises(UnknownNameError, match="Did you mean"):
        similarity_heatmap(FRAME, "mm")


def test_gains_of_sequences_are_paired_by_seed():
    rows = [
        ("", "t", 0, 10, 50.0),
        ("", "t", 1, 10, 60.0),
        ("a", "t", 0, 10, 53.0),
        ("a", "t", 0, 5, 99.0),  # Not the full budget.
        ("a>b", "t", 0, 10, 55.0),
        ("a>b", "t", 1, 10, 59.0),
        ("b", "u", 0, 10, 59.0),  # No score without an intermediate task.
    ]
    table = pd.DataFrame(rows, columns=["sequence", "target", "seed", "budget_steps", "score"])
    found = sequence_gains(table)
    assert found.to_dict("records") == [
        {"source": "a", "target": "t", "gain": 3.0},
        {"source": "a>b", "target": "t", "gain": 2.0},
    ]


def test_numbers_are_short():
    assert [format_value(v) for v in (12.3456, 1.0, math.nan)] == ["12.3", "1.000", ""]
