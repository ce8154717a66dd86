"""What is damaged or foreign is set aside, with the reason beside it, and never used.

quarantine/<kind>/<key>-<nonce>/reason.json, meta.json, data-...
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from trainables.storage.entries import META, Kind, folder_name, is_data_name, meta_name
from trainables.storage.files import Files

QUARANTINE = "quarantine"
REASON = "reason.json"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry that was set aside.

    Attributes:
        kind: Its kind.
        key: Its key.
        reason: What is wrong with it.
        where: Folder it was moved to.
        at: When, ISO 8601.
    """

    kind: Kind
    key: str
    reason: str
    where: str
    at: str

    def to_json(self) -> dict[str, str]:
        """Return JSON-able data."""
        return asdict(self)


def set_aside(
    files: Files, kind: Kind, key: str, meta: bytes, data: str | None, reason: str
) -> Quarantined | None:
    """Move an entry's metadata and data out of the way, the metadata first.

    Killed on the way, the entry is either still there and found damaged again, or gone; data
    without metadata is nobody's entry and is swept later.

    Args:
        files: The store's files.
        kind: Kind of the entry.
        key: Its key.
        meta: Its metadata as it was read.
        data: File name of its data, if that is known.
        reason: What is wrong.

    Returns:
        What was set aside; ``None`` if somebody did so before, or wrote the entry anew: then the
        new one is left alone.
    """
    folder = f"{QUARANTINE}/{kind}/{key}-{uuid.uuid4().hex[:8]}"
    name = meta_name(kind, key)
    with contextlib.suppress(FileNotFoundError):
        if files.read(name) != meta:
            return None
        done = Quarantined(
            kind,
            key,
            reason,
            files.where(folder),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        files.write(f"{folder}/{REASON}", json.dumps(asdict(done), indent=1).encode())
        if files.move(name, f"{folder}/{META}"):
            if data is not None and is_data_name(data):
                files.move(f"{folder_name(kind, key)}/{data}", f"{folder}/{data}")
            files.prune(folder_name(kind, key))
            return done
        files.remove(f"{folder}/{REASON}")
        files.prune(folder)
    return None
