"""Loggers that a study asks for get its trials' results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from search import loggers
from search.loggers import check_loggers, make_loggers, shown
from spaces.errors import InputError
from spaces.study import load_study

PLAN = {
    "trial_id": 3,
    "sequence": "mnli>squad1",
    "target": "panx",
    "seed": 0,
    "model": "",
    "stages": [{"settings": {"steps": 9}}],
    "target_settings": {"steps": 8, "learning_rate": 2e-5, "seed": 0},
}


class Trial(SimpleNamespace):
    """What Ray's loggers read of a trial."""

    def __str__(self):
        return "trial-00003-panx"

    def __hash__(self):
        return 3

    def init_local_path(self):
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


def trial(folder, stages_done):
    config = {"plan": PLAN, "stages_done": stages_done, "rungs_done": 0}
    return Trial(
        config=config, evaluated_params=config, local_path=str(folder), trial_id="3",
        path=str(folder), local_dir=str(folder), status="RUNNING",
        experiment_dir_name="orders",
    )  # fmt: skip


def result(step, score):
    return {"event": "{}", "score": score, "rung": 0, "training_iteration": step, "config": {}}


def names(callbacks):
    return [type(callback).__name__ for callback in callbacks]


def test_tensorboard_is_the_default_and_can_be_left_out():
    assert load_study("mini").report.loggers == ("tensorboard",)
    assert "TBXLoggerCallback" in names(make_loggers(["tensorboard"], "s"))
    assert "TBXLoggerCallback" not in names(make_loggers([], "s"))
    with pytest.raises(InputError, match=r"report\.loggers"):
        load_study("mini", ("report.loggers=[neptune]",))


def test_a_missing_package_is_told(monkeypatch):
    check_loggers(["tensorboard"])
    monkeypatch.setitem(loggers.PACKAGES, "wandb", "a_package_that_is_not_there")
    with pytest.raises(InputError, match=r"report.loggers: wandb needs the package a_package.*pip"):
        check_loggers(["tensorboard", "wandb"])


def test_what_is_shown_of_a_trial_stays_the_same(tmp_path):
    first, later = (shown(trial(tmp_path, done).config) for done in (0, 2))
    assert first == later
    assert first["target.learning_rate"] == 2e-5
    assert json.dumps(first)


def test_tensorboard_has_the_scores(tmp_path):
    (logger,) = (c for c in make_loggers(["tensorboard"], "s") if "TBX" in type(c).__name__)
    one = trial(tmp_path, 0)
    logger.log_trial_start(one)
    logger.log_trial_result(1, one, result(1, 61.5))
    logger.log_trial_end(one)
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"ray/tune/score" in events.read_bytes()


def test_tensorboard_does_not_load_torch_into_a_driver(tmp_path):
    code = (
        "import sys; from search.loggers import make_loggers;"
        "logger = make_loggers(['tensorboard'], 's')[-1];"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'torch'];"
        f"writer = logger._summary_writer_cls({str(tmp_path)!r});"
        "writer.add_scalar('ray/tune/score', 61.5, global_step=1); writer.close();"
        "import torch; torch.ones(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"ray/tune/score" in events.read_bytes()


def test_mlflow_has_parameters_and_scores_of_a_trial_that_was_paused(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the optional package mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    check_loggers(["mlflow"])
    (logger,) = (c for c in make_loggers(["mlflow"], "orders") if "Mlflow" in type(c).__name__)
    logger.setup()
    one = trial(tmp_path, 0)
    logger.log_trial_start(one)
    logger.log_trial_result(1, one, result(1, 61.5))
    one.config["stages_done"] = 2
    logger.log_trial_start(one)
    logger.log_trial_result(2, one, result(2, 63.0))
    logger.log_trial_end(one)
    client = mlflow.tracking.MlflowClient((tmp_path / "runs").as_uri())
    experiment = client.get_experiment_by_name("orders")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["sequence"] == "mnli>squad1"
    assert run.data.metrics["score"] == 63.0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wandb_writes_its_files_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the optional package wandb is not installed")
    import ray  # noqa: PLC0415

    for name, value in (
        ("WANDB_MODE", "offline"), ("WANDB_DIR", str(tmp_path)), ("WANDB_API_KEY", "0" * 40),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        (logger,) = (c for c in make_loggers(["wandb"], "orders") if "Wandb" in type(c).__name__)
        logger.setup()
        one = trial(tmp_path, 0)
        logger.log_trial_start(one)
        logger.log_trial_result(1, one, result(1, 61.5))
        logger.log_trial_end(one)
        logger.on_experiment_end([one])
        assert list(tmp_path.rglob("*.wandb"))
    finally:
        ray.shutdown()
