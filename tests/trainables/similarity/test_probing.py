from __future__ import annotations

import math
from dataclasses import replace

import pytest

from spaces.errors import InputError, UnknownNameError
from spaces.sequences import Sequence
from tests.trainables import tiny
from tests.trainables.similarity.conftest import FEW
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.similarity import measure_study
from trainables.similarity.composition import composed_probe
from trainables.similarity.probing import mean_probing, probing
from trainables.similarity.subjects import Subjects

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]


def sequence(mini, text):
    study, preparation = mini
    (found,) = Subjects(study, preparation, None, (text,)).sequences
    return found


def test_a_probe_is_the_beginning_of_a_trial(stored, subjects, mini):
    study, preparation = mini
    entail, xqa = subjects["mini_entail"], subjects["mini_xqa"]
    found = probing(stored, entail, xqa)
    limited = study.model_copy(
        update={"training": study.training.model_copy(update={"max_eval_examples": 8})}
    )
    session = Session(
        SessionConfig(
            limited, preparation.model_path, stored.store.url, None, preparation.evaluation
        )
    )
    plan = preparation.planner.plan(0, Sequence.of("mini_entail"), "mini_xqa", seed=study.seed)
    few = replace(plan.target_settings, steps=2)
    result = session.run_rung(replace(plan, target_settings=few, budgets=(2,)), 0)
    assert found.value == result.score
    # Two batches of 32, and 8 examples of each of four languages.
    assert found.num_examples == 2 * 32 + 4 * 8


def test_a_target_without_training_is_scored_as_it_is(stored, subjects):
    found = probing(stored, subjects["mini_entail"], subjects["mini_tatoeba"])
    assert 0 <= found.value <= 100
    assert found.num_examples > 0
    assert probing(stored, subjects["mini_entail"], subjects["mini_tatoeba"]).value == found.value


def test_a_missing_stage_and_a_diverging_probe_are_told(stored, bench, subjects, monkeypatch):
    xqa = subjects["mini_xqa"]
    assert probing(stored, subjects["mini_mlm"], xqa).note == "not in the stage store: mini_mlm"
    assert probing(bench, subjects["mini_entail"], xqa).note == "no stage store was given"
    plan = stored.preparation.planner.plan(0, Sequence(), "mini_xqa", seed=0)
    wild = replace(plan.target_settings, learning_rate=1e30, warmup_fraction=0.0)
    planner = type(stored.preparation.planner)
    monkeypatch.setattr(planner, "plan", lambda *_, **__: replace(plan, target_settings=wild))
    found = probing(stored, subjects["mini_entail"], xqa)
    assert math.isnan(found.value)
    assert "NaN or infinite" in found.note


def test_a_composition_of_one_stage_is_that_stage(stored, subjects, mini):
    xqa = subjects["mini_xqa"]
    alone = composed_probe(stored, sequence(mini, "mini_entail"), xqa)
    assert alone.value == pytest.approx(probing(stored, subjects["mini_entail"], xqa).value)


def test_a_composition_of_two(stored, subjects, mini):
    xqa = subjects["mini_xqa"]
    there = composed_probe(stored, sequence(mini, "mini_entail>mini_completion"), xqa)
    back = composed_probe(stored, sequence(mini, "mini_completion>mini_entail"), xqa)
    assert there.value == back.value
    missing = composed_probe(stored, sequence(mini, "mini_entail>mini_mlm"), xqa)
    assert missing.note == "not in the stage store: mini_entail>mini_mlm"


def test_the_probes_of_a_sequences_stages_are_averaged(stored, subjects, mini):
    xqa = subjects["mini_xqa"]
    alone = [probing(stored, subjects[n], xqa) for n in ("mini_entail", "mini_completion")]
    both = mean_probing(stored, sequence(mini, "mini_entail>mini_completion"), xqa)
    assert both.value == pytest.approx((alone[0].value + alone[1].value) / 2)
    assert both.num_examples == alone[0].num_examples + alone[1].num_examples
    missing = mean_probing(stored, sequence(mini, "mini_entail>mini_mlm"), xqa)
    assert missing.note == "not in the stage store: mini_entail>mini_mlm"


def test_sequences_are_measured_and_kept_like_tasks(mini, stored, own_cache):
    study, preparation = mini
    arguments = {
        "measures": ["composed_probe"],
        "settings": FEW,
        "sequences": ["mini_entail>mini_completion", "mini_completion"],
        "store_url": stored.store.url,
    }
    values = measure_study(study, preparation, None, **arguments)
    assert [(v.kind, v.source, v.target) for v in values] == [
        ("sequence_target", text, target)
        for text in arguments["sequences"]
        for target in ("mini_pos", "mini_xqa", "mini_tatoeba")
    ]
    again = measure_study(study, preparation, None, **{**arguments, "store_url": None})
    assert again == values


def test_impossible_sequences_are_refused(mini):
    with pytest.raises(UnknownNameError, match="mini_entail"):
        sequence(mini, "mini_ential")
    with pytest.raises(InputError, match="needs a stage"):
        sequence(mini, "")
