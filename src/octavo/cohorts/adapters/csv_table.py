"""Any spreadsheet that names scans: `--columns path=file patient_id=PTID label=DX` says which column is what.

Only columns that are mapped, or that are called as a manifest calls them, are taken: a spreadsheet may hold names and
birth dates, and none of them is copied by accident.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import files_in, listed
from octavo.cohorts.adapters.spreadsheets import SUFFIXES, Spreadsheet, read_spreadsheet
from octavo.cohorts.manifest import OPTIONAL, REQUIRED, can_name_files
from octavo.errors import OctavoError, unknown_name
from octavo.formats import VolumeReadError, files_of

TAKEN = tuple(dict.fromkeys((*REQUIRED, *OPTIONAL, *covariates.NAMES)))
"""What a column can be mapped to."""

THE_LIST = "the list itself"
"""Why the spreadsheet becomes no row."""

# a day stays as it is written: whoever maps a column knows its order of day and month
_CLEANED = {name: clean for name, clean in covariates.CLEANED.items() if name != "exam_date"}


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    sheet = read_spreadsheet(_table(root, options))
    columns = _columns(sheet, options)
    found, left_out = [], []
    for row in sheet.rows:
        exam = _exam(root, sheet, row, columns)
        if isinstance(exam, LeftOut):
            left_out.append(exam)
        else:
            found.append(exam)
    if not found:
        first = f" ({left_out[0].path}: {left_out[0].reason})" if left_out else ""
        raise OctavoError(
            f"{sheet.path}: none of {len(sheet.rows)} rows leads to a scan{first}; wanted paths from {root}, or "
            "whole ones, in "
            f"column {columns['path']!r}"
        )
    _require_names(sheet.path, found)
    behind = [name for name in sheet.columns if name not in columns.values()]
    notes = [f"columns that were not asked for stay behind: {listed(behind)}"] if behind else []

    def why(path: Path) -> LeftOut:
        is_list = (root / path).resolve() == sheet.path.resolve()
        return LeftOut(path, THE_LIST if is_list else f"no row of {sheet.path.name} names it", is_list)

    rest = rest_of(root, found, why, left_out)
    wants = "--columns label=NAME"
    return adopted(root, found, options, left_out=[*left_out, *rest], notes=notes, wants_labels=wants)


def _table(root: Path, options: AdoptionOptions) -> Path:
    if options.table is not None:
        return options.table
    there = [name for name in files_in(root) if name.lower().endswith(SUFFIXES)]
    if len(there) != 1:
        raise OctavoError(
            f"{root}: holds {len(there)} spreadsheets ({listed(there)}); wanted one (.csv, .tsv or .xlsx); name "
            "it with --table"
        )
    return root / there[0]


def _columns(sheet: Spreadsheet, options: AdoptionOptions) -> dict[str, str]:
    """Column of the manifest to column of the spreadsheet."""
    for name in options.columns:
        if name not in TAKEN:
            raise OctavoError(unknown_name("a column of a manifest, or a covariate", name, TAKEN))
    columns = {name: sheet.require(column) for name, column in options.columns.items()}
    columns |= {name: name for name in TAKEN if name in sheet.columns and name not in columns}
    if "path" not in columns:
        raise OctavoError(
            f"{sheet.path}: has no column 'path'; found {listed(sheet.columns)}; wanted the one that names the "
            "scans; pass "
            "--columns path=NAME"
        )
    return columns


def _require_names(path: Path, found: Sequence[FoundExam]) -> None:
    """Refuse names of exams that are the user's own and no such names: another would be no name that anybody knows."""
    names = [exam.exam_id for exam in found if exam.exam_id]
    for name, times in Counter(names).items():
        if times > 1:
            raise OctavoError(
                f"{path}: exam_id {name!r} stands {times} times; wanted each exam once; rename all but one"
            )
        if not can_name_files(name):
            raise OctavoError(
                f"{path}: exam_id is {name!r}; wanted a name without slashes, because files are named after it; rename it"
            )


def _exam(root: Path, sheet: Spreadsheet, row: Mapping[str, str], columns: Mapping[str, str]) -> FoundExam | LeftOut:
    cells = {name: row[column] for name, column in columns.items()}
    stored = cells["path"]
    # an absolute path stays as it is, and then lies below no root
    scan = root / stored
    if not stored:
        return LeftOut(Path(), "a row without a path")
    place = scan if scan.exists() else Path(str(scan).rpartition("#")[0])
    if not place.exists() or str(place) == ".":
        return LeftOut(Path(stored), "there is no such file or folder")
    extra = {
        name: covariates.cleaned(sheet, column, _CLEANED.get(name, covariates.known), row)
        for name, column in columns.items()
        if name not in REQUIRED
    }
    for name in ("mask", "photograph"):
        if extra.get(name):
            extra[name] = str(root / extra[name])
    return FoundExam(
        Path(stored),
        covariates.known(cells.get("patient_id", "")),
        covariates.eye(sheet, row, columns.get("laterality")),
        covariates.known(cells.get("label", "")),
        "its label is empty, or says that nothing is known",
        extra,
        files=tuple(_below(root, file) for file in [*_files_of(place), *map(Path, _beside(extra))]),
        exam_id=cells.get("exam_id", ""),
    )


def _beside(columns: Mapping[str, str]) -> list[str]:
    return [columns[name] for name in ("mask", "photograph") if columns.get(name)]


def _files_of(scan: Path) -> list[Path]:
    try:
        return files_of(scan)
    except VolumeReadError:
        return []


def _below(root: Path, file: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else file


CSV = Adapter(
    name="csv",
    layout="ROOT/*.csv (or .tsv, .xlsx, or --table FILE) with a row for each scan; --columns path=NAME patient_id=NAME "
    "label=NAME maps its columns",
    make_rows=_adopt,
    takes=LABELLING | {"columns", "table"},
)
