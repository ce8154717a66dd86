"""The training benchmark's record of ratios, and its peers on real steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def ratios(monkeypatch):
    """Return the module, imported as its own scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import training_ratios  # noqa: PLC0415

    yield training_ratios
    sys.modules.pop("training_ratios", None)


def test_ratios_are_kept_by_setting(ratios, tmp_path):
    path = tmp_path / "ratios.json"
    with pytest.raises(SystemExit, match="keeps no ratios of 'mini', only of nothing"):
        ratios.load_ratios(path, "mini")
    ratios.save_ratios(path, "mini", {"mnli": {"HF": 1.2345}})
    ratios.save_ratios(path, "base", {"mnli": {"HF": 2.0}})
    assert ratios.load_ratios(path, "mini") == {"mnli": {"HF": 1.23}}
    with pytest.raises(SystemExit, match="only of base, mini"):
        ratios.load_ratios(path, "large")


def test_more_than_a_fifth_is_too_much(ratios):
    kept = {"mnli": {"HF": 2.0, "bare": 1.0}, "squad1": {"HF": 3.0}}
    assert ratios.compare_ratios(kept, {"mnli": {"HF": 1.61, "bare": 0.81}}) == []
    worse = ratios.compare_ratios(kept, {"mnli": {"HF": 1.59, "bare": float("nan")}})
    assert [line.split(":")[0] for line in worse] == ["mnli", "mnli"]
    assert "1.59 times as fast as HF, which is less than 80% of the 2.00 kept" in worse[0]
    assert ratios.compare_ratios(kept, {"panx": {"HF": 1.0}}) == [
        "no ratio that is kept was measured"
    ]


def test_the_record_has_what_the_check_measures(ratios):
    path = FOLDER / "data" / "training_ratios.json"
    kept = ratios.load_ratios(path, "XLM-R mini, fp32, ZeRO 0, CPU")
    assert set(kept) == {"mini_entail", "mini_supertag", "mini_qa", "mini_completion"}
    for row in kept.values():
        # The goals: never slower than a padded loop of one's own, nor than the Trainer.
        assert row["bare, longest"] >= 1
        assert row["HF + DeepSpeed"] >= 1
        assert "evaluation" in row
