from __future__ import annotations

import torch

from tests.trainables import tiny
from trainables import optimizers

pytestmark = [*tiny.DEEPSPEED_WARNINGS]


def test_what_a_builder_misses_in_its_own_way_is_done_without(monkeypatch, caplog):
    class MissingCompilerError(Exception):
        """As DeepSpeed's, where torch has CUDA and the machine has no compiler for it."""

    def missing(*_):
        raise MissingCompilerError("CUDA_HOME does not exist")

    monkeypatch.setattr("deepspeed.ops.adam.DeepSpeedCPUAdam", missing)
    optimizers._host_kernel.cache_clear()
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = optimizers.adamw([{"params": [weight]}], 0.1, offloaded=True)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert "CUDA_HOME does not exist" in caplog.text
    optimizers._host_kernel.cache_clear()


def test_without_a_compiler_an_offloaded_optimizer_is_torchs(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/false")
    optimizers._host_kernel.cache_clear()
    for _ in range(2):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = optimizers.adamw([{"params": [weight]}], 0.1, offloaded=True)
        assert isinstance(optimizer, torch.optim.AdamW)
        weight.sum().backward()
        optimizer.step()
        # The first update of Adam is of the size of the rate, after a decay of a hundredth of it.
        torch.testing.assert_close(weight.detach(), torch.full((3,), 1 - 0.1 * 0.01 - 0.1))
    assert caplog.text.count("cannot be compiled here") == 1
    optimizers._host_kernel.cache_clear()
