"""The built-in tasks: their languages, and the files that they find under each official name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from spaces.languages import TABLE
from spaces.tasks import load_catalogue
from tests.trainables.readers.reading import question, squad, write
from trainables.data import available_languages, label_names, load_records
from trainables.readers.hub import holds, read_hub
from trainables.records import ClassificationRecord, RetrievalRecord

CATALOGUE = load_catalogue()
REAL = os.environ.get("TASKORDER_DATA_ROOT")
needs_real_data = pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")

XTREME = {
    "xnli": "ar bg de el en es fr hi ru sw th tr ur vi zh",
    "pawsx": "de en es fr ja ko zh",
    "udpos": "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl"
    " tr ur vi yo zh",
    "panx": "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka"
    " ko th sw yo my zh kk tr et fi hu",
    "xquad": "en es de el ru tr ar vi th zh hi",
    "mlqa": "en es de ar hi vi zh",
    "tydiqa": "en ar bn fi id ko ru sw te",
    "bucc2018": "de fr ru zh",
    "tatoeba": "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko"
    " th sw zh kk tr et fi hu",
    "xcopa": "et ht id it qu sw ta th tr vi zh",
    "lareqa": "en es de el ru tr ar vi th zh hi",
    "mewslix": "ar de en es fa ja pl ro ta tr uk",
}
ADDED_BY_XTREME_R = {
    "udpos": "lt pl uk wo ro",
    "panx": "qu pl uk az lt pa gu ro",
    "xquad": "ro",
    "tatoeba": "az lt pl uk ro",
}
PAPER = "anli_plus mnli qqp squad1 squad2 hellaswag ccg cosmosqa commonsenseqa"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TASKORDER_HUB_ROOT", raising=False)


@pytest.mark.parametrize("name", XTREME)
def test_languages_are_xtremes_and_then_those_xtreme_r_adds(name: str) -> None:
    expected = [*XTREME[name].split(), *ADDED_BY_XTREME_R.get(name, "").split()]
    assert list(CATALOGUE[name].languages) == expected


def test_the_papers_nine_intermediate_tasks() -> None:
    assert all("intermediate" in CATALOGUE[name].roles for name in PAPER.split())
    plus = CATALOGUE["anli_plus"]
    assert plus.parts == ("anli", "mnli", "snli")
    assert {CATALOGUE[part].labels for part in plus.parts} == {plus.labels}


def test_xcopa_is_trained_on_social_iqa_and_then_on_copa() -> None:
    assert CATALOGUE["xcopa"].train_chain == ("siqa",)
    assert CATALOGUE["xcopa"].train_task == "copa"


def test_raw_text_is_for_every_language_of_the_table() -> None:
    assert set(CATALOGUE["raw_text"].languages) == set(TABLE)


@pytest.mark.parametrize("name", ["ud_upos", "ud_feats", "ud_case", "ud_lemma", "ud_verbform"])
def test_english_morphology_is_ewt(name: str, tmp_path: Path) -> None:
    ewt = "1\tcats\tcat\tNOUN\t_\tCase=Nom|VerbForm=Fin\t0\troot\t_\t_\n"
    write(tmp_path, ewt, "UD_English-EWT/en_ewt-ud-train.conllu")
    write(tmp_path, ewt * 1, "UD_English-GUM/en_gum-ud-train.conllu")
    write(tmp_path, ewt, "UD_Turkish-IMST/tr_imst-ud-train.conllu")
    write(tmp_path, ewt, "UD_Turkish-BOUN/tr_boun-ud-train.conllu")
    assert len(load_records(CATALOGUE[name], "train", "en", data_root=tmp_path)) == 1
    assert len(load_records(CATALOGUE[name], "train", "tr", data_root=tmp_path)) == 2


@needs_real_data
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("ud_case", {"_", "Acc", "Gen", "Nom"}),
        ("ud_number", {"_", "Plur", "Ptan", "Sing"}),
        ("ud_tense", {"_", "Past", "Pres"}),
        ("ud_mood", {"_", "Imp", "Ind", "Sub"}),
        ("ud_person", {"1", "2", "3", "_"}),
        ("ud_gender", {"Fem", "Masc", "Neut", "_"}),
        ("ud_verbform", {"Fin", "Ger", "Inf", "Part", "_"}),
    ],
)
def test_single_features_of_english(name: str, labels: set[str]) -> None:
    assert set(label_names(CATALOGUE[name], data_root=Path(str(REAL)))) == labels


# --- training in other languages ------------------------------------------------------------

ANSWER = squad(question("q", ("Haus", 4)))
TYDI = ANSWER.replace('{"data"', '{"version": "TyDiQA-GoldP-1.1-for-SQuAD-1.1", "data"')
NATIVE: list[tuple[str, str, str]] = [
    ("xnli", "XNLI-MT-1.0/multinli/multinli.train.de.tsv", "premise\thypo\tlabel\na\tb\tneutral\n"),
    ("xnli", "xnli/translate-train/multinli.train.de.tsv", "premise\thypo\tlabel\na\tb\tneutral\n"),
    ("xnli", "xnli/translate-train/en-de-translated.tsv", "x\ty\ta\tb\tcontradictory\n"),
    ("pawsx", "x-final/de/translated_train.tsv", "id\tsentence1\tsentence2\tlabel\n1\ta\tb\t0\n"),
    ("pawsx", "PAWSX/translate-train/en-de-translated.tsv", "x\ty\ta\tb\t1\n"),
    ("squad1", "squad/translate-train/squad.translate.train.en-de.json", ANSWER),
    ("xquad", "SQuAD/translate-train/squad.translate.train.en-de.json", ANSWER),
    ("mlqa", "mlqa-translate-train/de_squad-translate-train-train-v1.1.json", ANSWER),
    ("tydiqa", "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.fi.train.json", TYDI),
    ("tydiqa", "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.fi.train.json", TYDI),
    ("tydiqa", "tydiqa/translate-train/tydiqa.translate.train.en-fi.json", ANSWER),
    ("udpos", "udpos/train-de.tsv", "Das\tDET\n"),
    ("udpos", "ud/UD_German-GSD/de_gsd-ud-train.conllu", "1\tDas\td\tDET" + "\t_" * 6 + "\n"),
    ("panx", "panx/train-de.tsv", "Das\tO\n"),
    ("panx", "panx/de-train", "de:Das\tO\n"),
    ("ud_text", "UD_German-GSD/de_gsd-ud-train.conllu", "1\tDas\td\tDET" + "\t_" * 6 + "\n"),
    ("raw_text", "raw_text/de/part1.txt", "Das.\n"),
    ("bible", "bible/Farsi.xml", '<x><seg type="verse">Ja</seg></x>'),
    ("bible", "bibles/Ukranian-NT.xml", '<x><seg type="verse">Ja</seg></x>'),
    ("bible", "bible/German.xml", '<x><seg type="verse">Ja</seg></x>'),
]


@pytest.mark.parametrize(("name", "path", "content"), NATIVE)
def test_training_files_of_other_languages(
    name: str, path: str, content: str, tmp_path: Path
) -> None:
    write(tmp_path, content, path)
    language = "fi" if name == "tydiqa" else "fa" if "Farsi" in path else "de"
    language = "uk" if "Ukranian" in path else language
    task = CATALOGUE[name]
    records = load_records(task, "train", language, data_root=tmp_path)
    assert len(records) == 1
    if isinstance(records[0], ClassificationRecord):
        assert (records[0].text, records[0].text_pair) == ("a", "b")
        assert records[0].label in task.labels
    with pytest.raises(DataError, match=f"has no train data in '{task.train_language}'"):
        load_records(task, "train", task.train_language, data_root=tmp_path)


def test_a_data_set_of_one_language_is_not_read_as_another(tmp_path: Path) -> None:
    row = {"id": "q", "question": "?", "context": "Das Haus"}
    row["answers"] = {"text": ["Haus"], "answer_start": [4]}  # type: ignore[assignment]
    write(tmp_path, json.dumps(row) + "\n", "hub/rajpurkar/squad/train.jsonl")
    task = CATALOGUE["squad1"]
    assert task.hub is not None
    assert holds(task.hub, task, "en")
    assert not holds(task.hub, task, "de")
    with pytest.raises(DataError, match="rajpurkar/squad on the hub holds 'en' alone, not 'de'"):
        list(read_hub(task, "train", "de", tmp_path))


# --- evaluation files under each name -------------------------------------------------------

CHOICE = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}
EVALUATION: list[tuple[str, str, str, dict[str, str]]] = [
    ("xcopa", "test", "et", {"xcopa/data/et/test.et.jsonl": json.dumps(CHOICE)}),
    ("xcopa", "dev", "et", {"xcopa/val-et.jsonl": json.dumps(CHOICE)}),
    ("tydiqa", "test", "fi", {"tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-finnish.json": ANSWER}),
    ("tydiqa", "test", "fi", {"tydiqa/tydiqa-goldp-v1.1-dev/tydiqa.fi.dev.json": ANSWER}),
    ("xquad", "test", "ro", {"xquad/xquad.ro.json": ANSWER}),
    ("mlqa", "test", "vi", {"MLQA_V1/test/test-context-vi-question-vi.json": ANSWER}),
    ("panx", "test", "gu", {"panx_dataset/gu-test": "gu:a\tO\n"}),
    ("udpos", "test", "wo", {"ud-treebanks-v2.5/UD_Wolof-WTB/wo_wtb-ud-test.conllu": ""}),
    (
        "bucc2018",
        "dev",
        "de",
        {
            "bucc2018/de-en/de-en.sample.de": "d1\tja\n",
            "bucc2018/de-en/de-en.sample.en": "e1\tyes\n",
            "bucc2018/de-en/de-en.sample.gold": "d1\te1\n",
        },
    ),
    (
        "tatoeba",
        "test",
        "az",
        {"tatoeba/v1/tatoeba.aze-eng.aze": "x\n", "tatoeba/v1/tatoeba.aze-eng.eng": "y\n"},
    ),
]


@pytest.mark.parametrize(("name", "split", "language", "files"), EVALUATION)
def test_evaluation_files(
    name: str, split: Any, language: str, files: dict[str, str], tmp_path: Path
) -> None:
    for path, content in files.items():
        word = "1\tx\tx\tNOUN" + "\t_" * 6 + "\n"
        write(tmp_path, content or word, path)
    assert available_languages(CATALOGUE[name], split, tmp_path) == (language,)
    records = load_records(CATALOGUE[name], split, language, data_root=tmp_path)
    queries = [r for r in records if not isinstance(r, RetrievalRecord) or r.is_query]
    assert len(queries) == 1


# --- real releases --------------------------------------------------------------------------


@needs_real_data
@pytest.mark.parametrize(
    ("name", "split", "language", "count"),
    [
        *(("anli_plus", "train", "en", 1200 + 3500 + 2500), ("ud_lemma", "train", "en", 1270)),
        *(("ud_case", "train", "tr", 1200), ("ud_text", "train", "en", 1270)),
        *(("ud_text", "train", "tr", 1200), ("xcopa", "train", "en", 400)),
        *(("lareqa", "dev", "en", 705 + 719), ("lareqa", "test", "de", 322 + 1000)),
    ],
)
def test_counts_of_the_real_releases(name: str, split: Any, language: str, count: int) -> None:
    records = load_records(CATALOGUE[name], split, language, data_root=Path(str(REAL)))
    assert len(records) == count
