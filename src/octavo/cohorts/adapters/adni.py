"""ADNI: magnetic resonance images of heads, NIfTI files whose names hold the person and the image.

Known from programs that load it: the names `ADNI_002_S_0295_MR_..._I40966.nii`, the folder with the date of the scan
above them, and two kinds of spreadsheet: the archive's search result, a row for each image with its Group, and
ADNIMERGE, a row for each visit with its DX. A visit is matched by person and the nearest day, at most 92 days away.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import listed
from octavo.cohorts.adapters.spreadsheets import SUFFIXES, Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError

FARTHEST_DAYS = 92
"""How far a visit may be from the scan that it gives its diagnosis."""

_NAME = re.compile(r"ADNI_(\d{3}_S_\d{4,5})_MR_.*_(I\d+)\.nii(?:\.gz)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=_)")

_Facts = tuple[str, str, dict[str, str]]
"""Diagnosis, why there is none, covariates."""


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    images = list(_images(root))
    if not images:
        example = next((path.name for path in files_below(root) if ".nii" in path.name), None)
        raise OctavoError(
            f"{root}: holds no file such as ADNI_002_S_0295_MR_MPR__GradWarp_..._S21856_I40966.nii"
            + (f"; found {example}" if example else "")
            + "; wanted NIfTI files under the names that the archive gives them"
        )
    tables = _tables(root, options)
    find, notes = _finder(tables, options)
    found = []
    for path, subject, image, day in images:
        label, why, columns = find(subject, image, day)
        dated = {"exam_date": day} if day else {}
        found.append(FoundExam(path, subject, label=label, why_unlabelled=why, columns={**dated, **columns}))
    rest = rest_of(root, found, lambda path: LeftOut(path, "not called ADNI_SUBJECT_MR_..._IMAGE.nii"))
    wants = "a search result with Image Data ID and Group, or ADNIMERGE with PTID and DX, in ROOT or by --table"
    return adopted(root, found, options, left_out=rest, notes=notes, wants_labels=wants)


def _images(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """File, person, image and day, which is that of the folder above."""
    for path in files_below(root):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            relative = path.relative_to(root)
            days = [day for part in relative.parts[:-1] for day in _DAY.findall(part) if covariates.date(day)]
            yield relative, match[1], match[2], days[-1] if days else ""


def _tables(root: Path, options: AdoptionOptions) -> list[Spreadsheet]:
    if options.table is not None:
        return [read_spreadsheet(options.table)]
    return [read_spreadsheet(path) for path in sorted(root.iterdir()) if path.suffix.lower() in SUFFIXES]


def _finder(tables: list[Spreadsheet], options: AdoptionOptions) -> tuple[Callable[[str, str, str], _Facts], list[str]]:
    """How the diagnosis of an image is found, and what should be known of it."""
    searches = [sheet for sheet in tables if sheet.find("Image Data ID") and sheet.find("Group")]
    visits = [sheet for sheet in tables if sheet.find("PTID") and sheet.find("DX", "DX_bl")]
    if len(searches) + len(visits) > 1:
        names = listed([sheet.path.name for sheet in (*searches, *visits)])
        raise OctavoError(f"{names} all hold diagnoses; wanted one; name it with --table")
    if searches:
        return _by_image(searches[0]), []
    if visits:
        where = visits[0].path.name
        note = f"diagnoses are those of the nearest visit in {where}, at most {FARTHEST_DAYS} days from the scan"
        return _by_visit(visits[0]), [note]
    if options.table is not None:
        sheet = tables[0]
        sheet.require("PTID" if sheet.find("DX", "DX_bl") else "Image Data ID")
        sheet.require("Group", "DX")
    return lambda *_: ("", "no spreadsheet with diagnoses", {}), []


def _by_image(sheet: Spreadsheet) -> Callable[[str, str, str], _Facts]:
    rows = sheet.by(sheet.require("Image Data ID"))
    rows = {name.lstrip("ID"): row for name, row in rows.items()}
    group, subject_column = sheet.require("Group"), sheet.find("Subject")

    def find(subject: str, image: str, day: str) -> _Facts:
        row = rows.get(image.lstrip("I"))
        if row is None:
            return "", f"{sheet.path.name} has no row for {image}", {}
        if subject_column and row[subject_column] not in {"", subject}:
            return "", f"{sheet.path.name} gives {image} to another subject", {}
        return (
            covariates.known(row[group]),
            f"{sheet.path.name} names no group for {image}",
            covariates.from_row(sheet, row),
        )

    return find


def _by_visit(sheet: Spreadsheet) -> Callable[[str, str, str], _Facts]:
    subject_column, day_column = sheet.require("PTID"), sheet.require("EXAMDATE")
    diagnosis = sheet.require("DX", "DX_bl")
    visits: dict[str, list[tuple[datetime.date, Mapping[str, str]]]] = {}
    for row in sheet.rows:
        day = covariates.date(row[day_column])
        if day and covariates.known(row[diagnosis]):
            visits.setdefault(row[subject_column], []).append((datetime.date.fromisoformat(day), row))

    def find(subject: str, image: str, day: str) -> _Facts:
        if not day:
            return "", "no folder above it holds the day of the scan", {}
        scanned = datetime.date.fromisoformat(day)
        near = min(visits.get(subject, []), key=lambda visit: abs(visit[0] - scanned), default=None)
        if near is None or abs((near[0] - scanned).days) > FARTHEST_DAYS:
            return "", f"{sheet.path.name} has no visit with a diagnosis within {FARTHEST_DAYS} days", {}
        # the day of the scan is known better than that of the visit
        facts = {name: text for name, text in covariates.from_row(sheet, near[1]).items() if name != "exam_date"}
        return near[1][diagnosis], "", facts

    return find


ADNI = Adapter(
    name="adni",
    layout="ROOT/**/ADNI_SUBJECT_MR_..._IMAGE.nii with a search result (Image Data ID, Group) or ADNIMERGE "
    "(PTID, EXAMDATE, DX)",
    make_rows=_adopt,
    takes=LABELLING | {"table"},
    licence="ADNI data use agreement",
)
