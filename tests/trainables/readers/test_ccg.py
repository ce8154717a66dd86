"""CCG supertags in the three forms a licensed copy of CCGbank comes in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spaces.errors import DataError
from tests.trainables.readers.reading import read, write
from trainables.records import TaggingRecord

CCG = [
    TaggingRecord("0", ("He", "ran", "."), ("NP", r"S[dcl]\NP", ".")),
    TaggingRecord("1", ("Go",), ("S[b]",)),
]


def test_supertags_behind_their_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff\nHe ran .\tNP S[dcl]\\NP .\r\n\nGo\tS[b]")
    assert read("supertags", path) == CCG
    assert [record.tags for record in read("supertags", path, labelled=False)] == [None, None]


@pytest.mark.parametrize(
    ("name", "tag_map"),
    [
        ("tags_to_id.json", json.dumps({"NP": 0, "S[dcl]\\NP": 1, ".": 2, "S[b]": "3"})),
        ("map.json", json.dumps({"0": "NP", "1": "S[dcl]\\NP", "2": ".", "3": "S[b]"})),
        ("map.tsv", "0\tNP\n1\tS[dcl]\\NP\n\n2\t.\n3\tS[b]\n"),
    ],
)
def test_supertags_as_numbers(tmp_path: Path, name: str, tag_map: str) -> None:
    path, other = write(tmp_path, "He ran .\t0 1 2\nGo\t3\n"), write(tmp_path, tag_map, name)
    assert read("supertags", path, other) == CCG
    # Categories that are spelt out need no map.
    spelt = write(tmp_path, "He ran .\tNP S[dcl]\\NP .\nGo\tS[b]\n", "spelt")
    assert read("supertags", spelt, other) == CCG


def test_supertags_by_short_name(tmp_path: Path) -> None:
    path = write(tmp_path, "Go now\tV A\n")
    assert read("supertags", path, tag_map={"V": "S[b]", "A": "S/S"})[0].tags == ("S[b]", "S/S")


def test_ccg_columns(tmp_path: Path) -> None:
    content = "\nHe PRP PRP NP NP_1\nran VBD VBD S[dcl]\\NP\n. . . .\n\n\nGo\tVB\tVB\tS[b]"
    path = write(tmp_path, content)
    assert read("ccg_columns", path) == CCG
    assert read("ccg_columns", path, labelled=False)[1] == TaggingRecord("1", ("Go",), None)


AUTO = (
    "ID=wsj_0001.1 PARSER=GOLD NUMPARSE=1\n"
    "(<T S[dcl] 0 2> (<T S[dcl] 1 2> (<L NP PRP PRP He NP>) "
    "(<L S[dcl]\\NP VBD VBD ran S[dcl]\\NP_1>) ) (<L . . . . .>) )\n"
    "ID=wsj_0001.2 PARSER=GOLD NUMPARSE=1\n"
    "(<L S[b] VB VB Go S[b]>)\n"
)


def test_ccgbank_as_released(tmp_path: Path) -> None:
    first, second = write(tmp_path, AUTO, "a.auto"), write(tmp_path, AUTO, "b.auto")
    records = read("ccgbank", first, second)
    assert [record.id for record in records] == ["wsj_0001.1", "wsj_0001.2"] * 2
    assert [(r.tokens, r.tags) for r in records[:2]] == [(r.tokens, r.tags) for r in CCG]


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        (
            "supertags",
            "He ran .\n",
            r"file:1: found 1 columns, expected a text, a tab and supertags",
        ),
        ("supertags", "He ran\tNP\n", r"file:1: found 1 supertags of 2 words"),
        ("ccg_columns", "He PRP NP\n", r"file:1: found 3 columns"),
        ("ccg_columns", "1\tHe\the\tPRON\tPRP\t_\t0\troot\t_\t_\n", r"file:1: found 10 columns"),
        (
            "ccgbank",
            "(<L S[b] VB VB Go S[b]>)\n",
            r"file:1: found .* expected a derivation behind a line",
        ),
        ("ccgbank", "ID=a\n(<T S 0 1> (<L S[b] VB Go>) )\n", r"file:2: found"),
    ],
)
def test_malformed_supertags(tmp_path: Path, reader: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(reader, write(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.json", "[1]", r"map.json: the top level: found \[1\]"),
        ("map.json", '{"0": ["NP"]}', r"map.json: 0: found \['NP'\], expected a category"),
        ("map.json", '{"NP": 0, "S": 0}', r"found a tag twice"),
        ("map.tsv", "0\tNP\nNP\n", r"map.tsv:2: found 'NP', expected a tag, a tab and a category"),
        ("map.tsv", "0\tNP\n", r"file:1: found the supertag '1', expected one of the tag map"),
    ],
)
def test_malformed_tag_maps(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = write(tmp_path, "Go now\t0 1\n")
    with pytest.raises(DataError, match=message):
        read("supertags", path, write(tmp_path, content, name))
