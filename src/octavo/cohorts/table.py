"""CSV files as people and spreadsheets write them: read cell by cell, so that a refusal can name line and column."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import OctavoError, unknown_name
from octavo.files import write_text

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one cell, and where."""

    text: str = ""
    file: str = ""
    line: int = 0
    column: str = ""

    def refused(self, reason: str) -> OctavoError:
        """The error that says where the cell is and what is wrong with it."""
        return OctavoError(f"{self.file}, line {self.line}, column {self.column!r}: {reason}")

    def filled(self, wanted: str) -> str:
        """The text, or a refusal if there is none.

        Raises:
            OctavoError: If the cell is empty.
        """
        if not self.text:
            raise self.refused(f"is empty; {wanted}")
        return self.text

    def one_of(self, kind: str, known: Iterable[str]) -> str | None:
        """The text if it is one of the known words, None if there is none.

        Raises:
            OctavoError: For any other word, with the nearest known one.
        """
        known = list(known)
        if self.text and self.text not in known:
            raise self.refused(unknown_name(kind, self.text, known))
        return self.text or None

    def positive_number(self, unit: str) -> float:
        """The number that stands in the cell.

        Raises:
            OctavoError: If it is not a positive finite number.
        """
        try:
            number = float(self.text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise self.refused(f"is {self.text!r}; wanted a positive number of {unit}, with a decimal point")
        return number


NOWHERE = Cell()
"""Stands for a cell of a column that the file does not have."""


@dataclass(frozen=True)
class Table:
    """A CSV file: its columns, and its rows from column to cell."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Cell], ...]

    def without(self, column: str) -> "Table":
        """The same file without a column, whether it has it or not."""
        columns = tuple(name for name in self.columns if name != column)
        rows = tuple({name: cell for name, cell in row.items() if name != column} for row in self.rows)
        return Table(self.path, columns, rows)


def read_table(path: Path, required: Sequence[str], known: Sequence[str]) -> Table:
    """Read a CSV file in UTF-8, with or without a byte order mark; blank lines are skipped.

    Args:
        path: The file.
        required: Columns it must have.
        known: Columns that have a meaning. A column that differs from one of them only in capitals, blanks, hyphens or
            underscores is refused: as a covariate it would be ignored without a word.

    Raises:
        OctavoError: If it is not such a file, or its rows have different lengths.
    """
    text = _text(path)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        _require_columns(path, columns, required, known, delimiter)
        rows = tuple(_rows(path, reader, columns, known))
    except csv.Error as problem:
        raise OctavoError(f"{path.name}, line {reader.line_num}: not readable as CSV ({problem}); wanted one") from None
    return Table(path, columns, rows)


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]], *, overwrite: bool = False
) -> None:
    """Write a CSV file, whole or not at all; whoever reads it meanwhile sees the old one.

    Raises:
        OctavoError: If the file exists and may not be overwritten, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise OctavoError(f"{path}: exists already; choose another --out, or pass --overwrite")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_text(path, text.getvalue())
    except OSError as problem:
        raise OctavoError(f"{path}: cannot be written ({problem.strerror}); choose another --out") from problem


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise OctavoError(f"{path}: cannot be read ({problem.strerror}); wanted a CSV file") from problem
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise OctavoError(
            f"{path.name}: byte {problem.start} is not UTF-8 text; wanted a CSV file; save it as 'CSV UTF-8'"
        ) from problem
    if "\0" in text:
        raise OctavoError(f"{path.name}: holds zero bytes; wanted a CSV file; save it as 'CSV UTF-8'")
    if not text.strip():
        raise OctavoError(f"{path.name}: is empty; wanted a CSV file with a header")
    return text


def _require_columns(
    path: Path, columns: Sequence[str], required: Sequence[str], known: Sequence[str], delimiter: str
) -> None:
    repeated = [name for name in columns if columns.count(name) > 1]
    if repeated:
        raise OctavoError(f"{path.name}, line 1: column {repeated[0]!r} stands more than once; wanted each once")
    right = {_folded(name): name for name in known}
    for name in columns:
        if name not in known and _folded(name) in right:
            raise OctavoError(f"{path.name}, line 1: column {name!r}; wanted the spelling {right[_folded(name)]!r}")
    for name in required:
        if name not in columns:
            read_as = f" (read as separated by {DELIMITERS[delimiter]})"
            found = ", ".join(repr(column) for column in columns[:12]) + (", ..." if len(columns) > 12 else "")
            raise OctavoError(f"{path.name}, line 1: column {name!r} is missing; found {found}{read_as}; add it")


def _folded(name: str) -> str:
    return name.lower().translate({ord(mark): None for mark in " -_"})


def _rows(
    path: Path,
    # typed by what it offers, because the csv module's own reader type cannot be named
    reader: Iterator[list[str]],
    columns: tuple[str, ...],
    known: Sequence[str],
) -> Iterator[Mapping[str, Cell]]:
    for values in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not values:
            continue
        if len(values) != len(columns):
            raise OctavoError(
                f"{path.name}, line {line}: {len(values)} cells and {len(columns)} columns; wanted as many; put quotes "
                "around text that holds the delimiter"
            )
        cells = {name: Cell(value.strip(), path.name, line, name) for name, value in zip(columns, values, strict=True)}
        for name, cell in cells.items():
            if name in known and not cell.text.isprintable():
                raise cell.refused(f"is {cell.text!r}; wanted one line of printable text")
        yield cells
