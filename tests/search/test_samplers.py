from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from search.encoding import decode_sequence, search_space
from search.samplers import SAMPLERS, make_sampler
from search.samplers.repeatable import tpe
from spaces.errors import InputError, UnknownNameError
from spaces.sequences import Sequence
from spaces.study import Study
from tests.search.executor import make_study

#: What needs nothing but a study; similarity_greedy has tests of its own.
PLAIN = sorted(set(SAMPLERS) - {"similarity_greedy"})
OWN = ("random", "sequence", "exhaustive", "beam")


def study_for(name: str, folder: Path) -> Study:
    """Return a study that a sampler can be made from: one of them needs a table."""
    table = folder / "similarity.csv"
    table.write_text("kind,source,target,measure,value\nsource_target,mnli,xnli,one,1.0\n")
    return make_study(f"search.sampler={name}", f"search.similarity={table}")


class TestBasic(BasicSamplerTestCase):
    """What every Optuna sampler must do, on parameters it was not made for."""

    @pytest.fixture(params=SAMPLERS)
    def sampler(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: make_sampler(study_for(request.param, tmp_path))


class TestRelative(RelativeSamplerTestCase):
    """What a sampler of joint parameters must do on any space, our own too."""

    @pytest.fixture(params=[*OWN, "similarity_greedy", "tpe"])
    def sampler(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Callable[[], optuna.samplers.BaseSampler]:
        if request.param == "tpe":
            return lambda: tpe(make_study(), num_startup=0)
        return lambda: make_sampler(study_for(request.param, tmp_path))


class TestSingleOnly(SingleOnlySamplerTestCase):
    """What a sampler for one objective must refuse."""

    @pytest.fixture(params=[*OWN, "similarity_greedy"])
    def sampler(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: make_sampler(study_for(request.param, tmp_path))


def ask(study: Study, asked: optuna.Study) -> tuple[optuna.trial.Trial, Sequence, str]:
    """Ask for a trial and note what it is, as the ledger does."""
    trial = asked.ask(fixed_distributions=search_space(study))
    sequence = decode_sequence(trial.params, study.space.max_length)
    target = trial.params.get("target", "")
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


@pytest.mark.parametrize("name", PLAIN)
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


@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_the_way_to_a_sequence_goes_over_its_prefixes(objective):
    tasks = ["anli", "mnli", "qqp", "squad1", "hellaswag"]
    study = make_study(
        "search.sampler=sequence",
        intermediate={"tasks": tasks, "max_length": 4},
        targets=["xnli"],
        objective=objective,
    )
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(60):
        trial, sequence, _ = ask(study, asked)
        assert {str(prefix) for prefix in sequence.prefixes()} <= found | {str(sequence)}
        found.add(str(sequence))
        trial.report(float(len(sequence) + rng.normal()), 0)
        asked.tell(trial, 0.0)
    assert any(text.count(">") == 3 for text in found)


def test_exhaustive_goes_by_length_and_all_targets_at_a_time():
    study = make_study("search.sampler=exhaustive")
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    found = [tuple(map(str, ask(study, asked)[1:])) for _ in range(9)]
    assert found[:2] == [("", "xnli"), ("", "udpos")]
    assert [text for text, _ in found[2:8:2]] == ["mnli", "qqp", "squad1"]
    assert found[8] == ("mnli>qqp", "xnli")


def test_a_beam_extends_the_best():
    study = make_study(
        "search.sampler=beam",
        intermediate={"tasks": ["anli", "mnli", "qqp", "squad1", "hellaswag"], "max_length": 2},
        targets=["xnli"],
    )
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    worth = {"": 0.0, "anli": 1.0, "mnli": 5.0, "qqp": 2.0, "squad1": 4.0, "hellaswag": 3.0}
    found = []
    for _ in range(18):
        trial, sequence, _ = ask(study, asked)
        found.append(str(sequence))
        trial.report(worth.get(str(sequence), 0.0), 0)
        asked.tell(trial, 0.0)
    assert found[:6] == list(worth)
    # The three best singles, the best first, each with its four extensions.
    assert [text.split(">")[0] for text in found[6:]] == (
        ["mnli"] * 4 + ["squad1"] * 4 + ["hellaswag"] * 4
    )


def test_cma_es_searches_numbers():
    study = make_study("search.sampler=cmaes", objective="average")
    space = search_space(study)
    assert set(space) == {"key_mnli", "key_qqp", "key_squad1"}
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    for _ in range(60):
        trial, sequence, _ = ask(study, asked)
        asked.tell(trial, 10.0 * (sequence.names[:1] == ("qqp",)) + len(sequence))
    late = [decode_sequence(t.params, 2).names[:1] for t in asked.trials[-20:]]
    # A uniform draw begins with qqp in 7 of 24 cases.
    assert late.count(("qqp",)) >= 14
    with pytest.raises(InputError, match=r"cmaes keeps its state as a pickle.*'postgresql://x'"):
        make_sampler(make_study("search.sampler=cmaes", "storage.optuna=postgresql://x"))


def test_an_unknown_sampler_is_told_with_near_matches():
    with pytest.raises(UnknownNameError, match=r"search.sampler: unknown sampler 'sequense'.*'seq"):
        make_sampler(make_study("search.sampler=sequense"))
