"""AI-READI (FAIRhub): structural OCT of four devices as DICOM, listed in `retinal_oct/manifest.tsv`.

Known from the programs of its makers: the folders, the names of the files, and the columns of `manifest.tsv` and
`participants.tsv`. A person has many scans: several devices, both eyes, macula and disc; the columns `device` and
`protocol` tell them apart. Where the name of a file and the list differ about the eye, nothing is adopted.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import folders_in, require_file, require_folder
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality

PARTS = {"train": "train", "training": "train", "val": "validation", "validation": "validation", "test": "test"}

_EYE_IN_NAME = re.compile(r"_([lr])_(?=[0-9.]+$)", re.IGNORECASE)


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    oct_folder = require_folder(root, "retinal_oct")
    listing = read_spreadsheet(require_file([oct_folder], "manifest.tsv", "manifest.csv"))
    people_path = require_file([root], "participants.tsv", "participants.csv", given=options.table, cure="pass --table")
    people = read_spreadsheet(people_path)
    by_person = people.by(people.require("person_id", "participant_id"))
    group = people.require("study_group")
    part = people.find("recommended_split")
    found, left_out = [], []
    for row in listing.rows:
        exam = _exam(root, listing, row)
        if isinstance(exam, LeftOut):
            left_out.append(exam)
            continue
        person = by_person.get(exam.patient)
        columns = dict(exam.columns)
        if person is not None:
            columns |= {**covariates.from_row(people, person), **exam.columns}
            columns["split"] = PARTS.get(person[part].lower(), "") if part else ""
        label = covariates.known(person[group]) if person is not None else ""
        why = f"{people_path.name} says no study group of this person"
        found.append(FoundExam(exam.path, exam.patient, exam.laterality, label, why, columns))
    if not found:
        first = f" ({left_out[0].path}: {left_out[0].reason})" if left_out else ""
        raise OctavoError(
            f"{root}: none of {len(listing.rows)} rows of retinal_oct/manifest.tsv leads to a file{first}"
        )
    left_out += _other_folders(root)
    left_out += rest_of(root, found, _other, left_out)
    notes = ["a person has several scans of each eye: choose by the columns device and protocol before training"]
    return adopted(root, found, options, left_out=left_out, notes=notes, wants_labels="study_group in participants.tsv")


def _exam(root: Path, listing: Spreadsheet, row: Mapping[str, str]) -> FoundExam | LeftOut:
    stored = row[listing.require("filepath")].lstrip("/")
    path = Path(stored)
    if not stored or path.is_absolute() or ".." in path.parts:
        return LeftOut(Path("retinal_oct/manifest.tsv"), "a row leads to no file below the root")
    if not (root / path).is_file():
        return LeftOut(path, "is listed in retinal_oct/manifest.tsv and is not there")
    eye = covariates.eye(listing, row, listing.require("laterality"))
    named = _EYE_IN_NAME.search(path.stem)
    if named is not None and eye not in {Laterality.UNKNOWN, Laterality.parse(named[1])}:
        raise OctavoError(
            f"{path}: its name says {Laterality.parse(named[1])} and retinal_oct/manifest.tsv says {eye}; wanted "
            "one eye; "
            "correct whichever is wrong"
        )
    if eye is Laterality.UNKNOWN and named is not None:
        eye = Laterality.parse(named[1])
    return FoundExam(
        path, row[listing.require("person_id", "participant_id")], eye, columns=_columns(listing, row, path)
    )


def _columns(listing: Spreadsheet, row: Mapping[str, str], path: Path) -> dict[str, str]:
    def cell(*spellings: str) -> str:
        column = listing.find(*spellings)
        return covariates.known(row[column]) if column else ""

    area = cell("anatomic_region").lower()
    macula, disc = "macula" in area, "optic" in area or "disc" in area
    region = {(True, True): "macula-and-disc", (True, False): "macula", (False, True): "disc"}.get((macula, disc), "")
    device = path.parts[2] if len(path.parts) > 3 else cell("manufacturers_model_name")
    found = {"device": device, "protocol": cell("anatomic_region"), "region": region}
    return {name: text for name, text in found.items() if text}


def _other_folders(root: Path) -> Iterator[LeftOut]:
    for name in folders_in(root):
        if name != "retinal_oct" and not (root / name).is_symlink():
            yield LeftOut(Path(name), "no structural OCT", by_design=True)


def _other(path: Path) -> LeftOut:
    return LeftOut(path, "stands in no row of retinal_oct/manifest.tsv")


AI_READI = Adapter(
    name="ai-readi",
    layout="ROOT/participants.tsv and ROOT/retinal_oct/manifest.tsv with structural_oct/DEVICE/PERSON/*.dcm",
    make_rows=_adopt,
    takes=LABELLING | {"table"},
    licence="FAIRhub licence agreement",
)
