from __future__ import annotations

import os

import pytest
import torch.multiprocessing

from tests.trainables import tiny
from tests.trainables.loops import Stage
from trainables.engine import init_process
from trainables.lost_workers import WorkerLostError, telling_of_lost_workers
from trainables.meeting import meeting_port

pytestmark = [pytest.mark.slow, *tiny.DEEPSPEED_WARNINGS]


def work(rank, model, meeting, results, is_over, fate):
    torch.set_num_threads(1)
    init_process(rank, 2, meeting, timeout_s=3 if fate == "hangs" else 600)
    stage = Stage(model, ("token_classification",), rank=rank, world_size=2)
    engine = stage.engine()
    stage.run(engine, 1)
    if rank == 1:
        if fate == "hangs":
            is_over.wait(100)
        # At once, as a worker dies: in the finalisers its own threads might abort the process.
        os._exit(0)
    try:
        with telling_of_lost_workers(rank, 2):
            stage.run(engine, 4)
    except WorkerLostError as error:
        results.put(str(error))
    finally:
        is_over.set()
    # Gloo may abort in the finalisers of a process whose group has lost a member.
    os._exit(0)


@pytest.mark.parametrize("fate", ["hangs", "ends"])
def test_a_worker_that_does_not_answer_is_told_by_the_one_that_waits(tiny_model, fate):
    context = torch.multiprocessing.get_context("spawn")
    results, is_over = context.SimpleQueue(), context.Event()
    torch.multiprocessing.spawn(
        work, args=(tiny_model, meeting_port("127.0.0.1"), results, is_over, fate), nprocs=2
    )
    message = results.get()
    assert "worker 0 of 2 waited for the others in vain" in message
    assert ("Timed out" in message) == (fate == "hangs")
