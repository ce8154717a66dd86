"""How far training is, from a worker to the driver."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pytest
import ray

from spaces.reports import StepProgress
from spaces.sequences import Sequence
from tests.trainables import tiny
from trainables.preparation import prepare
from trainables.progress_board import FORGET_S, NAME, Board, BoardReader, Notice
from trainables.session_config import SessionConfig
from trainables.worker import TrainingWorker


def at(step):
    return StepProgress("xnli", step, 9, 1.0, 100.0, 2.0)


def test_a_board_has_the_last_word_of_each_worker():
    now = [100.0]
    board = Board(lambda: now[0])
    board.put("a", at(1))
    now[0] += 2
    board.put("b", at(5))
    board.put("a", at(2))
    now[0] += 3
    assert board.read() == [Notice(at(2), 3.0), Notice(at(5), 3.0)]
    board.drop("a")
    board.drop("unknown")
    assert board.read() == [Notice(at(5), 3.0)]
    now[0] += FORGET_S
    assert board.read() == []


class Recorder(Board):
    """A board that remembers everything."""

    def __init__(self):
        super().__init__()
        self.told = []

    def put(self, worker, progress):
        self.told.append(progress)
        super().put(worker, progress)

    def all(self):
        return self.told


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_worker_trains_reaches_the_driver(tiny_model, data_root, tmp_path):
    study = tiny.study(tiny_model)
    preparation = prepare(study, data_root, tmp_path)
    plan = preparation.planner.plan(0, Sequence.of("xnli"), "panx", seed=0)
    session = SessionConfig(
        study, str(tiny_model), str(tmp_path / "store"), str(data_root), preparation.evaluation
    )
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}},
    )
    try:
        worker = ray.remote(num_cpus=1)(TrainingWorker).remote(session.to_json(), 0, 1)
        ray.get(worker.connect.remote())
        # Without a board nothing is sent, and nothing fails.
        ray.get(worker.train_stage.remote(asdict(plan.stages[0]), plan.base))
        board = ray.remote(num_cpus=0)(Recorder).options(name=NAME).remote()
        ray.get(board.all.remote())  # Its name is known once it has answered.
        ray.get(worker.run_rung.remote(plan.to_json(), 0))
        told = ray.get(board.all.remote())
        assert [(p.what, p.steps) for p in told] == [("panx", 2)] * len(told)
        assert (told[0].step, told[-1].step) == (1, 2)
        assert all(p.loss > 0 and p.tokens_per_s > 0 for p in told)
        # The worker has taken itself off; another one's last word is read without waiting.
        reader = BoardReader()
        ray.get(board.put.remote("other", at(3)))
        assert reader() == []
        until = time.monotonic() + 60
        while not (notices := reader()) and time.monotonic() < until:
            pass
        assert [notice.progress for notice in notices] == [at(3)]
    finally:
        ray.shutdown()
