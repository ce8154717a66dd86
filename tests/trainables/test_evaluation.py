from __future__ import annotations

import math

import pytest

from spaces.study import DeepSpeedSection, TrainingSection
from spaces.tasks import load_catalogue
from tests.trainables import tiny
from trainables import forward
from trainables.engine import Engine
from trainables.evaluation import Score, evaluate, objective, set_metrics
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet
from trainables.inputs import TaskInputs
from trainables.models import build_model

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


@pytest.fixture
def evaluated(tiny_model, inputs, monkeypatch):
    """Return a function that evaluates a task and tells which rows it ran, batch by batch."""
    real = forward.collate

    def run(name, plan, batch_size=4, predictions_dir=None):
        batches = []

        def counting(features, *arguments, **options):
            batches.append([feature.rows for feature in features])
            return real(features, *arguments, **options)

        monkeypatch.setattr(forward, "collate", counting)
        task = inputs.catalogue[name]
        model = build_model(
            str(tiny_model), {name: (task.format, len(task.labels))}, dropout=0.0, seed=1
        )
        engine = Engine(model, tiny.settings(), DeepSpeedSection(), precision="fp32", world_size=1)
        scores = evaluate(
            engine,
            inputs,
            name,
            plan,
            batch_size=batch_size,
            rank=0,
            world_size=1,
            predictions_dir=predictions_dir,
        )
        engine.destroy()
        return scores, batches

    return run


DE, FR = EvaluationSet("de", "dev"), EvaluationSet("fr", "dev")
needs_worker = pytest.mark.usefixtures("one_worker")


@needs_worker
def test_every_example_is_evaluated_once_in_batches_of_like_lengths(evaluated, monkeypatch):
    results = []
    for batch_size in (1, 4, 5, 100):
        scores, batches = evaluated("panx", EvaluationPlan((DE,), (FR,)), batch_size)
        results.append(scores)
        longest = [max(len(row) for rows in batch for row in rows) for batch in batches]
        assert sum(len(batch) for batch in batches) == 11 + 7
        assert longest == sorted(longest)
    monkeypatch.setattr(forward, "GATHERED_TURNS", 1)
    results.append(evaluated("panx", EvaluationPlan((DE,), (FR,)))[0])
    assert all(result == results[0] for result in results)
    assert {(s.language, s.num_examples, s.selected_on) for s in results[0]} == {
        ("de", 11, True),
        ("fr", 7, False),
    }


@needs_worker
def test_sentences_that_languages_share_are_encoded_once(evaluated, inputs):
    both = [EvaluationSet("de", "test"), EvaluationSet("fr", "test")]
    together, batches = evaluated("tatoeba", EvaluationPlan(tuple(both), ()))
    rows = [row for batch in batches for (row,) in batch]
    assert len(rows) == len(set(rows))
    of_sets = [inputs.features("tatoeba", "test", chosen.language) for chosen in both]
    assert set(rows) == {feature.rows[0] for features in of_sets for feature in features}
    assert len(rows) < sum(len(features) for features in of_sets)
    apart = [evaluated("tatoeba", EvaluationPlan((chosen,), ()))[0] for chosen in both]
    assert together == [score for scores in apart for score in scores]


@needs_worker
def test_a_set_that_is_scored_and_written_is_run_once(evaluated, tmp_path):
    plan = EvaluationPlan((DE,), (), predict=(DE, FR))
    scores, batches = evaluated("panx", plan, predictions_dir=tmp_path)
    assert sum(len(batch) for batch in batches) == 11 + 7
    assert {s.language for s in scores} == {"de"}
    assert [path.name for path in sorted((tmp_path / "panx").iterdir())] == [
        "dev-de.tsv",
        "dev-fr.tsv",
    ]
    assert sum(len(batch) for batch in evaluated("panx", plan)[1]) == 11
