"""Raw text for masked-language-model training: plain files, and the verses of a Bible corpus."""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from trainables.readers.base import ReadContext, malformed
from trainables.readers.lines import read_lines
from trainables.records import TextRecord


def read_plain(context: ReadContext) -> Iterator[TextRecord]:
    """Read one piece of text a line; blank lines are skipped.

    Raises:
        DataError: Not UTF-8.
    """
    context.check_options()
    for number, line in read_lines(context.path):
        if line.strip():
            yield TextRecord(str(number), line)


def read_bible(context: ReadContext) -> Iterator[TextRecord]:
    """Read the verses (``<seg type="verse">``) of a file of the Parallel Bible Corpus.

    A document type is refused: the corpus has none, and entities could make the parser open other
    files or grow without bound. White space at both ends of a verse is layout and is dropped;
    verses that an edition leaves empty are left out and counted.

    Source: Christodouloupoulos and Steedman, doi:10.1007/s10579-014-9287-y.

    Raises:
        DataError: Not well-formed XML, or with a document type.
    """
    context.check_options()
    parser = _VerseParser(context)
    begun = False
    for number, line in read_lines(context.path):
        begun = begun or bool(line.strip())
        if not begun:  # XML allows nothing before its declaration, not even a blank line
            continue
        yield from parser.feed(line + "\n", number)
    yield from parser.close()


class _VerseParser:
    """Collects verses while expat reads."""

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._path = context.path
        self._found: list[TextRecord] = []
        self._verse: str | None = None
        self._text: list[str] = []
        self._count = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._last_line = 1

    def feed(self, text: str, number: int) -> list[TextRecord]:
        self._last_line = number
        return self._parse(text, final=False)

    def close(self) -> list[TextRecord]:
        return self._parse("", final=True)

    def _parse(self, text: str, *, final: bool) -> list[TextRecord]:
        try:
            self._parser.Parse(text, final)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise malformed(self._path, self._last_line, reason, "well-formed XML") from None
        found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "seg" and attributes.get("type") == "verse":
            self._count += 1
            self._verse, self._text = attributes.get("id") or str(self._count), []

    def _characters(self, data: str) -> None:
        if self._verse is not None:
            self._text.append(data)

    def _end(self, name: str) -> None:
        if name == "seg" and self._verse is not None:
            text = " ".join("".join(self._text).split())
            if text:
                self._found.append(TextRecord(self._verse, text))
            else:
                self._context.skip("an empty verse")
            self._verse = None

    def _doctype(self, name: str, *_: object) -> None:
        found = f"a document type ({name})"
        raise malformed(self._path, self._last_line, found, "none, as it may hold entities")
