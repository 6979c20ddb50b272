"""Harvard-GF, FairVision and Harvard-GDP of Harvard's ophthalmology group: one `.npz` for each patient.

From their publications: the keys of the archives, the meaning of the numbers in `race`, `male` and `glaucoma`, the
conditions of FairVision and which of them count as disease, and that the first axis of `oct_bscans` counts the
B-scans. Not published with the files: millimetres, the eye, and the direction of the B-scans; they stay empty.
Conditions may be stored as Python objects, which are never loaded; the summary beside the folders is asked instead.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import find_file, find_folder, folders_in, listed, nearest
from octavo.cohorts.adapters.npz_facts import ArchiveFacts, read_archive_facts
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError, unknown_name

BSCANS = "oct_bscans"
DISEASES = {"AMD": "amd", "DR": "dr", "Glaucoma": "glaucoma"}
"""Folder of FairVision to the end of the name of its summary."""

PARTS = {"training": "train", "train": "train", "validation": "validation", "val": "validation", "test": "test"}

STAGES = {
    "not.in.icd.table": "no-amd",
    "no.amd.diagnosis": "no-amd",
    "early.dry": "early-amd",
    "intermediate.dry": "intermediate-amd",
    "advanced.atrophic.dry.with.subfoveal.involvement": "late-amd",
    "advanced.atrophic.dry.without.subfoveal.involvement": "late-amd",
    "wet.amd.active.choroidal.neovascularization": "late-amd",
    "wet.amd.inactive.choroidal.neovascularization": "late-amd",
    "wet.amd.inactive.scar": "late-amd",
}
"""FairVision's four classes of macular degeneration, 0 to 3, by condition."""

THREATENS_VISION = {
    "not.in.icd.table": "0",
    "no.dr.diagnosis": "0",
    "mild.npdr": "0",
    "moderate.npdr": "0",
    "severe.npdr": "1",
    "pdr": "1",
}
"""FairVision's task for diabetic retinopathy: whether it threatens vision, by condition."""

_NAME = re.compile(r"data_(\d+)\.npz")
_NOTES = (
    "the files hold no millimetres, no eye and no direction of the B-scans: these columns are left empty",
    "B-scans are taken to be stored as bscan, depth, ascan: that the first axis counts them is published, the "
    "rest is not",
)


def _facts_of(path: Path) -> ArchiveFacts:
    facts = read_archive_facts(path)
    if BSCANS not in facts.shapes:
        raise OctavoError(f"holds no {BSCANS}; found {listed(list(facts.shapes))}")
    if BSCANS in facts.objects:
        raise OctavoError(f"{BSCANS} holds Python objects, which could run code; save it again as plain numbers")
    return facts


def _covariates(facts: ArchiveFacts) -> dict[str, str]:
    race = covariates.known(facts.text("race"))
    hispanic = covariates.number(facts.text("ethnicity", "hispanic"))
    found = {
        "age": covariates.number(facts.text("age")),
        "sex": {"0": "F", "1": "M"}.get(covariates.number(facts.text("male")), ""),
        "race": covariates.RACES.get(covariates.number(race), race if not covariates.number(race) else ""),
        "ethnicity": {"0": "non-Hispanic", "1": "Hispanic"}.get(hispanic, ""),
        "language": covariates.known(facts.text("language")),
        "marital_status": covariates.known(facts.text("maritalstatus", "marital status")),
        "md": covariates.number(facts.text("md"), minus_one=True),
    }
    return {name: text for name, text in found.items() if text}


def _archives(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every `data_XXXX.npz` below a folder, and its number."""
    for path in files_below(folder):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            yield path, match[1]


def _part_of(relative: Path) -> str:
    return next((PARTS[part.lower()] for part in relative.parts[:-1] if part.lower() in PARTS), "")


def _of_archive(
    root: Path, path: Path, number: str, facts: ArchiveFacts, label: tuple[str, str, Mapping[str, str]]
) -> FoundExam:
    text, why, columns = label
    patient = covariates.known(facts.text("pid")) or number
    photograph = path.with_name(f"slo_{number}.jpg")
    files = (photograph.relative_to(root),) if photograph.is_file() else ()
    shown = {"photograph": str(photograph)} if files else {}
    extra = {"key": BSCANS, "split": _part_of(path.relative_to(root)), **columns, **shown}
    return FoundExam(path.relative_to(root), patient, label=text, why_unlabelled=why, columns=extra, files=files)


def _other(relative: Path) -> LeftOut:
    if _NAME.fullmatch(relative.name):
        return LeftOut(relative, "belongs to another disease", by_design=True)
    if relative.name.startswith("slo_"):
        return LeftOut(relative, "a photograph without an archive of B-scans beside it", by_design=True)
    return LeftOut(relative, "not called data_NUMBER.npz")


def _require_archives(root: Path, folder: Path, name: str) -> list[tuple[Path, str]]:
    archives = list(_archives(folder))
    if not archives:
        example = next((path.relative_to(root) for path in files_below(folder) if path.suffix == ".npz"), None)
        found = f"; found {example}" if example else f"; found folders {listed(folders_in(folder), 'none')}"
        raise OctavoError(
            f"{folder}: holds no file data_NUMBER.npz{found}; wanted the folder of {name}, unpacked from its archive"
        )
    return archives


def _binary(facts: ArchiveFacts, key: str) -> tuple[str, str, Mapping[str, str]]:
    if key in facts.objects:
        return "", f"{key} is stored as a Python object, which is not loaded because that could run code", {}
    label = covariates.number(facts.text(key))
    return (label, "", {}) if label in {"0", "1"} else ("", f"{key} is neither 0 nor 1", {})


def _adopt_gf(root: Path, options: AdoptionOptions) -> Adoption:
    found, left_out = [], []
    archives = _require_archives(root, root, "Harvard-GF")
    for path, number in archives:
        try:
            facts = _facts_of(path)
        except OctavoError as refusal:
            left_out.append(LeftOut(path.relative_to(root), str(refusal)))
            continue
        exam = _of_archive(root, path, number, facts, _binary(facts, "glaucoma"))
        found.append(_with(exam, _covariates(facts)))
    _require_some(root, found, left_out)
    left_out += rest_of(root, found, _other, left_out)
    return adopted(root, found, options, left_out=left_out, notes=_NOTES, wants_labels="glaucoma in each archive")


def _with(exam: FoundExam, columns: Mapping[str, str]) -> FoundExam:
    return FoundExam(
        exam.path,
        exam.patient,
        label=exam.label,
        why_unlabelled=exam.why_unlabelled,
        columns={**exam.columns, **columns},
        files=exam.files,
    )


def _require_some(root: Path, found: Sequence[FoundExam], left_out: Sequence[LeftOut]) -> None:
    if not found:
        first = left_out[0]
        raise OctavoError(
            f"{root}: none of {len(left_out)} archives holds B-scans ({first.path}: {first.reason}); wanted archives "
            f"with {BSCANS}"
        )


def _adopt_fairvision(root: Path, options: AdoptionOptions) -> Adoption:
    disease, folder = _disease_of(root, options.disease)
    archives = _require_archives(root, folder, f"FairVision's {disease}")
    sheet = _summary(root, folder, disease, options.table)
    conditions = _conditions(sheet, disease)
    found, left_out, objects = [], [], Counter[str]()
    for path, number in archives:
        relative = path.relative_to(root)
        try:
            facts = _facts_of(path)
        except OctavoError as refusal:
            left_out.append(LeftOut(relative, str(refusal)))
            continue
        objects.update(facts.objects)
        row = conditions.get(path.name) or conditions.get(number) or {}
        columns = {**(covariates.from_row(sheet, row) if sheet and row else {}), **_covariates(facts)}
        label = _label(disease, facts, row.get("__condition", ""))
        found.append(_with(_of_archive(root, path, number, facts, label), columns))
    _require_some(root, found, left_out)
    left_out += rest_of(root, found, _other, left_out)
    notes = [*_NOTES, f"disease {disease}; patients of different diseases of FairVision are numbered separately"]
    notes += [
        f"{key} is stored as Python objects in {n} files and was not loaded" for key, n in sorted(objects.items())
    ]
    wants = f"the condition in each archive, or in data_summary_{DISEASES[disease]}.csv"
    return adopted(root, found, options, left_out=left_out, notes=notes, wants_labels=wants)


def _disease_of(root: Path, asked: str | None) -> tuple[str, Path]:
    by_name = {name.lower(): name for name in DISEASES}
    if asked is not None and asked.lower() not in by_name:
        raise OctavoError(unknown_name("a disease of FairVision", asked, DISEASES))
    there = {name: folder for name in DISEASES if (folder := find_folder(root, name)) is not None}
    itself = by_name.get(root.resolve().name.lower())
    if not there and itself is not None and asked in {None, itself}:
        return itself, root
    if asked is not None:
        name = by_name[asked.lower()]
        if name in there:
            return name, there[name]
        names = folders_in(root)
        raise OctavoError(f"{root}: has no folder {name!r}; found {listed(names, 'no folders')}{nearest(name, names)}")
    if len(there) == 1:
        return next(iter(there.items()))
    if there:
        raise OctavoError(f"{root}: holds {', '.join(there)}; wanted one, each has its own task; pass --disease NAME")
    names = folders_in(root)
    raise OctavoError(
        f"{root}: has no folder {' or '.join(map(repr, DISEASES))}; found {listed(names, 'no folders')}; wanted the "
        "folder that holds one of them"
    )


def _summary(root: Path, folder: Path, disease: str, given: Path | None) -> Spreadsheet | None:
    if given is not None:
        return read_spreadsheet(given)
    name = f"data_summary_{DISEASES[disease]}.csv"
    path = find_file(root, name) or find_file(folder.resolve().parent, name) or find_file(folder, name)
    return None if path is None else read_spreadsheet(path)


def _conditions(sheet: Spreadsheet | None, disease: str) -> dict[str, Mapping[str, str]]:
    """Rows of the summary by name of file, with the condition under one name."""
    if sheet is None:
        return {}
    name = sheet.find("filename", "file_name", "file", "id")
    if name is None:
        return {}
    condition = sheet.find(f"{DISEASES[disease]}_condition", f"{DISEASES[disease]}_subtype", DISEASES[disease])
    return {row[name]: {**row, "__condition": row[condition] if condition else ""} for row in sheet.by(name).values()}


def _label(disease: str, facts: ArchiveFacts, beside: str) -> tuple[str, str, Mapping[str, str]]:
    """The label, the reason where there is none, and the condition as severity."""
    if disease == "Glaucoma":
        return _binary(facts, "glaucoma")
    classes = STAGES if disease == "AMD" else THREATENS_VISION
    keys = ("amd_condition", "dr_subtype") if disease == "AMD" else ("dr_subtype", "dr_condition")
    condition = facts.text(*keys) or beside
    if condition in classes:
        return classes[condition], "", {"severity": condition}
    stored = next((key for key in keys if key in facts.objects), None)
    if stored is not None:
        return "", f"{stored} is stored as a Python object, which is not loaded because that could run code", {}
    return "", f"its condition is none of those published for {disease}", {}


def _adopt_gdp(root: Path, options: AdoptionOptions) -> Adoption:
    archives = _require_archives(root, root, "Harvard-GDP")
    facts = read_archive_facts(archives[0][0])
    if BSCANS in facts.shapes:
        return _adopt_gf(root, options)
    rnflt = facts.shapes.get("rnflt")
    size = f" ({' x '.join(map(str, rnflt))})" if rnflt else ""
    raise OctavoError(
        f"{root}: {len(archives)} archives such as {archives[0][0].name} hold thickness maps{size} and no "
        "B-scans; wanted "
        f"{BSCANS}, because a map of one number for each A-scan is no scan that can be cut, oriented or explained in "
        "depth; Harvard-GF and FairVision have B-scans"
    )


HARVARD_GF = Adapter(
    name="harvard-gf",
    layout="ROOT/**/data_XXXX.npz with oct_bscans and glaucoma; a folder Training, Validation or Test is the split",
    make_rows=_adopt_gf,
    takes=frozenset({"unlabelled"}),
    licence="CC BY-NC-ND 4.0",
)

FAIRVISION = Adapter(
    name="fairvision",
    layout="ROOT/{AMD,DR,Glaucoma}/{Training,Validation,Test}/data_XXXXX.npz (or train, val, test), one by --disease; "
    "data_summary_DISEASE.csv beside them",
    make_rows=_adopt_fairvision,
    takes=LABELLING | {"disease", "table"},
    licence="CC BY-NC-ND 4.0",
)

HARVARD_GDP = Adapter(
    name="harvard-gdp",
    layout="ROOT/rnflt_maps/data_XXXX.npz: thickness maps without B-scans, so it is refused with that reason",
    make_rows=_adopt_gdp,
    takes=frozenset({"unlabelled"}),
    licence="CC BY-NC-ND 4.0",
)
