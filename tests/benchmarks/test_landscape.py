"""The recorded mini table is whole, and is the landscape the documentation says it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.landscape import describe, final_scores
from spaces.sequences import Sequence, Stage
from spaces.study import load_study

TABLE = Path(__file__).parents[2] / "benchmarks" / "data" / "mini_table.csv"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(TABLE, keep_default_na=False)


def test_the_figures_of_a_table_by_hand():
    rows = {
        "": (10, 12), "a": (20, 22), "b": (14, 16), "a>b": (30, 32), "b>a": (20, 22),
        "a+b": (50, 50),
    }  # fmt: skip
    scores = pd.Series(
        {(name, seed): score for name, both in rows.items() for seed, score in enumerate(both)}
    ).rename_axis(["sequence", "seed"])
    found = describe(scores, harmful="b")
    assert found["empty"] == 11
    assert found["best"] == "a>b"
    assert found["gain"] == 20
    assert found["range"] == 10
    # Five of six sequences vary by 2 between their seeds, one not at all.
    assert found["seed SD"] == pytest.approx((5 * 2 / 6) ** 0.5)
    # Two orders 10 apart have variance 50, of which half the seeds' variance is noise.
    assert found["order SD"] == pytest.approx((50 - 5 * 2 / 6 / 2) ** 0.5)
    assert found["harm"] == pytest.approx((4 + 10) / 2)


def test_the_table_holds_every_sequence_target_seed_and_budget(table: pd.DataFrame):
    study = load_study("mini")
    everything = [*study.space.enumerate(), Sequence((Stage(study.intermediate.tasks),))]
    expected = {
        (str(sequence), target.name, seed)
        for sequence in everything
        for target in study.targets
        for seed in range(5)
    }
    counts = table.groupby(["sequence", "target", "seed"]).size()
    assert set(counts.index) == expected
    assert set(counts) == {3}
    assert table["score"].between(0, 100).all()
    assert TABLE.stat().st_size < 1_000_000


def test_choice_and_order_matter_and_the_harmful_task_harms(table: pd.DataFrame):
    average = describe(final_scores(table)["average"], harmful="mini_noise")
    assert average["gain"] >= 5
    assert average["range"] > average["seed SD"]
    assert average["p"] < 0.05
    assert average["harm"] < 0
