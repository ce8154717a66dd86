"""Lemma scripts: applied to the form they were made of, they give its lemma, whatever both are."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.readers.base import ReadContext
from trainables.readers.conllu import read_sentences
from trainables.readers.lemma_scripts import apply_script, make_script

REAL = os.environ.get("TASKORDER_DATA_ROOT")


@pytest.mark.parametrize(
    ("form", "lemma", "script"),
    [
        ("walked", "walk", "L0;0;2;0;"),
        ("Asked", "ask", "L0;0;2;0;"),
        ("flies", "fly", "L0;0;3;0;y"),
        ("London", "London", "U0,L1;0;0;0;"),
        ("LONDON", "London", "U0,L1;0;0;0;"),
        ("U.S.", "U.S.", "U0;0;0;0;"),
        ("gekauft", "kaufen", "L0;2;1;0;en"),
        ("bi", "mbi", "L0;0;0;1;m"),
        ("is", "be", "=be"),
        ("2007", "2007", "L0;0;0;0;"),
        ("iPhones", "iPhone", "L0,U1,L2;0;1;0;"),
        ("wrote", "W;r|ite", "U0,L2;3;0;5;w;r|i"),
        ("a", "", "="),
        ("", "a", "=a"),
    ],
)
def test_scripts(form: str, lemma: str, script: str) -> None:
    assert make_script(form, lemma) == script
    assert apply_script(script, form) == lemma


#: Among them characters whose case changes their number, or cannot be changed back.
WORDS = st.text(
    st.sampled_from("abcxyzABCXYZ-.'0;,=|_ \t\n\u00e9\u00c9\u00df\u1e9e\u0130\u0131\u017f")
    | st.sampled_from("\u03c2\u03c3\u03a3\u0149\u01c5\u0345\u0301")
    | st.characters(),
    max_size=8,
)


@given(WORDS, WORDS)
def test_a_script_gives_its_lemma_back(form: str, lemma: str) -> None:
    assert apply_script(make_script(form, lemma), form) == lemma


@given(WORDS, WORDS)
def test_the_case_of_the_form_does_not_matter(form: str, lemma: str) -> None:
    plain = form.encode("ascii", "ignore").decode()
    assert make_script(plain.upper(), lemma) == make_script(plain.lower(), lemma)


@given(WORDS, WORDS, WORDS)
def test_any_script_can_be_applied_to_any_form(form: str, lemma: str, other: str) -> None:
    assert isinstance(apply_script(make_script(form, lemma), other), str)


@pytest.mark.parametrize("text", ["", "walk", "L0;0;2;0", "X0;0;0;0;", "L0;-1;0;0;"])
def test_what_is_no_script(text: str) -> None:
    with pytest.raises(ValueError, match="not a lemma script"):
        apply_script(text, "walked")


@pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")
@pytest.mark.parametrize(
    ("treebank", "bound"),
    [
        *(("English-EWT/en_ewt-ud-train", 0.01), ("Finnish-TDT/fi_tdt-ud-dev", 0.12)),
        *(("Turkish-IMST/tr_imst-ud-train", 0.012), ("German-GSD/de_gsd-ud-dev", 0.04)),
        *(("Wolof-WTB/wo_wtb-ud-dev", 0.01), ("Chinese-GSD/zh_gsd-ud-dev", 0.01)),
    ],
)
def test_every_word_of_real_treebanks(treebank: str, bound: float) -> None:
    path = Path(str(REAL)) / f"ud/UD_{treebank}.conllu"
    scripts: Counter[str] = Counter()
    for sentence in read_sentences(ReadContext((path,), "train", "en")):
        for word in sentence.words:
            script = make_script(word.form, word.lemma)
            assert apply_script(script, word.form) == word.lemma
            scripts[script] += 1
    # Scripts are shared, or they would be no labels.
    assert len(scripts) / scripts.total() < bound
