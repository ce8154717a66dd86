"""The training benchmark's record of ratios, and its peers on real steps."""

from __future__ import annotations

import json
import os
import subprocess
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


@pytest.mark.parametrize("rows", ["full", "mixed"])
def test_made_up_texts_have_the_lengths_asked_for(tmp_path, monkeypatch, rows):
    monkeypatch.syspath_prepend(str(FOLDER))
    import training_texts  # noqa: PLC0415

    training_texts.write_texts(tmp_path, 100, rows, 50)
    lines = (tmp_path / "xnli" / "train-en.tsv").read_text(encoding="utf-8").splitlines()
    sizes = [sum(len(part.split()) for part in line.split("\t")[:2]) + 4 for line in lines]
    assert len(sizes) == 50
    assert (set(sizes) == {100}) == (rows == "full")
    assert max(sizes) <= 100
    training_texts.write_texts(tmp_path, 384, rows, 2)
    assert (tmp_path / "squad" / "train-v1.1.json").is_file()
    sys.modules.pop("training_texts", None)


@pytest.mark.slow
def test_one_command_gives_the_table_of_a_machine(tmp_path):
    table = tmp_path / "table.json"
    command = [
        sys.executable, str(FOLDER / "training_table.py"), "--size", "mini", "--lengths", "64",
        "--rows", "full", "--zero-stages", "0", "3", "--peers", "bare, longest", "HF + DeepSpeed",
        "--batch-size", "4", "--steps", "2", "--warm-up", "1", "--repeats", "1",
        "--json", str(table),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads(table.read_text(encoding="utf-8"))
    assert content["machine"]["matmul_gflops"] > 0
    assert [(line["who"], line["zero_stage"]) for line in content["lines"]] == [
        ("taskorder", 0), ("taskorder", 3), ("bare, longest", None),
        ("HF + DeepSpeed", 0), ("HF + DeepSpeed", 3),
    ]  # fmt: skip
    for line in content["lines"]:
        assert line["note"] == ""
        # Every row of a step is as long as asked for.
        assert line["tokens_per_s"] * line["step_ms"] / 1e3 == pytest.approx(4 * 64)
        assert (line["ratio"] is None) == (line["who"] == "taskorder")
