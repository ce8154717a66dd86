"""What a worker says of a model that is wrong."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import ray

from spaces.errors import InputError
from spaces.sequences import Sequence
from spaces.study import Study
from tests.trainables import tiny
from trainables.preparation import prepare
from trainables.session_config import SessionConfig
from trainables.worker import TrainingWorker

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]


@pytest.fixture
def worker_of(tiny_model, data_root, tmp_path, monkeypatch):
    """Return a function that makes a worker of two models, the second one elsewhere."""
    seen = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": []})
    monkeypatch.setattr(ray, "get_runtime_context", lambda: seen)
    # Put back what a worker sets for its process.
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "")

    def made(second):
        models = {"first": {"name": str(tiny_model)}, "second": {"name": str(tiny_model)}}
        sections = tiny.study(tiny_model).model_dump(mode="json", exclude_unset=True)
        del sections["model"]
        study = Study.model_validate({**sections, "models": models})
        preparation = prepare(study, data_root, tmp_path)
        shared = {"store_url": str(tmp_path / "store"), "data_root": str(data_root)}
        config = SessionConfig.of_models(
            preparation.models, evaluation=preparation.evaluation, **shared
        ).to_json()
        config["others"]["second"]["model_path"] = str(second)
        return TrainingWorker(config, 0, 1), preparation.planner

    return made


def test_a_model_that_is_wrong_is_named_as_in_the_study(worker_of, tmp_path):
    worker, _ = worker_of(tmp_path / "gone")
    with pytest.raises(InputError, match=r"^models\.second\.name: cannot load"):
        worker.use("second")
    worker.use("first")


def test_so_it_is_when_a_stage_is_trained(worker_of, tmp_path, tiny_model):
    folder = tmp_path / "half"
    folder.mkdir()
    for path in tiny_model.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    worker, planner = worker_of(folder)
    worker.use("second")
    plan = planner.plan(0, Sequence.of("xnli"), "panx", seed=0, model="second")
    with pytest.raises(InputError, match=r"^models\.second\.name: cannot load"):
        worker.train_stage(asdict(plan.stages[0]), plan.base)
