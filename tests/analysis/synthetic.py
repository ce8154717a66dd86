"""A small synthetic run with every kind of row: what docs/analysis.md is tried on."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analysis.observations import stages_of
from tests.analysis.landscapes import sequences
from tests.analysis.runs import START, write_run

TASKS = ("hellaswag", "mnli", "squad1")
#: What each task is worth to a target, alone.
WORTH = {
    "udpos": {"hellaswag": 1.0, "mnli": 0.5, "squad1": -0.5},
    "xquad": {"hellaswag": 0.5, "mnli": 1.0, "squad1": 5.0},
}
LANGUAGES = {"en": 8.0, "de": 2.0, "fi": 0.0, "hi": -2.0, "sw": -4.0, "tr": -1.0}
BUDGETS = (100, 300, 900)
STAGE_STEPS = 500
#: Of trials that the sampler did not suggest: their hyperparameters are empty.
DEFAULT_RATE = 1e-5

STUDY = {
    "name": "synthetic",
    "targets": [{"name": "udpos"}, {"name": "xquad"}],
    "select_on": "target_dev",
    "objective": "per_target",
    "hyperparameters": {"target.learning_rate": {"log_uniform": [1e-6, 1e-4]}},
    "search": {"num_trials": 24, "max_concurrent": 4, "confirm": {"top": 2, "seeds": 3}},
    "resolved": {"format": 1},
}


def true_score(target: str, sequence: str, rate: float) -> float:
    """Return the score without noise: xquad forgets squad1 unless it comes last."""
    stages = stages_of(sequence)
    score = 60.0 + sum(WORTH[target].get(task, 0.0) for task in stages)
    if target == "xquad" and "squad1" in stages[:-1]:
        score -= 3.0
    return score - (math.log10(rate) + 5) ** 2


def write_synthetic_run(folder: Path) -> Path:
    """Write the run; the same one each time."""
    rng = np.random.default_rng(2020)
    rows: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    reports: list[dict[str, Any]] = []
    luck = {(target, seed): rng.normal(0, 0.5) for target in WORTH for seed in range(4)}
    checkpoints: dict[str, dict[str, Any]] = {}
    slots = [0.0] * 4

    def add(target: str, sequence: str, seed: int, phase: str, stop: int, rate: float) -> None:
        number = len(rows)
        final = true_score(target, sequence, rate) + luck[target, seed] + rng.normal(0, 0.4)
        stages = stages_of(sequence)
        trained = 0
        for depth in range(1, len(stages) + 1):
            name = ">".join(stages[:depth])
            entry = checkpoints.setdefault(
                f"{name}/{seed}",
                {"fingerprint": f"{name}/{seed}", "sequence": name, "steps": STAGE_STEPS}
                | {"times_trained": 0, "times_reused": 0, "size_bytes": 1_000_000, "wall_s": 50.0},
            )
            trained += not entry["times_trained"]
            entry["times_reused" if entry["times_trained"] else "times_trained"] += 1
        steps = STAGE_STEPS * trained + BUDGETS[stop]
        began = min(slots)
        slots[slots.index(began)] = began + steps / 10
        for rung in range(stop + 1):
            score = final - 4.0 * (2 - rung) + (rng.normal(0, 0.5) if rung < 2 else 0.0)
            last = "complete" if rung == 2 else "stop"
            reports.append(
                {
                    "trial_id": number,
                    "target": target,
                    "rung": rung,
                    "budget_steps": BUDGETS[rung],
                    "score": score,
                    "decision": last if rung == stop else "promote",
                    "reported_at": START
                    + timedelta(seconds=began + (steps - BUDGETS[stop] + BUDGETS[rung]) / 10),
                }
            )
        rows.append(
            {
                "trial_id": number,
                "target": target,
                "sequence": sequence,
                "seed": seed,
                "phase": phase,
                "state": "complete" if stop == 2 else "pruned",
                "score": reports[-1]["score"],
                "rung": stop,
                "steps_trained": steps,
                "steps_reused": STAGE_STEPS * (len(stages) - trained),
                "wall_s": steps / 10,
                "started_at": START + timedelta(seconds=began),
                "finished_at": START + timedelta(seconds=began + steps / 10),
                "hp.target.learning_rate": math.nan if rate == DEFAULT_RATE else rate,
            }
        )
        if stop == 2:
            shared = {language: rng.normal(0, 0.3) for language in LANGUAGES}
            for language, shift in LANGUAGES.items():
                # English gains less of the tasks: it starts higher.
                gain = (final - 60.0) * (0.5 if language == "en" else 1.0)
                scores.extend(
                    {
                        "trial_id": number,
                        "target": target,
                        "language": language,
                        "split": split,
                        "metric": "f1",
                        "value": 60.0 + shift + gain + shared[language] + rng.normal(0, 0.2),
                        "num_examples": 500,
                        "selected_on": split == "dev" and language != "en",
                    }
                    for split in ("dev", "test")
                )

    references = ("", "+".join(TASKS))
    for target in WORTH:
        for sequence in (*references, *TASKS):
            add(target, sequence, 0, "baseline", 2, DEFAULT_RATE)
        for index, sequence in enumerate(sequences(TASKS, 3)[4:]):
            # The search tries every order, and again some with another learning rate.
            for repeat in range(1 + (index % 3 == 0)):
                stop = 0 if (index + repeat) % 4 == 3 else 2
                add(target, sequence, 0, "search", stop, 10 ** rng.uniform(-5.7, -4.3))
    picked = {target: _best(rows, target) for target in WORTH}
    for seed in (1, 2, 3):
        for target, chosen in picked.items():
            for sequence in references:
                add(target, sequence, seed, "confirm", 2, DEFAULT_RATE)
            for sequence, rate in chosen:
                add(target, sequence, seed, "confirm", 2, rate)
    path = write_run(
        folder, STUDY, trials=rows, scores=scores, rungs=reports, stages=checkpoints.values()
    )
    (path / "finished.json").write_text("{}")
    return path


def _best(rows: list[dict[str, Any]], target: str, top: int = 2) -> list[tuple[str, float]]:
    """Return the sequences that the search would confirm, with their learning rates."""
    tried = [
        row
        for row in rows
        if row["target"] == target and row["state"] == "complete" and row["phase"] == "search"
    ]
    ranked = sorted(tried, key=lambda row: -row["score"])
    return [(row["sequence"], row["hp.target.learning_rate"]) for row in ranked[:top]]
