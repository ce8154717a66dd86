"""Pairs of sentences: columns, tables with a header, JSON Lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError
from tests.trainables.readers.reading import NLI, read, write
from trainables.records import ClassificationRecord


def pair(identifier: str, text: str, other: str | None, label: str | None) -> ClassificationRecord:
    return ClassificationRecord(identifier, text, other, label)


def test_pairs_with_byte_order_mark_line_ends_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf\r\na\tb\tneutral\r\n\r\nc\td\tcontradictory")
    records = read(
        "tsv_pairs",
        path,
        labels=NLI,
        quoting=True,
        label_map={"contradictory": "contradiction"},
    )
    assert records == [pair("0", "a", "b", "neutral"), pair("1", "c", "d", "contradiction")]


def test_quoted_fields_are_unwrapped_only_where_the_release_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, '"Sie sagte ""ja""."\tb\t1\n')
    assert read("tsv_pairs", path, quoting=True)[0].text == 'Sie sagte "ja".'
    assert read("tsv_pairs", path)[0].text == '"Sie sagte ""ja""."'


def test_a_stray_quote_does_not_swallow_the_following_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '"a\tb\t1\nc\td\t0\n')
    assert [record.text for record in read("tsv_pairs", path)] == ['"a', "c"]


def test_unicode_line_separators_do_not_split_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a\u2028b\x0cc\td\t1\n")
    assert read("tsv_pairs", path) == [pair("0", "a\u2028b\x0cc", "d", "1")]


def test_blanked_labels_are_none_whatever_stands_there(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\nc\td\tneutral\n")
    records = read("tsv_pairs", path, labelled=False)
    assert records == [pair("0", "a", "b", None), pair("1", "c", "d", None)]


def test_single_texts(tmp_path: Path) -> None:
    path = write(tmp_path, "good\t1\n")
    assert read("tsv_pairs", path, text_pair=-1, label=1) == [pair("0", "good", None, "1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\tneutral\nc\td\n", r"file:2: found 2, expected 3 columns"),
        ("a\tb\tneutral\textra\n", r"file:1: found 4"),
        ("a\tb\tneutrall\n", r"file:1: the label 'neutrall' .* Did you mean 'neutral'"),
    ],
)
def test_malformed_pairs(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("tsv_pairs", write(tmp_path, content), labels=NLI)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\tb\t1\nc\xff\td\t0\n")
    with pytest.raises(DataError, match=r"file:2: found byte 0xff at column 2, expected UTF-8"):
        read("tsv_pairs", path)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read("tsv_pairs", tmp_path / "absent")


def test_unknown_and_wrongly_typed_options(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\t1\n")
    with pytest.raises(InputError, match="Did you mean 'quoting'"):
        read("tsv_pairs", path, quotin=True)
    with pytest.raises(InputError, match="must be of type int"):
        read("tsv_pairs", path, label="label")


GLUE = "index\tpairID\tsentence1\tsentence2\tlabel1\tgold_label\n"


def test_table_by_column_names(tmp_path: Path) -> None:
    path = write(tmp_path, GLUE + "0\t7n\ta\tb\tneutral\tneutral\n")
    records = read("table_pairs", path, label="gold_label", id="pairID", labels=NLI)
    assert records == [pair("7n", "a", "b", "neutral")]


def test_table_leaves_out_examples_without_majority(tmp_path: Path) -> None:
    path = write(tmp_path, GLUE + "0\t7n\ta\tb\t-\t-\n1\t8e\tc\td\tx\tentailment\n")
    skipped: Counter[str] = Counter()
    records = read("table_pairs", path, label="gold_label", id="pairID", skipped=skipped)
    assert [record.id for record in records] == ["8e"]
    assert skipped == {"no gold label": 1}


def test_rows_may_lack_columns_nobody_asks_for(tmp_path: Path) -> None:
    path = write(tmp_path, "gold_label\tsentence1\tsentence2\tlabel1\tlabel2\nneutral\ta\tb\tx\n")
    assert read("table_pairs", path, label="gold_label") == [pair("0", "a", "b", "neutral")]


def test_the_last_field_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, GLUE + "0\t7n\ta\tb\tneutral\tx\ty\tz\tneutral\n")
    assert read("table_pairs", path, label="-1") == [pair("0", "a", "b", "neutral")]


def test_rows_are_selected_by_language(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "language\tgold_label\tsentence1\tsentence2\nfr\tneutral\ta\tb\nde\tneutral\tc\td\n",
    )
    records = read("table_pairs", path, label="gold_label", where={"language": "de"})
    assert records == [pair("1", "c", "d", "neutral")]


def test_malformed_rows_within_the_known_number(tmp_path: Path) -> None:
    content = "id\tsentence1\tsentence2\tlabel\n0\ta\n1\tc\td\t1\n"
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=r"file:2: found a row of too few"):
        read("table_pairs", path)
    skipped: Counter[str] = Counter()
    records = read("table_pairs", path, max_malformed=1, skipped=skipped)
    assert [record.text for record in records] == ["c"]
    assert skipped == {"a row of too few or too many columns": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"file:1: found an empty file"),
        ("sentence1\tsentence2\n", r"file:1: found the columns .* expected a column 'label'"),
    ],
)
def test_malformed_headers(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("table_pairs", write(tmp_path, content))


def test_anli(tmp_path: Path) -> None:
    row = {"uid": "u1", "context": "a", "hypothesis": "b", "label": "c", "reason": ""}
    records = read(
        "jsonl_pairs",
        write(tmp_path, "\n" + json.dumps(row) + "\n"),
        text="context",
        text_pair="hypothesis",
        id="uid",
        label_map={"c": "contradiction"},
        labels=NLI,
    )
    assert records == [pair("u1", "a", "b", "contradiction")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"sentence1": "a"', r"file:1: found Expecting ',' delimiter"),
        ("[1]", r"file:1: found \[1\], expected a JSON object"),
        ('{"sentence1": "a", "label": "x"}', r"expected a field 'sentence2'"),
        ('{"sentence1": 3, "sentence2": "b", "label": "x"}', r"'sentence1' = 3, expected a text"),
        ('{"sentence1": "\\ud800", "sentence2": "b", "label": "x"}', "half a surrogate pair"),
        ("[" * 100_000, r"file:1: found JSON nested too deeply"),
    ],
)
def test_malformed_json_lines(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("jsonl_pairs", write(tmp_path, line))


def test_translations_of_a_pair_with_the_known_number_of_bad_rows(tmp_path: Path) -> None:
    row = "Hi\tHello\thallo\tguten Tag\t1\n"
    path = write(tmp_path, row + "Hi\tHello\thallo\t1\n" + row.replace("1", "Label") + row)
    options = {"text": 2, "text_pair": 3, "label": 4, "labels": ("0", "1")}
    skipped: Counter[str] = Counter()
    records = read("tsv_pairs", path, max_malformed=2, skipped=skipped, **options)
    assert records == [pair("0", "hallo", "guten Tag", "1"), pair("3", "hallo", "guten Tag", "1")]
    assert skipped == {"a row of too few or too many columns": 1, "a row without a known label": 1}
    with pytest.raises(DataError, match=r"file:3: the label 'Label' is not one of the task's"):
        read("tsv_pairs", path, max_malformed=1, **options)
