"""Macular holes (OIMHS; Scientific Data 2023): folders of pictures, each a B-scan and its segmentation side by side.

Known from a program that loads it: the folders, and that the left 512 columns are the B-scan and the rest the colours
of its segmentation. All eyes have a macular hole, so there is no label. What the sheet beside the pictures is called
is not known: it is used where one is given with `--table`.
"""

from collections.abc import Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.found_exams import FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import folders_in, require_folder
from octavo.cohorts.adapters.picture_folders import numbered_pictures
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    images = require_folder(root, "Images")
    sheet = None if options.table is None else read_spreadsheet(options.table)
    people = {} if sheet is None else sheet.by(sheet.require("Eye ID", "eye", "image", "folder", "ID"))
    found, left_out = [], []
    for eye in folders_in(images):
        numbered = numbered_pictures(images / eye, r"(\d+)")
        relative = (images / eye).relative_to(root)
        if not numbered.pictures:
            left_out.append(LeftOut(relative, "holds no numbered pictures"))
            continue
        files = tuple(path.relative_to(root) for path in numbered.pictures)
        patient, laterality, columns = _person(sheet, people.get(eye))
        found.append(
            FoundExam(
                relative,
                patient,
                laterality,
                why_unlabelled="all eyes of this data set have a macular hole",
                columns={"diagnosis": "macular-hole", **columns},
                files=files,
                exam_id=eye,
            )
        )
    if not found:
        raise OctavoError(f"{images}: holds no folder of numbered pictures; wanted Images/EYE/1.png")
    left_out += rest_of(root, found, lambda path: LeftOut(path, "no numbered picture of a folder Images/EYE"), left_out)
    notes = [
        "the right half of each picture is its segmentation in colours, and octavo refuses pictures in colour: "
        "cut the left 512 "
        "columns out, as grey pictures of the same names, before reading them",
    ]
    if sheet is None:
        notes.append(
            "two eyes of one person are not told apart without the sheet of the data set: pass it with --table"
        )
    wants = "a label by which eyes differ; all of these have a macular hole"
    return adopted(root, found, options, left_out=left_out, notes=notes, wants_labels=wants)


def _person(sheet: Spreadsheet | None, row: Mapping[str, str] | None) -> tuple[str, Laterality, dict[str, str]]:
    if sheet is None or row is None:
        return "", Laterality.UNKNOWN, {}
    patient, eye = sheet.find("Patient ID", "patient", "subject"), sheet.find("laterality", "eye side", "OS/OD", "side")
    return (
        row[patient] if patient else "",
        Laterality.parse(row[eye]) if eye else Laterality.UNKNOWN,
        covariates.from_row(sheet, row),
    )


OIMHS = Adapter(
    name="oimhs",
    layout="ROOT/Images/EYE/K.png, B-scan and coloured segmentation side by side; no labels, so with --unlabelled",
    make_rows=_adopt,
    takes=frozenset({"unlabelled", "table"}),
    licence="CC BY 4.0, as far as is known",
)
