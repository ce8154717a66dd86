"""Whatever is wrong with a file: the right records, or one error with the file and the line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from spaces.tasks import load_catalogue
from tests.trainables.readers.reading import NLI, question, read, squad, write
from trainables.data import load_records


def rows(*several: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in several)


def document(*questions: dict[str, Any]) -> str:
    """Return SQuAD's layout over several lines, so that a line says something."""
    return json.dumps(json.loads(squad(*questions)), indent=1) + "\n"


SPAN = {"start": 4, "end": 8}
TEXT = {"text": "Das Haus", "sentence_spans": [{"start": 0, "end": 8}]}
MENTION = {"example_id": "e", "entity_id": "Q1", "mention_span": SPAN | {"text": "Haus"}}
ENTITY = {"entity_id": "Q1", "description": "Das Haus", "sentence_spans": [SPAN]}
PAIR = {"contextual_mention": {"context": TEXT, "mention": MENTION}, "entity": ENTITY}

CONLLU = """\
# sent_id = s1
1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_
1\tzu\tzu\tADP\t_\t_\t0\troot\t_\t_
2\tdem\tder\tDET\t_\tCase=Dat\t1\tdet\t_\t_
2.1\tHaus\tHaus\tNOUN\t_\t_\t_\t_\t_\t_

1\tJa\tja\tINTJ\t_\t_\t0\troot\t_\t_

"""

#: Reader, its options, a right file and how many records it holds.
CASES: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "xnli": ("tsv_pairs", {"labels": NLI}, "a\tb\tneutral\nc\td\tentailment\n", 2),
    "pawsx": ("tsv_pairs", {"labels": ("0", "1")}, "a\tb\t0\nc\td\t1\n", 2),
    "mnli": (
        "table_pairs",
        {"label": "gold_label", "id": "pairID", "labels": NLI},
        "pairID\tsentence1\tsentence2\tgold_label\n1e\ta b c\td e\tneutral\n2e\tf\tg\tentailment\n",
        2,
    ),
    "qqp": (
        "table_pairs",
        {"text": "question1", "text_pair": "question2", "label": "is_duplicate", "id": "id"},
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\t0\n1\t3\t4\tc\td\t1\n",
        2,
    ),
    "anli": (
        "jsonl_pairs",
        {"text": "context", "text_pair": "hypothesis", "labels": NLI},
        rows({"context": "a", "hypothesis": "b", "label": "neutral"}) * 2,
        2,
    ),
    "udpos": ("token_tags", {"labels": ("DET", "NOUN")}, "Das\tDET\nHaus\tNOUN\n\nDie\tDET\n", 2),
    "panx": ("token_tags", {"labels": ("O", "B-LOC")}, "Das\tO\nHaus\tB-LOC\n\nDie\tO\n", 2),
    "wikiann": (
        "token_tags",
        {"prefix": True, "labels": ("O", "B-LOC")},
        "de:Das\tO\nde:Haus\tB-LOC\n\nde:Die\tO\n",
        2,
    ),
    "conllu": (
        "conllu",
        {"multiword": "fuse"},
        CONLLU,
        2,
    ),
    "ccg": ("supertags", {}, "He ran .\tNP S\\NP .\nGo\tS\n", 2),
    "ccg columns": ("ccg_columns", {}, "He PRP PRP NP\nran VBD VBD S\\NP\n\nGo VB VB S\n", 2),
    "ccgbank": ("ccgbank", {}, "ID=wsj_1\n(<L N NN NN Go N>)\nID=wsj_2\n(<L N NN NN Go N>)\n", 2),
    "squad1": ("squad", {}, document(question("a", ("Haus", 4)), question("b", ("rot", 13))), 2),
    "squad2": (
        "squad",
        {"unanswerable": True},
        document(
            question("a", ("Haus", 4), is_impossible=False), question("b", is_impossible=True)
        ),
        2,
    ),
    "squad pairs": ("squad_sentences", {}, document(question("a", ("Haus", 4))), 2),
    "lareqa": (
        "lareqa",
        {},
        document(question("a", ("Haus", 4))).replace(
            '"qas"', '"sentence_breaks": [[0, 17]],\n    "qas"'
        ),
        2,
    ),
    "hellaswag": (
        "choices_jsonl",
        {"dataset": "hellaswag"},
        rows({"ind": 1, "ctx": "a", "endings": ["b", "c"], "label": 1}) * 2,
        2,
    ),
    "copa": (
        "choices_jsonl",
        {"dataset": "copa"},
        rows({"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "label": 0}) * 2,
        2,
    ),
    "siqa": (
        "choices_jsonl",
        {"dataset": "siqa"},
        rows(
            {"context": "x", "question": "?", "correct": "C"} | {f"answer{c}": c for c in "ABC"},
        )
        * 2,
        2,
    ),
    "commonsenseqa": (
        "choices_jsonl",
        {"dataset": "commonsenseqa"},
        rows(
            {
                "answerKey": "A",
                "question": {"stem": "?", "choices": [{"label": "A", "text": "b"}]},
            }
        )
        * 2,
        2,
    ),
    "cosmosqa": (
        "cosmosqa_csv",
        {},
        "id,context,question,answer0,answer1,answer2,answer3,label\nx,a,?,1,2,3,4,3\ny,a,?,1,2,3,4,0\n",
        2,
    ),
    "hellaswag as text": ("hellaswag_text", {}, "Roofs: A\n1\na\nb\nc\nd\n" * 2, 2),
    "mewslix pairs": ("mewslix_pairs", {}, rows(PAIR) * 2, 3),
    "bible": (
        "bible_xml",
        {},
        '<?xml version="1.0"?>\n<x>\n<seg type="verse">A</seg>\n<seg type="verse">B</seg>\n</x>\n',
        2,
    ),
    "plain text": ("plain_text", {}, "Ja.\nNein.\n", 2),
}
NAMES = pytest.mark.parametrize("name", CASES)


def read_case(name: str, folder: Path, content: bytes | str) -> list[Any]:
    reader, options, _, _ = CASES[name]
    return read(reader, write(folder, content, "the_file"), **options)


@NAMES
def test_the_cases_are_right(name: str, tmp_path: Path) -> None:
    assert len(read_case(name, tmp_path, CASES[name][2])) == CASES[name][3]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace("\n", "\r\n"),
        lambda content: "\ufeff" + content,
        lambda content: "\n\n" + content,
        lambda content: "\ufeff\r\n \r\n" + content.replace("\n", "\r\n"),
        lambda content: content.rstrip("\n"),
        lambda content: content + "\n\n",
    ],
    ids=["CRLF", "BOM", "blank lines first", "all three", "no last line end", "blank lines last"],
)
@NAMES
def test_line_ends_marks_and_blank_lines_make_no_difference(
    name: str, change: Callable[[str], str], tmp_path: Path
) -> None:
    content = CASES[name][2]
    expected = read_case(name, tmp_path, content)
    if name == "plain text" and change(content).lstrip("\ufeff")[:1].isspace():
        # Its ids are line numbers.
        texts = [record.text for record in read_case(name, tmp_path, change(content))]
        assert texts == [record.text for record in expected]
    elif name == "hellaswag as text":
        found = read_case(name, tmp_path, change(content))
        assert [record.choices for record in found] == [record.choices for record in expected]
    else:
        assert read_case(name, tmp_path, change(content)) == expected


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("file", content)
    return buffer.getvalue()


def into_last_line(extra: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        head, _, last = content.rstrip(b"\n").rpartition(b"\n")
        return head + (b"\n" if head else b"") + last[:1] + extra + last[1:]

    return change


@pytest.mark.parametrize(
    ("change", "found", "line"),
    [
        (lambda content: b"", "an empty file", "first"),
        (gzip.compress, "gzip data, expected UTF-8 text; unpack", "first"),
        (bz2.compress, "bzip2 data", "first"),
        (zipped, "a zip archive", "first"),
        (lambda content: content.decode().encode("utf-16"), "UTF-16 text", "first"),
        (into_last_line(b"\x00"), r"a NUL byte at column 2, expected text", "last"),
        (into_last_line(b"\xff"), r"byte 0xff at column 2, expected UTF-8 text", "last"),
    ],
    ids=["empty", "gzip", "bzip2", "zip", "UTF-16", "NUL", "not UTF-8"],
)
@NAMES
def test_what_is_no_text(
    name: str, change: Callable[[bytes], bytes], found: str, line: str, tmp_path: Path
) -> None:
    content = CASES[name][2].encode()
    number = 1 if line == "first" else content.rstrip(b"\n").count(b"\n") + 1
    with pytest.raises(DataError, match=rf"the_file:{number}: found {found}"):
        read_case(name, tmp_path, change(content))


@NAMES
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    reader, options, _, _ = CASES[name]
    with pytest.raises(DataError, match=r"absent: cannot be read: No such file"):
        read(reader, tmp_path / "absent", **options)


#: Tasks of one layout and one set of labels: nothing tells their files apart.
SAME = [{"squad1", "squad pairs"}, {"squad1", "lareqa"}, {"squad pairs", "lareqa"}]
OTHERS = [
    (name, other)
    for name in CASES
    for other in CASES
    if name not in (other, "plain text") and {name, other} not in SAME
]


@pytest.mark.parametrize(("name", "other"), OTHERS)
def test_a_file_of_another_task(name: str, other: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_case(name, tmp_path, CASES[other][2])
    assert re.search(r"the_file:(\d+:| \S)", str(caught.value)), str(caught.value)


@pytest.mark.parametrize("name", ["anli", "copa", "hellaswag", "squad1", "squad2", "mewslix pairs"])
def test_truncated_json(name: str, tmp_path: Path) -> None:
    content = CASES[name][2].rstrip("\n")
    for cut in (len(content) // 3, 3 * len(content) // 4, len(content) - 1):
        # White space at the end belongs to the last line or to the one behind it.
        line, last = (text.count("\n") + 1 for text in (content[:cut].rstrip(), content[:cut]))
        with pytest.raises(DataError, match=rf"the_file:({line}|{last}): found .*, expected JSON"):
            read_case(name, tmp_path, content[:cut])


# --- through the catalogue ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "path", "other", "message"),
    [
        (
            "mnli",
            "glue/MNLI/train.tsv",
            CASES["qqp"][2],
            r"train\.tsv:1: found the columns 'id qid1 qid2 .*, expected a column 'sentence1'",
        ),
        (
            "mnli",
            "multinli_1.0/multinli_1.0_train.jsonl",
            rows({"captionID": "1", "gold_label": "neutral", "sentence1": "a", "sentence2": "b"}),
            r"train\.jsonl:1: found a field 'captionID', expected none, as it is another",
        ),
        (
            "snli",
            "snli_1.0/snli_1.0_train.txt",
            CASES["mnli"][2].replace("pairID", "pairID\tgenre").replace("e\t", "e\tfiction\t"),
            r"train\.txt:1: found a column 'genre', expected none",
        ),
        (
            "squad1",
            "squad/train-v1.1.json",
            '{"version": "v2.0", "data": []}',
            r"v1\.1\.json: version: found 'v2\.0', expected one that begins with '1\.1'",
        ),
        (
            "squad1",
            "squad/train-v1.1.json",
            CASES["squad2"][2],
            r"v1\.1\.json: data\[0\]\.paragraphs\[0\]\.qas\[1\]: found an unanswerable question",
        ),
        (
            "squad2",
            "squad/train-v2.0.json",
            CASES["squad1"][2],
            r"v2\.0\.json: data\[0\]\.paragraphs\[0\]\.qas\[0\]: found no field 'is_impossible'",
        ),
        (
            "lareqa",
            "squad/train-v1.1.json",
            '{"version": "v2.0", "data": []}',
            r"v1\.1\.json: version: found 'v2\.0'",
        ),
        (
            "tydiqa",
            "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train.json",
            '{"version": "1.1", "data": []}',
            r"train\.json: version: found '1\.1', expected one that begins with 'TyDiQA'",
        ),
        ("udpos", "udpos/train-en.tsv", CASES["panx"][2], r"train-en\.tsv:1: the label 'O' is not"),
        ("panx", "panx/train-en.tsv", CASES["udpos"][2], r"train-en\.tsv:1: the label 'DET' is no"),
        ("ccg", "ccg/train.tsv", CASES["udpos"][2], r"train\.tsv:3: found a blank line behind"),
    ],
)
def test_the_file_of_another_task_in_its_place(
    task: str,
    path: str,
    other: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(tmp_path, other, path)
    with pytest.raises(DataError, match=message):
        load_records(load_catalogue()[task], "train", "en", data_root=tmp_path)
