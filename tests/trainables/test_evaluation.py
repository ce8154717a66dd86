from __future__ import annotations

import math
from collections import Counter

import pytest

from spaces.errors import DataError, InputError
from spaces.study import TrainingSection
from tests.trainables import tiny
from tests.trainables.loops import Stage
from trainables import evaluation
from trainables.evaluation import Score, evaluate, objective
from trainables.evaluation_plan import EvaluationSet, plan_evaluation
from trainables.inputs import TaskInputs

pytestmark = [*tiny.DEEPSPEED_WARNINGS]


def score(language, metric, value, *, split="dev", selected_on=True):
    return Score(language, split, metric, value, 10, selected_on, headline=True)


def test_the_objective_is_the_mean_over_languages():
    scores = [
        score("de", "accuracy", 60.0),
        score("fr", "accuracy", 30.0),
        score("en", "accuracy", 99.0, selected_on=False),
    ]
    assert objective(scores, "accuracy") == 45.0


def test_a_question_task_counts_exact_match_and_f1_alike():
    scores = [
        score("de", "exact_match", 40.0),
        score("de", "f1", 60.0),
        score("fr", "exact_match", 10.0),
        score("fr", "f1", 20.0),
    ]
    assert objective(scores, "squad") == (50 + 15) / 2


def test_no_selected_score_is_nan():
    value = objective([score("en", "accuracy", 9.0, selected_on=False)], "accuracy")
    assert math.isnan(value)


def plan(data_root, target="panx", select_on="target_dev", languages=("en", "de", "fr")):
    targets = [{"name": target, "languages": list(languages)}]
    study = tiny.study(data_root, targets=targets, select_on=select_on)
    return plan_evaluation(study, study.targets[0], study.catalogue(), data_root)


def named(sets):
    return [(chosen.language, chosen.split) for chosen in sets]


def test_target_dev_selects_on_the_other_languages(data_root):
    chosen = plan(data_root)
    assert named(chosen.select) == [("de", "dev"), ("fr", "dev")]
    assert named(chosen.report) == [("en", "dev")]


def test_english_dev_selects_on_english_alone(data_root):
    chosen = plan(data_root, select_on="english_dev")
    assert named(chosen.select) == [("en", "dev")]
    assert named(chosen.report) == [("de", "dev"), ("fr", "dev")]


def test_without_dev_sets_english_dev_stands_in(data_root):
    chosen = plan(data_root, target="xquad", languages=("de",))
    assert named(chosen.select) == [("en", "dev")]
    assert named(chosen.report) == [("de", "test")]


@pytest.mark.parametrize("select_on", ["target_dev", "english_dev"])
def test_a_task_with_test_sets_alone_selects_on_them(data_root, select_on):
    chosen = plan(data_root, "tatoeba", select_on, ("de", "fr"))
    assert named(chosen.select) == [("de", "test"), ("fr", "test")]
    assert chosen.report == ()


def test_a_language_without_data_is_named(data_root):
    with pytest.raises(DataError, match="no labelled dev or test set of ru under"):
        plan(data_root, languages=("de", "ru"))


@pytest.fixture
def inputs(data_root):
    """Return what a session reads of the tiny data."""
    study = tiny.study(data_root)
    return TaskInputs(study.catalogue(), TrainingSection(), data_root, tiny.tokenizer())


@pytest.mark.usefixtures("one_worker")
def test_every_example_is_evaluated_once_in_batches_of_like_lengths(
    tiny_model, inputs, monkeypatch
):
    seen, longest = Counter(), []
    real = evaluation.collate

    def counting(features, *arguments, **options):
        seen.update((f.record, f.rows) for f in features)
        longest.append(max(f.num_tokens for f in features))
        return real(features, *arguments, **options)

    monkeypatch.setattr(evaluation, "collate", counting)
    engine = Stage(tiny_model, ("token_classification",)).engine()
    engine.module.formats["panx"] = "token_classification"
    engine.module.heads["panx"] = engine.module.heads["token_classification"]
    sets = [EvaluationSet("de", "dev"), EvaluationSet("fr", "dev")]
    options = {"rank": 0, "world_size": 1, "selected_on": True}
    results = []
    for batch_size in (1, 4, 5, 100):
        seen.clear()
        longest.clear()
        results.append(evaluate(engine, inputs, "panx", sets, batch_size=batch_size, **options))
        assert sum(seen.values()) == 11 + 7
        assert longest == sorted(longest)
    engine.destroy()
    assert all(result == results[0] for result in results)
    assert {(s.language, s.num_examples) for s in results[0]} == {("de", 11), ("fr", 7)}


@pytest.mark.usefixtures("one_worker")
def test_an_impossible_layer_is_refused(tiny_model, inputs, monkeypatch):
    task = inputs.catalogue["tatoeba"].model_copy(update={"options": {"layer": 9}})
    monkeypatch.setitem(inputs.catalogue._tasks, "tatoeba", task)
    engine = Stage(tiny_model, ("token_classification",)).engine()
    with pytest.raises(InputError, match=r"options\.layer is 9, the model has 2 layers"):
        evaluate(
            engine,
            inputs,
            "tatoeba",
            [EvaluationSet("de", "test")],
            batch_size=4,
            rank=0,
            world_size=1,
            selected_on=True,
        )
    engine.destroy()
