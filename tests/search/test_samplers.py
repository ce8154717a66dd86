from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase

from search.encoding import decode_sequence, search_space
from search.samplers import SAMPLERS, make_sampler
from search.samplers.tpe import RepeatableTPESampler
from spaces.errors import UnknownNameError
from spaces.sequences import Sequence
from spaces.study import Study
from tests.search.executor import make_study

OWN = ("random", "sequence")


class TestBasic(BasicSamplerTestCase):
    """What every Optuna sampler must do, on parameters it was not made for."""

    @pytest.fixture(params=sorted(SAMPLERS))
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: SAMPLERS[request.param](make_study())


class TestRelative(RelativeSamplerTestCase):
    """What a sampler of joint parameters must do on any space; our own know one space only."""

    @pytest.fixture
    def sampler(self) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: RepeatableTPESampler(make_study(), num_startup=0)


def ask(study: Study, asked: optuna.Study) -> tuple[optuna.trial.Trial, Sequence, str]:
    """Ask for a trial and note what it is, as the ledger does."""
    trial = asked.ask(fixed_distributions=search_space(study))
    sequence, target = decode_sequence(trial.params), trial.params.get("target", "")
    for name, value in {"seed": study.seed, "target": target, "sequence": str(sequence)}.items():
        trial.set_user_attr(name, value)
    return trial, sequence, target


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_own_samplers_never_suggest_the_same_twice(name, objective):
    study = make_study(f"search.sampler={name}", objective=objective)
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    size = study.space.size * (2 if objective == "per_target" else 1)
    found = set()
    for count in range(size):
        trial, sequence, target = ask(study, asked)
        found.add((str(sequence), target))
        assert len(found) == count + 1
        trial.report(float(len(sequence)), 0)
        asked.tell(trial, float(len(sequence)))
    trial, sequence, target = ask(study, asked)
    assert (str(sequence), target) in found


def test_targets_take_turns():
    study = make_study("search.sampler=random", targets=["xnli", "udpos", "panx"])
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    targets = [ask(study, asked)[2] for _ in range(6)]
    assert sorted(targets[:3]) == sorted(targets[3:]) == ["panx", "udpos", "xnli"]


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_suggestion_depends_on_the_storage_alone(name):
    study = make_study(
        f"search.sampler={name}", hyperparameters={"target.dropout": {"uniform": [0, 0.3]}}
    )
    storage = optuna.storages.InMemoryStorage()
    reference = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    renewed = optuna.create_study(study_name="x", storage=storage, direction="maximize")
    for _ in range(14):
        # A new process at every suggestion, beside one that lives through them all.
        renewed = optuna.load_study(study_name="x", storage=storage, sampler=make_sampler(study))
        for asked in (reference, renewed):
            trial, sequence, _ = ask(study, asked)
            trial.report(float(len(sequence)), 0)
            asked.tell(trial, float(len(sequence)))
    assert [t.params for t in reference.trials] == [t.params for t in renewed.trials]


def test_a_space_too_large_to_list_is_drawn_from():
    tasks = ["anli", "mnli", "qqp", "squad1", "squad2", "hellaswag", "cosmosqa", "siqa"]
    for name in OWN:
        study = make_study(f"search.sampler={name}", intermediate={"tasks": tasks, "max_length": 8})
        asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
        found = set()
        for _ in range(8):
            trial, sequence, target = ask(study, asked)
            assert sequence in study.space
            found.add((str(sequence), target))
            trial.report(float(len(sequence)), 0)
            asked.tell(trial, float(len(sequence)))
        assert len(found) == 8


def trials_to_optimum(study: Study, name: str, seed: int) -> int:
    """Trials until the best of 86 sequences is found; its worth depends on order."""
    study = study.model_copy(update={"seed": seed})
    asked = optuna.create_study(direction="maximize", sampler=SAMPLERS[name](study))
    noise = np.random.default_rng(seed)
    worth = {"anli": -4.0, "mnli": 3.0, "qqp": 1.0, "squad1": 4.0, "hellaswag": -1.0}
    for count in range(1, 87):
        trial, sequence, _ = ask(study, asked)
        names = sequence.names
        if names == ("mnli", "qqp", "squad1"):
            return count
        score = 50 + sum(worth[task] for task in names) + noise.normal(0, 0.5)
        score += 3 * (names[-1:] == ("squad1",)) + 2 * (names[:1] == ("mnli",))
        trial.report(score, 0)
        asked.tell(trial, score)
    raise AssertionError("the optimum is in the space")


def test_the_surrogate_finds_an_optimum_of_order_sooner_than_chance():
    study = make_study(
        intermediate={"tasks": ["anli", "mnli", "qqp", "squad1", "hellaswag"], "max_length": 3},
        targets=["xnli"],
    )
    median = {
        name: statistics.median(trials_to_optimum(study, name, seed) for seed in range(20))
        for name in OWN
    }
    assert median["sequence"] < 0.6 * median["random"], median


def test_an_unknown_sampler_is_told_with_near_matches():
    with pytest.raises(UnknownNameError, match=r"search.sampler: unknown sampler 'sequense'.*'seq"):
        make_sampler(make_study("search.sampler=sequense"))
