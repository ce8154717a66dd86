"""The records: the same everywhere, and their labels hold."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from spaces.errors import InputError, UnknownNameError
from spaces.tasks import load_catalogue
from trainables.mini import LANGUAGES, TASKS, corpus, records
from trainables.records import ChoiceRecord, ClassificationRecord, QuestionRecord, TaggingRecord

CATALOGUE = load_catalogue()
TAGGING = [name for name in TASKS if CATALOGUE[name].format == "token_classification"]
QUESTIONS = [name for name in TASKS if CATALOGUE[name].format == "question_answering"]
CLOSED = [name for name in TASKS if CATALOGUE[name].labels]
TRANSLATED = [name for name in TASKS if len(CATALOGUE[name].languages) > 1]
TARGETS = [name for name in TASKS if "target" in CATALOGUE[name].roles]


def test_every_task_is_in_the_catalogue():
    mine = {name for name, task in CATALOGUE.items() if task.generator == "mini"}
    assert mine == set(TASKS)
    assert all(CATALOGUE[name].group == "mini" for name in mine)


def test_the_suite_is_as_wide_as_promised():
    intermediate = [name for name in TASKS if "intermediate" in CATALOGUE[name].roles]
    assert len(intermediate) >= 6
    assert len({CATALOGUE[name].format for name in TARGETS}) >= 4


@pytest.mark.parametrize("name", TASKS)
def test_splits_hold_records_of_the_format_with_unique_ids(name):
    task = CATALOGUE[name]
    for language in task.languages:
        for split in ("train", "dev", "test"):
            if split == "train" and (language != "en" or task.format == "retrieval"):
                continue
            made = records(name, split, language)
            assert len({record.id for record in made}) == len(made)
            assert len(made) >= 200
            assert len({type(record) for record in made}) == 1


@pytest.mark.parametrize("name", TARGETS)
def test_targets_have_english_like_training_data_only(name):
    with pytest.raises(InputError, match="'en'"):
        records(name, "train", "agg")


@pytest.mark.parametrize("name", CLOSED)
def test_labels_are_those_of_the_catalogue(name):
    task = CATALOGUE[name]
    found = set()
    for language in task.languages:
        for split in ("train", "dev", "test") if language == "en" else ("dev", "test"):
            for record in records(name, split, language):
                found |= set(record.tags) if isinstance(record, TaggingRecord) else {record.label}
    assert found <= set(task.labels)
    assert len(found) == len(task.labels)


@pytest.mark.parametrize("name", TAGGING)
def test_tags_are_aligned_with_tokens(name):
    for record in records(name, "dev", CATALOGUE[name].languages[-1]):
        assert len(record.tokens) == len(record.tags)
        assert all(record.tokens)


def test_names_are_well_formed_iob():
    for language in LANGUAGES:
        for record in records("mini_ner", "dev", language):
            for before, tag in zip(("O", *record.tags), record.tags, strict=False):
                if tag.startswith("I-"):
                    assert before[2:] == tag[2:]


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_found_at_their_offsets(name):
    for language in CATALOGUE[name].languages:
        for record in records(name, "dev", language):
            assert isinstance(record, QuestionRecord)
            for answer in record.answers:
                assert record.context[answer.start :].startswith(answer.text)
                assert answer.text.strip() == answer.text != ""


def test_a_third_of_the_questions_has_no_answer_where_declared():
    unanswerable = [not record.answers for record in records("mini_qa_unanswerable", "train", "en")]
    assert sum(unanswerable) / len(unanswerable) == pytest.approx(0.33, abs=0.04)
    assert all(record.answers for record in records("mini_qa", "train", "en"))


def test_labels_are_balanced():
    for name, labels in (("mini_entail", 3), ("mini_paraphrase", 2), ("mini_xnli", 3)):
        count = Counter(record.label for record in records(name, "train", "en"))
        assert len(count) == labels
        assert max(count.values()) / min(count.values()) < 1.3


def test_a_hypothesis_that_only_leaves_out_is_entailed():
    for record in records("mini_entail", "train", "en"):
        assert isinstance(record, ClassificationRecord)
        if record.text == record.text_pair:
            assert record.label == "entailment"


def test_negation_on_one_side_alone_is_never_entailment():
    for record in records("mini_xnli", "train", "en"):
        if ("never" in record.text) != ("never" in record.text_pair):
            assert record.label == "contradiction"


def test_choices_differ_and_the_right_one_is_spread_over_the_places():
    made = records("mini_completion", "train", "en")
    for record in made:
        assert isinstance(record, ChoiceRecord)
        assert len(set(record.choices)) == len(record.choices) == 4
        assert 0 <= record.label < 4
    count = Counter(record.label for record in made)
    assert max(count.values()) / min(count.values()) < 1.3


@pytest.mark.parametrize("name", TRANSLATED)
def test_records_of_all_languages_are_translations(name):
    if CATALOGUE[name].format == "token_classification":
        tags = [Counter(_content(record)) for record in records(name, "dev", "en")]
        for language in LANGUAGES:
            assert tags == [Counter(_content(record)) for record in records(name, "dev", language)]
    elif CATALOGUE[name].format == "sequence_classification":
        labels = [record.label for record in records(name, "dev", "en")]
        assert labels == [record.label for record in records(name, "dev", "vso")]


def test_retrieval_pairs_every_query_with_one_candidate():
    made = records("mini_tatoeba", "dev", "sov")
    candidates = {record.id: record.text for record in made if not record.is_query}
    queries = [record for record in made if record.is_query]
    assert len(queries) == len(candidates) == len(set(candidates.values())) == 200
    assert sorted(record.gold[0] for record in queries) == sorted(candidates)
    english = {r.id: r.text for r in records("mini_tatoeba", "dev", "agg") if not r.is_query}
    assert english == candidates


def test_train_dev_and_test_are_hardly_the_same_sentences():
    for name in ("mini_xnli", "mini_pos"):
        splits = [
            {str(_input(record)) for record in records(name, split, "en")}
            for split in ("train", "dev", "test")
        ]
        assert len(splits[1] & splits[0]) < 0.1 * len(splits[1])
        assert len(splits[2] & (splits[0] | splits[1])) < 0.1 * len(splits[2])


def test_the_noise_has_nothing_to_learn():
    tags_of_word: dict[str, Counter[str]] = {}
    for record in records("mini_noise", "train", "en"):
        for token, tag in zip(record.tokens, record.tags, strict=True):
            tags_of_word.setdefault(token, Counter())[tag] += 1
    frequent = [count for count in tags_of_word.values() if count.total() > 500]
    assert frequent
    assert all(max(count.values()) < 0.25 * count.total() for count in frequent)


@pytest.mark.parametrize(
    ("task", "split", "language"),
    [("mini_nli", "dev", "en"), ("mini_pos", "validation", "en"), ("mini_pos", "dev", "de")],
)
def test_unknown_names_are_refused_by_name(task, split, language):
    with pytest.raises(UnknownNameError, match="unknown"):
        records(task, split, language)


def test_records_do_not_depend_on_the_process():
    digests = {_digest_elsewhere(seed) for seed in ("0", "1", "12345")}
    assert digests == {digest()}


def test_corpora_are_translations_line_by_line():
    english = corpus("en", size=20)
    for language in LANGUAGES:
        lines = corpus(language, size=20)
        assert [_sentences(line) for line in lines] == [_sentences(line) for line in english]


def digest() -> str:
    """Return one digest of some records of every task."""
    text = "".join(
        repr(records(name, "dev", CATALOGUE[name].languages[-1])) for name in sorted(TASKS)
    )
    return hashlib.sha256((text + repr(corpus("agg", size=50))).encode()).hexdigest()


def _digest_elsewhere(hash_seed: str) -> str:
    code = "from test_mini_records import digest; print(digest())"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    paths = [os.path.dirname(__file__), os.getcwd()]  # noqa: PTH109, PTH120
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _content(record):
    return [tag for tag in record.tags if tag in ("NOUN", "PROPN", "VERB", "NUM") or tag[0] in "BI"]


def _input(record):
    return record.tokens if isinstance(record, TaggingRecord) else (record.text, record.text_pair)


def _sentences(line: str) -> str:
    return "".join(character for character in line if character in ".?")
