"""Mewsli-X: mentions in news texts and the entities they refer to, in the release's own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from spaces.tasks import load_catalogue
from tests.trainables.readers.reading import read, write
from trainables.data import available_languages, load_records
from trainables.records import RetrievalRecord


def spans(text: str, *sentences: str) -> list[dict[str, int]]:
    return [{"start": text.index(s), "end": text.index(s) + len(s)} for s in sentences]


TEXT = "Gestern regnete es. Angela Merkel {CDU} besuchte\nParis. Morgen schneit es."
PASSAGE = {
    "document_title": "Besuch",
    "document_url": "https://de.wikinews.org/wiki/Besuch",
    "document_id": "de-1",
    "language": "de",
    "text": TEXT,
    "sentence_spans": spans(
        TEXT,
        "Gestern regnete es.",
        "Angela Merkel {CDU} besuchte\nParis.",
        "Morgen schneit es.",
    ),
}


def mention(identifier: str, name: str, entity: str, **span: Any) -> dict[str, Any]:
    start = TEXT.index(name)
    place = {"start": start, "end": start + len(name), "text": name} | span
    return {"example_id": identifier, "mention_span": place, "entity_id": entity, "metadata": {}}


def entity(identifier: str, description: str, *sentences: str) -> dict[str, Any]:
    return {
        "entity_id": identifier,
        "title": identifier,
        "description": description,
        "sentence_spans": spans(description, *sentences),
        "description_language": "fr",
        "description_url": f"https://fr.wikipedia.org/wiki/{identifier}",
    }


PARIS = entity(
    "Q90",
    "Paris est  la capitale.\nElle est belle. Vraiment.",
    "Paris est  la capitale.",
    "Elle est belle.",
)
MERKEL = entity("Q567", "Angela Merkel ist Politikerin.", "Angela Merkel ist Politikerin.")
MERKEL_QUERY = "Angela Merkel: { Angela Merkel } (CDU) besuchte Paris."
PARIS_QUERY = "Paris: Angela Merkel (CDU) besuchte { Paris } ."


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def mentions(*several: dict[str, Any], **context: Any) -> dict[str, Any]:
    return {"context": PASSAGE | context, "mentions": list(several)}


BOTH = mentions(mention("e1", "Angela Merkel", "Q567"), mention("e2", "Paris", "Q90"))


def query(identifier: str, text: str, gold: str | None) -> RetrievalRecord:
    return RetrievalRecord(identifier, text, True, (gold,) if gold else None)


CANDIDATES = [
    RetrievalRecord("Q90", "Paris est la capitale. Elle est belle.", False, ()),
    RetrievalRecord("Q567", "Angela Merkel ist Politikerin.", False, ()),
]


def test_mentions_and_candidates(tmp_path: Path) -> None:
    first = write(tmp_path, lines(BOTH), "dev-de.jsonl")
    second = write(tmp_path, lines(PARIS, MERKEL), "candidates.jsonl")
    assert read("mewslix", first, second, split="dev") == [
        query("e1", MERKEL_QUERY, "Q567"),
        query("e2", PARIS_QUERY, "Q90"),
        *CANDIDATES,
    ]


def test_blanked_entities_are_unlabelled(tmp_path: Path) -> None:
    first = write(tmp_path, lines(mentions(mention("e1", "Paris", ""))), "test-de.jsonl")
    second = write(tmp_path, lines(PARIS), "candidates.jsonl")
    assert read("mewslix", first, second)[0] == query("e1", PARIS_QUERY, None)


def test_a_file_of_every_language_is_read_for_one(tmp_path: Path) -> None:
    polish = mentions(mention("p1", "Paris", "Q90"), language="pl")
    first = write(tmp_path, lines(polish, BOTH), "dev.jsonl")
    second = write(tmp_path, lines(PARIS, MERKEL), "candidates.jsonl")
    found = read("mewslix", first, second, mixed=True)
    assert [record.id for record in found if record.is_query] == ["e1", "e2"]
    with pytest.raises(DataError, match=r"dev\.jsonl:1: found a text in 'pl', expected one"):
        read("mewslix", first, second)


def pair(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {"contextual_mention": {"context": PASSAGE, "mention": one}, "entity": other}


def test_training_pairs_give_each_entity_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        lines(
            pair(mention("e1", "Angela Merkel", "Q567"), MERKEL),
            pair(mention("e2", "Paris", "Q90"), PARIS),
            pair(mention("e3", "Angela Merkel", "Q567"), MERKEL),
        ),
    )
    assert read("mewslix_pairs", path) == [
        query("e1", MERKEL_QUERY, "Q567"),
        CANDIDATES[1],
        query("e2", PARIS_QUERY, "Q90"),
        CANDIDATES[0],
        query("e3", MERKEL_QUERY, "Q567"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            mentions(mention("e", "Paris", "Q1")),
            r"m:1: found a mention of 'Q1', expected an entity",
        ),
        (
            mentions(mention("e", "Paris", "Q90", text="Rom")),
            r"m: line 1: mentions\[0\]\.mention_span: found 'Paris', expected 'Rom' at",
        ),
        (
            mentions(mention("e", "Paris", "Q90", end=999)),
            r"found the span 49 to 999, expected one",
        ),
        (
            mentions(mention("e", "Paris", "Q90"), sentence_spans=[]),
            r"found a mention at character 49, expected one inside a sentence",
        ),
        ({"context": PASSAGE}, r"m:1: found the fields 'context', expected a field 'mentions'"),
        (pair(mention("e", "Paris", "Q90"), PARIS), r"m:1: found .* expected a field 'context'"),
    ],
)
def test_malformed_mentions(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    first, second = write(tmp_path, lines(row), "m"), write(tmp_path, lines(PARIS), "c")
    with pytest.raises(DataError, match=message):
        read("mewslix", first, second)


def test_malformed_candidates_and_pairs(tmp_path: Path) -> None:
    first = write(tmp_path, lines(BOTH), "m")
    with pytest.raises(DataError, match=r"c:2: found the entity Q90 again, expected each once"):
        read("mewslix", first, write(tmp_path, lines(PARIS, PARIS), "c"))
    with pytest.raises(DataError, match=r"m:1: found 1 files, expected mentions and candidates"):
        read("mewslix", first)
    wrong = write(tmp_path, lines(pair(mention("e", "Paris", "Q90"), MERKEL)), "p")
    with pytest.raises(DataError, match=r"p:1: found a mention of 'Q90' beside 'Q567'"):
        read("mewslix_pairs", wrong)


def test_the_task_reads_either_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    task = load_catalogue()["mewslix"]
    write(tmp_path, lines(PARIS, MERKEL), "mewslix/candidate_set_entities.jsonl")
    write(tmp_path, lines(BOTH), "mewslix/wikinews_mentions/dev-de.jsonl")
    blanked = mentions(mention("e1", "Paris", ""))
    write(tmp_path, lines(blanked), "mewslix/wikinews_mentions/test-de.jsonl")
    pairs = lines(pair(mention("e", "Paris", "Q90"), PARIS))
    write(tmp_path, pairs, "mewslix/wikipedia_pairs-train.jsonl")
    assert available_languages(task, "dev", tmp_path) == ("de",)
    assert len(load_records(task, "dev", "de", data_root=tmp_path)) == 4
    assert len(load_records(task, "train", "en", data_root=tmp_path)) == 2
    assert load_records(task, "test", "de", data_root=tmp_path)[0] == query("e1", PARIS_QUERY, None)
    # The release's own file still has the entities, and comes first.
    write(tmp_path, lines(BOTH), "mewslix/wikinews_mentions-test.jsonl")
    assert load_records(task, "test", "de", data_root=tmp_path)[0] == query(
        "e1", MERKEL_QUERY, "Q567"
    )
