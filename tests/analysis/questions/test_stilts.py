from __future__ import annotations

from analysis.questions import NOT_DECIDED, answer_question
from analysis.questions.published import published_gain
from tests.analysis.questions.landscape import arms_run

LANGUAGES = {"xnli": ("de", "sw"), "tydiqa": ("ar", "fi")}
STUDY = {
    "intermediate": {
        "stages": {
            "mnli_text": {"tasks": ["mnli"], "mlm": {"tasks": [{"task": "bible"}], "share": 0.2}}
        }
    }
}
WORTH = {"squad1": 8.2, "mnli": 2.0, "mnli+squad1": 8.6, "mnli_text": 1.0, "xnli@de": 1.0}
SEQUENCES = (*WORTH, "bible@sw>mnli", "squad1>mnli")


LARGE = {"model": {"name": "FacebookAI/xlm-roberta-large"}}


def study(tmp_path, factor=1.0, **how):
    def gain(sequence, target, language, model):
        return factor * WORTH.get(sequence, 0.0)

    how = {"languages": LANGUAGES, "study": STUDY | LARGE, "sd_language": 0.0} | how
    return answer_question(arms_run(tmp_path / "run", "stilts", SEQUENCES, gain, **how))


def test_the_table_is_laid_out_as_the_papers(tmp_path):
    answer = study(tmp_path)
    shown = answer.shown
    assert list(shown.columns) == ["kind", "intermediate task", "average", "xnli", "tydiqa"]
    assert list(shown["kind"]) == [
        "", "single task", "single task", "multi-task", "with multilingual MLM",
        "with multilingual MLM", "translated", "sequence", "published",
    ]  # fmt: skip
    assert list(shown["intermediate task"][1:4]) == ["squad1", "mnli", "mnli+squad1"]
    squad = shown.set_index("intermediate task").loc["squad1"]
    assert squad["average"].endswith("[+8.2]")
    assert squad["average"].startswith("+8.")
    assert shown["xnli"].iloc[-1] == "[+1.2]"


def test_gains_are_held_against_the_published_ones(tmp_path):
    sentence = study(tmp_path).sentence
    assert "average: squad1, the best of 2 single tasks, gains +8" in sentence
    assert "average, below the published: mnli (+2" in sentence
    assert "no different from the published" in sentence


def test_the_opposite_is_told(tmp_path):
    answer = study(tmp_path, factor=-1.0)
    assert f"xnli: {NOT_DECIDED} (no single task did better than none" in answer.sentence
    assert "average, below the published" in answer.sentence


def test_nothing_and_one_seed_are_not_decided(tmp_path):
    nothing = study(tmp_path / "nothing", factor=0.0)
    assert nothing.sentence.count(NOT_DECIDED) == 3
    alone = study(tmp_path / "alone", num_seeds=1)
    assert alone.sentence.count("one seed only") == 3


def test_published_figures():
    assert published_gain("squad1", "average") == 8.2
    assert published_gain("best per target", "panx") == -0.7
    assert published_gain("ccg", "xnli") is None


def test_another_model_is_not_held_against_the_published_figures(tmp_path):
    answer = study(tmp_path, study=STUDY)
    assert "below the published" not in answer.sentence
    assert "This run's model is large: only the layout compares." in answer.caveats


def test_a_model_that_has_learned_nothing_is_told(tmp_path):
    answer = study(tmp_path, factor=0.0, sd_noise=0.0, sd_seed=0.0)
    assert "every score is 60.0: the model has learned nothing" in answer.sentence
