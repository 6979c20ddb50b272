"""OCTA-500 (IEEE DataPort): structural OCT of 500 people in two fields, each B-scan a picture.

Known from programs that load it: the folders, the numbers of the people in each field, 400 or 304 B-scans of 640 x
400 or 640 x 304 over 6 or 3 mm, 2 mm deep, and the columns of `Text labels.xlsx`. Millimetres are given only where
number and size of the pictures are as published. The direction of the B-scans is not known.
"""

from collections.abc import Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import find_folder, folders_in, listed, nearest, require_file
from octavo.cohorts.adapters.picture_folders import numbered_pictures, picture_size
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality

FIELDS = {"OCTA_6mm": (6.0, 400), "OCTA_6M": (6.0, 400), "OCTA_3mm": (3.0, 304), "OCTA_3M": (3.0, 304)}
"""Folder to millimetres and number of B-scans, which is the number of A-scans too."""

DEPTH = (2.0, 640)
"""Millimetres and samples along depth."""

_LABELS = "Text labels.xlsx"


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    fields = _fields_of(root)
    found, left_out, odd = [], [], 0
    for name, folder in fields:
        labels = _labels(folder, root, options)
        left_out += _other_folders(root, folder)
        for person in folders_in(folder / "OCT"):
            exam = _exam(root, folder / "OCT" / person, name, labels)
            if isinstance(exam, LeftOut):
                left_out.append(exam)
                continue
            odd += "spacing_bscan_mm" not in exam.columns
            found.append(exam)
    if not found:
        raise OctavoError(f"{root}: holds no B-scans; wanted {fields[0][0]}/OCT/10001/1.bmp, and so on")
    notes = ["the direction of the B-scans is not known: slow_axis is left empty"]
    if odd:
        notes.append(
            f"{odd} of {len(found)} scans have not the published number or size of B-scans: spacing left empty"
        )
    left_out += rest_of(root, found, _other, left_out)
    return adopted(
        root, found, options, left_out=left_out, notes=notes, wants_labels=f"{_LABELS} in each field's folder"
    )


def _fields_of(root: Path) -> list[tuple[str, Path]]:
    there = [(name, folder) for name in FIELDS if (folder := find_folder(root, name)) is not None]
    there = [(name, folder) for name, folder in there if (folder / "OCT").is_dir()]
    if there:
        return there
    if (root / "OCT").is_dir():
        name = next((name for name in FIELDS if name.lower() == root.resolve().name.lower()), "")
        return [(name, root)]
    names = folders_in(root)
    raise OctavoError(
        f"{root}: has no folder OCT, in {', '.join(FIELDS)} or by itself; found {listed(names, 'no folders')}"
        f"{nearest('OCTA_6mm', names)}; wanted OCTA_6mm/OCT/10001/1.bmp"
    )


def _labels(folder: Path, root: Path, options: AdoptionOptions) -> tuple[Spreadsheet, Mapping[str, Mapping[str, str]]]:
    spellings = (_LABELS, "Text labels.csv")
    path = require_file([folder, root], *spellings, given=options.table, cure="pass it with --table, as XLSX or CSV")
    sheet = read_spreadsheet(path)
    return sheet, sheet.by(sheet.require("ID"))


def _exam(
    root: Path, folder: Path, field: str, labels: tuple[Spreadsheet, Mapping[str, Mapping[str, str]]]
) -> FoundExam | LeftOut:
    sheet, people = labels
    found = numbered_pictures(folder, r"(\d+)")
    if len(found.pictures) < 2:
        return LeftOut(folder.relative_to(root), f"holds {len(found.pictures)} numbered pictures; wanted B-scans")
    row = people.get(folder.name)
    columns = {"pattern": "raster", **_spacing(field, found.pictures)}
    eye, label, why = Laterality.UNKNOWN, "", f"{sheet.path.name} has no row for it"
    if row is not None:
        columns |= covariates.from_row(sheet, row)
        eye = covariates.eye(sheet, row, sheet.require("OS/OD", "eye"))
        label, why = covariates.known(row[sheet.require("Disease")]), f"{sheet.path.name} names no disease"
    files = tuple(path.relative_to(root) for path in found.pictures)
    return FoundExam(folder.relative_to(root), folder.name, eye, label, why, columns, files, exam_id=folder.name)


def _spacing(field: str, pictures: tuple[Path, ...]) -> dict[str, str]:
    """Millimetres, where the pictures are as many and as large as published."""
    size_mm, count = FIELDS.get(field, (0.0, 0))
    if not count or len(pictures) != count:
        return {}
    # reading refuses a scan whose pictures differ, so the outermost two speak for all
    if {picture_size(path) for path in (pictures[0], pictures[-1])} != {(DEPTH[1], count)}:
        return {}
    step, depth = repr(size_mm / count), repr(DEPTH[0] / DEPTH[1])
    return {"spacing_bscan_mm": step, "spacing_depth_mm": depth, "spacing_ascan_mm": step}


def _other_folders(root: Path, folder: Path) -> list[LeftOut]:
    reasons = {
        "OCTA": "angiography, no structure",
        "Projection Maps": "pictures from the front",
        "Label": "segmentations",
    }
    return [
        LeftOut(there.relative_to(root), reason, by_design=True)
        for name, reason in reasons.items()
        if (there := find_folder(folder, name)) is not None
    ]


def _other(path: Path) -> LeftOut:
    return LeftOut(path, "not a numbered B-scan of a folder OCT/ID")


OCTA_500 = Adapter(
    name="octa-500",
    layout="ROOT/[OCTA_6mm|OCTA_3mm/]OCT/ID/K.bmp with Text labels.xlsx beside OCT (ID, Sex, OS/OD, Age, Disease)",
    make_rows=_adopt,
    takes=LABELLING | {"table"},
    licence="IEEE DataPort account",
)
