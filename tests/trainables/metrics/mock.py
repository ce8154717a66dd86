"""XTREME's mock test data: its labels and predictions, and how its script reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = os.environ.get("TASKORDER_DATA_ROOT")
needs_mock_data = pytest.mark.skipif(
    not ROOT, reason="needs TASKORDER_DATA_ROOT with xtreme_mock_test_data"
)
Reader = Callable[[Path], dict[str, Any]]


def mock(part: str, task: str) -> dict[str, Path]:
    """Return a task's files by language; ``part`` is ``labels`` or ``predictions``."""
    return by_language(Path(str(ROOT)) / "xtreme_mock_test_data" / part / task)


def by_language(folder: Path) -> dict[str, Path]:
    return {path.stem.removeprefix("test-"): path for path in sorted(folder.iterdir())}


def read_lines(path: Path) -> dict[str, Any]:
    return {str(i): line.strip() for i, line in enumerate(path.read_text("utf-8").splitlines())}


def read_ranked(path: Path) -> dict[str, Any]:
    return {key: [value] for key, value in read_lines(path).items()}


def read_pairs(path: Path) -> dict[str, Any]:
    return {
        query: [candidate]
        for query, candidate in (line.split("\t") for line in read_lines(path).values())
    }


def read_tags(path: Path) -> dict[str, Any]:
    blocks = path.read_text("utf-8").split("\n\n")
    return {
        str(i): block.split() for i, block in enumerate(block for block in blocks if block.strip())
    }


def read_answers(path: Path) -> dict[str, Any]:
    return {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in json.loads(path.read_text("utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }


def read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


@dataclass(frozen=True)
class Official:
    """A task of the mock data, and the figures that the official script prints for it."""

    task: str
    metric: str
    num_languages: int
    read_golds: Reader
    read_predictions: Reader
    figures: dict[str, float]


OFFICIAL = (
    Official("pawsx", "accuracy", 7, read_lines, read_lines, {"accuracy": 51.42857142857143}),
    Official("xnli", "accuracy", 15, read_lines, read_lines, {"accuracy": 30.666666666666668}),
    Official("bucc2018", "bucc_f1", 4, read_pairs, read_pairs, {"f1": 55.0}),
    Official(
        "tatoeba",
        "retrieval_accuracy",
        36,
        read_ranked,
        read_ranked,
        {"accuracy": 53.611111111111114},
    ),
    Official(
        "xquad",
        "squad",
        11,
        read_answers,
        read_json,
        {"exact_match": 77.27272727272727, "f1": 79.9586776859504},
    ),
    Official(
        "mlqa",
        "mlqa",
        7,
        read_answers,
        read_json,
        {"exact_match": 57.142857142857146, "f1": 81.76870748299321},
    ),
    Official(
        "tydiqa",
        "squad",
        9,
        read_answers,
        read_json,
        {"exact_match": 88.88888888888889, "f1": 97.22222222222223},
    ),
    Official("panx", "seqeval_f1", 40, read_tags, read_tags, {"f1": 57.50793650793652}),
    Official("udpos", "seqeval_f1", 33, read_tags, read_tags, {"f1": 70.21746048354693}),
    Official("mewslix", "map_at_20", 11, read_json, read_json, {"map": 14.39025156130419}),
)
every_official = pytest.mark.parametrize("official", OFFICIAL, ids=lambda one: one.task)
