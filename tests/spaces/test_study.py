from __future__ import annotations

from typing import Any

import pytest
import yaml

from spaces.errors import InputError
from spaces.study import RESOLVED, load_study, parse_study, ready_made_studies

BASE: dict[str, Any] = {
    "name": "s",
    "model": {"name": "mini"},
    "intermediate": {"tasks": ["mnli", "qqp", "squad1"], "max_length": 2},
    "targets": ["xnli", "udpos"],
}


def parse(*overrides: str, **content: Any) -> Any:
    return parse_study(yaml.safe_dump({**BASE, **content}), "s.yaml", overrides)


def test_defaults_are_those_of_the_documentation():
    study = parse()
    assert study.objective == "per_target"
    assert study.select_on == "target_dev"
    assert study.search.asha.reduction_factor == 3
    assert study.search.baselines
    assert study.space.size == 1 + 3 + 6
    assert parse(search={"asha": None}).search.asha is None


@pytest.mark.parametrize("name", ready_made_studies())
def test_ready_made_studies_are_valid_and_bear_their_names(name):
    study = load_study(name)
    assert study.name == name
    assert study.description


def test_a_study_is_read_back_from_what_is_written_of_it():
    study = parse(
        "search.asha.rungs=[4, 12]",
        hyperparameters={"target.learning_rate": {"log_uniform": [1e-5, 1e-3]}},
        targets=[{"name": "xnli", "languages": ["de"]}],
    )
    content = {**study.model_dump(mode="json", exclude_none=True), RESOLVED: {"format": 1}}
    assert parse_study(yaml.safe_dump(content), "again") == study


def test_a_file_is_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(BASE), encoding="utf-8")
    assert load_study(str(path)).name == "s"
    assert load_study(str(path), ("search.num_trials=7",)).search.num_trials == 7


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("search.num_trials=5", ("search", "num_trials"), 5),
        ("search.max_concurrent=auto", ("search", "max_concurrent"), "auto"),
        ("search.asha=null", ("search", "asha"), None),
        ("training.stage.learning_rate=1e-4", ("training", "stage", "learning_rate"), 1e-4),
        ("intermediate.tasks=[mnli, qqp]", ("intermediate", "tasks"), ("mnli", "qqp")),
        ("deepspeed={zero_stage: 2}", ("deepspeed", "zero_stage"), 2),
        ("description=a = b", ("description",), "a = b"),
    ],
)
def test_overrides_reach_every_key(override, path, value):
    found = parse(override)
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_a_hyperparameter_is_overridden_under_its_whole_name():
    study = parse("hyperparameters.target.dropout={uniform: [0, 0.2]}")
    assert study.hyperparameters["target.dropout"].uniform == (0.0, 0.2)
    assert parse("hyperparameters.stage.batch_size=16").hyperparameters == {"stage.batch_size": 16}


BAD = {
    # unknown keys, with what was probably meant
    "serch.num_trials=5": ("serch: unknown key.", "Did you mean 'search'?"),
    "search.num_trails=5": ("search.num_trails: unknown key.", "'num_trials'"),
    "search.asha.eta=4": ("search.asha.eta: unknown key.", "reduction_factor"),
    "training.stage.lr=1": ("training.stage.lr: unknown key.", "learning_rate"),
    "deepspeed={zero_stag: 1}": ("deepspeed.zero_stag: unknown key.", "'zero_stage'"),
    "targets=[{nam: xnli}]": ("targets.0.nam: unknown key.", "Did you mean 'name'?"),
    "hyperparameters.target.dropout={unifrm: [0, 1]}": ("unknown key.", "'uniform'"),
    "hyperparameters.target.droput=0.1": ("'droput'", "Did you mean 'dropout'?"),
    "hyperparameters.dropout=0.1": ("'dropout' has no scope.", "target.dropout"),
    # wrong types and bounds, with the value
    "search.num_trials=many": ("search.num_trials: should be a valid integer", "(got 'many')"),
    "search.num_trials=-1": ("search.num_trials: should be greater", "(got -1)"),
    "search.max_concurrent=0": ("must be at least 1, or auto", "(got 0)"),
    "search.max_concurrent=some": ("should be a valid integer", "'auto' (got 'some')"),
    "search.asha.reduction_factor=1": ("greater than or equal to 2", "(got 1)"),
    "search.asha.rungs=[9, 3]": ("search.asha.rungs: budgets must rise", "(got [9, 3])"),
    "training.schedule=cosine": ("'linear' or 'constant'", "(got 'cosine')"),
    "training.dropout=1": ("training.dropout: should be less than 1", "(got 1)"),
    "objective=mean": ("'per_target' or 'average'", "(got 'mean')"),
    "model=mini": ("model: should be a mapping", "(got 'mini')"),
    "model={}": ("model.name: required, and missing",),
    "model.num_heads=3": ("hidden_size 128 is not a multiple of num_heads 3",),
    "targets=xnli": ("targets: should be a list", "(got 'xnli')"),
    "targets=[]": ("targets: the list should have at least 1 item", "(got [])"),
    "name=a b": ("name: 'a b' does not match", "letters, digits"),
    "seed=-1": ("seed: should be greater than or equal to 0", "(got -1)"),
    "deepspeed=[1]": ("deepspeed: should be a mapping or", "(got [1])"),
    "hyperparameters.target.dropout=[1]": ("target.dropout: should be a mapping or", "(got [1])"),
    "hyperparameters.target.dropout={uniform: [a, 1]}": ("uniform.0: should be", "(got 'a')"),
    "hyperparameters.target.dropout={uniform: [0, 3]}": ("should be less than 1", "(got 3.0)"),
    "hyperparameters.stage.batch_size={uniform: [1, 4]}": ("1.0 is not a whole", "int_uniform"),
    "hyperparameters.stage.batch_size=0": ("greater than or equal to 1", "(got 0)"),
    # names of tasks and languages, combinations
    "intermediate.tasks=[mnlli]": ("intermediate.tasks: unknown intermediate", "'mnli'"),
    "intermediate.tasks=[tatoeba]": ("'tatoeba' is no intermediate task; it is target.",),
    "intermediate.tasks=[mnli, mnli]": ("intermediate.tasks: 'mnli' is listed twice",),
    "training.learning_rate=.inf": ("training.learning_rate: should be a finite number",),
    "seed=99999999999": ("seed: 99999999999 is beyond 2147483647", "Give a smaller one"),
    "arm_seeds=[1, 99999999999]": ("arm_seeds: 99999999999 is beyond",),
    "storage.optuna=mine": ("storage.optuna: should be the URL", "(got 'mine')"),
    "intermediate.max_length=4": ("4 is not between 0 and the number of tasks, 3. Lower it",),
    "targets=[xnlii]": ("targets: unknown target task 'xnlii'.", "Did you mean 'xnli'?"),
    "targets=[xnli, xnli]": ("targets: 'xnli' is listed twice.",),
    "targets=[{name: xnli, languages: [dee]}]": ("targets.xnli.languages: unknown language", "de"),
    "search={num_trials: 0, baselines: false}": ("nothing to run", "Raise num_trials"),
    "deepspeed=ds.json": ("deepspeed: the file 'ds.json' does not exist.",),
    "task_folders=[no/such]": ("task_folders: 'no/such' is not a folder.",),
    # overrides that are none
    "search": ("--set 'search': write key=value", "for example"),
    "=5": ("--set '=5': write key=value",),
    "name.first=a": ("--set 'name.first=a': 'name' is not a section",),
    "seed=[1": ("--set 'seed=[1': the value is not YAML",),
}


@pytest.mark.parametrize("override", BAD)
def test_a_message_names_value_rule_and_remedy(override):
    with pytest.raises(InputError) as refused:
        parse(override)
    message = str(refused.value)
    for part in BAD[override]:
        assert part in message
    assert "\n" not in message
    # One clause for one fault: no other reading of the same value is told.
    assert message.count("(got") <= 1


def test_several_faults_are_told_together():
    with pytest.raises(InputError) as refused:
        parse("search.num_trials=x", "sed=1")
    assert "search.num_trials: " in str(refused.value)
    assert "sed: unknown key. Did you mean 'seed'?" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "s.yaml: not valid YAML: "),
        ("- a\n- b", "s.yaml: a study file holds a mapping (key: value), not a list."),
        ("", "s.yaml: a study file holds a mapping (key: value), not nothing."),
    ],
)
def test_what_is_no_mapping_is_refused(text, message):
    with pytest.raises(InputError) as refused:
        parse_study(text, "s.yaml")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tasks", "longest"), [(["mnli"], 1), (["mnli", "qqp", "squad1", "siqa"], 3)]
)
def test_the_longest_sequence_is_no_longer_than_its_tasks_unless_the_file_says_so(tasks, longest):
    assert parse(intermediate={"tasks": tasks}).space.max_length == longest


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_study(str(path))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mimi", "unknown study 'mimi'. Did you mean 'mini'?"),
        ("mine.yaml", "study file 'mine.yaml' does not exist. Give a YAML file or one of the"),
        ("studies/mine", "study file 'studies/mine' does not exist."),
    ],
)
def test_a_study_that_is_not_there_is_refused(reference, message):
    with pytest.raises(InputError) as refused:
        load_study(reference)
    assert message in str(refused.value)
