"""Arms: what a study file may say, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from spaces.arms import arm_seeds, arm_sequences, search_alone
from spaces.errors import InputError, UnknownNameError
from spaces.sequences import Stage
from spaces.stage_names import resolve_stage
from spaces.stages import Mixture, Stream
from spaces.study import Study, parse_study
from trainables.preparation import study_streams

ARMS = {
    "none": [[]],
    "english": [["squad2"], ["mnli", "squad2"]],
    "native": [["tydiqa@ar,fi#50"], ["mnli+squad2", "tydiqa@fi"]],
}


def study(arms: Any = None, **content: Any) -> Study:
    base = {
        "name": "s",
        "model": {"name": "mini"},
        "targets": ["tydiqa"],
        "arms": ARMS if arms is None else arms,
        "search": {"num_trials": 0},
    }
    return parse_study(yaml.safe_dump({**base, **content}, sort_keys=False), "s.yaml")


def test_arms_are_sequences_in_the_order_of_the_file():
    found = [(arm, str(sequence)) for arm, sequence in arm_sequences(study())]
    assert found == [
        ("none", ""),
        ("english", "squad2"),
        ("english", "mnli>squad2"),
        ("native", "tydiqa@ar,fi#50"),
        ("native", "mnli+squad2>tydiqa@fi"),
    ]


@pytest.mark.parametrize(("given", "seeds"), [(1, (4,)), (3, (4, 5, 6)), ([9, 2], (9, 2))], ids=str)
def test_seeds_are_counted_from_the_studys_own_or_listed(given, seeds):
    assert arm_seeds(study(seed=4, arm_seeds=given)) == seeds


def test_a_study_without_arms_has_none():
    found = study({}, search={}, intermediate={"tasks": ["mnli"], "max_length": 1})
    assert arm_seeds(found) == ()
    assert search_alone(found) is found


def test_arms_alone_need_nothing_else():
    found = study()
    assert found.intermediate.tasks == ("squad2", "mnli", "tydiqa@ar,fi#50", "tydiqa@fi")
    assert found.intermediate.max_length == 2
    assert not found.search.baselines
    assert found.search.confirm.top == 0


def test_what_is_given_beside_arms_alone_holds():
    found = study(
        search={"num_trials": 0, "baselines": True, "confirm": {"top": 2}},
        intermediate={"tasks": ["qqp"], "max_length": 1},
    )
    assert found.search.baselines
    assert found.search.confirm.top == 2
    assert found.intermediate.tasks == ("qqp",)


def test_a_study_with_arms_is_read_back_from_what_is_written_of_it():
    found = study(arm_seeds=[1, 2])
    content = found.model_dump(mode="json", exclude_none=True)
    assert parse_study(yaml.safe_dump(content), "again") == found


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("tydiqa@ar,fi", Stream("tydiqa", ("ar", "fi"))),
        ("tydiqa@fi,ar", Stream("tydiqa", ("ar", "fi"))),
        ("tydiqa@uralic", Stream("tydiqa", ("fi",))),
        ("tydiqa@en", Stream("tydiqa")),
        ("mnli#100", Stream("mnli", (), 100)),
        ("tydiqa@ar#7", Stream("tydiqa", ("ar",), 7)),
    ],
)
def test_a_stream_is_written_out_where_a_name_is_wanted(name, stream):
    found = study({"one": [[name]]})
    mixture, overrides = resolve_stage(found.intermediate, found.catalogue(), Stage((name,)))
    assert mixture == Mixture((stream,))
    assert not overrides.model_dump(exclude_none=True)
    assert stream in study_streams(found)
    searched = study({}, search={}, intermediate={"tasks": [name, "qqp"], "max_length": 1})
    assert searched.space.tasks == (name, "qqp")


def test_every_stream_of_an_arm_is_prepared():
    streams = study_streams(study(intermediate={"tasks": ["qqp"], "max_length": 1}))
    assert [str(stream) for stream in streams] == [
        "qqp", "squad2", "mnli", "tydiqa@ar,fi#50", "tydiqa@fi", "tydiqa",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"a": [["mnl"]]}, "arms.a: unknown intermediate task 'mnl'. Did you mean 'mnli'?"),
        ({"a": ["mnli"]}, r"'mnli' is a name, where a sequence is a list of names: \[\[mnli\]\]"),
        ({"a": [["bucc2018"]]}, "arms.a: 'bucc2018' is no intermediate task; it is target"),
        ({"a": [["tydiqa@xx"]]}, "arms.a: tydiqa@xx: tydiqa: unknown language 'xx'"),
        ({"a": [["tydiqa@"]]}, "arms.a: 'tydiqa@' is no stream. Write task@languages#examples"),
        ({"a": [["mnli#many"]]}, "arms.a: 'mnli#many' is no stream"),
        ({"a": [["mnli#0"]]}, "arms.a: 'mnli#0' is no stream"),
        ({"a": [["bucc2018@de"]]}, "arms.a: bucc2018@de: 'bucc2018' has no training set"),
        ({"a": [["mnli", "mnli"]]}, "arms.a: sequence mnli>mnli: mnli occurs more than once"),
        ({"a": [[], ["mnli"]], "b": [[]]}, r"arms.b: the sequence \[\] is in arm 'a' already"),
        ({"a": [["mnli"], ["mnli"]]}, "arms.a: the sequence mnli is in arm 'a' already"),
        ({"a b": [[]]}, "arms: the name 'a b' should begin with a letter or digit"),
        ({"a": []}, "arms.a.sequences: the list should have at least 1 item"),
        ({"a": 3}, "arms.a: should be a mapping"),
    ],
)
def test_what_is_wrong_with_an_arm_is_said(arms, message):
    with pytest.raises(InputError, match=message):
        study(arms)


@pytest.mark.parametrize("given", [0, -1, [], [1, 1], [-2]])
def test_what_is_wrong_with_the_seeds_is_said(given):
    with pytest.raises(InputError, match="arm_seeds: should be a number of seeds, 1 or more"):
        study(arm_seeds=given)


def test_a_named_stage_may_not_look_like_a_stream():
    with pytest.raises(InputError, match="the name 'tydiqa@fi' may not be empty or hold"):
        study(intermediate={"stages": {"tydiqa@fi": {"task": "tydiqa", "languages": ["fi"]}}})


def test_an_unknown_name_is_told_with_the_names_of_stages():
    with pytest.raises(UnknownNameError, match="Did you mean 'native'"):
        study(
            {"a": [["nativ"]]},
            intermediate={"stages": {"native": {"task": "tydiqa", "languages": ["fi"]}}},
        )


def test_a_simulation_leaves_the_arms_out():
    found = study(search={"num_trials": 5}, intermediate={"tasks": ["qqp"], "max_length": 1})
    assert search_alone(found).arms == {}
    with pytest.raises(InputError, match="nothing to simulate"):
        search_alone(study())


def test_a_simulation_is_of_the_first_model():
    models = {"a": {"name": "mini"}, "b": {"name": "scratch"}}
    found = study(
        {},
        model=None,
        models=models,
        search={},
        intermediate={"tasks": ["mnli"], "max_length": 1},
    )
    assert search_alone(found).models == {}
    assert search_alone(found).model.name == "mini"
