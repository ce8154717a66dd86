"""Typed access to the fields of a decoded row, with errors that say where and what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces.errors import DataError
from trainables.readers.base import malformed, shorten


@dataclass(frozen=True, slots=True)
class Row:
    """One row or JSON object and where it stands.

    Attributes:
        values: Its fields.
        path: The file (for rows of the hub, the dataset's name).
        place: Line number (1-based), or a path into a JSON document.
    """

    values: Mapping[str, Any]
    path: Path
    place: int | str

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text field.

        Raises:
            DataError: Missing, not a string, or not valid Unicode.
        """
        return self._checked_text(self._value(name), f"field {name!r}")

    def integer(self, name: str) -> int:
        """Return a whole number, written as a number or as its digits.

        Raises:
            DataError: Missing, or anything else.
        """
        return self._checked_integer(self._value(name), name)

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers, each as ``integer`` takes it.

        Raises:
            DataError: Missing, not a list, or a member is anything else.
        """
        return tuple(self._checked_integer(member, name) for member in self.members(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts.

        Raises:
            DataError: Missing, not a list, or a member is not a string.
        """
        return tuple(self._checked_text(member, f"field {name!r}") for member in self.members(name))

    def members(self, name: str) -> list[Any]:
        """Return a list field.

        Raises:
            DataError: Missing or not a list.
        """
        value = self._value(name)
        if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
            raise self._refusal(name, value, "a list")
        return list(value)

    def rows(self, name: str) -> list[Row]:
        """Return a list of objects, each knowing its place.

        Raises:
            DataError: Missing, not a list, or a member is not an object.
        """
        found = []
        for index, member in enumerate(self.members(name)):
            if not isinstance(member, Mapping):
                raise self._refusal(f"{name}[{index}]", member, "an object")
            found.append(Row(member, self.path, f"{self._prefix()}{name}[{index}]"))
        return found

    def row(self, name: str) -> Row:
        """Return an object field.

        Raises:
            DataError: Missing or not an object.
        """
        value = self._value(name)
        if not isinstance(value, Mapping):
            raise self._refusal(name, value, "an object")
        return Row(value, self.path, f"{self._prefix()}{name}")

    def _prefix(self) -> str:
        return (
            f"{self.place}."
            if isinstance(self.place, str) and self.place
            else (f"line {self.place}: " if self.place else "")
        )

    def _value(self, name: str) -> Any:
        value = self.values.get(name)
        if value is None:
            found = f"the fields {shorten(', '.join(map(str, self.values)), 200)}"
            raise malformed(self.path, self.place, found, f"a field {name!r}")
        return value

    def _checked_text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise malformed(self.path, self.place, f"{what} = {shorten(value)}", "a text")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            # A JSON escape can smuggle in half a surrogate pair, which no tokenizer accepts.
            found = f"half a surrogate pair in {what}"
            raise malformed(self.path, self.place, found, "valid Unicode") from None
        return value

    def _checked_integer(self, value: Any, name: str) -> int:
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refusal(name, value, "a whole number")
        return value

    def _refusal(self, name: str, value: Any, expected: str) -> DataError:
        return malformed(self.path, self.place, f"field {name!r} = {shorten(value)}", expected)
