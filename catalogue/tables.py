"""Rows of a text table, whatever program wrote it: CSV or TSV in UTF-8, UTF-16 or Windows-1252, or JSON Lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from catalogue.errors import ImportFileError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
MAX_ROWS = 1_000_000
#: Longer rows, in characters, are not read: a file without line ends would fill the memory.
MAX_ROW = 1_000_000
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class BadLine:
    """A line that is no row of the table, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Table:
    """A table's column names as they are written, its rows (line number, values by column), and what was found out.

    The rows of a JSON Lines file are its objects with every value as text; lists are joined by `|`.
    """

    columns: list[str]
    rows: Iterator[tuple[int, dict[str, str]] | BadLine]
    notes: list[str]


def read_table(open_bytes: Callable[[], BinaryIO], name: str, headless: Callable[[list[str]], list[str]]) -> Table:
    """Recognise encoding, kind and delimiter, and read on as the rows are asked for.

    `headless` gets the first row: where it is not a header but data, it returns the names of the columns, else an
    empty list. Raises ImportFileError for a file that is no text or has no rows.
    """
    encoding, note = _encoding(open_bytes, name)
    text = io.TextIOWrapper(open_bytes(), encoding, errors="replace", newline="")
    start = text.read(1)
    while start and start.isspace():
        start = text.read(1)
    text.close()
    if not start:
        raise ImportFileError(f"{name}: is empty; give a table with a header and rows")
    if start == "[":
        raise ImportFileError(f"{name}: is one JSON list; write one object a line (JSON Lines)")
    fresh = io.TextIOWrapper(open_bytes(), encoding, errors="replace", newline="")
    notes = [note] if note else []
    return _json_lines(fresh, name, notes) if start == "{" else _separated(fresh, name, notes, headless)


def _encoding(open_bytes: Callable[[], BinaryIO], name: str) -> tuple[str, str]:
    """The encoding, and a note where it was guessed."""
    with open_bytes() as file:
        start = file.read(4096)
        for bom, encoding in _BOMS:
            if start.startswith(bom):
                return encoding, ""
        if b"\0" in start:
            raise ImportFileError(f"{name}: is no text table; save it as CSV (UTF-8)")
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(start)
            while chunk := file.read(2**20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252", "read as Windows-1252, for it is not UTF-8"
    return "utf-8", ""


def _separated(text: TextIO, name: str, notes: list[str], headless: Callable[[list[str]], list[str]]) -> Table:
    lines = _Lines(text, name)
    first = lines.peek()
    if first.lower().startswith("sep=") and len(first) == 5:  # what Excel writes to name its delimiter
        delimiter = first[4]
        lines.skip()
    else:
        delimiter = _delimiter(first)
    if delimiter != ",":
        notes.append(f"{DELIMITERS.get(delimiter, delimiter)} between the columns")
    # Open Food Facts' export is tab-separated without any quoting: a quote in it is an inch, not a bracket.
    off = delimiter == "\t" and {"code", "product_name"} <= set(lines.peek().lower().split("\t"))
    quoting: Any = csv.QUOTE_NONE if off else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    try:
        header = next(reader)
    except csv.Error as error:
        raise ImportFileError(f"{name}: line {lines.number}: the header cannot be read ({error})") from None
    columns = headless(header)
    pending = [] if not columns else [(lines.number, header)]
    columns = columns or [_column(cell) for cell in header]
    doubled = sorted({column for column in columns if column and columns.count(column) > 1})
    if doubled:
        raise ImportFileError(f"{name}: has column {doubled[0]} twice; rename one of them")
    return Table(columns, _rows(reader, lines, columns, pending), notes)


def _rows(
    reader: Any, lines: _Lines, columns: list[str], pending: list[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, str]] | BadLine]:
    for line, cells in pending:
        yield line, dict(zip(columns, cells, strict=False))
    count = len(pending)
    while True:
        line = lines.number + 1
        lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            closed = "is never closed; the lines after it could not be read" if "end of data" in str(error) else ""
            yield BadLine(line, f"a quote {closed}" if closed else f"is not well-formed ({error})")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MAX_ROWS:
            yield BadLine(line, f"is past the {MAX_ROWS:,} rows of one import; split the file")
            return
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            yield BadLine(line, f"has {len(cells)} cells where the header has {len(columns)}; quote what holds commas")
            continue
        yield line, dict(zip(columns, cells, strict=False))


def _json_lines(text: TextIO, name: str, notes: list[str]) -> Table:
    rows = _objects(text, name)
    first = next((row for row in rows if not isinstance(row, BadLine)), None)
    if first is None:
        raise ImportFileError(f"{name}: holds no JSON object; write one object a line")
    text.seek(0)
    return Table(list(first[1]), _objects(text, name), notes)


def _objects(text: TextIO, name: str) -> Iterator[tuple[int, dict[str, str]] | BadLine]:
    lines = _Lines(text, name)
    for line, content in enumerate(lines, start=1):
        lines.begin_row()
        if not content.strip():
            continue
        if line > MAX_ROWS:
            yield BadLine(line, f"is past the {MAX_ROWS:,} rows of one import; split the file")
            return
        try:
            cells = _cells(json.loads(content.lstrip("\ufeff")))
        except (ValueError, RecursionError) as error:
            yield BadLine(line, f"is not JSON ({error})")
            continue
        yield (
            BadLine(line, "is not a JSON object; write {…} with the columns as keys")
            if cells is None
            else (
                line,
                cells,
            )
        )


def _cells(value: Any) -> dict[str, str] | None:
    """The cells of a JSON object by column, the nested `attributes` among them; None for what is no object."""
    if not isinstance(value, dict):
        return None
    nested = value.pop("attributes", None)
    flat = {**(nested if isinstance(nested, dict) else {}), **value}
    return {_column(str(key)): _text(cell) for key, cell in flat.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "|".join(_text(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _column(cell: str) -> str:
    return cell.strip()


def _delimiter(line: str) -> str:
    """The candidate that stands most often in the header, outside of quotes."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


class _Lines:
    """Lines of a text, the first of them looked at before they are read, with the number of the last one given.

    Raises ImportFileError where the lines of one row, which a quote can hold together, are longer than MAX_ROW.
    """

    def __init__(self, text: TextIO, name: str) -> None:
        self._text = text
        self._name = name
        self._first: str | None = None
        self._row, self._began = 0, 1
        self.number = 0

    def begin_row(self) -> None:
        """What is read from now on belongs to another row."""
        self._row, self._began = 0, self.number + 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._first if self._first is not None else self._read()
        self._first = None
        if not line:
            raise StopIteration
        self.number += 1
        self._row += len(line)
        self._bound(self._row)
        return line

    def _read(self) -> str:
        line = self._text.readline(MAX_ROW + 1)
        self._bound(len(line))
        return line

    def _bound(self, length: int) -> None:
        if length > MAX_ROW:
            long = f"is longer than {MAX_ROW:,} characters; is a quote or a line end missing?"
            raise ImportFileError(f"{self._name}: line {self._began} {long}")

    def peek(self) -> str:
        """The next line without its end."""
        if self._first is None:
            self._first = self._read()
        return self._first.rstrip("\r\n")

    def skip(self) -> None:
        """Pass over the next line."""
        next(self)
