"""A token and its tag on each line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from tests.trainables.readers.reading import read, write
from trainables.records import TaggingRecord


def test_token_tags_with_blank_lines_everywhere(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\nDas\tDET\r\nHaus\tNOUN\n\n \nJa\tINTJ")
    assert read("token_tags", path) == [
        TaggingRecord("0", ("Das", "Haus"), ("DET", "NOUN")),
        TaggingRecord("1", ("Ja",), ("INTJ",)),
    ]


def test_tokens_alone_where_labels_are_blanked(tmp_path: Path) -> None:
    path = write(tmp_path, "Das\nHaus\n\nJa\n")
    assert read("token_tags", path, labelled=False) == [
        TaggingRecord("0", ("Das", "Haus"), None),
        TaggingRecord("1", ("Ja",), None),
    ]


def test_prefixed_tokens_may_hold_colons_and_be_empty(tmp_path: Path) -> None:
    path = write(tmp_path, "de::\tO\nde:\tO\nde:Haus\tB-LOC\n")
    assert read("token_tags", path, prefix=True)[0].tokens == (":", "", "Haus")


def test_space_separated_tags(tmp_path: Path) -> None:
    path = write(tmp_path, "Trump B-PER\naike O\n")
    assert read("token_tags", path, separator=" ")[0].tags == ("B-PER", "O")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("Das\n", {}, r"file:1: found 1 columns"),
        ("Das\tDET\nHaus\tNOUN\tx\n", {}, r"file:2: found 3 columns"),
        ("Das\tDETT\n", {"labels": ("DET",)}, r"file:1: the label 'DETT' .* Did you mean 'DET'"),
        ("Das\tO\n", {"prefix": True}, r"file:1: .* expected a token written language:token"),
    ],
)
def test_malformed_token_tags(
    tmp_path: Path, content: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read("token_tags", write(tmp_path, content), **options)
