"""The spreadsheets that lie beside scans: CSV, TSV and XLSX as rows of text, columns found under any spelling."""

import datetime
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from octavo.cohorts.adapters.missing_parts import folded, listed, nearest
from octavo.cohorts.table import read_table
from octavo.errors import OctavoError
from octavo.formats.errors import refusing
from octavo.formats.zip_directory import check_directory

SUFFIXES = (".csv", ".tsv", ".xlsx")

_MOST_BYTES = 2**28
_FREE_BYTES = 2**24
_MOST_RATIO = 50
"""Beyond `_FREE_BYTES`, how many times its size a spreadsheet may unpack to; real ones unpack to about ten."""
_MOST_ROWS = 10**6
_MOST_COLUMNS = 2**12


@dataclass(frozen=True)
class Spreadsheet:
    """A table whose cells are text.

    Args:
        path: The file.
        columns: Names of the columns as they are written.
        rows: Column to text, for each row that is not empty.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]

    def find(self, *spellings: str) -> str | None:
        """The column with one of these names; capitals, blanks, hyphens and underscores make no difference.

        A name that is written just so comes first.

        Raises:
            OctavoError: If several columns differ from a name, and from each other, in nothing else.
        """
        for name in spellings:
            alike = [column for column in self.columns if folded(column) == folded(name)]
            exact = next((spelling for spelling in spellings if spelling in alike), None)
            if exact is None and len(alike) > 1:
                raise OctavoError(
                    f"{self.path}: columns {listed(alike)} could all be {name!r}; wanted one; write the name as the column "
                    "does, or rename the others"
                )
            if alike:
                return exact or alike[0]
        return None

    def require(self, *spellings: str) -> str:
        """The same, or a refusal.

        Raises:
            OctavoError: If there is no such column; the message names what was found and the nearest. Or if several
                could be meant.
        """
        column = self.find(*spellings)
        if column is None:
            raise OctavoError(
                f"{self.path}: has no column {' or '.join(map(repr, spellings))}; found {listed(self.columns)}"
                f"{nearest(spellings[0], self.columns)}; wanted it under that name; rename the column"
            )
        return column

    def by(self, column: str) -> dict[str, Mapping[str, str]]:
        """The rows by what stands in a column.

        Raises:
            OctavoError: If two rows have the same there.
        """
        rows: dict[str, Mapping[str, str]] = {}
        for row in self.rows:
            if row[column] and row[column] in rows:
                raise OctavoError(
                    f"{self.path}: {row[column]!r} stands twice in column {column!r}; wanted each once; correct it"
                )
            rows[row[column]] = row
        return rows


def read_spreadsheet(path: Path) -> Spreadsheet:
    """Read a spreadsheet; of an XLSX file the first sheet, values and no formulas.

    Raises:
        OctavoError: If it cannot be read as what its name says.
    """
    if path.suffix.lower() == ".xlsx":
        return _read_xlsx(path)
    table = read_table(path, [], [])
    return Spreadsheet(
        path, table.columns, tuple({name: cell.text for name, cell in row.items()} for row in table.rows)
    )


def _read_xlsx(path: Path) -> Spreadsheet:
    from openpyxl import load_workbook

    # whatever a damaged file makes the library raise becomes one sentence
    with refusing(str(path), "a spreadsheet (XLSX); save it again, or as CSV"):
        _refuse_bomb(path)
        workbook = load_workbook(path, read_only=True, data_only=True)
        try:
            cells = list(_cells(workbook.worksheets))
        finally:
            workbook.close()
        if not cells:
            raise OctavoError("its first sheet is empty; wanted a header and rows below it")
        header = [name for name in cells[0] if name]
        repeated = next((name for name in header if header.count(name) > 1), None)
        if repeated is not None:
            raise OctavoError(f"column {repeated!r} stands more than once; wanted each once")
    rows = [dict(zip_longest(cells[0], row[: len(cells[0])], fillvalue="")) for row in cells[1:] if any(row)]
    return Spreadsheet(path, tuple(header), tuple({name: row[name] for name in header} for row in rows))


def _refuse_bomb(path: Path) -> None:
    check_directory(path)
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    allowed = min(max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size), _MOST_BYTES)
    if size > allowed:
        raise OctavoError(f"would unpack to {size} bytes; wanted at most {allowed}; save it as CSV")


def _cells(sheets: Sequence[Any]) -> Iterator[list[str]]:
    if not sheets:
        return
    sheet = sheets[0]
    # what the file says of its own size is not believed: cells beyond what is there would be made up
    sheet.reset_dimensions()
    for count, row in enumerate(sheet.iter_rows(values_only=True)):
        if count > _MOST_ROWS or len(row) > _MOST_COLUMNS:
            raise OctavoError(
                f"has more than {_MOST_ROWS} rows or {_MOST_COLUMNS} columns; wanted fewer; save it as CSV"
            )
        yield [_text(value) for value in row]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(int(value))
    return str(value).strip()
