from __future__ import annotations

import pytest

from analysis.questions import NOT_DECIDED, answer_question
from tests.analysis.questions.landscape import arms_run

LANGUAGES = {"tydiqa": ("en", "ar", "fi", "sw", "ko", "te", "ru")}
STUDY = {
    "intermediate": {"stages": {"native": {"tasks": [{"task": "tydiqa", "languages": ["fi"]}]}}}
}
SEQUENCES = (
    "xnli", "xnli@ar,ru", "squad1>pawsx", "squad1>pawsx@ko", "native", "squad1@de>mnli"
)  # fmt: skip


def study(tmp_path, seen, unseen, sequences=SEQUENCES, metric="exact_match", **how):
    held = {"xnli@ar,ru": {"ar", "ru"}, "squad1>pawsx@ko": {"ko"}}

    def gain(sequence, target, language, model):
        if sequence not in held:
            return 1.0
        return 1.0 + (seen if language in held[sequence] else unseen)

    how = {"languages": LANGUAGES, "study": STUDY, "metric": metric} | how
    return answer_question(
        arms_run(tmp_path / "run", "multilingual-tydiqa", sequences, gain, **how)
    )


def test_multilingual_training_that_is_better_everywhere_is_found(tmp_path):
    answer = study(tmp_path, 4.0, 3.0)
    assert answer.is_decided
    assert answer.sentence.startswith("tydiqa: yes, multilingual is better by +3")
    pairs = set(zip(answer.rows["sequence"], answer.rows["reference"], strict=True))
    assert pairs == {("xnli@ar,ru", "xnli"), ("squad1>pawsx@ko", "squad1>pawsx")}
    assert set(answer.rows["language"]) == {"ar", "fi", "sw", "ko", "te", "ru"}
    trained = answer.rows[answer.rows["trained_in"]]
    assert set(zip(trained["sequence"], trained["language"], strict=True)) == {
        ("xnli@ar,ru", "ar"), ("xnli@ar,ru", "ru"), ("squad1>pawsx@ko", "ko")
    }  # fmt: skip
    # They have no English counterpart in this run.
    assert "native, squad1@de>mnli" in " ".join(answer.caveats)


def test_english_that_is_better_is_found(tmp_path):
    assert "tydiqa: no, English is better" in study(tmp_path, -3.0, -3.0).sentence


def test_what_helps_only_where_it_was_trained_is_told(tmp_path):
    sentence = study(tmp_path, 20.0, 0.0).sentence
    assert "yes, multilingual" not in sentence or NOT_DECIDED in sentence
    assert NOT_DECIDED in sentence


def test_a_language_counts_as_unseen_sequence_by_sequence(tmp_path):
    seen, unseen = study(tmp_path, 30.0, 3.0, sd_language=0.0).findings
    # Of the six languages xnli@ar,ru holds two and squad1>pawsx@ko one; the others are worth 3.
    assert unseen.estimate.num == 6
    assert unseen.estimate.mean == pytest.approx(3.0, abs=0.4)
    # (2 * 30 + 4 * 3) / 6 and (30 + 5 * 3) / 6, in the mean.
    assert seen.estimate.mean == pytest.approx((12.0 + 7.5) / 2, abs=0.4)


def test_nothing_is_not_decided(tmp_path):
    answer = study(tmp_path, 0.0, 0.0)
    assert answer.sentence.startswith(f"tydiqa: {NOT_DECIDED}")


def test_without_pairs_or_seeds_it_is_not_decided(tmp_path):
    alone = study(tmp_path, 9.0, 9.0, sequences=("xnli", "mnli"))
    assert "no sequence was run both in English and in other languages" in alone.sentence
    assert "(one seed only)" in study(tmp_path / "two", 9.0, 9.0, num_seeds=1).sentence


def test_exact_match_counts_where_there_is_one(tmp_path):
    assert "exact match" in study(tmp_path, 1.0, 1.0).caveats[0]
    assert "own metric" in study(tmp_path / "two", 1.0, 1.0, metric="f1").caveats[0]
