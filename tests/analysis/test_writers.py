from __future__ import annotations

import math

import fsspec
import numpy as np
import pandas as pd
import pytest

from analysis.columns import describe_columns
from analysis.observations import observations
from analysis.statistics import LEADERBOARD, leaderboard
from analysis.transfer import transfer_matrix
from analysis.writers import to_latex, to_markdown, write_table
from spaces.errors import InputError
from tests.analysis.landscapes import draw


@pytest.fixture
def board():
    return leaderboard(draw(np.random.default_rng(0), {"": 50, "a_1": 55, "a_1>b|c": 58.5}, 2))


def cells(markdown):
    return [
        [cell.strip() for cell in line.strip().removeprefix("| ").removesuffix(" |").split(" | ")]
        for line in markdown.splitlines()
    ]


def test_markdown_merges_intervals_and_says_units(board):
    text = to_markdown(board, columns=["rank", "sequence", "gain", "confirmed"])
    header, rule, first, *_ = cells(text)
    assert header == ["rank", "sequence", "gain (points)", "confirmed"]
    assert rule == ["---:", "---", "---:", "---"]
    row = board.iloc[0]
    assert first[2] == f"{row['gain']:.1f} \\[{row['gain_low']:.1f}, {row['gain_high']:.1f}\\]"
    assert first[3] == "yes"
    assert first[1] == r"a\_1 &gt; b\|c"
    assert len(cells(to_markdown(board, intervals=False))[0]) == len(board.columns)


def test_latex_escapes_names(board):
    text = to_latex(board, columns=["sequence", "score"], caption="50 % of a_1", label="tab:a")
    assert r"a\_1 \textgreater{} b\textbar{}c &" in text
    assert r"\caption{50 \% of a\_1}" in text
    assert r"\label{tab:a}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"\toprule" in text
    assert "table}" not in to_latex(board, columns=["score"])


@pytest.mark.parametrize(
    ("value", "written"),
    [(math.nan, "-"), (-0.04, "$-$0.0"), (1234.56, "1,234.6"), (-3.25, "$-$3.2")],
)
def test_numbers(value, written):
    frame = pd.DataFrame({"score": [value, 99.0]})
    frame.attrs["units"] = {"score": "points"}
    assert written.replace("$-$0.0", "0.0") in to_latex(frame)


def test_kinds_of_values():
    frame = pd.DataFrame(
        {
            "share": [0.12345, 1.0],
            "p_holm": [0.0001, math.nan],
            "at": pd.to_datetime(["2026-01-01T10:00:00Z", None], utc=True),
            "error": ["<b>\x1b[31m\nx", ""],
            "steps": [12345, 1],
        }
    )
    first, second = cells(to_markdown(frame))[2:]
    assert first == ["0.123", "&lt; 0.001", "2026-01-01 10:00:00", r"&lt;b&gt; \[31m x", "12,345"]
    assert second[:3] == ["1.000", "-", "-"]


def test_every_format_by_its_suffix(board, tmp_path):
    for suffix in (".md", ".tex", ".csv", ".parquet"):
        write_table(board, tmp_path / "deep" / f"table{suffix}")
    assert (tmp_path / "deep" / "table.md").read_text() == to_markdown(board)
    assert (tmp_path / "deep" / "table.tex").read_text() == to_latex(board)
    read = pd.read_parquet(tmp_path / "deep" / "table.parquet")
    pd.testing.assert_frame_equal(read, board)
    csv = pd.read_csv(tmp_path / "deep" / "table.csv")
    assert csv["gain"].to_numpy() == pytest.approx(board["gain"].to_numpy())
    write_table(board, "memory://tables/board.md", columns=["rank"])
    memory = fsspec.filesystem("memory")
    assert memory.cat_file("/tables/board.md").decode() == to_markdown(board, columns=["rank"])
    memory.rm("/tables", recursive=True)
    with pytest.raises(InputError, match=r"table.xlsx: a table ends in .md"):
        write_table(board, tmp_path / "table.xlsx")
    with pytest.raises(InputError, match="no column 'gian'"):
        to_markdown(board, columns=["gian"])


def test_frames_without_rows_are_tables_too():
    empty = transfer_matrix(draw(np.random.default_rng(0), {"": 50}, 2))
    assert len(to_markdown(empty).splitlines()) == 2
    assert r"\bottomrule" in to_latex(empty)


def test_columns_are_described():
    described = describe_columns(LEADERBOARD).set_index("name")
    assert described.loc["gain", "unit"] == "points"
    assert list(described.index) == list(leaderboard(observations(
        draw(np.random.default_rng(0), {"": 50}, 2))).columns)  # fmt: skip
