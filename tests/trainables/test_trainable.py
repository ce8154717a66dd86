from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest
import ray
from ray import tune

from spaces.errors import TrainingError
from spaces.sequences import Sequence
from tests.trainables import tiny
from trainables import trainable as trainables
from trainables.preparation import prepare
from trainables.session_config import SessionConfig
from trainables.store import StageStore
from trainables.trainable import SequenceTrainable, placement

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # Ray's own, about a setting it will change and about files it leaves open.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Ray on this machine, workers importing from this checkout."""
    ray.init(
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()


def resources(workers):
    return {"workers_per_trial": workers, "cpus_per_worker": 1, "gpus_per_worker": 0}


class Bench:
    """A trainable outside of Tune, with what it needs."""

    def __init__(self, model, data_root, folder, workers, **changes):
        study = tiny.study(model, **changes)
        preparation = prepare(study, data_root, folder)
        self.planner = preparation.planner
        self.store = StageStore(str(folder / "store"))
        session = SessionConfig(
            study, str(model), self.store.url, str(data_root), preparation.evaluation, "run-1"
        )
        kind = tune.with_parameters(
            SequenceTrainable, session=session.to_json(), resources=resources(workers)
        )
        self.trainable = kind(self.config())

    def config(self, sequence=("xnli",), seed=0, stages_done=0, rungs_done=0):
        plan = self.planner.plan(0, Sequence.of(*sequence), "panx", seed=seed)
        done = {"stages_done": stages_done, "rungs_done": rungs_done}
        return {"plan": plan.to_json(), **done}

    def step(self):
        result = self.trainable.step()
        return json.loads(result["event"]), result

    def pids(self):
        calls = [
            worker.__ray_call__.remote(lambda _: os.getpid()) for worker in self.trainable._workers
        ]
        return ray.get(calls)


@pytest.fixture
def bench(tiny_model, data_root, tmp_path):
    """Return a function that makes a ``Bench``; its workers are ended."""
    made = []

    def make(workers=1, **changes):
        made.append(Bench(tiny_model, data_root, tmp_path, workers, **changes))
        return made[-1]

    yield make
    for one in made:
        one.trainable.cleanup()


@pytest.mark.parametrize("workers", [1, 2])
def test_trials_unit_by_unit_on_the_same_workers(bench, workers):
    made = bench(workers)
    stage, _ = made.step()
    assert (stage["kind"], stage["sequence"], stage["reused"]) == ("stage", "xnli", False)
    rungs = [made.step() for _ in range(3)]
    assert [event["rung"] for event, _ in rungs] == [0, 1, 2]
    assert rungs[0][1]["score"] == rungs[0][0]["score"]
    assert all(event["error"] == "" for event, _ in rungs)
    before = made.pids()
    assert len(set(before)) == workers
    assert made.trainable.reset_config(made.config(seed=0))
    event, _ = made.step()
    assert event["reused"]
    assert event["run"] == "run-1"
    again, _ = made.step()
    assert again["scores"] == rungs[0][0]["scores"]
    assert made.pids() == before
    checkpoint = made.trainable.save_checkpoint("")
    assert made.trainable.reset_config(made.config(stages_done=1))
    made.trainable.load_checkpoint(checkpoint)
    assert made.step()[0]["rung"] == 1


def test_what_cannot_be_mended_fails_the_trial_with_its_message(bench):
    made = bench(training={"stage": {"learning_rate": 1e30, "warmup_fraction": 0}})
    event, _ = made.step()
    assert event["kind"] == "failed"
    assert event["error"].startswith("TrainingError: the loss is NaN or infinite at step")
    # The same workers take the next trial.
    before = made.pids()
    made.trainable.reset_config(made.config(sequence=()))
    assert made.step()[0]["kind"] == "rung"
    assert made.pids() == before


def test_a_diverged_target_reports_nan_and_the_reason(bench):
    made = bench(training={"target": {"learning_rate": 1e30, "warmup_fraction": 0}})
    made.step()
    event, _ = made.step()
    assert event["kind"] == "rung"
    assert math.isnan(event["score"])
    assert "NaN or infinite" in event["error"]


class _Uneven:
    """Workers of which the first fails alone, or dies, and the second waits for it."""

    def __init__(self, rank, death):
        self.rank, self.death = rank, death

    def use(self, model):
        pass

    def train_stage(self, plan, base):
        if self.rank == 0:
            if self.death:
                os._exit(1)
            raise TrainingError("alone")
        time.sleep(600)


@pytest.mark.parametrize("death", [False, True])
def test_a_worker_that_fails_alone_leaves_nobody_waiting(bench, monkeypatch, death):
    monkeypatch.setattr(trainables, "GRACE_S", 1.0)
    made = bench(2)
    actor = ray.remote(num_cpus=0.1)(_Uneven)
    made.trainable._workers = [actor.remote(rank, death) for rank in range(2)]
    if death:
        with pytest.raises(ray.exceptions.RayActorError):
            made.trainable.step()
    else:
        event, _ = made.step()
        assert event == {"kind": "failed", "error": "TrainingError: alone", "set_aside": []}
    assert made.trainable._workers == []


def test_a_stage_that_turns_out_damaged_is_set_aside_and_rebuilt_before_the_target(bench):
    made = bench()
    stage, _ = made.step()
    entry = made.store.get("stages", stage["fingerprint"])
    path = Path(made.store.files.where(entry.data_name))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    lost, _ = made.step()
    assert lost["kind"] == "lost"
    assert lost["error"].startswith("EntryLostError: ")
    (told,) = lost["set_aside"]
    assert (told["kind"], told["key"]) == ("stages", stage["fingerprint"])
    rebuilt, _ = made.step()
    assert (rebuilt["kind"], rebuilt["fingerprint"]) == ("rebuilt", stage["fingerprint"])
    assert rebuilt["set_aside"] == []
    assert made.step()[0]["kind"] == "rung"


def test_placement_asks_for_gpus_only_if_told():
    assert placement(resources(2)).bundles == [{"CPU": 0.001}, {"CPU": 1}, {"CPU": 1}]
    with_gpu = placement({**resources(1), "gpus_per_worker": 1})
    assert with_gpu.bundles == [{"CPU": 0.001}, {"CPU": 1, "GPU": 1}]
