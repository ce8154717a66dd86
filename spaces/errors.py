"""Error types of the project.

``TaskorderError`` is the base class of them all. ``InputError`` is what a user can put right:
the command line prints its message alone and exits with status 2. Everything else is a failure
of the run (status 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TaskorderError(Exception):
    """Base class of every error the project raises on purpose."""


class InputError(TaskorderError, ValueError):
    """The user's input is wrong; the message names the value, the rule and the remedy."""


class UnknownNameError(InputError):
    """A name that is in no registry; the message lists near matches.

    Args:
        kind: What the name should have been, for example ``"task"``.
        name: The name that was given.
        known: Every name that would have been accepted.
        where: Where it was given, for example ``"intermediate.tasks"``; may be empty.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.name = name
        place = f"{where}: " if where else ""
        super().__init__(f"{place}unknown {kind} {name!r}. {near_matches(name, known)}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str]]:
        """Pickle as a plain ``InputError``: the message is all a reader needs."""
        return InputError, (str(self),)


class DataError(InputError):
    """A data file that is missing, empty or malformed; the message gives file and line."""


class ResourcesError(InputError):
    """A trial needs more than this machine or cluster has."""


class TrainingError(TaskorderError):
    """Training failed in a way that repeating it will not mend (for example a NaN loss)."""


class StoreError(TaskorderError):
    """An entry of the stage store is corrupt, foreign or out of reach."""


class RunDirectoryError(InputError):
    """A run directory that is missing, in use, damaged or of another version."""


def near_matches(name: str, known: Iterable[str]) -> str:
    """Say which known names resemble ``name``, or list them all when none does.

    >>> near_matches("mnlli", ["mnli", "squad1"])
    "Did you mean 'mnli'?"
    >>> near_matches("zzz", ["mnli", "squad1"])
    'Known: mnli, squad1.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(match) for match in close) + "?"
    return "Known: " + ", ".join(names) + "." if names else "None is known."
