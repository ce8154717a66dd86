"""Parts of a report as plain data: words and tables of text, for any renderer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        header: Column names; those after the first ``num_left`` hold numbers.
        rows: Cells, as many in each row as in the header.
        num_left: How many columns hold words.
        note: A line below it; may be empty.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_left: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: a title, paragraphs, perhaps a table, perhaps code to copy.

    Attributes:
        leads: How some of the paragraphs begin: what a reader wants to know first.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    code: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()

    def lead_of(self, paragraph: str) -> str:
        """Return the lead that a paragraph begins with; empty if it has none."""
        return next((lead for lead in self.leads if paragraph.startswith(lead)), "")
