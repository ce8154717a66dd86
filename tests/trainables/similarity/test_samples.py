from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.errors import InputError
from spaces.sequences import Sequence
from trainables.similarity import SimilaritySettings
from trainables.similarity.samples import draw_portions
from trainables.similarity.subjects import Subjects

MIXTURES = {
    "intermediate": {
        "tasks": ["both", "xnli"],
        "stages": {
            "both": {"tasks": ["squad1", "xnli"], "sampling": {"temperature": 1.0}},
        },
    }
}


def draw(study, data_root, subject, **changes):
    return draw_portions(subject, study, data_root, SimilaritySettings(**changes))


def test_examples_are_drawn_from_the_whole_set_and_by_the_seed(tiny_study):
    study, preparation, data_root = tiny_study()
    xnli = Subjects(study, preparation, data_root).sources[1]
    (all_of_it,) = draw(study, data_root, xnli, num_examples=100)
    assert len(all_of_it.records) == 40
    (some,) = draw(study, data_root, xnli, num_examples=10)
    assert len(some.records) == 10
    assert set(some.records) < set(all_of_it.records)
    assert some.records != all_of_it.records[:10]
    (again,) = draw(study, data_root, xnli, num_examples=10)
    (others,) = draw(study, data_root, xnli, num_examples=10, seed=1)
    assert some == again
    assert some != others


def test_a_mixture_is_drawn_by_its_shares(tiny_study):
    study, preparation, data_root = tiny_study(**MIXTURES)
    both = Subjects(study, preparation, data_root).sources[0]
    portions = draw(study, data_root, both, num_examples=20)
    assert [(p.task, p.share, len(p.records)) for p in portions] == [
        ("squad1", 0.5, 10),
        ("xnli", 0.5, 10),
    ]


def test_a_target_without_training_lends_its_evaluation_texts(tiny_study):
    study, preparation, data_root = tiny_study()
    tatoeba = Subjects(study, preparation, data_root).targets[1]
    (portion,) = draw(study, data_root, tatoeba, num_examples=10)
    assert not portion.trained
    assert len(portion.records) == 10


def test_a_study_that_limits_its_training_limits_the_examples(tiny_study):
    study, preparation, data_root = tiny_study(training={"max_train_examples": 9})
    xnli = Subjects(study, preparation, data_root).sources[1]
    (portion,) = draw(study, data_root, xnli)
    assert len(portion.records) == 9


def test_identities_follow_the_content(tiny_study):
    study, preparation, data_root = tiny_study()
    squad, xnli = Subjects(study, preparation, data_root).sources
    assert squad.identity != xnli.identity
    (stage,) = preparation.planner.stages(Sequence.of("squad1"), seed=0)
    assert squad.checkpoints == (stage.fingerprint,)
    limited, prepared, _ = tiny_study(training={"max_train_examples": 9})
    assert Subjects(limited, prepared, data_root).sources[0].identity != squad.identity


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="num_examples is 3; use 8 or more"):
        SimilaritySettings(num_examples=3)
    with pytest.raises(InputError, match="probe_steps is 0"):
        replace(SimilaritySettings(), probe_steps=0)
