from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModel,
    BertConfig,
    RobertaConfig,
    XLMRobertaConfig,
    XLMRobertaXLConfig,
    masking_utils,
)

from tests.trainables import tiny
from trainables import attention
from trainables.attention import attend_efficient, attend_flash, attend_groups, probe
from trainables.batches import collate, global_batch, micro_batches
from trainables.formats import FORMATS
from trainables.models import _let_pack, build_model
from trainables.packing import pack, unpacked
from trainables.trainer import _checkpoint_activations

CPU = torch.device("cpu")
FORMS = (*tiny.TASKS, "retrieval")
#: In 32 bits, packed and padded sums differ in their order alone.
LOSS, GRADIENT = 1e-5, 1e-5
lengths = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(sizes=lengths)
def test_every_token_has_one_place(sizes):
    packing = pack(sizes)
    longest = max(sizes)
    expected = {row * longest + i for row, size in enumerate(sizes) for i in range(size)}
    assert set(packing.places.tolist()) == expected
    assert len(packing.places) == sum(sizes)
    assert packing.positions[0].tolist() == [i for size in sorted(sizes) for i in range(size)]
    assert packing.offsets.diff().tolist() == sorted(sizes)
    assert [(g.start, g.end) for g in packing.groups] == list(
        zip(
            [0, *(g.end for g in packing.groups[:-1])],
            [g.end for g in packing.groups],
            strict=True,
        )
    )
    assert packing.groups[-1].end == sum(sizes)


@given(sizes=lengths)
def test_unpacking_puts_every_token_back(sizes):
    packing = pack(sizes)
    padded = torch.arange(1.0, len(sizes) * max(sizes) + 1).view(len(sizes), -1, 1)
    packed = padded.flatten(0, 1)[packing.places]
    again = unpacked(packed, packing, len(sizes))
    there = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    assert torch.equal(again, padded * there.unsqueeze(-1))


@settings(deadline=None)
@given(sizes=lengths, seed=st.integers(0, 9))
def test_attention_is_that_of_each_row_alone(sizes, seed):
    torch.manual_seed(seed)
    packing = pack(sizes)
    parts = [torch.randn(sum(sizes), 2, 4) for _ in range(3)]
    found = attend_groups(*parts, packing)
    start = 0
    for size in sorted(sizes):
        query, key, value = (part[start : start + size].transpose(0, 1) for part in parts)
        weights = (query @ key.transpose(1, 2) / 2).softmax(-1)
        torch.testing.assert_close(
            found[start : start + size].transpose(0, 1), weights @ value, atol=1e-5, rtol=1e-5
        )
        start += size


class Calls(TorchDispatchMode):
    """Notes which kernels are called, and with what."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.made[func.name()] = args
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("kernel", "name", "dtype"),
    [
        (attend_flash, "flash", torch.bfloat16),
        (attend_efficient, "efficient", torch.bfloat16),
        (attend_efficient, "efficient", torch.float32),
    ],
)
def test_a_gpus_kernel_is_given_where_rows_end(kernel, name, dtype):
    packing = pack([5, 17, 9])
    # Without numbers, on the device that knows shapes and types alone.
    meta = torch.device("meta")
    parts = [torch.randn(31, 4, 16, dtype=dtype, device=meta, requires_grad=True) for _ in range(3)]
    with Calls() as calls:
        states = kernel(*parts, packing.to(meta), 0.1, None)
        states.float().sum().backward()
    assert (states.shape, states.dtype) == (parts[0].shape, dtype)
    assert all(part.grad.shape == part.shape for part in parts)
    arguments = calls.made[f"aten::_{name}_attention_forward"]
    ends = [part for part in arguments if isinstance(part, torch.Tensor)][3:]
    assert [(part.dtype, part.shape) for part in ends] == [(torch.int32, (4,))] * 2
    assert [part for part in arguments if type(part) is int].count(17) == 2
    assert f"aten::_{name}_attention_backward" in calls.made
    assert packing.offsets.tolist() == [0, 5, 14, 31]


#: All but masked language modelling, which looks which tokens are hidden.
@pytest.mark.parametrize("form", [form for form in FORMS if form != "masked_lm"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_pass_on_a_device_takes_nothing_of_the_hosts(tiny_model, monkeypatch, form, packed):
    """Forward and backward, in bf16, on the device that knows shapes, types and places alone."""
    if packed:
        monkeypatch.setattr(attention, "attend_groups", attend_flash)
    else:
        # It would look whether a mask hides anything.
        monkeypatch.setattr(masking_utils, "_ignore_bidirectional_mask_sdpa", lambda *_: False)
    features = tiny.features(form)
    batch = collate(features[:8], form, 1, CPU, labelled=True, packed=packed)
    assert ("packing" in batch) == packed
    model = build_model(str(tiny_model), {form: (form, 7)}, dropout=0.1, seed=1).train()
    meta = torch.device("meta")
    model.to(meta, torch.bfloat16)
    there = {key: value.to(meta) if hasattr(value, "to") else value for key, value in batch.items()}
    loss = model(task=form, **there)
    assert (loss.device, loss.dtype) == (meta, torch.float32)
    loss.backward()
    assert all(p.grad.device == meta for p in model.parameters())


def test_a_kernel_that_is_missing_or_wrong_is_found_out():
    def missing(*_):
        raise RuntimeError("no kernel image is available for execution on the device")

    def wrong(query, key, value, packing, dropout, scaling):
        return attend_groups(query, key, value, pack([31]), dropout, scaling)

    assert "no kernel image" in probe(missing, CPU, torch.float32, 2, 8)
    assert "its results are off" in probe(wrong, CPU, torch.float32, 2, 8)


SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 90,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
}


def test_a_missing_kernel_is_told_once_and_done_without(monkeypatch, caplog):
    def missing(*_):
        raise NotImplementedError("no kernel image for this device")

    monkeypatch.setattr(attention, "attend_flash", missing)
    attention.chosen_kernel.cache_clear()
    for _ in range(3):
        chosen = attention.chosen_kernel(CPU, torch.bfloat16, 2, 8)
        assert chosen is attention.attend_groups
    (record,) = caplog.records
    assert "no attention kernel for rows of any length on cpu" in record.getMessage()
    assert "no kernel image for this device; NotImplementedError: Could not" in record.getMessage()
    attention.chosen_kernel.cache_clear()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_kernel_is_tried_apart_from_the_pass_that_needs_it(
    tiny_model, monkeypatch, checkpointing
):
    """As on a GPU, where the first packed pass looks for the kernel."""
    kernels = []

    def look_first(*args):
        if not kernels:
            kernels.append(None)
            kernels[0] = attention.chosen_kernel(CPU, torch.bfloat16, 2, 8)
        return attend_groups(*args)

    attention.chosen_kernel.cache_clear()
    monkeypatch.setattr(attention, "attend_groups", look_first)
    monkeypatch.setattr(attention, "attend_flash", attend_groups)
    form = "token_classification"
    model = build_model(str(tiny_model), {form: (form, 7)}, dropout=0, seed=1).train()
    if checkpointing:
        _checkpoint_activations(model.encoder)
    batch = collate(tiny.features(form)[:8], form, 1, CPU, labelled=True, packed=True)
    model(task=form, **batch).backward()
    assert kernels == [attend_groups]
    assert all(p.grad is not None for p in model.parameters())
    attention.chosen_kernel.cache_clear()


def test_a_device_without_room_says_nothing_of_a_kernel(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(attention, "attend_flash", full)
    attention.chosen_kernel.cache_clear()
    with pytest.raises(torch.OutOfMemoryError):
        attention.chosen_kernel(CPU, torch.bfloat16, 2, 8)
    monkeypatch.setattr(attention, "attend_flash", attend_groups)
    assert attention.chosen_kernel(CPU, torch.bfloat16, 2, 8) is attend_groups
    attention.chosen_kernel.cache_clear()


@pytest.mark.parametrize(
    "config", [XLMRobertaConfig, XLMRobertaXLConfig, RobertaConfig, BertConfig]
)
def test_states_of_a_packed_batch_are_those_of_the_padded_one(config):
    torch.manual_seed(0)
    encoder = AutoModel.from_config(config(**SIZES), add_pooling_layer=False).eval()
    _let_pack(encoder)
    ids = torch.randint(3, 90, (4, 20))
    sizes = [20, 3, 11, 12]
    mask = (torch.arange(20) < torch.tensor(sizes)[:, None]).long()
    ids = torch.where(mask.bool(), ids, 1)
    packing = pack(sizes)
    padded = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    first = 0 if config is BertConfig else 2
    packed = encoder(
        input_ids=ids.flatten()[packing.places].unsqueeze(0),
        position_ids=packing.positions + first,
        packing=packing,
    ).last_hidden_state
    there = mask.unsqueeze(-1)
    torch.testing.assert_close(unpacked(packed[0], packing, 4), padded * there, atol=1e-5, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_loss_and_gradients_are_those_of_the_padded_batch(tiny_model, form):
    model = build_model(str(tiny_model), {form: (form, 7)}, dropout=0, seed=1).train()
    assert model.packs
    features = tiny.features(form)
    chosen = FORMATS[form].draw(features, list(range(8)), tiny.tokenizer(), 5)
    found = []
    for packed in (False, True):
        batch = collate(chosen, form, 1, CPU, labelled=True, packed=packed)
        assert ("packing" in batch) == packed
        model.zero_grad()
        loss = model(task=form, **batch) / sum(f.num_units for f in chosen)
        loss.backward()
        found.append((loss.item(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    (padded, padded_gradients), (packed, packed_gradients) = found
    assert packed == pytest.approx(padded, abs=LOSS)
    for name, gradient in padded_gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, atol=GRADIENT, rtol=0)


def test_rows_of_one_length_are_not_packed_on_a_cpu():
    features = [f for f in tiny.features("masked_lm") if len(f.rows[0]) == 5]
    drawn = FORMATS["masked_lm"].draw(features, [0, 0], tiny.tokenizer(), 1)
    assert "packing" not in collate(drawn, "masked_lm", 1, CPU, labelled=True, packed=True)


@pytest.mark.parametrize("form", FORMS)
def test_a_share_is_sorted_by_length_unless_its_loss_is_of_the_whole_pass(form):
    features = tiny.features(form)
    indices = global_batch(0, len(features), 8, 2)

    def lengths(micro):
        return [
            int(batch["attention_mask"].sum(1).max())
            for batch in micro_batches(
                features, indices, task=form, form=form, tokenizer=tiny.tokenizer(), device=CPU,
                rank=0, world_size=1, micro_batch_size=micro, seed=0,
            )
        ]  # fmt: skip

    if form == "retrieval":
        drawn = [features[i] for i in indices]
        assert lengths(1) == [max(map(len, feature.rows)) for feature in drawn]
    else:
        assert lengths(1) == sorted(lengths(1), reverse=True)
    assert max(lengths(2)) == max(lengths(8))
