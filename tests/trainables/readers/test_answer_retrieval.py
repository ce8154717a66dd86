"""LAReQA: questions and the sentences that answer them, for evaluation and for training."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.errors import DataError
from tests.trainables.readers.reading import question, read, squad, write
from trainables.readers.sentences import split_sentences
from trainables.records import RetrievalRecord

REAL = os.environ.get("TASKORDER_DATA_ROOT")
needs_real_data = pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")


def query(identifier: str, text: str, *gold: str) -> RetrievalRecord:
    return RetrievalRecord(identifier, text, True, gold)


def candidate(identifier: str, text: str) -> RetrievalRecord:
    return RetrievalRecord(identifier, text, False, ())


def lareqa(sentences: list[str], *questions: dict[str, Any]) -> str:
    context, breaks = "", []
    for sentence in sentences:
        breaks.append([len(context), len(context) + len(sentence)])
        context += sentence + " "
    paragraph = {"context": context, "sentence_breaks": breaks, "qas": list(questions)}
    return json.dumps({"data": [{"paragraphs": [paragraph]}]})


def test_lareqa_pools_the_sentences_of_every_language(tmp_path: Path) -> None:
    german = write(tmp_path, lareqa(["Eins.", "Zwei."], question("q", ("Zwei", 6))), "de.json")
    english = write(tmp_path, lareqa(["One.", "Two."], question("q", ("One", 0))), "en.json")
    assert read("lareqa", german, english) == [
        query("q", "Was?", "de_1_1", "en_1_0"),
        candidate("de_1_0", "Eins.Eins. Zwei. "),
        candidate("de_1_1", "Zwei.Eins. Zwei. "),
        candidate("en_1_0", "One.One. Two. "),
        candidate("en_1_1", "Two.One. Two. "),
    ]


def test_a_question_answered_between_sentences_is_left_out_there(tmp_path: Path) -> None:
    german = write(tmp_path, lareqa(["Eins.", "Zwei."], question("q", ("Zwei", 6))), "de.json")
    between = lareqa(["Un.", "Deux."], question("q", (" ", 3)))
    french = write(tmp_path, between, "fr.json")
    skipped: Counter[str] = Counter()
    records = read("lareqa", german, french, skipped=skipped)
    assert records[0] == query("q", "Was?", "de_1_1")
    assert skipped == {"the answer begins in no sentence": 1}
    # Nor are there queries, or candidates of a paragraph that answers nothing, in the language.
    alone = read("lareqa", french, german)
    assert [record.id for record in alone] == ["de_1_0", "de_1_1"]


@pytest.mark.parametrize(
    ("breaks", "found"),
    [
        ([[0, 99]], r"\[0, 99\]"),
        ([[3, 1]], r"\[3, 1\]"),
        ([["a", 2]], r"\['a', 2\]"),
        ([[1]], r"\[1\]"),
    ],
)
def test_sentences_outside_the_paragraph(tmp_path: Path, breaks: list[Any], found: str) -> None:
    document = json.loads(squad(question("q", ("Haus", 4))))
    document["data"][0]["paragraphs"][0]["sentence_breaks"] = breaks
    path = write(tmp_path, json.dumps(document), "de.json")
    with pytest.raises(DataError, match=rf"sentence_breaks\[0\]: found {found}, expected two pos"):
        read("lareqa", path)


PARAGRAPH = "Dr. Ada Lovelace wrote it. It ran in 1843.\nNobody noticed."


def test_training_pairs_of_squad(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        squad(
            question("q1", ("Lovelace", 8)),
            question("q2", ("1843", 37), ("Nobody", 43)),
            question("q3", ("Ada", 4)),
            context=PARAGRAPH,
        ),
    )
    flat = PARAGRAPH.replace("\n", "")
    pairs = read("squad_sentences", path)
    assert pairs == [
        query("q1", "Was?", "1_0"),
        query("q2", "Was?", "1_1"),
        query("q3", "Was?", "1_0"),
        candidate("1_0", "Dr. Ada Lovelace wrote it." + flat),
        candidate("1_1", "It ran in 1843." + flat),
    ]
    # What is not trained on is a pool to search in: every sentence is a candidate.
    searched = read("squad_sentences", path, split="dev")
    assert [r.id for r in searched if not r.is_query] == ["1_0", "1_1", "1_2"]


def test_squad_2_is_no_training_set_of_lareqa(tmp_path: Path) -> None:
    path = write(tmp_path, squad(question("q", is_impossible=True)))
    with pytest.raises(DataError, match=r"qas\[0\]: found no answers, expected at least one"):
        read("squad_sentences", path)


@needs_real_data
def test_every_question_of_squad_is_paired() -> None:
    path = Path(str(REAL)) / "squad_v1.1/train-v1.1.json"
    skipped: Counter[str] = Counter()
    records = read("squad_sentences", path, skipped=skipped)
    queries = [record for record in records if record.is_query]
    assert len(queries) + skipped.total() == 2282
    assert skipped.total() <= 5
    assert {record.gold[0] for record in queries} == {r.id for r in records if not r.is_query}


@needs_real_data
def test_inferred_sentences_are_those_lareqa_gives() -> None:
    document = json.loads((Path(str(REAL)) / "lareqa/xquad-r/en.json").read_text("utf-8"))
    num_shared = num_found = num_given = 0
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            given_spans = {tuple(pair) for pair in paragraph["sentence_breaks"]}
            found = set(split_sentences(paragraph["context"]))
            num_shared += len(found & given_spans)
            num_found += len(found)
            num_given += len(given_spans)
    assert num_given > 200
    assert 2 * num_shared / (num_found + num_given) > 0.98


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("He met J. K. Rowling. She left.", ["He met J. K. Rowling.", "She left."]),
        ('"Yes." "No."', ['"Yes."', '"No."']),
        ("It fell.[4] Then No. 5 rose.", ["It fell.[4]", "Then No. 5 rose."]),
        ("In the U.S. The law holds.", ["In the U.S.", "The law holds."]),
        ("at 3.5 m. it broke", ["at 3.5 m. it broke"]),
        (" \n ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@given(st.lists(st.sampled_from(["A", "b", ".", "?", " ", "\n", '"', "[1]", "Dr", "U.S.", "The"])))
def test_sentences_cover_all_but_white_space(pieces: list[str]) -> None:
    text = "".join(pieces)
    position = 0
    for start, end in split_sentences(text):
        assert text[position:start].strip() == ""
        assert start < end
        assert text[start:end] == text[start:end].strip()
        position = end
    assert text[position:].strip() == ""
