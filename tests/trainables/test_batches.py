from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables import tiny
from trainables.batches import (
    collate,
    derived_seed,
    global_batch,
    micro_batches,
    mixture_schedule,
)
from trainables.formats.base import IGNORE


@given(size=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 3))
def test_each_epoch_sees_every_example_exactly_once(size, batch_size, seed):
    steps = 3 * size // batch_size + 1
    stream = [i for step in range(steps) for i in global_batch(seed, size, batch_size, step)]
    for epoch in range(len(stream) // size):
        assert sorted(stream[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_epochs_and_seeds_differ():
    stream = [global_batch(0, 50, 50, step) for step in range(3)]
    assert len({tuple(batch) for batch in [*stream, global_batch(1, 50, 50, 0)]}) == 4


@given(
    shares=st.lists(st.floats(0.01, 1000), min_size=1, max_size=6),
    steps=st.integers(1, 200),
    seed=st.integers(0, 3),
)
def test_mixture_shares_are_exact(shares, steps, seed):
    schedule = mixture_schedule(shares, seed, steps)
    assert len(schedule) == steps
    counts = Counter(schedule)
    for i, share in enumerate(shares):
        assert abs(counts[i] - steps * share / sum(shares)) < 1 + 1e-6


def test_a_share_that_is_a_whole_number_of_steps_gets_them():
    assert Counter(mixture_schedule((1 / 3, 1 / 3, 1 / 3), 0, 3)) == {0: 1, 1: 1, 2: 1}
    assert Counter(mixture_schedule((0.8, 0.2), 0, 10)) == {0: 8, 1: 2}


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("micro", [1, 2, 8])
def test_the_workers_share_the_global_batch(world_size, micro):
    form = "token_classification"
    features = tiny.features(form)
    indices = global_batch(0, len(features), 8, 3)
    rows, scales = [], set()
    for rank in range(world_size):
        for batch in micro_batches(
            features,
            indices,
            task=form,
            form=form,
            tokenizer=tiny.tokenizer(),
            device=torch.device("cpu"),
            rank=rank,
            world_size=world_size,
            micro_batch_size=micro,
            seed=0,
        ):
            scales.add(batch["scale"])
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
                rows.append(tuple(row[mask.bool()].tolist()))
    assert sorted(rows) == sorted(features[i].rows[0] for i in indices)
    assert scales == {world_size / sum(features[i].num_units for i in indices)}


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("micro", [1, 3, 8])
def test_what_is_drawn_does_not_depend_on_the_workers(world_size, micro):
    features = tiny.features("masked_lm")
    indices = global_batch(0, len(features), 8, 1)

    def parts(world_size, micro, seed=4):
        found = [
            (tuple(row), tuple(labels), batch["scale"] / world_size)
            for rank in range(world_size)
            for batch in micro_batches(
                features, indices, task="text", form="masked_lm", tokenizer=tiny.tokenizer(),
                device=torch.device("cpu"), rank=rank, world_size=world_size,
                micro_batch_size=micro, seed=seed,
            )
            for row, labels in zip(
                _unpadded(batch["input_ids"], batch), _unpadded(batch["labels"], batch), strict=True
            )
        ]  # fmt: skip
        return sorted(found)

    expected = parts(1, 8)
    assert parts(world_size, micro) == expected
    assert parts(world_size, micro, seed=5) != expected
    num_units = sum(label != IGNORE for _, labels, _ in expected for label in labels)
    assert {scale for *_, scale in expected} == {1 / num_units}


def _unpadded(tensor, batch):
    return [
        row[mask.bool()].tolist() for row, mask in zip(tensor, batch["attention_mask"], strict=True)
    ]


def test_collate_pads_to_the_longest_row():
    features = tiny.features("multiple_choice", 3)
    batch = collate(features, "multiple_choice", 1, torch.device("cpu"), labelled=True)
    rows = [row for f in features for row in f.rows]
    assert batch["input_ids"].shape == (len(rows), max(map(len, rows)))
    assert batch["attention_mask"].sum(1).tolist() == [len(row) for row in rows]
    assert (batch["input_ids"][batch["attention_mask"] == 0] == 1).all()


def test_another_process_has_the_same_seeds_and_a_session_needs_no_ray():
    code = (
        "import sys; sys.modules['ray'] = None; import trainables.session;"
        "from trainables.batches import derived_seed; print(derived_seed('a', 1, 'b'))"
    )
    environment = {"PYTHONHASHSEED": "1", "PATH": "", "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == str(derived_seed("a", 1, "b"))
