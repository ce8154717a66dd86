from __future__ import annotations

import math

import pytest

from analysis.questions import NOT_DECIDED, answer_question
from analysis.questions.model_size import parameters
from tests.analysis.questions.landscape import arms_run

LANGUAGES = {"xnli": ("de", "sw")}
MODELS = {
    "base": {"name": "FacebookAI/xlm-roberta-base"},
    "large": {"name": "FacebookAI/xlm-roberta-large"},
    "xl": {"name": "facebook/xlm-roberta-xl"},
    "xxl": {"name": "facebook/xlm-roberta-xxl"},
}


def study(tmp_path, slope, models=MODELS, **how):
    def gain(sequence, target, language, model):
        if not sequence:
            return 0.0
        return 4.0 + slope * math.log10(max(parameters(models[model]), 1) / 1e9)

    how = {"models": models, "sd_language": 0.1} | how
    run = arms_run(
        tmp_path / "run", "model-size", ("mnli", "squad1>mnli"), gain, languages=LANGUAGES, **how
    )
    return answer_question(run)


def test_a_gain_that_falls_with_size_is_found(tmp_path):
    answer = study(tmp_path, -2.0)
    assert answer.sentence.startswith("xnli: yes, larger models gain less: -")
    (found,) = answer.findings
    assert found.estimate.low < -2.0 < found.estimate.high
    assert list(answer.rows["model"]) == ["base", "large", "xl", "xxl"]
    assert answer.rows["gain"].is_monotonic_decreasing
    assert "with the 4 models as the sample" in answer.caveats[-1]


def test_a_gain_that_rises_with_size_is_found(tmp_path):
    assert "larger models gain more" in study(tmp_path, 2.0).sentence


def test_no_change_is_not_decided(tmp_path):
    assert NOT_DECIDED in study(tmp_path, 0.0).sentence


def test_a_model_that_has_learned_nothing_is_told(tmp_path):
    alike = {"base": MODELS["base"], "large": MODELS["large"]}
    nothing = arms_run(
        tmp_path / "nothing",
        "model-size",
        ("mnli",),
        lambda *_: 0.0,
        languages=LANGUAGES,
        models=alike,
        sd_noise=0.0,
        sd_seed=0.0,
        sd_language=0.0,
    )
    assert "the model has learned nothing of it" in answer_question(nothing).sentence


def test_one_model_one_seed_or_unknown_sizes_are_not_decided(tmp_path):
    one = study(tmp_path / "one", 5.0, models={"base": MODELS["base"]})
    assert "fewer than two models" in one.sentence
    assert "(one seed only)" in study(tmp_path / "seed", 5.0, num_seeds=1).sentence
    unknown = study(tmp_path / "own", 5.0, models={**MODELS, "own": {"name": "my/model"}})
    assert "their size is not known: own" in unknown.caveats[-1]
    assert "own" not in set(unknown.rows["model"])


def test_parameters_of_a_scratch_model_by_hand():
    # 100 + 515 rows of 8, a layer norm of 16; a layer of 12 * 64 + 13 * 8.
    section = {"name": "scratch", "hidden_size": 8, "num_layers": 2, "vocab_size": 100}
    assert parameters(section) == 615 * 8 + 16 + 2 * (768 + 104)
    assert parameters({"name": "somebody/else"}) == 0


@pytest.mark.parametrize("name", ["base", "large"])
def test_published_counts_are_of_the_published_shapes(name):
    hidden, layers = {"base": (768, 12), "large": (1024, 24)}[name]
    shape = {"name": "scratch", "hidden_size": hidden, "num_layers": layers, "vocab_size": 250_002}
    assert parameters(shape) == pytest.approx(parameters(MODELS[name]), rel=0.005)
