"""What a report's page says and where: every text with its place, and the numbers in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

#: A number that is no part of a name: squad1, f1 and t2-trie hold none.
NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e-\d+)?(?![\w]|\.\d)")
UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}
_DURATION = re.compile(r"\b(\d+) (d|h|min|s)\b(?: (\d+) (h|min|s)\b)?")
_EMPTY = {"meta", "link", "br", "img", "input"}


@dataclass(frozen=True)
class Text:
    """A text of the page.

    Attributes:
        section: Id of the section that it is in; ``head`` before the first.
        figure: Id of the figure; empty outside one.
        kind: Tag of its element: ``td``, ``p``, ``title`` (of a mark), ``text`` (in a picture)...
        table: Label of the table that it is a cell of; empty outside one.
        row: Number of the table's row.
        column: Heading of its column.
        muted: Whether a picture's text is an axis or a scale.
        anchor: Where a picture's text is aligned.
        content: The text.
    """

    section: str
    figure: str
    kind: str
    table: str
    row: int
    column: str
    muted: bool
    anchor: str
    content: str


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._headings: list[str] = []
        self._row, self._cell = 0, 0
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "thead":
            self._headings, self._row = [], -2
        if tag == "tr":
            self._row, self._cell = self._row + 1, -1
        if tag in ("td", "th"):
            self._cell += 1
        if tag not in _EMPTY:
            self._open.append((tag, dict(attributes)))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def _inner(self, tag: str, name: str) -> str:
        found = (a.get(name) for t, a in reversed(self._open) if t == tag and a.get(name))
        return next((value for value in found if value), "")

    def handle_data(self, content: str) -> None:
        tags = [tag for tag, _ in self._open]
        if not content.strip() or {"style", "script"} & set(tags):
            return
        kind, attributes = self._open[-1]
        if kind in ("span", "strong", "code"):
            kind, attributes = self._open[-2]
        if kind == "th":
            self._headings.append(content)
        in_table = "table" in tags
        regions = [a for t, a in self._open if a.get("role") == "region"]
        self.texts.append(
            Text(
                section=self._inner("section", "id") or "head",
                figure=self._inner("figure", "id"),
                kind=kind,
                table=str(regions[-1]["aria-label"]) if in_table else "",
                row=self._row if in_table else 0,
                column=self._headings[self._cell] if kind == "td" else "",
                muted="muted" in (attributes.get("fill") or ""),
                anchor=attributes.get("text-anchor") or "",
                content=content,
            )
        )


def texts_of(page: str) -> list[Text]:
    """Return every text of a page with its place; styles and scripts apart."""
    return _Reader(page).texts


def without(content: str, names: Iterable[str]) -> str:
    """Return a text without names that may hold digits, the longest first."""
    for name in sorted(names, key=len, reverse=True):
        content = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "·", content)
    return content


def numbers_of(content: str) -> Iterator[tuple[str, float, float]]:
    """Yield the numbers of a text: as written, as a number, and half a unit of its last digit.

    A duration is one number, in seconds; a share in percent is one of 1.
    """
    for match in _DURATION.finditer(content):
        size, unit, more, finer = match.groups()
        value = int(size) * UNITS[unit] + (int(more) * UNITS[finer] if more else 0)
        yield match.group(), float(value), 0.5 * UNITS[finer or unit]
    content = _DURATION.sub("·", content)
    for match in NUMBER.finditer(content):
        written = match.group().rstrip(",")
        digits = written.replace(",", "")
        decimals = len(digits.partition("e")[0].partition(".")[2])
        half = 0.5 * 10.0**-decimals
        if "e" in digits:
            half *= 10.0 ** int(digits.partition("e")[2])
        value = float(digits)
        if content[match.end() : match.end() + 1] == "%":
            value, half = value / 100, half / 100
        yield written, value, half


def is_among(value: float, half: float, pool: Iterable[float]) -> bool:
    """Whether a number, as it is written, stands for one of a pool."""
    return any(abs(value - known) <= half * 1.0001 + 1e-9 for known in pool)
