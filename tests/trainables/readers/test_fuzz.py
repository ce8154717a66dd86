"""Whatever bytes a file holds, a reader yields records or raises ``DataError``, nothing else."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.errors import DataError
from trainables.readers import READERS, ReadContext

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "tsv_pairs": [{}, {"quoting": True}],
    "table_pairs": [{}, {"label": "-1", "max_malformed": 2}],
    "jsonl_pairs": [{}],
    "token_tags": [{}, {"prefix": True}, {"separator": " ", "tag": -1}],
    "conllu": [{"multiword": "fuse"}, {"tag": "feature:Case"}],
    "squad": [{}],
    "choices_jsonl": [
        {"dataset": name} for name in ("hellaswag", "cosmosqa", "commonsenseqa", "siqa", "copa")
    ],
    "cosmosqa_csv": [{}],
    "hellaswag_text": [{}],
    "aligned_text": [{}],
    "sorted_text": [{}],
    "bucc": [{}],
    "lareqa": [{}],
    "plain_text": [{}],
    "bible_xml": [{}],
}
NUM_FILES = {"aligned_text": 2, "sorted_text": 3, "bucc": 3, "lareqa": 2}
CASES = [(name, options) for name, several in OPTIONS.items() for options in several]

#: Pieces of the formats, so that the fuzz gets past the first check.
PIECES = st.sampled_from(
    [
        *("\t", "\n", "\r\n", " ", '"', ",", "-", "_", "1", "2", "1-2", "3.1", "de:", "#", "\x00"),
        *("O", "B-PER", "NOUN", "Case=Nom", "entailment", "\ufeff", "\u2028", "0", "neutral"),
        *("sentence1\tsentence2\tlabel\n", "1\tx\tx\tX\t_\t_\t0\t_\t_\t_\n"),
        *("<x>", "</x>", '<seg type="verse">', "</seg>", "<!DOCTYPE x>", "&amp;", "&e;"),
        "id,context,question,answer0,answer1,answer2,answer3,label\n",
    ]
)
KEYS = (
    *("data", "paragraphs", "context", "qas", "id", "question", "answers", "text", "answer_start"),
    *("is_impossible", "sentence_breaks", "choices", "label", "stem", "answerKey", "endings"),
    *("ctx", "ind", "answerA", "answerB", "answerC", "correct", "premise", "choice1", "choice2"),
    *("sentence1", "sentence2", "idx", "answer0", "answer1", "answer2", "answer3"),
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 5) | st.text(max_size=4) | st.floats()
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=12,
)
CONTENT = (
    st.binary(max_size=80)
    | st.lists(PIECES | st.text(max_size=3), max_size=25).map(lambda parts: "".join(parts).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(JSON, max_size=3).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
)
#: Files that are right, to be damaged in one place.
SQUAD = (
    b'{"data": [{"paragraphs": [{"context": "Das Haus", "sentence_breaks": [[0, 3], [4, 8]], "qas":'
    b' [{"id": "q", "question": "?", "answers": [{"text": "Haus", "answer_start": 4}]}]}]}]}'
)
VALID = [
    SQUAD,
    b"a\tb\tneutral\n",
    b'"a ""b"""\tb\tneutral\r\n',
    b"sentence1\tsentence2\tlabel\na\tb\tneutral\n",
    b"de:Das\tO\nde:Haus\tB-LOC\n\nde:Ja\tO\n",
    (
        b"# sent_id = s\n1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n1\tzu\tzu\tADP\t_\t_\t0\t_\t_\t_\n"
        b"2\tdem\tder\tDET\t_\tCase=Dat\t1\t_\t_\t_\n\n"
    ),
    b'{"ind": 1, "ctx": "a", "endings": ["b", "c"], "label": 1}\n',
    b'{"question": {"stem": "?", "choices": [{"label": "A", "text": "b"}]}, "answerKey": "A"}\n',
    b'{"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "label": 0}\n',
    b'id,context,question,answer0,answer1,answer2,answer3,label\nx,"a\nb",?,1,2,3,4,3\n',
    b"Roofs: A man\n3\na\nb\nc\nd\n",
    b'<cesDoc><seg id="x" type="verse">Ja &amp; nein</seg></cesDoc>',
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(VALID))
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(start + 6, len(content))))
    return content[:start] + draw(st.binary(max_size=3)) + content[end:]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(CONTENT | damaged(), min_size=3, max_size=3),
    labelled=st.booleans(),
    labels=st.sampled_from([(), ("entailment", "NOUN")]),
)
def test_only_data_errors(
    name: str,
    options: dict[str, Any],
    contents: list[bytes],
    labelled: bool,
    labels: tuple[str, ...],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for index, content in enumerate(contents[: NUM_FILES.get(name, 1)]):
            paths.append(Path(folder) / f"file{index}")
            paths[-1].write_bytes(content)
        context = ReadContext(tuple(paths), "train", "de", labels, labelled, options)
        with contextlib.suppress(DataError):
            for record in READERS[name](context):
                assert record.id.encode("utf-8") is not None


def test_every_reader_is_fuzzed() -> None:
    assert set(OPTIONS) == set(READERS)
