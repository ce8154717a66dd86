from __future__ import annotations

from analysis.questions import NOT_DECIDED, answer_question
from tests.analysis.questions.landscape import arms_run

LANGUAGES = {"xnli": ("en", "de", "sw", "tr", "es"), "xcopa": ("et", "id", "sw", "zh")}
SEQUENCES = (
    "mnli",
    "squad1",
    "bible@sw,et",
    "bible@sw,et>mnli",
    "raw_text@wo>squad1",
    "mnli>bible@sw",
)


def study(tmp_path, xnli, xcopa, sequences=SEQUENCES, **how):
    def gain(sequence, target, language, model):
        first = sequence.startswith(("bible", "raw_text")) and ">" in sequence
        return {"xnli": xnli, "xcopa": xcopa}[target] * first

    run = arms_run(
        tmp_path / "run", "low-resource-mlm", sequences, gain, languages=LANGUAGES, **how
    )
    return answer_question(run)


def test_each_target_has_its_answer(tmp_path):
    answer = study(tmp_path, 3.0, -3.0)
    assert answer.is_decided
    assert "xnli: yes, raw text first gains +3" in answer.sentence
    assert "xcopa: no, raw text first costs: -" in answer.sentence
    assert "over 4 languages and 4 seeds" in answer.sentence
    pairs = set(zip(answer.rows["sequence"], answer.rows["reference"], strict=True))
    # Text that comes last is not what is asked about; text alone is a row, no part of the answer.
    assert pairs == {
        ("bible@sw,et>mnli", "mnli"),
        ("raw_text@wo>squad1", "squad1"),
        ("bible@sw,et", ""),
    }
    held = answer.rows[answer.rows["in_text"]]
    assert set(held["language"]) == {"sw", "et"}
    assert answer.caveats[0] == "The raw text is in et, sw, wo."


def test_the_opposite(tmp_path):
    answer = study(tmp_path, -3.0, 3.0)
    assert "xnli: no" in answer.sentence
    assert "xcopa: yes" in answer.sentence


def test_nothing_is_not_decided(tmp_path):
    sentence = study(tmp_path, 0.0, 0.0, seed=2).sentence
    assert sentence.count(NOT_DECIDED) == 2


def test_text_alone_answers_nothing(tmp_path):
    sentence = study(tmp_path, 9.0, 9.0, sequences=("mnli", "bible@sw")).sentence
    assert sentence.count("no English sequence was run both with and without raw text first") == 2
