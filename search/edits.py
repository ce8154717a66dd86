"""What of a study may be edited between its launch and a resume, and what would change its meaning.

Budgets may grow, and what says only how the work is done may change. Anything else would make the
trials on record and those to come different things under one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spaces.errors import InputError

#: Keys that may grow: more trials, more confirmation.
MAY_GROW = ("search.num_trials", "search.confirm.top", "search.confirm.seeds")
#: Keys and sections that say how the work is done, not what is done.
MAY_CHANGE = (
    "description",
    "resources",
    "deepspeed",
    "storage",
    "search.max_concurrent",
    "search.max_failures",
    "training.micro_batch_size",
    "training.eval_batch_size",
    "training.activation_checkpointing",
    "training.torch_compile",
    "training.save_predictions",
)


def check_edits(launched: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Check that a study still means what it meant when it was launched.

    Args:
        launched: The study at its launch, as JSON-able data.
        now: The study as it is now.
        where: Its file, for messages.

    Raises:
        InputError: It does not; the message names every key, with its value then and now.
    """
    refused = []
    for key, before, after in _differences(launched, now):
        if _is_in(key, MAY_CHANGE):
            continue
        if key in MAY_GROW:
            if after < before:
                refused.append(f"{key}: was {before}, is {after}; it may only grow")
            continue
        refused.append(f"{key}: was {_shown(before)}, is {_shown(after)}")
    if refused:
        raise InputError(
            f"{where}: the study was edited since it was launched, and what was changed would give "
            "its trials another meaning:\n  "
            + "\n  ".join(refused)
            + "\nPut that back, or launch the edited study as a new run; with the same "
            "storage.stages it finds every stage that is still the same. While a run goes on, "
            f"{', '.join(MAY_GROW)} may grow, and {', '.join(MAY_CHANGE)} may change."
        )


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key that differs, with dots, and its two values."""
    for name in dict.fromkeys((*before, *after)):
        left, right = before.get(name), after.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _differences(left, right, f"{prefix}{name}.")
        elif left != right:
            yield f"{prefix}{name}", left, right


def _is_in(key: str, sections: tuple[str, ...]) -> bool:
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
