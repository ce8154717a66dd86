"""Tasks made of other tasks' records, under one head."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError
from spaces.tasks import Catalogue, Task, load_catalogue
from trainables.data import (
    available,
    check_sources,
    count_examples,
    data_fingerprint,
    iter_records,
    load_records,
)

CATALOGUE = load_catalogue()
PLUS = CATALOGUE["anli_plus"]


def write(root: Path, *, anli: int = 4, mnli: int = 3, snli: int = 2) -> Path:
    def lines(path: str, rows: list[dict[str, str]]) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    lines(
        "anli_v1.0/R1/train.jsonl",
        [{"uid": f"u{i}", "context": f"a {i}", "hypothesis": "h", "label": "e"}
         for i in range(anli)],
    )  # fmt: skip
    for name, file, count in (
        ("mnli", "multinli_1.0/multinli_1.0_train.jsonl", mnli),
        ("snli", "snli_1.0/snli_1.0_train.jsonl", snli),
    ):
        rows = [
            {"pairID": f"p{i}", "sentence1": f"{name} {i}", "sentence2": "h",
             "gold_label": "neutral"}
            for i in range(count)
        ]  # fmt: skip
        lines(file, rows)
    return root


def parts_of(records) -> Counter[str]:
    return Counter(record.id.split("/")[0] for record in records)


def test_the_parts_are_read_one_after_the_other(tmp_path):
    root = write(tmp_path)
    records = load_records(PLUS, "train", "en", data_root=root)
    assert parts_of(records) == {"anli": 4, "mnli": 3, "snli": 2}
    assert len({record.id for record in records}) == 9
    assert count_examples(PLUS, "train", "en", data_root=root) == 9
    assert [r.text for r in iter_records(PLUS, "train", "en", data_root=root)] == [
        r.text for r in records
    ]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (3, {"anli": 1, "mnli": 1, "snli": 1}),
        (5, {"anli": 2, "mnli": 2, "snli": 1}),
        (100, {"anli": 4, "mnli": 3, "snli": 2}),
    ],
)
def test_a_limit_is_shared_out(tmp_path, limit, expected):
    root = write(tmp_path)
    assert parts_of(load_records(PLUS, "train", "en", data_root=root, limit=limit)) == expected
    assert count_examples(PLUS, "train", "en", data_root=root, limit=limit) == sum(
        expected.values()
    )


def test_every_part_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = write(tmp_path)
    before = data_fingerprint(PLUS, "train", "en", data_root=root)
    assert available(PLUS, "train", "en", root)
    (root / "snli_1.0" / "snli_1.0_train.jsonl").unlink()
    assert not available(PLUS, "train", "en", root)
    with pytest.raises(DataError, match="task 'snli' has no train data"):
        check_sources(PLUS, None, root, role="intermediate")
    write(root, snli=3)
    assert data_fingerprint(PLUS, "train", "en", data_root=root) != before


def test_parts_share_format_and_labels(tmp_path):
    other = Task.model_validate(
        {**PLUS.model_dump(), "name": "odd", "parts": ["anli", "qqp"]}
    )  # fmt: skip
    catalogue = Catalogue([*CATALOGUE.values(), other])
    with pytest.raises(InputError, match="its part 'qqp' has another format or other labels"):
        load_records(other, "train", "en", data_root=tmp_path, catalogue=catalogue)
