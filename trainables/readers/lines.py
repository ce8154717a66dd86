"""From bytes to lines, rows and JSON objects, each with its line number.

Lines end at a line feed alone: sentences may hold other characters that Unicode counts as line
ends (U+2028, a form feed), and splitting there would tear a record apart.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spaces.errors import DataError
from trainables.readers.base import malformed, shorten

#: What a file that is not text begins with, and what it then is.
_SIGNATURES = {
    b"\x1f\x8b": "gzip data",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PAR1": "a Parquet file",
}

#: What a file is expected to be where it has a field of another data set's.
NOT_FOREIGN = "none, as it is another data set's"

# Cosmos QA and SQuAD-like paragraphs stay far below this; csv's own limit of 128 KiB does not.
csv.field_size_limit(16 * 1024 * 1024)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, without its line end and without a byte-order mark.

    Raises:
        DataError: The file cannot be opened, is empty or no text, or a line is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            number = 0
            for number, raw in enumerate(file, start=1):
                if number == 1:
                    _check_signature(path, raw)
                if b"\x00" in raw:
                    found = f"a NUL byte at column {raw.index(0) + 1}"
                    raise malformed(path, number, found, "text")
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    found = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
                    raise malformed(path, number, found, "UTF-8 text") from None
                yield number, line.rstrip("\n").removesuffix("\r")
            if number == 0:
                raise malformed(path, 1, "an empty file", "text")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None


def _check_signature(path: Path, raw: bytes) -> None:
    for signature, name in _SIGNATURES.items():
        if raw.startswith(signature):
            raise malformed(path, 1, name, "UTF-8 text; unpack or convert the file")


def read_document(path: Path) -> Any:
    """Read a file that is one JSON document.

    Raises:
        DataError: It is not UTF-8 or not JSON.
    """
    text = "\n".join(line for _, line in read_lines(path))
    return _parse_json(text, path, first_line=1)


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON Lines file; blank lines are skipped.

    Raises:
        DataError: A line that is not a JSON object.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        value = _parse_json(line, path, first_line=number)
        if not isinstance(value, dict):
            raise malformed(path, number, shorten(value), "a JSON object")
        yield number, value


def _parse_json(text: str, path: Path, first_line: int) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise malformed(path, line, f"{error.msg} at column {error.colno}", "JSON") from None
    except RecursionError:
        raise malformed(path, first_line, "JSON nested too deeply", "a record") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise malformed(path, first_line, str(error), "JSON") from None
    return value


def read_rows(path: Path, *, delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a delimited file with the line each begins on; blank rows are skipped.

    Args:
        path: The file.
        delimiter: One character.
        quoting: Whether a field may be wrapped in double quotes, as ``csv`` writes it. Releases
            that never quote hold stray quotes and must be read with False.

    Raises:
        DataError: Not UTF-8, or a field longer than 16 MiB.
    """
    if not quoting:
        for number, line in read_lines(path):
            if line.strip():
                yield number, line.split(delimiter)
        return
    reader = csv.reader((line + "\n" for _, line in read_lines(path)), delimiter=delimiter)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise malformed(path, reader.line_num, str(error), "a delimited row") from None
        if any(field.strip() for field in row):
            yield begins, row
        begins = reader.line_num + 1


def read_table(
    path: Path,
    *,
    delimiter: str,
    quoting: bool,
    columns: Sequence[str],
    foreign: Sequence[str] = (),
) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield the rows of a delimited file with a header, as mappings from column to field.

    A row may lack trailing columns that nobody asks for (MultiNLI's text files leave out
    annotators' labels), and may be longer than the header only where its last column is asked for
    by the name ``-1``. A row that lacks a needed column yields ``None`` in its place, so that the
    caller decides whether the release is known to hold some.

    Args:
        path: The file.
        delimiter: One character.
        quoting: As for ``read_rows``.
        columns: The columns needed; ``-1`` stands for the last field of each row.
        foreign: Columns that tell another data set's file from this one's.

    Raises:
        DataError: No header, a needed column it lacks, or a foreign one it has.
    """
    rows = read_rows(path, delimiter=delimiter, quoting=quoting)
    first = next(rows, None)
    if first is None:
        raise malformed(path, 1, "blank lines alone", f"a header with {', '.join(columns)}")
    number, header = first
    positions = {}
    for column in columns:
        if column == "-1":
            positions[column] = -1
        elif column in header:
            positions[column] = header.index(column)
        else:
            found = f"the columns {shorten(' '.join(header), 200)}"
            raise malformed(path, number, found, f"a column {column!r}")
    for column in foreign:
        if column in header:
            raise malformed(path, number, f"a column {column!r}", NOT_FOREIGN)
    open_ended = "-1" in positions
    for number, row in rows:
        complete = max(positions.values(), default=0) < len(row)
        if not complete or (len(row) > len(header) and not open_ended):
            yield number, None
        else:
            yield number, {column: row[position] for column, position in positions.items()}
