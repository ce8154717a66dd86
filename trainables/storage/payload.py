"""Tensors to a safetensors file and back, with a checksum. Nothing is unpickled.

Writing is the library's. Reading is done here: the library's reader of a file maps it, and a map
of a file that another machine removes from a network filesystem kills the process; its reader of
bytes copies them once more, and these are gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainables.storage.entries import DamagedError, Entry
from trainables.storage.files import Files

#: The format's own limit on the header, in bytes; it stands against a forged length.
MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}

#: A tensor's dtype, shape, and where it begins and ends behind the header.
Place = tuple[str, list[int], int, int]


def write(tensors: Mapping[str, Any], path: Path) -> tuple[int, str]:
    """Write tensors to a local file, durably.

    Args:
        tensors: Tensors by name, contiguous and on the CPU.
        path: The file.

    Returns:
        Its size in bytes and its SHA-256.

    Raises:
        OSError: The disk is full, for example.
        ValueError: A tensor's dtype is one that ``read`` does not know.
    """
    for name, tensor in tensors.items():
        if str(tensor.dtype).removeprefix("torch.") not in _DTYPES.values():
            raise ValueError(f"tensor {name!r}: the store keeps no {tensor.dtype}")
    from safetensors import SafetensorError  # noqa: PLC0415  (keeps torch out of the driver)
    from safetensors.torch import save_file  # noqa: PLC0415

    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        # The library tells the operating system's errors in words.
        if found := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(found[1]), str(error)) from error
        raise
    with path.open("rb") as file, ThreadPoolExecutor(1) as worker:
        # The disk and the checksum take about as long; they do not wait for each other.
        synced = worker.submit(os.fsync, file.fileno())
        digest = hashlib.file_digest(file, "sha256")
        synced.result()
    return path.stat().st_size, digest.hexdigest()


def num_bytes(tensors: Mapping[str, Any]) -> int:
    """Return what tensors take, the header apart."""
    return sum(tensor.nbytes for tensor in tensors.values())


def load(files: Files, entry: Entry) -> dict[str, Any]:
    """Read an entry's tensors, its checksum verified.

    Raises:
        DamagedError: The data is not what was written.
        FileNotFoundError: There is none.
    """
    digest = hashlib.sha256()
    content = files.read_data(entry.data_name, entry.size_bytes, digest)
    if digest.hexdigest() != entry.sha256:
        raise DamagedError("the data does not match its checksum")
    return read(content)


def read(payload: bytearray) -> dict[str, Any]:
    """Return the tensors of a safetensors file; they share its memory.

    Args:
        payload: The file.

    Raises:
        DamagedError: It is no safetensors file.
    """
    import torch  # noqa: PLC0415  (keeps torch out of the driver)

    if sys.byteorder != "little":
        raise NotImplementedError("safetensors are little-endian")
    tensors = {}
    header, start = _header(payload)
    for name, (dtype_name, shape, begin, end) in header.items():
        dtype = getattr(torch, _DTYPES[dtype_name])
        count = math.prod(shape)
        if count * dtype.itemsize != end - begin or (start + begin) % dtype.itemsize:
            raise DamagedError(
                f"tensor {name!r}: {dtype_name} {shape} in {end - begin} bytes at {begin}"
            )
        tensors[name] = (
            torch.frombuffer(payload, dtype=dtype, count=count, offset=start + begin)
            if count
            else torch.empty(0, dtype=dtype)
        ).reshape(shape)
    return tensors


def _header(payload: bytearray) -> tuple[dict[str, Place], int]:
    """Return each tensor's dtype, shape and place, and where the first begins.

    Raises:
        DamagedError: The header is not one, or leaves gaps, overlaps or more than there is.
    """
    length = int.from_bytes(payload[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if len(payload) < _LENGTH_BYTES or length > MAX_HEADER_BYTES or start > len(payload):
        raise DamagedError(f"a header of {length} bytes in a file of {len(payload)}")
    try:
        content = json.loads(payload[_LENGTH_BYTES:start])
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"the header is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DamagedError("the header is not a JSON object")
    places = {n: _place(n, info) for n, info in content.items() if n != "__metadata__"}
    at = 0
    for name, (_, _, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != at or end < begin:
            raise DamagedError(f"tensor {name!r} begins at {begin}, not at {at}")
        at = end
    if start + at != len(payload):
        raise DamagedError(f"tensors of {at} bytes in a file of {len(payload) - start}")
    return places, start


def _place(name: str, info: Any) -> Place:
    """Check what the header says of one tensor."""
    match info:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            sizes = [*shape, begin, end]
            if dtype in _DTYPES and all(type(n) is int and 0 <= n < 2**63 for n in sizes):
                return dtype, shape, begin, end
    raise DamagedError(f"tensor {name!r}: {info}")
