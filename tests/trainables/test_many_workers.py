"""Evaluation by one, two and three workers: the same outputs, each example's once."""

from __future__ import annotations

import pytest

from tests.trainables import many_workers, tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("one_worker"),
    *tiny.DEEPSPEED_WARNINGS,
]


@pytest.fixture(scope="module")
def alone(tiny_model, data_root):
    """What one worker gets."""
    found = many_workers.evaluate(tiny_model, data_root, 0, 1)
    counts = {name: len(outputs) for name, outputs in found.items()}
    # 11 German and 7 French sentences, 9 questions in a window each, 13 pairs of two languages.
    assert {counts[f"panx/{zero}/{size}"] for zero in (0, 3) for size in (3, 4, 100)} == {18}
    assert all(output is not None for outputs in found.values() for output in outputs)
    return found


@pytest.mark.parametrize("world_size", [2, 3])
def test_no_example_is_dropped_or_doubled(alone, tiny_model, data_root, tmp_path, world_size):
    together = many_workers.run(tiny_model, data_root, tmp_path / "results", world_size)
    assert together.keys() == alone.keys()
    for name, outputs in alone.items():
        assert len(together[name]) == len(outputs)
        for theirs, ours in zip(together[name], outputs, strict=True):
            assert many_workers.flat(theirs) == pytest.approx(many_workers.flat(ours), abs=1e-5)
