"""YAML that a user wrote: study files and task files hold a mapping each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from spaces.errors import InputError


def read_text(path: Path, what: str) -> str:
    """Return the text of a user's file.

    Args:
        path: The file.
        what: What it is, for messages: ``study file``.

    Raises:
        InputError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text, at byte {error.start}"
    raise InputError(f"{what} {str(path)!r} cannot be read: {reason}. Give a YAML file.")


def parse_mapping(text: str, origin: str, what: str) -> dict[str, Any]:
    """Read YAML that has to hold a mapping.

    Args:
        text: The YAML.
        origin: Where it came from, for messages.
        what: What it is, for messages: ``study file``.

    Raises:
        InputError: Not YAML, or something else than a mapping.
    """
    raw = parse_value(text, f"{origin}: not valid YAML")
    if not isinstance(raw, dict):
        held = "nothing" if raw is None else "a list" if isinstance(raw, list) else f"{raw!r:.40}"
        raise InputError(f"{origin}: a {what} holds a mapping (key: value), not {held}.")
    return raw


def parse_value(text: str, wrong: str) -> Any:
    """Read any YAML value.

    Args:
        text: The YAML.
        wrong: Begins the message where it is none.

    Raises:
        InputError: Not YAML.
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        # A date that is none, 2026-13-01, is a ValueError.
        raise InputError(f"{wrong}: {' '.join(str(error).split())}") from None
