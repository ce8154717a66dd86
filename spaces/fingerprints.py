"""Identity by content: SHA-256 of canonical JSON.

Canonical JSON has sorted keys, no white space, no NaN and UTF-8 text, so equal values give equal
fingerprints in every process, on every machine, under every hash seed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: Bumped by hand whenever the same stage specification would train to other weights.
TRAINING_SEMANTICS_VERSION = 3


def canonical_json(value: Any) -> str:
    """Serialise a JSON value in its one canonical form.

    Raises:
        TypeError: A value JSON cannot carry, a set for instance.
        ValueError: NaN or infinity.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``value`` as 64 hexadecimal digits.

    >>> fingerprint({"a": 1})[:12]
    '015abd7f5cc5'
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
