"""Macular holes (OIMHS; Scientific Data 2023): folders of pictures, each a B-scan and its segmentation side by side.

Known from a program that loads it: the folders, and that the left 512 columns are the B-scan and the rest the colours
of its segmentation. The key `left` in the manifest has the reader take the left half; eyes whose pictures are not twice
512 columns wide are left out. All eyes have a macular hole, so there is no label. What the sheet beside the pictures is
called is not known: it is used where one is given with `--table`.
"""

from collections.abc import Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.found_exams import FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import folders_in, require_folder
from octavo.cohorts.adapters.picture_folders import NumberedPictures, numbered_pictures, picture_size
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality

_COLUMNS = 512
"""How wide a B-scan is; its segmentation is as wide."""


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    images = require_folder(root, "Images")
    sheet = None if options.table is None else read_spreadsheet(options.table)
    people = {} if sheet is None else sheet.by(sheet.require("Eye ID", "eye", "image", "folder", "ID"))
    found, left_out = [], []
    for eye in folders_in(images):
        numbered = numbered_pictures(images / eye, r"(\d+)")
        relative = (images / eye).relative_to(root)
        fault = _fault(numbered)
        if fault:
            left_out.append(LeftOut(relative, fault))
            continue
        files = tuple(path.relative_to(root) for path in numbered.pictures)
        patient, laterality, columns = _person(sheet, people.get(eye))
        found.append(
            FoundExam(
                relative,
                patient,
                laterality,
                why_unlabelled="all eyes of this data set have a macular hole",
                columns={"diagnosis": "macular-hole", "key": "left", **columns},
                files=files,
                exam_id=eye,
            )
        )
    if not found:
        why = f" ({left_out[0].path}: {left_out[0].reason})" if left_out else ""
        raise OctavoError(f"{images}: holds no eye of numbered pictures{why}; wanted Images/EYE/1.png")
    left_out += rest_of(root, found, lambda path: LeftOut(path, "no numbered picture of a folder Images/EYE"), left_out)
    notes = [
        "the right half of each picture is its segmentation in colours: the column key says left, so that only the "
        "left half is read",
    ]
    if sheet is None:
        notes.append(
            "two eyes of one person are not told apart without the sheet of the data set: pass it with --table"
        )
    wants = "a label by which eyes differ; all of these have a macular hole"
    return adopted(root, found, options, left_out=left_out, notes=notes, wants_labels=wants)


def _fault(numbered: NumberedPictures) -> str:
    """Why the pictures of a folder are no eye of this data set; nothing where they may be one."""
    if len(numbered.pictures) < 2:
        return (
            "holds no numbered pictures" if not numbered.pictures else "holds a single numbered picture, and no raster"
        )
    size = picture_size(numbered.pictures[0])
    # whoever reads a picture that cannot be opened gets the sentence
    if size is None or size[1] == 2 * _COLUMNS:
        return ""
    return (
        f"its pictures are {size[1]} columns wide; wanted {2 * _COLUMNS}, of which the left {_COLUMNS} are the B-scan"
    )


def _person(sheet: Spreadsheet | None, row: Mapping[str, str] | None) -> tuple[str, Laterality, dict[str, str]]:
    if sheet is None or row is None:
        return "", Laterality.UNKNOWN, {}
    patient, eye = sheet.find("Patient ID", "patient", "subject"), sheet.find("laterality", "eye side", "OS/OD", "side")
    return (
        row[patient] if patient else "",
        covariates.eye(sheet, row, eye),
        covariates.from_row(sheet, row),
    )


OIMHS = Adapter(
    name="oimhs",
    layout="ROOT/Images/EYE/K.png, B-scan and coloured segmentation side by side; no labels, so with --unlabelled",
    make_rows=_adopt,
    takes=frozenset({"unlabelled", "table"}),
    licence="CC BY 4.0, as far as is known",
)
