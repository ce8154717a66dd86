"""Arms on two models with real Ray and DeepSpeed: interrupted, continued, and read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from analysis import load_run
from analysis.statistics import leaderboard
from trainables.mini import MODEL_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
]

STUDY = """
name: two-models
models:
  mini: {name: mini}
  little:
    name: scratch
    hidden_size: 32
    num_layers: 1
    num_heads: 2
    vocab_size: 500
    pretraining: {steps: 3}
    training: {micro_batch_size: 4}
targets: [{name: mini_pos, languages: [en]}]
arms:
  none: [[]]
  single: [[mini_entail]]
  cut: {sequences: [["mini_entail#16"], [mini_entail, mini_supertag]], models: [little]}
arm_seeds: 2
training: {batch_size: 8, max_train_examples: 64, max_eval_examples: 16, max_steps: 4}
search: {num_trials: 0, max_concurrent: 1, asha: {reduction_factor: 2, num_rungs: 2}}
"""

#: (model, arm, sequence) of the trials under each of the two seeds, in their order.
EXPECTED = [
    ("mini", "none", ""),
    ("mini", "single", "mini_entail"),
    ("little", "none", ""),
    ("little", "single", "mini_entail"),
    ("little", "cut", "mini_entail#16"),
    ("little", "cut", "mini_entail>mini_supertag"),
]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "search.cli", *map(str, arguments)]


def test_a_run_of_two_models_is_interrupted_between_them_and_ends_whole(tmp_path: Path) -> None:
    study, run_dir = tmp_path / "two.yaml", tmp_path / "run"
    study.write_text(STUDY, encoding="utf-8")
    process = subprocess.Popen(
        command("launch", study, "--run-dir", run_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    # The actor has had both models by then.
    for line in process.stdout:
        if line.startswith("[3/"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "waiting" in set(load_run(run_dir).trials["state"])

    done = subprocess.run(command("resume", run_dir), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = load_run(run_dir)
    assert not run.problems
    trials = run.trials
    assert set(trials["phase"]) == {"arm"}
    assert set(trials["state"]) == {"complete"}, trials["error"].tolist()
    for seed in (0, 1):
        rows = trials[trials["seed"] == seed][["model", "arm", "sequence"]]
        assert list(rows.itertuples(index=False, name=None)) == EXPECTED

    # Each model's stages once for each seed, of that model's own width.
    assert set(run.stages["times_trained"]) == {1}
    assert len(run.stages) == (1 + 3) * 2
    widths = []
    for file in sorted((run_dir / "stages" / "stages").rglob("*.safetensors")):
        weights = load_file(file)
        name = next(name for name in weights if name.endswith("LayerNorm.weight"))
        widths.append(len(weights[name]))
    mini = json.loads((MODEL_DIR / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    assert sorted(widths) == sorted([mini] * 2 + [32] * 6)

    # The report's figures are the first model's, and the arms of the other are in the table.
    board = leaderboard(run)
    assert set(board["sequence"]) == {"", "mini_entail"}
    first = trials[trials["model"] == "mini"]
    assert board.set_index("sequence").loc["", "score"] == pytest.approx(
        first.loc[first["sequence"] == "", "score"].mean()
    )
