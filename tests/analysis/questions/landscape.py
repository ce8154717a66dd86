"""Synthetic runs of arms whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis import load_run
from analysis.frames import Run
from tests.analysis.runs import write_run

#: Gain of a sequence over none: of (sequence, target, language, model).
Gain = Callable[[str, str, str, str], float]


def arms_run(
    folder: Path,
    question: str,
    sequences: Iterable[str],
    gain: Gain,
    *,
    languages: Mapping[str, Iterable[str]],
    num_seeds: int = 4,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    study: Mapping[str, Any] | None = None,
    metric: str = "f1",
    sd_noise: float = 0.3,
    sd_seed: float = 1.0,
    sd_language: float = 0.3,
    seed: int = 1,
) -> Run:
    """Make a run of arms: every sequence on every target, seed and model.

    A score is 60, the gain, what a language gains more of each sequence, the luck of a seed (the
    same for all sequences of a target and model), and noise.
    """
    rng = np.random.default_rng(seed)
    labels = list(models or {"large": {}})
    rows: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    names = ["", *dict.fromkeys(name for name in sequences if name)]
    own = {
        (target, language, name): rng.normal(0, sd_language) if name else 0.0
        for target, codes in languages.items()
        for language in codes
        for name in names
    }
    for model in labels:
        for target, codes in languages.items():
            luck = rng.normal(0, sd_seed, num_seeds)
            for name in names:
                for number in range(num_seeds):
                    values = {
                        code: 60.0
                        + gain(name, target, code, model)
                        + own[target, code, name]
                        + luck[number]
                        + rng.normal(0, sd_noise)
                        for code in codes
                    }
                    scores += [
                        {
                            "trial_id": len(rows),
                            "target": target,
                            "language": code,
                            "split": "test",
                            "metric": metric,
                            "value": value,
                        }
                        for code, value in values.items()
                    ]
                    rows.append(
                        {
                            "target": target,
                            "sequence": name,
                            "seed": number,
                            "phase": "arm" if name else "baseline",
                            "arm": "",
                            "model": model,
                            "score": float(np.mean(list(values.values()))),
                        }
                    )
    content = {
        "name": "synthetic",
        "question": question,
        "targets": [{"name": t} for t in languages],
    }
    if models:
        content["models"] = {label: dict(section) for label, section in models.items()}
    else:
        content["model"] = {"name": "large"}
    path = write_run(folder, content | dict(study or {}), trials=rows, scores=scores)
    return load_run(path)
