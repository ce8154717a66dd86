"""Plain text and Bible verses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError
from tests.trainables.readers.reading import read, write
from trainables.records import TextRecord

BIBLE = """<?xml version="1.0" ?>
<cesDoc><text><body><div type="book"><div type="chapter">
<seg id="b.MAT.1.1" type="verse">
    Lii mooy &amp; cosaanu
    Yeesu. </seg>
<seg id="b.MAT.1.2" type="verse">  </seg>
<seg id="x" type="note">left out</seg>
</div></div></body></text></cesDoc>
"""


def test_plain_text(tmp_path: Path) -> None:
    path = write(tmp_path, "Güldü.\r\n\nEvet.\n")
    assert read("plain_text", path) == [TextRecord("1", "Güldü."), TextRecord("3", "Evet.")]


def test_bible_verses(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff\n" + BIBLE.replace("\n", "\r\n"))
    skipped: Counter[str] = Counter()
    assert read("bible_xml", path, skipped=skipped) == [
        TextRecord("b.MAT.1.1", "Lii mooy & cosaanu Yeesu.")
    ]
    assert skipped == {"an empty verse": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<cesDoc>\n<text></cesDoc>", r"file:2: found mismatched tag, expected well-formed XML"),
        ("", r"file:1: found an empty file"),
        (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n<x>&e;</x>',
            r"file:1: found a document type \(x\), expected none",
        ),
    ],
)
def test_malformed_bibles(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("bible_xml", write(tmp_path, content))


def test_a_reader_of_one_file_refuses_several(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\t1\n")
    with pytest.raises(InputError, match="takes one file, not 2"):
        read("tsv_pairs", path, path)
