from __future__ import annotations

import hashlib
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from trainables.storage import payload
from trainables.storage.entries import DamagedError

DTYPES = [getattr(torch, name) for name in payload._DTYPES.values()]
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    st.tuples(
        st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 99)
    ).map(lambda made: torch.full(made[1], made[2]).to(made[0])),
    max_size=6,
)


def read(content):
    return payload.read(bytearray(content))


@given(TENSORS)
def test_what_the_library_writes_is_read(tensors):
    found = read(save(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@settings(deadline=None)  # a disk may be slow
@given(TENSORS)
def test_a_written_file_is_the_library_s(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("payload") / "data"
    size_bytes, sha256 = payload.write(tensors, path)
    content = path.read_bytes()
    assert (size_bytes, sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert content == save(tensors)
    assert payload.num_bytes(tensors) <= size_bytes


def test_tensors_can_be_written_to():
    found = read(save({"x": torch.zeros(3)}))
    found["x"] += 1
    assert found["x"].tolist() == [1, 1, 1]


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(1,), begin=0, end=4):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        (2**63).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        payload.MAX_HEADER_BYTES.__add__(1).to_bytes(8, "little") + b"{}",
        file_of(b"\x80\x04\x95pickle"),
        file_of(b"[" * 50_000),
        file_of([]),
        file_of({}, b"more"),
        file_of({"x": []}),
        file_of({"x": tensor()}),
        file_of({"x": tensor()}, b"12345"),
        file_of({"x": tensor(dtype="F31")}, b"1234"),
        file_of({"x": tensor(dtype=["F32"])}, b"1234"),
        file_of({"x": tensor(shape=(2,))}, b"1234"),
        file_of({"x": tensor(shape=(-1, -1))}, b"1234"),
        file_of({"x": tensor(shape=("1",))}, b"1234"),
        file_of({"x": tensor(shape=(True,))}, b"1234"),
        file_of({"x": tensor(shape=(2**70, 0), end=0)}),
        file_of({"x": {**tensor(), "shape": 1}}, b"1234"),
        file_of({"x": tensor(begin=4, end=8)}, b"12345678"),
        file_of({"b": tensor("U8", end=1), "x": tensor(begin=1, end=5)}, b"12345"),
        file_of({"x": tensor(), "y": tensor(begin=2, end=6)}, b"123456"),
        file_of({"x": tensor(begin=4, end=0)}, b"1234"),
        file_of({"x": tensor(begin=0.0)}, b"1234"),
    ],
)
def test_what_is_no_safetensors_file_is_damage_whatever_its_checksum(content):
    with pytest.raises(DamagedError):
        read(content)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_load_or_be_refused(content):
    for whole in (content, file_of(content), file_of({"x": tensor()}, content)):
        try:
            read(whole)
        except DamagedError:
            continue
