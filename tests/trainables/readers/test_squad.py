"""SQuAD's JSON, of both versions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError
from tests.trainables.readers.reading import question, read, squad, write
from trainables.records import Answer, QuestionRecord


def test_squad(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        squad(
            question("q1", ("Haus", 4), ("Das Haus", 0), is_impossible=False),
            question("q2", is_impossible=True, plausible_answers=[]),
            question("q3", ("", 0)),
        ),
    )
    context = "Das Haus ist rot."
    assert read("squad", path, unanswerable=True) == [
        QuestionRecord("q1", "Was?", context, (Answer("Haus", 4), Answer("Das Haus", 0))),
        QuestionRecord("q2", "Was?", context, ()),
        QuestionRecord("q3", "Was?", context, None),
    ]
    assert [record.answers for record in read("squad", path, labelled=False)] == [None] * 3
    assert [record.id for record in read("squad", path, unanswerable=True, id_prefix="q2")] == [
        "q2"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"the top level: found \[\]"),
        ("{}", r"expected a field 'data'"),
        ('{"data": [3]}', r"'data\[0\]' = 3, expected an object"),
        ('{"data": {}}', r"'data' = {}, expected a list"),
        (squad(question("q", ("rot", 4))), r"data\[0\].paragraphs\[0\].qas\[0\]: .*'Hau'"),
        (squad(question("q", ("rot", -4))), r"expected the answer 'rot'"),
        (squad(question("q")), r"found no answers, expected at least one"),
        (squad(question("q", is_impossible="no")), r"is_impossible = 'no', expected true or false"),
        (squad(question("q", is_impossible=True)), r"qas\[0\]: found an unanswerable question"),
        ("{", r"file:1: found Expecting property name"),
    ],
)
def test_malformed_squad(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("squad", write(tmp_path, content))


def test_every_question_of_squad_2_says_whether_it_is_impossible(tmp_path: Path) -> None:
    first = write(tmp_path, squad(question("q", ("Haus", 4))))
    with pytest.raises(DataError, match=r"qas\[0\]: found no field 'is_impossible', expected one"):
        read("squad", first, unanswerable=True)


def test_translated_answers_that_moved_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, squad(question("q1", ("rot", 4)), question("q2", ("rot", 13))))
    skipped: Counter[str] = Counter()
    records = read("squad", path, misplaced="skip", skipped=skipped)
    assert [record.id for record in records] == ["q2"]
    assert skipped == {"an answer is not where the file says": 1}
    with pytest.raises(InputError, match="Did you mean 'skip'"):
        read("squad", path, misplaced="skp")
