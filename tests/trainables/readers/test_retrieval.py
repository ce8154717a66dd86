"""Retrieval of translations: Tatoeba and BUCC."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.errors import DataError
from tests.trainables.readers.reading import read, write
from trainables.records import RetrievalRecord


def query(identifier: str, text: str, *gold: str) -> RetrievalRecord:
    return RetrievalRecord(identifier, text, True, gold)


def candidate(identifier: str, text: str) -> RetrievalRecord:
    return RetrievalRecord(identifier, text, False, ())


def test_aligned_text(tmp_path: Path) -> None:
    german, english = write(tmp_path, "ja\nnein\n", "x.deu"), write(tmp_path, "yes\nno\n", "x.eng")
    assert read("aligned_text", german, english) == [
        query("q0", "ja", "c0"),
        query("q1", "nein", "c1"),
        candidate("c0", "yes"),
        candidate("c1", "no"),
    ]
    with pytest.raises(DataError, match="found 2 lines beside 1 in short"):
        read("aligned_text", german, write(tmp_path, "yes\n", "short"))
    with pytest.raises(DataError, match=r"gap:2: found a blank line"):
        read("aligned_text", german, write(tmp_path, "yes\n\nno\n", "gap"))


def test_sorted_text_is_unlabelled_without_the_original(tmp_path: Path) -> None:
    german = write(tmp_path, "ja\nnein\nja!\n", "de")
    shuffled = write(tmp_path, "no\nyes\nyes\n", "en")
    original = write(tmp_path, "yes\nno\nyes\n", "eng")
    assert [r.gold for r in read("sorted_text", german, shuffled) if r.is_query] == [None] * 3
    found = read("sorted_text", german, shuffled, original)
    assert [record.gold for record in found if record.is_query] == [("c1",), ("c0",), ("c2",)]
    with pytest.raises(DataError, match="found 1 lines beside 3 in en"):
        read("sorted_text", german, shuffled, write(tmp_path, "yes\n", "short"))
    with pytest.raises(DataError, match=r"other:2: found 'maybe', expected a sentence of en"):
        read("sorted_text", german, shuffled, write(tmp_path, "yes\nmaybe\nyes\n", "other"))


def test_bucc(tmp_path: Path) -> None:
    german = write(tmp_path, "de-1\tja\nde-2\tnein\n", "de")
    english = write(tmp_path, "en-1\tno\nen-2\tyes\n", "en")
    gold = write(tmp_path, "de-1\ten-2\n", "gold")
    assert read("bucc", german, english, gold) == [
        query("de-1", "ja", "en-2"),
        query("de-2", "nein"),
        candidate("en-1", "no"),
        candidate("en-2", "yes"),
    ]
    assert read("bucc", german, english)[0].gold is None
    with pytest.raises(DataError, match=r"bad:1: .*ids of the two sentence files"):
        read("bucc", german, english, write(tmp_path, "de-1\ten-9\n", "bad"))
    with pytest.raises(DataError, match="twice:2: found the id 'de-1' again"):
        read("bucc", write(tmp_path, "de-1\tja\nde-1\tja\n", "twice"), english)
    with pytest.raises(DataError, match=r"plain:1: .*expected an id, a tab and a sentence"):
        read("bucc", write(tmp_path, "ja\n", "plain"), english)
