from __future__ import annotations

import pytest

from spaces.sequences import Sequence
from tests.trainables import tiny, two_workers
from tests.trainables.loops import TOLERANCE, Stage
from trainables.preparation import prepare
from trainables.session import Session
from trainables.session_config import SessionConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("one_worker"),
    *tiny.DEEPSPEED_WARNINGS,
]


@pytest.fixture(scope="module")
def trials(tiny_model, data_root, tmp_path_factory):
    """A configuration and two plans: tagging after a stage, and retrieval."""
    folder = tmp_path_factory.mktemp("two")
    study = tiny.study(tiny_model)
    preparation = prepare(study, data_root, folder)
    plans = [
        preparation.planner.plan(0, Sequence.of("xnli"), "panx", seed=0),
        preparation.planner.plan(1, Sequence.of(), "tatoeba", seed=0),
    ]

    def config(store: str) -> SessionConfig:
        return SessionConfig(
            study, str(tiny_model), str(folder / store), str(data_root), preparation.evaluation
        )

    return config, plans, folder


@pytest.fixture(scope="module")
def together(tiny_model, trials):
    """What two workers came to."""
    config, plans, folder = trials
    job = two_workers.Job(
        tiny_model, config("two").to_json(), [plan.to_json() for plan in plans], folder / "results"
    )
    return two_workers.run(job)


@pytest.mark.parametrize(
    "name",
    [f"{form}/{zero}" for form in (*tiny.TASKS, "mixture", "clipped") for zero in range(4)]
    + [f"{form}/{zero}/padded" for zero, forms in two_workers.PADDED.items() for form in forms],
)
def test_two_workers_train_as_one_plain_loop(tiny_model, together, name):
    plain = two_workers.stages(tiny_model)[name].plain_losses()
    assert together["losses"][name] == pytest.approx(plain, abs=TOLERANCE)


@pytest.mark.parametrize("zero_stage", range(4))
def test_two_workers_in_bf16_follow_the_plain_loop(tiny_model, together, zero_stage):
    name = f"bf16/{zero_stage}"
    plain = two_workers.stages(tiny_model)[name].plain_losses()
    assert together["losses"][name] == pytest.approx(plain, rel=0.02)


@pytest.mark.parametrize("zero_stage", range(4))
def test_a_state_of_two_workers_continues_on_two_and_on_one(tiny_model, together, zero_stage):
    name = f"token_classification/{zero_stage}"
    stage = two_workers.stages(tiny_model)[name]
    engine = stage.engine(together["states"][name])
    losses = stage.run(engine, stage.settings.steps)
    engine.destroy()
    uninterrupted = together["losses"][name][3:]
    assert losses == pytest.approx(uninterrupted, abs=TOLERANCE)
    assert together["continued"][name] == pytest.approx(uninterrupted, abs=TOLERANCE)


def test_evaluation_is_the_same_on_two_workers(together, trials):
    config, plans, _ = trials
    session = Session(config("one"))
    for plan, theirs in zip(plans, together["rungs"], strict=True):
        for stage in plan.stages:
            session.train_stage(stage, plan.base)
        for number, scores in enumerate(theirs):
            ours = session.run_rung(plan, number).scores
            assert [
                (s.language, s.split, s.metric, pytest.approx(s.value, abs=1e-3), s.num_examples)
                for s in ours
            ] == scores
    session.close_engine()


def test_dropout_is_the_same_every_time_and_another_on_each_worker(together, tiny_model):
    first, second = together["dropout"]
    assert first == second
    # Both workers' shares of a step have the same number of examples; what was dropped differs.
    settings = tiny.settings(dropout=0.3)
    alone = Stage(tiny_model, ("token_classification",), settings).losses()
    mean = [(a + b) / 2 for a, b in zip(*first, strict=True)]
    assert mean != pytest.approx(alone, abs=TOLERANCE)
    assert mean == pytest.approx(alone, rel=0.3)


def test_workers_agree_that_training_diverged(together):
    assert "NaN or infinite at step" in together["diverged"]


def test_workers_of_one_node_can_be_reached_from_no_other(together):
    assert together["listening"] == ["127.0.0.1"]
