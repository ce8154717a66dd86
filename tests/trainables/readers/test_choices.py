"""Multiple choice in every dataset's own fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError, InputError
from tests.trainables.readers.reading import read, write
from trainables.records import ChoiceRecord


def choices(tmp_path: Path, dataset: str, row: dict[str, Any], **more: Any) -> ChoiceRecord:
    [record] = read("choices_jsonl", write(tmp_path, json.dumps(row)), dataset=dataset, **more)
    assert isinstance(record, ChoiceRecord)
    return record


HELLASWAG = {"ind": 4, "ctx": "A man", "endings": ["a", "b", "c", "d"], "label": 3}


def test_hellaswag(tmp_path: Path) -> None:
    record = choices(tmp_path, "hellaswag", HELLASWAG)
    assert record == ChoiceRecord("4", "A man", "", ("a", "b", "c", "d"), 3)
    assert choices(tmp_path, "hellaswag", HELLASWAG, labelled=False).label is None
    with pytest.raises(DataError, match=r"file:1: found label = 4, expected a number below 4"):
        choices(tmp_path, "hellaswag", HELLASWAG | {"label": 4})


def test_hellaswag_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "Roofs: A man. he\n3\na\nb\nc\nd\nJumps: x: y\n0\na\nb\nc\nd\n")
    assert read("hellaswag_text", path) == [
        ChoiceRecord("1", "A man. he", "", ("a", "b", "c", "d"), 3),
        ChoiceRecord("7", "x: y", "", ("a", "b", "c", "d"), 0),
    ]
    with pytest.raises(DataError, match=r"file:1: found 3 lines, expected six"):
        read("hellaswag_text", write(tmp_path, "Roofs: A\n3\na\n"))


def test_commonsenseqa_of_the_release_and_of_the_hub(tmp_path: Path) -> None:
    options = [{"label": "A", "text": "bank"}, {"label": "B", "text": "shop"}]
    release = {"id": "x", "answerKey": "B", "question": {"stem": "Where?", "choices": options}}
    hub = {
        "id": "x",
        "answerKey": "B",
        "question": "Where?",
        "choices": {"label": ["A", "B"], "text": ["bank", "shop"]},
    }
    expected = ChoiceRecord("x", "", "Where?", ("bank", "shop"), 1)
    assert choices(tmp_path, "commonsenseqa", release) == expected
    assert choices(tmp_path, "commonsenseqa", hub) == expected
    with pytest.raises(DataError, match="answerKey = 'C', expected one of A, B"):
        choices(tmp_path, "commonsenseqa", release | {"answerKey": "C"})


@pytest.mark.parametrize(("name", "value"), [("correct", "C"), ("label", "3"), ("label", 3)])
def test_siqa(tmp_path: Path, name: str, value: str | int) -> None:
    row = {"context": "x", "question": "Why?", "answerA": "a", "answerB": "b", "answerC": "c"}
    record = choices(tmp_path, "siqa", row | {name: value})
    assert record == ChoiceRecord("0", "x", "Why?", ("a", "b", "c"), 2)
    for wrong in ("AB", "", "4"):
        with pytest.raises(DataError, match="expected A, B or C"):
            choices(tmp_path, "siqa", row | {"correct": wrong})


def test_copa(tmp_path: Path) -> None:
    row = {"premise": "p", "choice1": "a", "choice2": "b", "question": "effect", "label": 1}
    record = choices(tmp_path, "copa", row | {"idx": 9})
    assert record == ChoiceRecord("9", "p", "What happened as a result?", ("a", "b"), 1)
    with pytest.raises(DataError, match="question = 'why', expected cause or effect"):
        choices(tmp_path, "copa", row | {"question": "why"})


def test_unknown_choice_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'siqa'"):
        choices(tmp_path, "siq", {})


COSMOS = "id,context,question,answer0,answer1,answer2,answer3,label\n"


def test_cosmosqa_with_quotes_and_line_ends_in_fields(tmp_path: Path) -> None:
    path = write(tmp_path, COSMOS + '\nx,"a ""b""\nc",Why?,p,q,r,"s, t",2\n')
    assert read("cosmosqa_csv", path) == [
        ChoiceRecord("x", 'a "b"\nc', "Why?", ("p", "q", "r", "s, t"), 2)
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,c,q,p,q\n", r"file:2: found a row of too few or too many columns"),
        ("x,c,q,p,q,r,s,2,9\n", r"file:2: found a row of too few or too many columns"),
        ('x,"c\n",q,p,q,r,s,2\ny,c,q,p,q,r,s,7\n', r"file:4: found label = 7"),
        ("x,c,q,p,q,r,s,zwei\n", r"file:2: found field 'label' = 'zwei', expected a whole number"),
    ],
)
def test_malformed_cosmosqa(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("cosmosqa_csv", write(tmp_path, COSMOS + row))


SIQA = {"context": "x", "question": "Why?", "answerA": "a", "answerB": "b", "answerC": "c"}


def test_labels_in_a_file_of_their_own(tmp_path: Path) -> None:
    rows = write(tmp_path, (json.dumps(SIQA) + "\n") * 2, "dev.jsonl")
    labels = write(tmp_path, "3\r\n1\n", "labels.lst")
    records = read("choices_jsonl", rows, labels, dataset="siqa")
    assert [record.label for record in records] == [2, 0]
    for short in ("3\n", "3\n1\n2\n"):
        wrong = write(tmp_path, short, "wrong.lst")
        with pytest.raises(DataError, match=r"wrong\.lst:\d: found \d labels beside .*2|more than"):
            read("choices_jsonl", rows, wrong, dataset="siqa")
    with pytest.raises(DataError, match="found label = '4', expected A, B or C"):
        read("choices_jsonl", rows, write(tmp_path, "4\n1\n", "wrong.lst"), dataset="siqa")
