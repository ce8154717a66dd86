"""What a reader is: it turns the files of one split and language into records, one at a time.

A reader never guesses. What it cannot read raises ``DataError`` with the file, the place (a line,
1-based, or a path into the JSON document), what was found and what was expected. What it leaves
out, because the release is known to hold it, it counts by reason in ``ReadContext.skipped``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from spaces.errors import DataError, InputError, UnknownNameError, near_matches
from spaces.tasks import Split
from trainables.records import Record

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Everything a reader is told.

    Attributes:
        paths: The files to read together; all but a few readers take exactly one.
        split: The split they hold.
        language: The language asked for.
        labels: The task's closed label set; empty when any label is accepted.
        labelled: False where the release blanks the labels or fills them with a constant: records
            then carry no label, whatever the file has in its place.
        options: The reader's own options, as in the task file.
        skipped: How many records were left out, by reason. The reader adds to it while it is read,
            so whoever made the context reports it when the records are through. What belongs to
            another language or split of the same file is no record of this one and is not counted.
    """

    paths: tuple[Path, ...]
    split: Split
    language: str
    labels: tuple[str, ...] = ()
    labelled: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter, compare=False)

    def skip(self, reason: str) -> None:
        """Count a record that is left out.

        Args:
            reason: Why, in words that complete "left out 3: ...", for example ``"empty verse"``.
        """
        self.skipped[reason] += 1

    @property
    def path(self) -> Path:
        """The one file of a reader that takes one.

        Raises:
            InputError: The task file hands it several.
        """
        if len(self.paths) != 1:
            names = ", ".join(path.name for path in self.paths)
            raise InputError(f"this reader takes one file, not {len(self.paths)} ({names})")
        return self.paths[0]

    def option(self, name: str, default: Value) -> Value:
        """Return an option, which must have the type of ``default``.

        Raises:
            InputError: It has another type.
        """
        value = self.options.get(name, default)
        if default is not None and not isinstance(value, type(default)):
            expected = type(default).__name__
            raise InputError(f"reader option {name!r} must be of type {expected} (got {value!r})")
        return value  # type: ignore[no-any-return]

    def check_options(self, *known: str) -> None:
        """Refuse options that the reader does not know.

        Raises:
            UnknownNameError: With near matches.
        """
        for name in self.options:
            if name not in known:
                raise UnknownNameError("reader option", name, known)


Reader = Callable[[ReadContext], Iterator[Record]]


def malformed(path: Path, place: int | str, found: str, expected: str) -> DataError:
    """Build the error for something a reader cannot read.

    Args:
        path: The file.
        place: A line number (1-based), or a path into a JSON document.
        found: What is there.
        expected: What should be there.

    >>> from pathlib import Path
    >>> print(malformed(Path("a.tsv"), 3, "2 columns", "3 columns"))
    a.tsv:3: found 2 columns, expected 3 columns.
    """
    where = f"{path}:{place}" if isinstance(place, int) else f"{path}: {place}"
    return DataError(f"{where}: found {found}, expected {expected}.")


def shorten(value: object, limit: int = 60) -> str:
    """Quote a value for an error message, cut to ``limit`` characters.

    >>> shorten("x" * 100, limit=5)
    "'xxxx..."
    """
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def check_label(label: str, context: ReadContext, path: Path, place: int | str) -> str:
    """Map a label through the ``label_map`` option and check it against the closed set.

    Raises:
        DataError: A label the task does not have.
    """
    mapped = context.options.get("label_map", {}).get(label, label)
    if context.labels and mapped not in context.labels:
        hint = near_matches(str(mapped), context.labels)
        raise DataError(
            f"{path}:{place}: the label {shorten(label)} is not one of the task's. {hint}"
        )
    return str(mapped)
