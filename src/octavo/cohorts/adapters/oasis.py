"""OASIS-1 and OASIS-3: magnetic resonance images of heads, with a clinical dementia rating (CDR) as the label.

Known from programs that load them: the names of folders and files, and the columns of the spreadsheets. The label is
1 for a CDR above 0 and 0 for a CDR of 0, as both are commonly used; the rating itself is the covariate `severity`.
Young controls of OASIS-1 were not rated and have no label. In OASIS-3 the rating is that of the nearest day, at most
a year away.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import folders_in, listed, nearest, require_file
from octavo.cohorts.adapters.spreadsheets import SUFFIXES, Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError

FARTHEST_DAYS = 365
"""How far a clinical rating may be from the scan."""

_DAYS_PER_YEAR = 365.25
_AGE_AT_ENTRY = "ageAtEntry"

_SESSION = re.compile(r"(OAS1_\d{4})_MR\d+")
_PREFERRED = (
    ("atlas, gain corrected, masked", re.compile(r".*_t88_masked_gfc\.hdr")),
    ("atlas, gain corrected", re.compile(r".*_t88_gfc\.hdr")),
    ("averaged", re.compile(r".*_sbj_111\.hdr")),
    ("raw, first", re.compile(r".*_mpr-1_anon\.hdr")),
)
"""Which of the images of a session is taken, the first that is there."""

_T1W = re.compile(r"sub-(OAS3\d{4})_(?:ses|sess)-d(\d{4})(?:_.*)?_T1w\.nii(?:\.gz)?")
_TOWARDS = re.compile(r"(OAS3\d{4})_\w+_d(\d{4,5})")


def cdr_label(text: str) -> str:
    """The label of a clinical dementia rating.

    Example:
        >>> cdr_label("0.0"), cdr_label("0.5"), cdr_label("")
        ('0', '1', '')
    """
    rating = covariates.number(text)
    return "" if not rating or float(rating) < 0 else str(int(float(rating) > 0))


def _adopt_1(root: Path, options: AdoptionOptions) -> Adoption:
    sessions = list(_sessions(root))
    if not sessions:
        names = folders_in(root)
        raise OctavoError(
            f"{root}: has no folder such as OAS1_0001_MR1; found "
            f"{listed(names, 'no folders')}{nearest('OAS1_0001_MR1', names)}"
            "; wanted the folder that holds them, as they are unpacked"
        )
    homes = [root, *sorted({folder.parent for folder in sessions} - {root})]
    sheet = _cross_sectional(homes, options)
    rows = {} if sheet is None else sheet.by(sheet.require("ID"))
    found, left_out = [], []
    for folder in sessions:
        image = _image_of(folder)
        if image is None:
            left_out.append(LeftOut(folder.relative_to(root), "holds no pair of .hdr and .img that is known"))
            continue
        found.append(_of_session(root, folder, *image, sheet, rows.get(folder.name)))
    if not found:
        raise OctavoError(
            f"{root}: {len(sessions)} folders hold no pair of .hdr and .img; wanted PROCESSED or RAW in each"
        )
    left_out += rest_of(root, found, _other_of_session, left_out)
    kinds = sorted({exam.columns["protocol"] for exam in found})
    notes = [f"one image of each session is taken, the first there is of: {', '.join(name for name, _ in _PREFERRED)}"]
    notes += [f"images differ between sessions ({', '.join(kinds)}): see column protocol"] if len(kinds) > 1 else []
    return adopted(
        root, found, options, left_out=left_out, notes=notes, wants_labels="CDR in oasis_cross-sectional.csv"
    )


def _sessions(root: Path) -> Iterator[Path]:
    """Folders of sessions in the root, or in the folders of the discs that it was published on."""
    for name in folders_in(root):
        if _SESSION.fullmatch(name):
            yield root / name
        else:
            yield from (root / name / below for below in folders_in(root / name) if _SESSION.fullmatch(below))


def _cross_sectional(homes: list[Path], options: AdoptionOptions) -> Spreadsheet | None:
    name = "oasis_cross-sectional.csv"
    if options.unlabelled and options.table is None and not any((home / name).is_file() for home in homes):
        return None
    cure = "add it, pass it with --table, or pass --unlabelled for scans to be predicted"
    spellings = (name, "oasis_cross-sectional.xlsx")
    return read_spreadsheet(require_file(homes, *spellings, given=options.table, cure=cure))


def _image_of(folder: Path) -> tuple[Path, str] | None:
    headers = [path for path in files_below(folder) if path.suffix == ".hdr" and path.with_suffix(".img").is_file()]
    for name, pattern in _PREFERRED:
        for path in headers:
            if pattern.fullmatch(path.name):
                return path, name
    return None


def _of_session(
    root: Path, folder: Path, image: Path, kind: str, sheet: Spreadsheet | None, row: Mapping[str, str] | None
) -> FoundExam:
    match = _SESSION.fullmatch(folder.name)
    columns, label, why = {"protocol": kind}, "", "oasis_cross-sectional has no row for its session"
    if sheet is not None and row is not None:
        rating = sheet.require("CDR")
        label, why = covariates.cleaned(sheet, rating, cdr_label, row), "was not rated (CDR is empty)"
        severity = covariates.number(row[rating])
        columns |= {**covariates.from_row(sheet, row), **({"severity": severity} if severity else {})}
    return FoundExam(
        image.relative_to(root),
        match[1] if match else "",
        label=label,
        why_unlabelled=why,
        columns=columns,
        files=(image.with_suffix(".img").relative_to(root),),
        exam_id=folder.name,
    )


def _other_of_session(path: Path) -> LeftOut:
    is_known = any(_SESSION.fullmatch(part) for part in path.parts[:-1])
    return LeftOut(path, "another image of its session" if is_known else "lies in no session", by_design=is_known)


def _adopt_3(root: Path, options: AdoptionOptions) -> Adoption:
    images = [
        (path.relative_to(root), match[1], int(match[2]))
        for path in files_below(root)
        if (match := _T1W.fullmatch(path.name)) is not None and path.is_file()
    ]
    if not images:
        example = next((path.name for path in files_below(root) if ".nii" in path.name), None)
        raise OctavoError(
            f"{root}: holds no file such as sub-OAS30001_ses-d0129_run-01_T1w.nii.gz"
            + (f"; found {example}" if example else "")
            + "; wanted the folder of the sessions, such as OAS30001_MR_d0129"
        )
    ratings, table = _ratings(root, options)
    found = []
    for path, person, day in images:
        near = min(ratings.get(person, []), key=lambda rating: abs(rating[0] - day), default=None)
        why = f"{table} has no rating of this person within {FARTHEST_DAYS} days of the scan"
        if near is None or abs(near[0] - day) > FARTHEST_DAYS:
            found.append(FoundExam(path, person, why_unlabelled=why, columns={"visit": f"d{day:04}"}))
            continue
        columns = {"visit": f"d{day:04}", "severity": near[1], **_at_scan(near[2], day)}
        found.append(FoundExam(path, person, label=cdr_label(near[1]), why_unlabelled=why, columns=columns))
    rest = rest_of(root, found, lambda path: LeftOut(path, "no T1-weighted image", ".nii" in path.name))
    notes = [f"CDR is that of the nearest day in {table}, at most {FARTHEST_DAYS} days away"] if ratings else []
    wants = "a spreadsheet with CDR and days (ADRC clinical data, or UDSb4), in ROOT or by --table"
    return adopted(root, found, options, left_out=rest, notes=notes, wants_labels=wants)


def _ratings(root: Path, options: AdoptionOptions) -> tuple[dict[str, list[tuple[int, str, dict[str, str]]]], str]:
    """Person to day, rating and covariates, and the name of the spreadsheet they stand in."""
    paths = [options.table] if options.table else [p for p in sorted(root.iterdir()) if p.suffix.lower() in SUFFIXES]
    sheets = [sheet for sheet in map(read_spreadsheet, paths) if sheet.find("cdr", "CDRTOT") and _day_columns(sheet)]
    if len(sheets) > 1:
        names = listed([sheet.path.name for sheet in sheets])
        raise OctavoError(f"{root}: {names} all hold CDR; wanted one; name it with --table")
    if not sheets:
        if options.table is not None:
            raise OctavoError(
                f"{options.table}: has no columns for CDR and the day; wanted cdr with 'ADRC_ADRCCLINICALDATA "
                "ID', or CDRTOT "
                "with OASISID and days_to_visit"
            )
        return {}, "no spreadsheet"
    sheet = sheets[0]
    column = sheet.require("cdr", "CDRTOT")
    ratings: dict[str, list[tuple[int, str, dict[str, str]]]] = {}
    for row in sheet.rows:
        person, day = _person_and_day(sheet, row)
        rating = covariates.cleaned(sheet, column, covariates.number, row)
        if person and rating:
            told = covariates.from_row(sheet, row)
            entry = sheet.find(_AGE_AT_ENTRY)
            told |= {_AGE_AT_ENTRY: covariates.cleaned(sheet, entry, covariates.number, row)} if entry else {}
            ratings.setdefault(person, []).append((day, rating, told))
    return ratings, sheet.path.name


def _at_scan(told: Mapping[str, str], day: int) -> dict[str, str]:
    """The covariates on the day of the scan: the age at entry, which the sheet tells, is years younger at later visits."""
    columns = {name: text for name, text in told.items() if name != _AGE_AT_ENTRY}
    entry = told.get(_AGE_AT_ENTRY)
    return {**columns, "age": covariates.number(f"{float(entry) + day / _DAYS_PER_YEAR:.2f}")} if entry else columns


def _day_columns(sheet: Spreadsheet) -> bool:
    by_days = sheet.find("OASISID", "Subject") is not None and sheet.find("days_to_visit") is not None
    return by_days or sheet.find("ADRC_ADRCCLINICALDATA ID", "OASIS_session_label") is not None


def _person_and_day(sheet: Spreadsheet, row: Mapping[str, str]) -> tuple[str, int]:
    label = sheet.find("ADRC_ADRCCLINICALDATA ID", "OASIS_session_label")
    match = _TOWARDS.fullmatch(row[label]) if label else None
    if match is not None:
        return match[1], int(match[2])
    person, days = sheet.find("OASISID", "Subject"), sheet.find("days_to_visit")
    number = covariates.cleaned(sheet, days, covariates.number, row) if days else ""
    return (row[person], int(float(number))) if person and number else ("", 0)


OASIS_1 = Adapter(
    name="oasis-1",
    layout="ROOT/[DISC/]OAS1_0001_MR1/{PROCESSED,RAW}/**/*.{hdr,img} with oasis_cross-sectional.csv (ID, CDR)",
    make_rows=_adopt_1,
    takes=frozenset({"unlabelled", "table"}),
    licence="OASIS data use terms",
)

OASIS_3 = Adapter(
    name="oasis-3",
    layout="ROOT/OAS30001_MR_d0129/anat2/[NIFTI/]sub-OAS30001_ses-d0129_run-01_T1w.nii.gz with a spreadsheet of "
    "CDR and days",
    make_rows=_adopt_3,
    takes=frozenset({"unlabelled", "table"}),
    licence="OASIS data use terms",
)
