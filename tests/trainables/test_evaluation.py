from __future__ import annotations

import math
from collections import Counter

import pytest

from spaces.errors import InputError
from spaces.study import TrainingSection
from spaces.tasks import load_catalogue
from tests.trainables import tiny
from tests.trainables.loops import Stage
from trainables import forward
from trainables.evaluation import Score, evaluate, objective, set_metrics
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet
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


DEV, TEST = EvaluationSet("zh", "dev"), EvaluationSet("zh", "test")
#: Mined from 0.5 on, dev is right; on test the best threshold would be above 0.8.
MINED = {
    DEV: {"d1": [("x", 0.9)], "d2": [("y", 0.7)], "d3": [("z", 0.3)]},
    TEST: {"t1": [("x", 0.9)], "t2": [("y", 0.8)], "t3": [("z", 0.4)]},
}
GOLDS = {
    DEV: {"d1": ["x"], "d2": ["y"], "d3": []},
    TEST: {"t1": ["x"], "t2": [], "t3": []},
}


def test_a_threshold_is_found_on_the_dev_set_and_kept_on_the_test_set(caplog):
    metrics = set_metrics(load_catalogue()["bucc2018"], MINED, GOLDS)
    assert metrics[TEST] is metrics[DEV]
    assert metrics[TEST].compute(MINED[TEST], GOLDS[TEST], "zh")["f1"] == pytest.approx(200 / 3)
    assert list(metrics[TEST].submitted(MINED[TEST])) == ["t1", "t2"]
    assert not caplog.records


def test_a_blank_test_set_is_submitted_at_the_threshold_of_dev():
    metrics = set_metrics(load_catalogue()["bucc2018"], MINED, {DEV: GOLDS[DEV]})
    assert list(metrics[TEST].submitted(MINED[TEST])) == ["t1", "t2"]


def test_without_a_dev_set_the_best_for_the_test_set_is_taken_with_one_warning(caplog):
    task = load_catalogue()["bucc2018"]
    other = EvaluationSet("ru", "test")
    predictions = {DEV: MINED[DEV], other: MINED[TEST]}
    golds = {DEV: GOLDS[DEV], other: GOLDS[TEST]}
    for _ in range(2):
        metrics = set_metrics(task, predictions, golds)
        assert metrics[other].compute(MINED[TEST], GOLDS[TEST], "ru")["f1"] == 100
    (warning,) = caplog.records
    assert "bucc2018, 'ru': no labelled dev set gives the threshold" in warning.getMessage()
    assert "upper bound" in warning.getMessage()


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
    real = forward.collate

    def counting(features, *arguments, **options):
        seen.update((f.record, f.rows) for f in features)
        longest.append(max(f.num_tokens for f in features))
        return real(features, *arguments, **options)

    monkeypatch.setattr(forward, "collate", counting)
    engine = Stage(tiny_model, ("token_classification",)).engine()
    engine.module.formats["panx"] = "token_classification"
    engine.module.heads["panx"] = engine.module.heads["token_classification"]
    sets = [EvaluationSet("de", "dev"), EvaluationSet("fr", "dev")]
    plan = EvaluationPlan((sets[0],), (sets[1],))
    options = {"rank": 0, "world_size": 1}
    results = []
    for batch_size in (1, 4, 5, 100):
        seen.clear()
        longest.clear()
        results.append(evaluate(engine, inputs, "panx", plan, batch_size=batch_size, **options))
        assert sum(seen.values()) == 11 + 7
        assert longest == sorted(longest)
    engine.destroy()
    assert all(result == results[0] for result in results)
    assert {(s.language, s.num_examples, s.selected_on) for s in results[0]} == {
        ("de", 11, True),
        ("fr", 7, False),
    }


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
            EvaluationPlan((EvaluationSet("de", "test"),), ()),
            batch_size=4,
            rank=0,
            world_size=1,
        )
    engine.destroy()
