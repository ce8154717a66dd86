"""Stages that are not one whole task: what a study file says, and what is trained."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from spaces.errors import InputError, UnknownNameError
from spaces.planner import Planner, TaskData
from spaces.sequences import Sequence, Stage
from spaces.stage_names import resolve_stage
from spaces.stages import Mixture, Stream
from spaces.study import parse_study
from trainables.preparation import study_streams

STAGES: dict[str, Any] = {
    "multi": {"tasks": ["mnli", "qqp"], "sampling": {"temperature": 2, "cap": 500}},
    "even": {"tasks": ["mnli", "qqp"], "sampling": "uniform"},
    "with_text": {
        "tasks": ["mnli"],
        "mlm": {"tasks": [{"task": "bible", "languages": ["sw", "wo"]}], "share": 0.25},
    },
    "arabic_finnish": {"task": "tydiqa", "languages": ["fi", "ar"]},
    "little": {"task": "mnli", "max_examples": 40, "training": {"epochs": 2}},
    "short": {"tasks": ["mnli", "qqp"], "training": {"max_steps": 7, "learning_rate": 0.5}},
}


def study(stages: dict[str, Any] | None = None, tasks: list[str] | None = None, **content: Any):
    stages = STAGES if stages is None else stages
    tasks = tasks or [*stages, "squad1"]
    return parse_study(
        yaml.safe_dump(
            {
                "name": "s",
                "model": {"name": "mini"},
                "intermediate": {
                    "tasks": tasks,
                    "max_length": min(2, len(tasks)),
                    "stages": stages,
                },
                "targets": ["xnli", "xcopa"],
                "training": {"batch_size": 10},
                **content,
            }
        ),
        "s.yaml",
    )


def mixture(name: str) -> Mixture:
    found = study()
    return resolve_stage(found.intermediate, found.catalogue(), Stage(tuple(name.split("+"))))[0]


def planner(num_examples: int = 100, **content: Any) -> Planner:
    found = study(**content)
    data = {
        str(stream): TaskData(min(num_examples, stream.max_examples or num_examples), str(stream))
        for stream in study_streams(found)
    }
    return Planner(found, found.catalogue(), data, "base")


def stage(text: str, **content: Any):
    return planner(**content).stages(Sequence.parse(text), seed=0)[-1]


def test_what_names_stand_for():
    assert mixture("squad1") == Mixture.of("squad1")
    assert mixture("multi") == Mixture((Stream("mnli"), Stream("qqp")), temperature=2, cap=500)
    assert mixture("even").temperature is None
    assert mixture("with_text") == Mixture(
        (Stream("mnli"),), mlm=(Stream("bible", ("sw", "wo")),), mlm_share=0.25
    )
    # The order of languages is the task's, so that it makes no other stage.
    assert mixture("arabic_finnish") == Mixture((Stream("tydiqa", ("ar", "fi")),))
    assert mixture("little") == Mixture((Stream("mnli", max_examples=40),))
    joined = mixture("multi+arabic_finnish+little")
    assert [str(stream) for stream in joined.streams] == ["mnli", "qqp", "tydiqa@ar,fi"]


def test_a_tasks_own_language_is_the_task():
    stages = {"english": {"task": "tydiqa", "languages": ["en"]}}
    found = study(stages)
    stage, _ = resolve_stage(found.intermediate, found.catalogue(), Stage(("english",)))
    assert stage == Mixture.of("tydiqa")


def test_the_streams_of_a_study():
    streams = [str(stream) for stream in study_streams(study())]
    assert streams == [
        "mnli",
        "qqp",
        "bible@sw,wo",
        "tydiqa@ar,fi",
        "mnli#40",
        "squad1",
        "siqa",  # XCOPA's chain
        "xnli",
        "xcopa",
    ]


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        # 5 epochs of 100 MNLI examples and 3 of 100 QQP ones (as published), in tens.
        ("multi", 80),
        # MNLI's 50 steps are three quarters.
        ("with_text", 67),
        ("arabic_finnish", 30),
        # 2 epochs of 40.
        ("little", 8),
        ("short", 7),
    ],
)
def test_steps_by_epochs(name, steps):
    published = {"mnli": 5, "qqp": 3, "tydiqa": 3}
    catalogue = study().catalogue()
    assert {name: catalogue[name].epochs for name in published} == published
    assert stage(name).settings.steps == steps


def test_an_epoch_of_a_capped_task_is_the_cap():
    assert stage("multi", num_examples=2000).settings.steps == 400


def test_steps_by_budget():
    training = {"batch_size": 10, "max_steps": 30}
    steps = {
        name: stage(name, training=training).settings.steps
        for name in ("squad1", "multi", "with_text", "little", "short")
    }
    # A stage's own epochs and steps win over the study's.
    assert steps == {"squad1": 30, "multi": 60, "with_text": 40, "little": 8, "short": 7}


def test_a_stages_own_settings_win():
    given = {"stage.learning_rate": 0.1}
    assert stage("squad1", hyperparameters=given).settings.learning_rate == 0.1
    assert stage("short", hyperparameters=given).settings.learning_rate == 0.5


def test_identity_is_content_not_name():
    twins = {"one": STAGES["multi"], "two": STAGES["multi"], "even": STAGES["even"]}
    found = {
        name: stage(name, stages=twins, tasks=["one", "two", "even"]).fingerprint for name in twins
    }
    assert found["one"] == found["two"] != found["even"]
    plain = {"whole": {"tasks": ["mnli"], "sampling": {"temperature": 3}}}
    names = {"stages": plain, "tasks": ["whole", "mnli"]}
    assert stage("whole", **names).fingerprint == stage("mnli", **names).fingerprint


def test_every_part_of_a_stage_is_part_of_its_identity():
    def identity(**changes):
        spec = {**STAGES["with_text"], **changes}
        return stage("s1", stages={"s1": spec}, tasks=["s1"]).fingerprint

    text = STAGES["with_text"]["mlm"]
    variants = [
        identity(),
        identity(mlm=None),
        identity(mlm={**text, "share": 0.3}),
        identity(mlm={**text, "tasks": [{"task": "bible", "languages": ["sw"]}]}),
        identity(tasks=[{"task": "mnli", "max_examples": 50}]),
        identity(tasks=["mnli", "qqp"]),
        identity(tasks=["mnli", "qqp"], sampling={"cap": 5}),
        identity(training={"dropout": 0.3}),
    ]
    assert len(set(variants)) == len(variants)


def test_a_targets_chain_stands_behind_the_sequence():
    using = planner(tasks=["siqa", "squad1"], stages={})
    empty = using.plan(0, Sequence(), "xcopa", seed=0)
    assert [stage.sequence for stage in empty.stages] == ["siqa"]
    assert empty.sequence == ""
    chained = using.plan(0, Sequence.of("squad1"), "xcopa", seed=0)
    assert [stage.sequence for stage in chained.stages] == ["squad1", "squad1>siqa"]
    # It is the very stage that the search would train, and is not trained twice in a sequence.
    searched = using.plan(0, Sequence.of("squad1", "siqa"), "xnli", seed=0)
    assert searched.stages == chained.stages
    held = using.plan(0, Sequence.of("siqa", "squad1"), "xcopa", seed=0)
    assert [stage.sequence for stage in held.stages] == ["siqa", "siqa>squad1"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"mnli": {"task": "qqp"}}, "'mnli' is a task of the catalogue"),
        ({"a>b": {"task": "qqp"}}, "may not be empty or hold"),
        ({"s1": {"task": "mnlo"}}, "intermediate.stages.s1.tasks.*'mnlo'.*mnli"),
        ({"s1": {"task": "tatoeba"}}, "'tatoeba' has no training set"),
        ({"s1": {"task": "tydiqa", "languages": ["xx"]}}, "'xx'"),
        ({"s1": {"tasks": ["mnli"], "mlm": {"tasks": ["qqp"]}}}, "'qqp' is not raw text"),
        ({"s1": {"tasks": ["mnli", "mnli"]}}, "draws twice from mnli"),
        ({"s1": {"tasks": []}}, "s1.tasks"),
        ({"s1": {"tasks": ["mnli"], "sampling": "often"}}, "proportional, uniform"),
        ({"s1": {"tasks": ["mnli"], "mlm": {"tasks": ["bible"], "share": 1.0}}}, "share"),
        ({"s1": {"task": "mnli", "max_examples": 0}}, "max_examples"),
        ({"s1": {"taks": ["mnli"]}}, "taks"),
    ],
)
def test_bad_stages(stages, message):
    with pytest.raises(InputError, match=message):
        study(stages)


def test_an_unknown_name_finds_the_studys_own_stages_too():
    with pytest.raises(UnknownNameError, match=r"with_text"):
        study(tasks=["with_txt"])
