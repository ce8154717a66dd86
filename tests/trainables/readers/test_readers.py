"""Every reader on small files written by hand, good and bad."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError, InputError
from trainables.readers import READERS, ReadContext
from trainables.records import (
    Answer,
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)

NLI = ("entailment", "neutral", "contradiction")


def write(folder: Path, content: str | bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(reader: str, *paths: Path, **options: Any) -> list[Any]:
    labels = options.pop("labels", ())
    labelled = options.pop("labelled", True)
    skipped = options.pop("skipped", Counter())
    context = ReadContext(paths, "train", "de", labels, labelled, options, skipped)
    return list(READERS[reader](context))


def pair(identifier: str, text: str, other: str | None, label: str | None) -> ClassificationRecord:
    return ClassificationRecord(identifier, text, other, label)


# --- columns without a header ---------------------------------------------------------------


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


# --- tables with a header -------------------------------------------------------------------

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


# --- JSON Lines -----------------------------------------------------------------------------


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


# --- tagging --------------------------------------------------------------------------------


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


# --- CoNLL-U --------------------------------------------------------------------------------


def word(identifier: str, form: str, upos: str, feats: str = "_", head: str = "0") -> str:
    return "\t".join((identifier, form, form, upos, "_", feats, head, "dep", "_", "_"))


CONLLU = "\n".join(
    (
        "# sent_id = s1",
        "# text = zum Haus",
        "1-2\tzum" + "\t_" * 8,
        word("1", "zu", "ADP", head="3"),
        word("2", "dem", "DET", "Case=Dat|Definite=Def", head="3"),
        word("3", "Haus", "NOUN", "Case=Dat|Number=Sing"),
        word("3.1", "gehen", "VERB"),
        "",
        word("1", "Ja", "INTJ"),
    )
)


def test_conllu_words_with_universal_tags(tmp_path: Path) -> None:
    assert read("conllu", write(tmp_path, CONLLU)) == [
        TaggingRecord("s1", ("zu", "dem", "Haus"), ("ADP", "DET", "NOUN")),
        TaggingRecord("1", ("Ja",), ("INTJ",)),
    ]


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("feats", ("_", "Case=Dat|Definite=Def", "Case=Dat|Number=Sing")),
        ("feature:Case", ("_", "Dat", "Dat")),
        ("feature:Number", ("_", "_", "Sing")),
        ("upos+feats", ("ADP", "DET|Case=Dat|Definite=Def", "NOUN|Case=Dat|Number=Sing")),
    ],
)
def test_conllu_features(tmp_path: Path, tag: str, tags: tuple[str, ...]) -> None:
    assert read("conllu", write(tmp_path, CONLLU), tag=tag)[0].tags == tags


def test_fused_tokens_take_the_tag_of_their_highest_word(tmp_path: Path) -> None:
    record = read("conllu", write(tmp_path, CONLLU), multiword="fuse")[0]
    # zu and dem hang equally high: the adposition comes before the determiner.
    assert record == TaggingRecord("s1", ("zum", "Haus"), ("ADP", "NOUN"))
    nested = CONLLU.replace(word("1", "zu", "ADP", head="3"), word("1", "zu", "ADP", head="2"))
    assert read("conllu", write(tmp_path, nested), multiword="fuse")[0].tags == ("DET", "NOUN")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\tJa\n", r"file:1: found 2 columns, expected 10 columns"),
        (word("2", "Ja", "INTJ"), r"file:1: found the id '2', expected 1"),
        (word("1", "Ja", "INTJ", head="x"), r"file:1: found the head 'x'"),
        ("1-2\tzum" + "\t_" * 8 + "\n" + word("1", "zu", "ADP"), r"the range 1-2 to be full"),
        ("2-3\tzum" + "\t_" * 8, r"found the range 2-3, expected one from 1"),
    ],
)
def test_malformed_conllu(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("conllu", write(tmp_path, content))


def test_unknown_conllu_tag(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'upos"):
        read("conllu", write(tmp_path, CONLLU), tag="upo")


# --- SQuAD ----------------------------------------------------------------------------------


def squad(*questions: dict[str, Any], context: str = "Das Haus ist rot.") -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(identifier: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": identifier, "question": "Was?", "answers": listed} | more


def test_squad(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        squad(
            question("q1", ("Haus", 4), ("Das Haus", 0), is_impossible=False),
            question("q2", is_impossible=True, plausible_answers=[]),
            question("q3", ("", 0)),
        ),
    )
    context = "Das Haus ist rot."
    assert read("squad", path, unanswerable=True) == [
        QuestionRecord("q1", "Was?", context, (Answer("Haus", 4), Answer("Das Haus", 0))),
        QuestionRecord("q2", "Was?", context, ()),
        QuestionRecord("q3", "Was?", context, None),
    ]
    assert [record.answers for record in read("squad", path, labelled=False)] == [None] * 3
    assert [record.id for record in read("squad", path, unanswerable=True, id_prefix="q2")] == [
        "q2"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"the top level: found \[\]"),
        ("{}", r"expected a field 'data'"),
        ('{"data": [3]}', r"'data\[0\]' = 3, expected an object"),
        ('{"data": {}}', r"'data' = {}, expected a list"),
        (squad(question("q", ("rot", 4))), r"data\[0\].paragraphs\[0\].qas\[0\]: .*'Hau'"),
        (squad(question("q", ("rot", -4))), r"expected the answer 'rot'"),
        (squad(question("q")), r"found no answers, expected at least one"),
        (squad(question("q", is_impossible="no")), r"is_impossible = 'no'"),
        ("{", r"file:1: found Expecting property name"),
    ],
)
def test_malformed_squad(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("squad", write(tmp_path, content))


# --- multiple choice ------------------------------------------------------------------------


def choices(tmp_path: Path, dataset: str, row: dict[str, Any], **more: Any) -> ChoiceRecord:
    [record] = read("choices_jsonl", write(tmp_path, json.dumps(row)), dataset=dataset, **more)
    assert isinstance(record, ChoiceRecord)
    return record


HELLASWAG = {"ind": 4, "ctx": "A man", "endings": ["a", "b", "c", "d"], "label": 3}


def test_hellaswag(tmp_path: Path) -> None:
    record = choices(tmp_path, "hellaswag", HELLASWAG)
    assert record == ChoiceRecord("4", "A man", "", ("a", "b", "c", "d"), 3)
    assert choices(tmp_path, "hellaswag", HELLASWAG, labelled=False).label is None
    with pytest.raises(DataError, match=r"file:1: found label = 4, expected a number below 4"):
        choices(tmp_path, "hellaswag", HELLASWAG | {"label": 4})


def test_hellaswag_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "Roofs: A man. he\n3\na\nb\nc\nd\nJumps: x: y\n0\na\nb\nc\nd\n")
    assert read("hellaswag_text", path) == [
        ChoiceRecord("1", "A man. he", "", ("a", "b", "c", "d"), 3),
        ChoiceRecord("7", "x: y", "", ("a", "b", "c", "d"), 0),
    ]
    with pytest.raises(DataError, match=r"file:1: found 3 lines, expected six"):
        read("hellaswag_text", write(tmp_path, "Roofs: A\n3\na\n"))


def test_commonsenseqa_of_the_release_and_of_the_hub(tmp_path: Path) -> None:
    options = [{"label": "A", "text": "bank"}, {"label": "B", "text": "shop"}]
    release = {"id": "x", "answerKey": "B", "question": {"stem": "Where?", "choices": options}}
    hub = {
        "id": "x",
        "answerKey": "B",
        "question": "Where?",
        "choices": {"label": ["A", "B"], "text": ["bank", "shop"]},
    }
    expected = ChoiceRecord("x", "", "Where?", ("bank", "shop"), 1)
    assert choices(tmp_path, "commonsenseqa", release) == expected
    assert choices(tmp_path, "commonsenseqa", hub) == expected
    with pytest.raises(DataError, match="answerKey = 'C', expected one of A, B"):
        choices(tmp_path, "commonsenseqa", release | {"answerKey": "C"})


@pytest.mark.parametrize(("name", "value"), [("correct", "C"), ("label", "3"), ("label", 3)])
def test_siqa(tmp_path: Path, name: str, value: str | int) -> None:
    row = {"context": "x", "question": "Why?", "answerA": "a", "answerB": "b", "answerC": "c"}
    record = choices(tmp_path, "siqa", row | {name: value})
    assert record == ChoiceRecord("0", "x", "Why?", ("a", "b", "c"), 2)
    for wrong in ("AB", "", "4"):
        with pytest.raises(DataError, match="expected A, B or C"):
            choices(tmp_path, "siqa", row | {"correct": wrong})


def test_copa(tmp_path: Path) -> None:
    row = {"premise": "p", "choice1": "a", "choice2": "b", "question": "effect", "label": 1}
    record = choices(tmp_path, "copa", row | {"idx": 9})
    assert record == ChoiceRecord("9", "p", "What happened as a result?", ("a", "b"), 1)
    with pytest.raises(DataError, match="question = 'why', expected cause or effect"):
        choices(tmp_path, "copa", row | {"question": "why"})


def test_unknown_choice_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'siqa'"):
        choices(tmp_path, "siq", {})


COSMOS = "id,context,question,answer0,answer1,answer2,answer3,label\n"


def test_cosmosqa_with_quotes_and_line_ends_in_fields(tmp_path: Path) -> None:
    path = write(tmp_path, COSMOS + '\nx,"a ""b""\nc",Why?,p,q,r,"s, t",2\n')
    assert read("cosmosqa_csv", path) == [
        ChoiceRecord("x", 'a "b"\nc', "Why?", ("p", "q", "r", "s, t"), 2)
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,c,q,p,q\n", r"file:2: found a row of too few or too many columns"),
        ("x,c,q,p,q,r,s,2,9\n", r"file:2: found a row of too few or too many columns"),
        ('x,"c\n",q,p,q,r,s,2\ny,c,q,p,q,r,s,7\n', r"file:4: found label = 7"),
        ("x,c,q,p,q,r,s,zwei\n", r"file:2: found field 'label' = 'zwei', expected a whole number"),
    ],
)
def test_malformed_cosmosqa(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("cosmosqa_csv", write(tmp_path, COSMOS + row))


# --- retrieval ------------------------------------------------------------------------------


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
    records = read("lareqa", german, english)
    assert records[0] == query("q", "Was?", "de_1_1", "en_1_0")
    assert [record.id for record in records[1:]] == ["de_1_0", "de_1_1", "en_1_0", "en_1_1"]
    between = write(tmp_path, lareqa(["Eins.", "Zwei."], question("q", (" ", 5))), "fr.json")
    with pytest.raises(DataError, match="found an answer at character 5, expected one inside"):
        read("lareqa", between)


# --- raw text -------------------------------------------------------------------------------

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
    path = write(tmp_path, BIBLE)
    assert read("bible_xml", path) == [TextRecord("b.MAT.1.1", "Lii mooy & cosaanu Yeesu.")]


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
