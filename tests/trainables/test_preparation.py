from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from spaces.errors import InputError
from spaces.sequences import Sequence
from spaces.study import ModelSection, Study
from tests.trainables import tiny
from trainables.preparation import check_model, free_gpus, prepare
from trainables.session_config import SessionConfig


def test_the_model_is_known_by_its_files(tiny_model, data_root, tmp_path):
    first = prepare(tiny.study(tiny_model), data_root, tmp_path)
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    assert prepare(tiny.study(copy), data_root, tmp_path).planner.base == first.planner.base
    (copy / "config.json").write_text(
        (copy / "config.json").read_text("utf-8").replace("gelu", "relu"), "utf-8"
    )
    assert prepare(tiny.study(copy), data_root, tmp_path).planner.base != first.planner.base


def test_pickled_weights_are_refused_before_anything_starts(tiny_model, data_root, tmp_path):
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"has no \*\.safetensors weights.*never loaded"):
        prepare(tiny.study(copy), data_root, tmp_path)


def test_inputs_longer_than_the_model_are_refused(data_root, tmp_path):
    short = tiny.make_model(tmp_path / "short", max_tokens=24)
    with pytest.raises(InputError, match=r"up to 32 subwords, .* positions for 24\. Set training"):
        prepare(tiny.study(short), data_root, tmp_path)
    fits = tiny.study(short, training={"max_length": 24})
    assert prepare(fits, data_root, tmp_path).model_path == str(short)


@pytest.mark.parametrize(
    ("name", "message"),
    [("/no/such/folder", "does not exist. Give a Hugging Face folder"), (".", "no config.json")],
)
def test_a_folder_that_is_no_model_is_refused(data_root, tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        prepare(tiny.study(name), data_root, tmp_path)


def test_epochs_are_counted_on_the_training_sets(tiny_model, data_root, tmp_path):
    training = {"max_steps": None, "epochs": 2, "max_train_examples": 30}
    study = tiny.study(tiny_model, training=training)
    planner = prepare(study, data_root, tmp_path).planner
    assert planner.data["xnli"].num_examples == 30
    assert planner.data["tatoeba"].num_examples == 0


def test_a_scratch_model_is_known_by_all_it_is_made_from(data_root, tmp_path):
    def base(root=data_root, **changes):
        scratch = {"name": "scratch", "hidden_size": 32}
        study = tiny.study("scratch", **{"model": scratch, **changes})
        return prepare(study, root, tmp_path).planner.base

    assert base() == base()
    assert base(seed=1) != base()
    assert base(training={"max_length": 20}) != base()
    assert base(intermediate={"tasks": ["xnli", "squad1"]}) != base()
    other = shutil.copytree(data_root, tmp_path / "data")
    lines = (other / "panx/dev-de.tsv").read_text("utf-8")
    (other / "panx/dev-de.tsv").write_text(lines.replace("anna", "bert"), "utf-8")
    assert base(other) != base()


def test_no_such_data_root(tiny_model, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        prepare(tiny.study(tiny_model), tmp_path / "none", tmp_path)


def test_gpus_are_counted_without_torch(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert free_gpus() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert free_gpus() == 0


@pytest.mark.parametrize("module", ["preparation", "progress", "session_config", "store"])
def test_planning_never_loads_torch(module):
    code = f"import sys, trainables.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def of_models(models: dict[str, Any]) -> Study:
    content = tiny.study("mini").model_dump(mode="json", exclude={"model"})
    return Study.model_validate({**content, "models": models})


def test_every_model_of_a_study_is_prepared(tiny_model, data_root, tmp_path):
    models = {
        "tiny": {"name": str(tiny_model)},
        "again": {"name": str(tiny_model), "training": {"learning_rate": 0.5}},
        "made": {"name": "scratch", "hidden_size": 32},
    }
    found = prepare(of_models(models), data_root, tmp_path)
    assert list(found.models) == ["tiny", "again", "made"]
    assert found.model_path == str(tiny_model)
    assert found.models["made"].path == str(tmp_path / "models" / "made")
    assert [model.is_missing for model in found.models.values()] == [False, False, True]
    plans = {
        label: found.planner.plan(0, Sequence.of("xnli"), "panx", seed=0, model=label)
        for label in models
    }
    assert len({plan.base for plan in plans.values()}) == 2  # Two labels of one model share it...
    assert len({plan.stages[0].fingerprint for plan in plans.values()}) == 3
    assert plans["again"].target_settings.learning_rate == 0.5  # ... but not its settings.
    assert found.planner.plan(0, Sequence.of("xnli"), "panx", seed=0).base == plans["tiny"].base

    shared = {"store_url": "s", "data_root": None, "evaluation": found.evaluation}
    config = SessionConfig.of_models(found.models, **shared)
    config = SessionConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert config.of_model("tiny").model_path == config.model_path == str(tiny_model)
    assert config.of_model("made").study.model.hidden_size == 32
    assert config.of_model("again").study.training.learning_rate == 0.5


def test_inputs_longer_than_one_of_the_models_are_refused(tiny_model, data_root, tmp_path):
    short = tiny.make_model(tmp_path / "short", max_tokens=24)
    models = {"tiny": {"name": str(tiny_model)}, "short": {"name": str(short)}}
    with pytest.raises(InputError, match="positions for 24"):
        prepare(of_models(models), data_root, tmp_path)


def test_what_is_wrong_with_one_of_the_models_is_told_by_its_key(tiny_model, data_root, tmp_path):
    (tmp_path / "empty").mkdir()
    models = {"tiny": {"name": str(tiny_model)}, "other": {"name": str(tmp_path / "empty")}}
    with pytest.raises(InputError, match=r"^models\.other\.name: .* has no config\.json"):
        prepare(of_models(models), data_root, tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no model: it has no config\.json"):
        check_model(ModelSection(name=str(tmp_path)))
    with pytest.raises(InputError, match="does not exist"):
        check_model(ModelSection(name=str(tmp_path / "none")))
    check_model(ModelSection(name="some/hub-id"))
    (tmp_path / "config.json").touch()
    check_model(ModelSection(name=str(tmp_path)))
