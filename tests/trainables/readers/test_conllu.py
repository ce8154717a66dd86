"""CoNLL-U: its words, their tags, its text."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError
from tests.trainables.readers.reading import read, write
from trainables.readers.base import ReadContext
from trainables.readers.conllu import read_sentences
from trainables.readers.conllu_text import rebuild_text
from trainables.records import TaggingRecord, TextRecord

REAL = os.environ.get("TASKORDER_DATA_ROOT")


def word(
    identifier: str,
    form: str,
    upos: str,
    feats: str = "_",
    head: str = "0",
    lemma: str | None = None,
    misc: str = "_",
) -> str:
    columns = (identifier, form, lemma or form, upos, "_", feats, head, "dep", "_", misc)
    return "\t".join(columns)


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
        ("1-2\tzum" + "\t_" * 8 + "\n1-3\tzum" + "\t_" * 8, r":2: found the range 1-3, .* from 3"),
        ("1.1\tzum" + "\t_" * 8 + "\n\n", r"file:1: found a sentence without words"),
        (
            "# text = zum\n1-1\tzum" + "\t_" * 8 + "\n\n",
            r"file:2: found 0 words, expected the ",
        ),
    ],
)
def test_malformed_conllu(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("conllu", write(tmp_path, content))


def test_unknown_conllu_tag(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'upos"):
        read("conllu", write(tmp_path, CONLLU), tag="upo")


def test_lemma_scripts_as_tags(tmp_path: Path) -> None:
    path = write(tmp_path, word("1", "Ging", "VERB", lemma="gehen") + "\n" + word("2", "U", "X"))
    assert read("conllu", path, tag="lemma_script")[0].tags == ("L0;0;3;0;ehen", "U0;0;0;0;")


def test_sentences_whose_text_is_withheld_are_left_out(tmp_path: Path) -> None:
    withheld = [word("1", "_", "NOUN"), word("2", "_", "VERB"), word("3", ".", "PUNCT")]
    path = write(tmp_path, "\n".join([*withheld, "", word("1", "Ja", "INTJ"), ""]))
    skipped: Counter[str] = Counter()
    assert read("conllu", path, skipped=skipped) == [TaggingRecord("0", ("Ja",), ("INTJ",))]
    assert skipped == {"the treebank withholds the text": 1}


def test_tokens_are_squeezed_as_in_xtreme(tmp_path: Path) -> None:
    path = write(tmp_path, word("1", "mi\u200cravad", "VERB") + "\n" + word("2", "10 000", "NUM"))
    assert read("conllu", path, squeeze=True)[0].tokens == ("miravad", "10000")
    assert read("conllu", path)[0].tokens == ("mi\u200cravad", "10 000")


def test_text_is_the_comment_or_rebuilt(tmp_path: Path) -> None:
    rebuilt = [
        "# sent_id = s2",
        "1-2\tZum" + "\t_" * 8,
        word("1", "zu", "ADP"),
        word("2", "dem", "DET"),
        word("3", "Haus", "NOUN", misc="Gloss=x|SpaceAfter=No"),
        word("3.1", "gehen", "VERB"),
        word("4", "!", "PUNCT"),
    ]
    path = write(tmp_path, CONLLU + "\n\n" + "\n".join(rebuilt))
    assert read("conllu_text", path) == [
        TextRecord("s1", "zum Haus"),
        TextRecord("1", "Ja"),
        TextRecord("s2", "Zum Haus!"),
    ]


@pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")
def test_rebuilt_text_is_the_treebanks_own() -> None:
    paths = sorted(Path(str(REAL)).glob("ud/UD_*/*.conllu"))
    assert len(paths) >= 10
    num_sentences, different = 0, []
    for path in paths:
        for sentence in read_sentences(ReadContext((path,), "train", "en")):
            num_sentences += 1
            if rebuild_text(sentence) != sentence.text:
                different.append((rebuild_text(sentence), sentence.text))
    assert num_sentences > 8000
    # The few others have several spaces in a row.
    assert len(different) <= 5
    assert all(" ".join(text.split()) == rebuilt for rebuilt, text in different)
