"""Photograph and B-scans of one eye, `ID.jpg` beside a folder `ID/` of numbered B-scans; GAMMA is laid out so.

GAMMA (MICCAI 2021): its folders, the names of the pictures and the columns of its spreadsheets are known from
programs that load it. That the B-scans are of a Topcon Triton and cover 3 x 3 mm is hearsay, so millimetres are left
empty. The published pictures are eyes; which two are of one person was not published.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below, patient_finder
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import find_file, find_folder, folders_in, listed, nearest
from octavo.cohorts.adapters.picture_folders import numbered_pictures, photograph_beside
from octavo.cohorts.adapters.spreadsheets import read_spreadsheet
from octavo.errors import OctavoError

GRADES = ("non", "early", "mid_advanced")
"""The columns of GAMMA's spreadsheets, one of which is 1."""

_PARTS = {"Training": "train", "Validation": "validation", "Testing": "test"}
_IMAGES = "multi-modality_images"
_TABLES = ("glaucoma_grading_training_GT.xlsx", "glaucoma_grading_testing_GT.xlsx", "glaucoma_grading.xlsx")
_ANY_NUMBER = r"\D*(?:.*\D)?(\d+)\D*"


def _pair(root: Path, folder: Path, photograph: Path, pattern: str) -> FoundExam | str:
    """The exam of a folder of B-scans and its photograph, or why it is none."""
    found = numbered_pictures(folder, pattern)
    if len(found.pictures) < 2:
        return f"holds {len(found.pictures)} numbered pictures; wanted B-scans"
    files = (photograph, *found.pictures)
    return FoundExam(
        folder.relative_to(root),
        columns={"photograph": str(photograph), "pattern": "raster"},
        files=tuple(path.relative_to(root) for path in files),
        exam_id=folder.name,
    )


def _pairs_below(root: Path) -> Iterator[tuple[Path, Path]]:
    """Every folder with a picture of its name beside it."""
    for folder in sorted({root, *(path.parent for path in files_below(root))}):
        for name in folders_in(folder):
            photograph = photograph_beside(folder, name)
            if photograph is not None:
                yield folder / name, photograph


def _adopt_paired(root: Path, options: AdoptionOptions) -> Adoption:
    find_patient = patient_finder(options.patient_pattern)
    found, left_out = [], []
    for folder, photograph in _pairs_below(root):
        exam = _pair(root, folder, photograph, _ANY_NUMBER)
        if isinstance(exam, str):
            left_out.append(LeftOut(folder.relative_to(root), exam))
            continue
        patient = find_patient(exam.path.as_posix())
        if options.patient_pattern is not None and not patient:
            left_out.append(LeftOut(exam.path, f"the pattern {options.patient_pattern!r} finds no patient"))
            continue
        label, why = _class_of(exam.path)
        found.append(
            FoundExam(exam.path, patient, label=label, why_unlabelled=why, columns=exam.columns, files=exam.files)
        )
    if not found:
        folders = folders_in(root)
        raise OctavoError(
            f"{root}: holds no folder of B-scans with a photograph of its name beside it; found folders "
            f"{listed(folders, 'none')}; wanted ID.jpg (or .png) beside ID/1.png, ID/2.png, ..."
        )
    left_out += rest_of(
        root, found, lambda path: LeftOut(path, "neither a photograph beside its folder, nor a B-scan"), left_out
    )
    return adopted(
        root, found, options, left_out=left_out, wants_labels="pairs in folders that are named after their class"
    )


def _class_of(path: Path) -> tuple[str, str]:
    """The folder that a pair lies in, directly below the root, names its class."""
    return (path.parts[0], "") if len(path.parts) > 1 else ("", "lies directly below the root, in no folder of a class")


def _adopt_gamma(root: Path, options: AdoptionOptions) -> Adoption:
    parts = _gamma_parts(root)
    found, left_out, unlabelled = [], [], []
    for name, folder in parts:
        grades, table = _grades(folder, options.table)
        if table is None:
            unlabelled.append(name)
        for eye in folders_in(folder / _IMAGES):
            exam = _gamma_eye(root, folder / _IMAGES / eye, name, grades)
            if isinstance(exam, LeftOut):
                left_out.append(exam)
            else:
                found.append(exam)
    if not found:
        raise OctavoError(
            f"{root}: holds no eye with B-scans; wanted {_IMAGES}/0001/0001/1_image.jpg beside "
            f"{_IMAGES}/0001/0001.jpg" + (f"; {left_out[0].path}: {left_out[0].reason}" if left_out else "")
        )
    notes = [
        "the eye, millimetres and the direction of the B-scans are not in the data set; a field of 3 x 3 mm is "
        "hearsay: these "
        "columns are left empty"
    ]
    notes += [f"{name} has no spreadsheet of grades" for name in unlabelled]
    left_out += rest_of(root, found, _other_than_gamma, left_out)
    wants = f"{' or '.join(_TABLES[:2])} in the folder of its part, or --table FILE"
    return adopted(root, found, options, left_out=left_out, notes=notes, wants_labels=wants)


def _gamma_parts(root: Path) -> list[tuple[str, Path]]:
    """The folders that hold `multi-modality_images`, by the part of the split."""
    base = find_folder(root, "Glaucoma_grading") or root
    if (base / _IMAGES).is_dir():
        name = next((name for name in _PARTS if name.lower() == base.resolve().name.lower()), "")
        return [(name, base)]
    parts = [(name, folder) for name in _PARTS if (folder := find_folder(base, name)) and (folder / _IMAGES).is_dir()]
    if not parts:
        names = folders_in(base)
        raise OctavoError(
            f"{base}: has no folder {_IMAGES!r} in {', '.join(_PARTS)}; found {listed(names, 'no folders')}"
            f"{nearest('Training', names)}; wanted Glaucoma_grading/Training/{_IMAGES}"
        )
    return parts


def _grades(folder: Path, given: Path | None) -> tuple[Mapping[str, str], Path | None]:
    """Eye to grade, and the spreadsheet it stands in."""
    table = given or find_file(folder, *_TABLES)
    if table is None:
        return {}, None
    sheet = read_spreadsheet(table)
    eye = sheet.require("data", "id")
    columns = [sheet.require(grade) for grade in GRADES]
    grades = {}
    for name, row in sheet.by(eye).items():
        marked = [grade for grade, column in zip(GRADES, columns, strict=True) if covariates.number(row[column]) == "1"]
        if len(marked) == 1:
            grades[name.zfill(4)] = marked[0]
    return grades, table


def _gamma_eye(root: Path, home: Path, part: str, grades: Mapping[str, str]) -> FoundExam | LeftOut:
    relative = home.relative_to(root)
    folder, photograph = home / home.name, photograph_beside(home, home.name)
    if not folder.is_dir() or photograph is None:
        there: Sequence[str] = [*folders_in(home), *(path.name for path in home.iterdir() if path.is_file())]
        missing = f"folder {home.name}/ of B-scans" if not folder.is_dir() else f"photograph {home.name}.jpg"
        return LeftOut(relative, f"has no {missing}; found {listed(there)}")
    exam = _pair(root, folder, photograph, r"(\d+)_image")
    if isinstance(exam, str):
        return LeftOut(relative, exam)
    grade = grades.get(home.name, "")
    columns = {**exam.columns, "split": _PARTS.get(part, ""), **({"severity": grade} if grade else {})}
    why = "its grade stands in no spreadsheet"
    return FoundExam(exam.path, label=grade, why_unlabelled=why, columns=columns, files=exam.files)


def _other_than_gamma(path: Path) -> LeftOut:
    if path.name in _TABLES:
        return LeftOut(path, "the spreadsheet of grades", by_design=True)
    is_other_task = _IMAGES not in path.parts
    return LeftOut(path, "of another task" if is_other_task else "neither the photograph nor a B-scan", is_other_task)


GAMMA = Adapter(
    name="gamma",
    layout="ROOT/[Glaucoma_grading/]{Training,Validation,Testing}/multi-modality_images/ID/{ID.jpg,ID/K_image.jpg}; "
    "glaucoma_grading_..._GT.xlsx in each part",
    make_rows=_adopt_gamma,
    takes=LABELLING | {"table"},
    licence="registration with the challenge",
)

PAIRED = Adapter(
    name="paired",
    layout="ROOT/[CLASS/]**/ID.jpg beside a folder ID/ of numbered B-scans",
    make_rows=_adopt_paired,
    takes=LABELLING | {"patient_pattern"},
)
