"""Data sets of single B-scans: Kermany's OCT2017 and OCTDL. Each row is one picture, and no raster.

A network of volumes cannot use them; `octavo cohort check` calls them unsuitable. They are adopted with their
patients, so that a division by picture, which puts one person on both sides, cannot happen. Both layouts are known
from their descriptions and from programs that load them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import find_folder, folders_in, listed, nearest, require_file
from octavo.cohorts.adapters.picture_folders import PICTURES
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError

OCT2017 = ("CNV", "DME", "DRUSEN", "NORMAL")
OCTDL_CLASSES = ("AMD", "DME", "ERM", "NO", "RAO", "RVO", "VID")

_PARTS = {"train": "train", "val": "validation", "test": "test"}
_NAME = re.compile(r"([A-Za-z]+)-(\w+)-(\d+)")
_NOTE = "each row is a single B-scan and no volume: models of volumes refuse them"


def _adopt_kermany(root: Path, options: AdoptionOptions) -> Adoption:
    base = find_folder(root, "OCT2017") or root
    if find_folder(base, *OCT2017) is None and all(find_folder(base, name) is None for name in _PARTS):
        names = folders_in(base)
        raise OctavoError(
            f"{base}: has no folder {', '.join(_PARTS)} and none of {', '.join(OCT2017)}; found "
            f"{listed(names, 'no folders')}{nearest('train', names)}; wanted OCT2017/train/CNV/CNV-1-1.jpeg"
        )
    found, left_out = [], []
    for path in files_below(root):
        exam = _of_kermany(path.relative_to(root), path)
        if isinstance(exam, FoundExam):
            found.append(exam)
        elif exam:
            left_out.append(LeftOut(path.relative_to(root), exam))
    if not found:
        raise OctavoError(f"{base}: holds no picture such as train/CNV/CNV-1016042-1.jpeg; wanted the published names")
    left_out += rest_of(root, found, lambda path: LeftOut(path, "no picture in the folder of a class"), left_out)
    return adopted(root, found, options, left_out=left_out, notes=[_NOTE])


def _of_kermany(relative: Path, path: Path) -> FoundExam | str:
    """The exam, the reason why it is none, or nothing for what is no picture in a folder of a class."""
    folder = relative.parent.name
    if folder not in OCT2017 or relative.suffix.lower() not in PICTURES or not path.is_file():
        return ""
    match = _NAME.fullmatch(relative.stem)
    if match is None:
        return "is not called CLASS-PATIENT-NUMBER.jpeg"
    if match[1] != folder:
        return f"lies in {folder}, and its name says {match[1]}"
    part = next((_PARTS[place] for place in relative.parts[:-1] if place in _PARTS), "")
    return FoundExam(relative, match[2], label=folder, columns={"pattern": "line", "split": part})


def _adopt_octdl(root: Path, options: AdoptionOptions) -> Adoption:
    base = find_folder(root, "OCTDL") or root
    if not any((base / name).is_dir() for name in OCTDL_CLASSES):
        names = folders_in(base)
        raise OctavoError(
            f"{base}: has no folder {' or '.join(OCTDL_CLASSES)}; found {listed(names, 'no folders')}; wanted "
            "OCTDL/AMD/*.jpg"
        )
    table = require_file([base, root], "OCTDL_labels.csv", given=options.table, cure="pass it with --table")
    sheet = read_spreadsheet(table)
    rows = sheet.by(sheet.require("file_name"))
    found: list[FoundExam] = []
    left_out: list[LeftOut] = []
    for name in OCTDL_CLASSES:
        for path in files_below(base / name) if (base / name).is_dir() else ():
            if path.suffix.lower() in PICTURES and path.is_file():
                exam = _of_octdl(path.relative_to(root), name, sheet, rows.get(path.stem) or rows.get(path.name))
                if isinstance(exam, FoundExam):
                    found.append(exam)
                else:
                    left_out.append(exam)
    if not found:
        first = f" ({left_out[0].path}: {left_out[0].reason})" if left_out else ""
        raise OctavoError(f"{base}: holds no picture that {table.name} knows{first}; wanted both of one version")
    left_out += rest_of(root, found, lambda path: LeftOut(path, "no picture in the folder of a class"), left_out)
    return adopted(root, found, options, left_out=left_out, notes=[_NOTE])


def _of_octdl(relative: Path, folder: str, sheet: Spreadsheet, row: Mapping[str, str] | None) -> FoundExam | LeftOut:
    if row is None:
        return LeftOut(relative, f"has no row in {sheet.path.name}")
    disease = row[sheet.require("disease")]
    if disease != folder:
        return LeftOut(relative, f"lies in {folder}, and {sheet.path.name} says {disease}")
    eye = sheet.find("eye", "laterality")
    return FoundExam(
        relative,
        row[sheet.require("patient_id")],
        covariates.eye(sheet, row, eye),
        disease,
        columns={"pattern": "line", **covariates.from_row(sheet, row)},
    )


KERMANY = Adapter(
    name="kermany",
    layout="ROOT/[OCT2017/]{train,val,test}/{CNV,DME,DRUSEN,NORMAL}/CLASS-PATIENT-K.jpeg, single B-scans",
    make_rows=_adopt_kermany,
    takes=LABELLING,
    licence="CC BY 4.0",
)

OCTDL = Adapter(
    name="octdl",
    layout="ROOT/[OCTDL/]{AMD,DME,ERM,NO,RAO,RVO,VID}/*.jpg with OCTDL_labels.csv (file_name, disease, "
    "patient_id), single "
    "B-scans",
    make_rows=_adopt_octdl,
    takes=LABELLING | {"table"},
    licence="CC BY 4.0",
)
