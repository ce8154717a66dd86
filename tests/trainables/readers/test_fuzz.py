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
from trainables.readers.fields import Row
from trainables.readers.rows import ROW_CONVERTERS

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "tsv_pairs": [
        {},
        {"quoting": True},
        {"text": 2, "text_pair": 0, "label": 3, "max_malformed": 1},
    ],
    "table_pairs": [{}, {"label": "-1", "max_malformed": 2}],
    "jsonl_pairs": [{}],
    "token_tags": [{}, {"prefix": True}, {"separator": " ", "tag": -1}],
    "conllu": [{"multiword": "fuse", "squeeze": True}, {"tag": "feature:Case"}],
    "conllu_text": [{}],
    "supertags": [{}, {"tag_map": {"O": "N"}}],
    "ccg_columns": [{}],
    "ccgbank": [{}],
    "squad": [{}, {"unanswerable": True}, {"misplaced": "skip"}],
    "choices_jsonl": [
        {"dataset": name} for name in ("hellaswag", "cosmosqa", "commonsenseqa", "siqa", "copa")
    ],
    "cosmosqa_csv": [{}],
    "hellaswag_text": [{}],
    "aligned_text": [{}],
    "sorted_text": [{}],
    "bucc": [{}],
    "lareqa": [{}],
    "squad_sentences": [{}],
    "mewslix": [{}, {"mixed": True}],
    "mewslix_pairs": [{}],
    "plain_text": [{}],
    "bible_xml": [{}],
}
#: How many files a reader takes; where it takes more or fewer, both are tried.
NUM_FILES = {
    "aligned_text": (2,),
    "sorted_text": (2, 3),
    "bucc": (2, 3),
    "lareqa": (2,),
    "mewslix": (2,),
    "choices_jsonl": (1, 2),
    "supertags": (1, 2),
    "ccgbank": (1, 2),
}
CASES = [(name, options) for name, several in OPTIONS.items() for options in several]

#: Pieces of the formats, so that the fuzz gets past the first check.
PIECES = st.sampled_from(
    [
        *("\t", "\n", "\r\n", " ", '"', ",", "-", "_", "1", "2", "1-2", "3.1", "de:", "#", "\x00"),
        *("O", "B-PER", "NOUN", "Case=Nom", "entailment", "\ufeff", "\u2028", "0", "neutral"),
        *("sentence1\tsentence2\tlabel\n", "1\tx\tx\tX\t_\t_\t0\t_\t_\t_\n"),
        *("<x>", "</x>", '<seg type="verse">', "</seg>", "<!DOCTYPE x>", "&amp;", "&e;"),
        "id,context,question,answer0,answer1,answer2,answer3,label\n",
        *("ID=a\n", "(<L N/N DT DT the N_1/N>) ", "SpaceAfter=No", "# text = x\n", "{", "}", "[1]"),
    ]
)
KEYS = (
    *("data", "paragraphs", "context", "qas", "id", "question", "answers", "text", "answer_start"),
    *("is_impossible", "sentence_breaks", "choices", "label", "stem", "answerKey", "endings"),
    *("ctx", "ind", "answerA", "answerB", "answerC", "correct", "premise", "choice1", "choice2"),
    *("sentence1", "sentence2", "idx", "answer0", "answer1", "answer2", "answer3"),
    *("mentions", "mention", "mention_span", "contextual_mention", "entity", "entity_id", "start"),
    *("end", "language", "sentence_spans", "description", "example_id", "premise", "hypothesis"),
    *("tokens", "tags", "source_sentence", "target_sentence"),
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
PASSAGE = b'{"language": "de", "text": "Das Haus", "sentence_spans": [{"start": 0, "end": 8}]}'
MENTION = (
    b'{"example_id": "e", "entity_id": "Q1",'
    b' "mention_span": {"start": 4, "end": 8, "text": "Haus"}}'
)
ENTITY = b'{"entity_id": "Q1", "description": "Haus", "sentence_spans": [{"start": 0, "end": 4}]}'
MENTIONS = b'{"context": %b, "mentions": [%b]}\n' % (PASSAGE, MENTION)
PAIRS = b'{"contextual_mention": {"context": %b, "mention": %b}, "entity": %b}\n' % (
    PASSAGE,
    MENTION,
    ENTITY,
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
    b"He ran .\tNP N/N .\nGo\tS\n",
    b"He PRP PRP NP NP_1\nran VBD VBD N\n\nGo VB VB S\n",
    b"ID=wsj_0001.1 PARSER=GOLD NUMPARSE=1\n(<T S 0 1> (<L N NN NN ran N_1>) )\n",
    MENTIONS,
    ENTITY,
    PAIRS,
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
    fewer=st.booleans(),
    labelled=st.booleans(),
    labels=st.sampled_from([(), ("entailment", "NOUN")]),
)
def test_only_data_errors(
    name: str,
    options: dict[str, Any],
    contents: list[bytes],
    fewer: bool,
    labelled: bool,
    labels: tuple[str, ...],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        num_files = NUM_FILES.get(name, (1,))[0 if fewer else -1]
        for index, content in enumerate(contents[:num_files]):
            paths.append(Path(folder) / f"file{index}")
            paths[-1].write_bytes(content)
        context = ReadContext(tuple(paths), "train", "de", labels, labelled, options)
        with contextlib.suppress(DataError):
            for record in READERS[name](context):
                assert record.id.encode("utf-8") is not None


ROW_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "pairs": [{}, {"text": "premise", "text_pair": "hypothesis"}],
    "tagging": [{}, {"names": ["O", "NOUN"]}],
    "squad": [{}, {"unanswerable": True}, {"misplaced": "skip"}],
    "aligned_text": [{}],
    "choices": OPTIONS["choices_jsonl"],
}
ROW_CASES = [(name, options) for name, several in ROW_OPTIONS.items() for options in several]
ROWS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8) | st.builds(
    lambda texts, starts, more: (
        {"id": "q", "question": "?", "context": "Das Haus", "tokens": texts, "tags": starts}
        | {"answers": {"text": texts, "answer_start": starts}, "label": starts, "premise": "a"}
        | more
    ),
    st.lists(st.sampled_from(["Haus", "Das", ""]), max_size=2),
    st.lists(SCALARS | st.just(4), max_size=2),
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3),
)


@pytest.mark.parametrize(("name", "options"), ROW_CASES, ids=str)
@settings(max_examples=60, deadline=None)
@given(
    values=ROWS, split=st.sampled_from(["train", "test"]), labels=st.sampled_from([(), ("NOUN",)])
)
def test_only_data_errors_in_rows_of_the_hub(
    name: str, options: dict[str, Any], values: dict[str, Any], split: Any, labels: tuple[str, ...]
) -> None:
    path = Path("owner/name")
    context = ReadContext((path,), split, "de", labels, True, options)
    with contextlib.suppress(DataError):
        found = ROW_CONVERTERS[name](Row(values, path, "row 1"), context, 0)
        assert len(found) + context.skipped.total() >= 1


def test_every_reader_is_fuzzed() -> None:
    assert set(OPTIONS) == set(READERS)
    assert set(ROW_OPTIONS) == set(ROW_CONVERTERS)
