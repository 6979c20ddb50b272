"""The manifest: one CSV file that names every exam of a cohort, its patient, its eye and its label.

A manifest is written by people and spreadsheets, so it is read with suspicion: whatever could quietly put an exam under
the wrong class, eye or patient is refused with the file, the line and the column.
"""

import hashlib
import json
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from octavo.cohorts.exam import PARTS, Exam
from octavo.cohorts.labels import Labelling, LabelNames
from octavo.cohorts.table import NOWHERE, Cell, Table, read_table, write_table
from octavo.errors import OctavoError, unknown_name
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis

REQUIRED = ("exam_id", "patient_id", "path", "laterality", "label")
"""The columns of every manifest; see `read_manifest` for when `patient_id` and `label` may be left out."""

SPACING = ("spacing_bscan_mm", "spacing_depth_mm", "spacing_ascan_mm")

OPTIONAL = ("split", "axes", "key", *SPACING, "slow_axis", "region", "pattern", "mask")
"""Columns with a meaning that may be left out. Every further column is a covariate."""


Kind = TypeVar("Kind", SlowAxis, Region, ScanPattern)

_log = logging.getLogger("octavo.cohorts")


@dataclass(frozen=True)
class Cohort:
    """The exams of a manifest.

    Args:
        exams: The exams, in the order of the file.
        path: The manifest they come from; paths are relative to its folder.
        each_row_its_own_patient: Whether the user declared that no two rows share a patient.
        classes: The names of the classes in the order of their labels, where there are more than two; else empty.
        left_out: How many exams of the manifest are of neither class of a pair, by the name of their label.
        pair: The names of labels 0 and 1, where two classes have names.

    Raises:
        OctavoError: If there is no exam, two have the same name, or a label is of no class.
    """

    exams: tuple[Exam, ...]
    path: Path
    each_row_its_own_patient: bool = False
    classes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)
    pair: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.exams:
            raise OctavoError(f"{self.path.name}: holds no exams; wanted at least one row below the header")
        (name, times), *_ = Counter(exam.exam_id for exam in self.exams).most_common(1)
        if times > 1:
            raise OctavoError(f"{self.path.name}: exam_id {name!r} stands {times} times; wanted each exam once")
        for exam in self.exams:
            if exam.label is not None and exam.label >= self.class_count:
                raise OctavoError(
                    f"{self.path.name}: exam {exam.exam_id!r}: label is {exam.label}; wanted 0 to {self.class_count - 1}, "
                    f"as there are {self.class_count} classes"
                )

    @property
    def class_count(self) -> int:
        """How many classes the labels tell apart."""
        return len(self.classes) or 2

    @property
    def patients(self) -> tuple[str, ...]:
        """Every patient once, in the order they appear."""
        return tuple(dict.fromkeys(exam.patient_id for exam in self.exams))

    @property
    def labels(self) -> Int[np.ndarray, " exam"]:
        """The label of every exam.

        Raises:
            OctavoError: If an exam has none.
        """
        labels = [exam.label for exam in self.exams if exam.label is not None]
        if len(labels) < len(self.exams):
            missing = next(exam.exam_id for exam in self.exams if exam.label is None)
            raise OctavoError(f"{self.path.name}: exam {missing!r} has no label; wanted a label for every exam")
        return np.array(labels, dtype=np.int64)

    @property
    def content_hash(self) -> str:
        """A fingerprint of what the manifest says, whatever the order of its rows and columns and wherever it lies.

        The split has its own (`Split.content_hash`) and is left out, so that dividing a cohort leaves it the same.
        """
        folder = self.path.absolute().parent
        exams = sorted(self.exams, key=lambda exam: exam.exam_id)
        rows = [_canonical(exam, folder) for exam in exams]
        # 0 and 1 mean what they always mean; what further numbers mean is part of what the manifest says
        told: object = [*rows, list(self.classes)] if self.classes else rows
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def part(self, name: str) -> "Cohort":
        """The exams of one part of the split.

        Raises:
            OctavoError: If there is no such part, or no exam in it.
        """
        if name not in PARTS:
            raise OctavoError(unknown_name("a part of a split", name, PARTS))
        exams = tuple(exam for exam in self.exams if exam.split == name)
        if not exams:
            raise OctavoError(
                f"{self.path.name}: no exam belongs to {name}; divide the cohort with octavo cohort split"
            )
        return replace(self, exams=exams)


def read_manifest(
    path: Path | str,
    *,
    positive: str | None = None,
    negative: str | None = None,
    classes: Sequence[str] = (),
    of_model: bool = False,
    each_row_its_own_patient: bool = False,
    axes: str | None = None,
    key: str | None = None,
    require_labels: bool = True,
    pass_over_labels: bool = False,
    require_patients: bool = True,
    allow_straddling: bool = False,
) -> Cohort:
    """Read a manifest.

    Cells are stripped of surrounding blanks. Commas, semicolons and tabs are recognised as delimiters. The scans
    themselves are not opened; `check_cohort` does that.

    Args:
        path: The CSV file.
        positive: The name of the class that becomes 1, where labels are names; there must be exactly two.
        negative: The name of the class that becomes 0; exams of any further one are left out, or are without a label where
            none is required, which is logged.
        classes: The names of three or more classes, which become 0, 1, 2 in this order.
        of_model: Whether the pair is the one that a model was trained with; see `LabelNames`.
        each_row_its_own_patient: Declare that no two rows share a patient; rows may then be without one.
        axes: The order of axes for rows that do not say; files that state their own, or have none, ignore it.
        key: The name of the array for rows that do not say; files that hold one array ignore it.
        require_labels: Whether every exam must have a label, and every class be there; prediction needs neither.
        pass_over_labels: Read no label, whatever stands in that column, so that no exam has one.
        require_patients: Whether every exam must have a patient, or the declaration; prediction needs none.
        allow_straddling: Let a patient stand in two parts, for a check that lists them.

    Raises:
        OctavoError: If anything is missing, misspelt or contradictory; the message names line and column.
    """
    path = Path(path)
    names = LabelNames(positive, negative, tuple(classes), of_model)
    spared = {"patient_id"} if each_row_its_own_patient or not require_patients else set()
    require_labels = require_labels and not pass_over_labels
    spared |= set() if require_labels else {"label"}
    table = read_table(path, [name for name in REQUIRED if name not in spared], [*REQUIRED, *OPTIONAL])
    table = table.without("label") if pass_over_labels else table
    if not table.rows:
        raise OctavoError(f"{path.name}: holds a header and no exams; wanted at least one row below it")
    _refuse_repeated(table)
    labelling = names.apply(table, every_class=require_labels)
    patients = _patients(table, each_row_its_own_patient, require_patients, may_be_declared=not pass_over_labels)
    _refuse_half_divided(table)
    left_out = labelling.neither if require_labels else {}
    exams = []
    for cells, patient in zip(table.rows, patients, strict=True):
        label = cells.get("label", NOWHERE)
        if not label.text and require_labels:
            raise label.refused("is empty; wanted a label for every exam")
        if label.text not in left_out:
            exams.append(_exam(path, cells, patient, labelling.number_of.get(label.text), axes, key))
    _tell_neither(path, names, labelling, "without a label, as of neither" if not left_out else "left out by")
    cohort = Cohort(tuple(exams), path, each_row_its_own_patient, names.classes, left_out, labelling.pair)
    straddling = patients_in_two_parts((exam.patient_id, exam.split) for exam in exams)
    if straddling and not allow_straddling:
        patient, parts = next(iter(straddling.items()))
        raise OctavoError(
            f"{path.name}, column 'split': patient {patient!r} is in {' and '.join(parts)}; wanted every patient in one "
            "part, both eyes together; divide again with octavo cohort split"
        )
    return cohort


def patients_in_two_parts(pairs: Iterable[tuple[str, str | None]]) -> dict[str, tuple[str, ...]]:
    """Find the patients who stand in more than one part, and in which.

    Example:
        >>> patients_in_two_parts([("p1", "train"), ("p2", "test"), ("p1", "test")])
        {'p1': ('test', 'train')}
    """
    parts: dict[str, set[str]] = {}
    for patient, part in pairs:
        if patient and part is not None:
            parts.setdefault(patient, set()).add(part)
    return {patient: tuple(sorted(found)) for patient, found in parts.items() if len(found) > 1}


def write_manifest(rows: Sequence[Mapping[str, str]], path: Path, *, overwrite: bool = False) -> None:
    """Write rows as a manifest: the known columns first, covariates behind them; whole or not at all.

    Raises:
        OctavoError: If the file exists and may not be overwritten, or cannot be written.
    """
    present = dict.fromkeys(name for row in rows for name in row)
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in REQUIRED or name in present]
    covariates = [name for name in present if name not in known]
    write_table(path, [*known, *covariates], rows, overwrite=overwrite)


def _tell_neither(path: Path, names: LabelNames, labelling: Labelling, what: str) -> None:
    if labelling.neither:
        counted = ", ".join(f"{count} of {name}" for name, count in labelling.neither.items())
        _log.info("%s: exams %s %s: %s", path.name, what, names.said, counted)


def _patients(table: Table, each_row_its_own: bool, required: bool, may_be_declared: bool) -> list[str]:
    """Whose eye each row is; rows declared their own patient bear the name of the exam."""
    if not required and not each_row_its_own:
        return [same_letters(cells.get("patient_id", NOWHERE).text) for cells in table.rows]
    patients: dict[str, Cell] = {}
    found = []
    for cells in table.rows:
        cell = cells.get("patient_id", NOWHERE)
        if not cell.text and not each_row_its_own:
            why = "so that both eyes stay together; fill it in, or pass --each-row-its-own-patient if no two rows share one"
            if not may_be_declared:
                why = "so that nobody who is tested is learnt from; fill it in"
            raise cell.refused(f"is empty; wanted the patient, {why}")
        patient = same_letters(cell.text) or cells["exam_id"].text
        if each_row_its_own and patient in patients:
            raise cell.refused(
                f"is {patient!r}, as in line {patients[patient].line}, and each row was declared its own patient; "
                "leave out --each-row-its-own-patient"
            )
        patients[patient] = cell
        found.append(patient)
    return found


def same_letters(name: str) -> str:
    """A name in one encoding: some systems write an accented letter as one sign and others as two that look the same.

    Example:
        >>> same_letters("Zoe\u0308") == same_letters("Zo\u00eb")
        True
    """
    return unicodedata.normalize("NFC", name)


def _refuse_repeated(table: Table) -> None:
    first: dict[str, Cell] = {}
    for cells in table.rows:
        cell = cells["exam_id"]
        name = _exam_id(cell)
        if name in first:
            raise cell.refused(f"is {name!r}, as in line {first[name].line}; wanted each exam once")
        first[name] = cell


def _refuse_half_divided(table: Table) -> None:
    """Refuse a split column that is filled in some rows only: the others would be left out without a word."""
    splits = [cells["split"] for cells in table.rows if "split" in cells]
    empty = [cell for cell in splits if not cell.text]
    if empty and len(empty) < len(splits):
        filled = next(cell for cell in splits if cell.text)
        raise empty[0].refused(f"is empty and line {filled.line} says {filled.text!r}; fill in every row or none")


def _exam(
    manifest: Path,
    cells: Mapping[str, Cell],
    patient: str,
    label: int | None,
    axes: str | None,
    key: str | None,
) -> Exam:
    folder = manifest.absolute().parent
    said_of_all = {
        name for name, value in (("axes", axes), ("key", key)) if value is not None and not _text(cells, name)
    }
    return Exam(
        exam_id=cells["exam_id"].text,
        patient_id=patient,
        path=folder / cells["path"].filled("wanted the scan, relative to the folder of the manifest"),
        laterality=_laterality(cells["laterality"]),
        label=label,
        split=cells["split"].one_of("a part of a split", PARTS) if "split" in cells else None,
        covariates={name: cell.text for name, cell in cells.items() if name not in {*REQUIRED, *OPTIONAL}},
        axes=_text(cells, "axes") or axes,
        key=_text(cells, "key") or key,
        said_of_all=frozenset(said_of_all),
        spacing_mm=_spacing_mm(cells),
        slow_axis=_choice(cells, "slow_axis", SlowAxis, "a direction of the slow axis"),
        region=_choice(cells, "region", Region, "a region of the retina"),
        pattern=_choice(cells, "pattern", ScanPattern, "a scan pattern"),
        mask=folder / _text(cells, "mask") if _text(cells, "mask") else None,
    )


def _text(cells: Mapping[str, Cell], name: str) -> str:
    return cells.get(name, NOWHERE).text


def can_name_files(name: str) -> bool:
    """Whether files can be named after an exam of that name.

    Example:
        >>> can_name_files("0017-OD"), can_name_files("0017/OD"), can_name_files("..")
        (True, False, False)
    """
    return name not in {".", ".."} and "/" not in name and "\\" not in name


def _exam_id(cell: Cell) -> str:
    name = cell.filled("wanted a name for every exam")
    if not can_name_files(name):
        raise cell.refused(f"is {name!r}; wanted a name without slashes, because files are named after it")
    return name


def _laterality(cell: Cell) -> Laterality:
    laterality = Laterality.parse(cell.text)
    if laterality is Laterality.UNKNOWN and cell.text.lower() not in {"", "unknown"}:
        raise cell.refused(f"is {cell.text!r}; wanted OD or OS (R, L, right, left), or nothing where it is unknown")
    return laterality


def _spacing_mm(cells: Mapping[str, Cell]) -> tuple[float, float, float] | None:
    given = [cells[name] for name in SPACING if name in cells and cells[name].text]
    if not given:
        return None
    if len(given) < len(SPACING):
        raise given[0].refused(f"stands alone; wanted all of {', '.join(SPACING)}, or none of them")
    bscan, depth, ascan = (cell.positive_number("millimetres") for cell in given)
    return (bscan, depth, ascan)


def _choice(cells: Mapping[str, Cell], name: str, kind: type[Kind], what: str) -> Kind | None:
    """What a cell says, or None where it is empty or says that it is not known."""
    chosen = cells[name].one_of(what, [member.value for member in kind]) if name in cells else None
    return None if chosen in {None, "unknown"} else kind(chosen)


def _canonical(exam: Exam, folder: Path) -> dict[str, object]:
    """A row as plain values: paths from the manifest's folder, so that a cohort moved as a whole stays the same."""
    return {
        "exam_id": exam.exam_id,
        "patient_id": exam.patient_id,
        "path": Path(os.path.relpath(exam.path, folder)).as_posix(),
        "laterality": exam.laterality.value,
        "label": exam.label,
        "covariates": dict(exam.covariates),
        "axes": exam.axes,
        "key": exam.key,
        "spacing_mm": exam.spacing_mm,
        "slow_axis": exam.slow_axis,
        "region": exam.region,
        "pattern": exam.pattern,
        "mask": None if exam.mask is None else Path(os.path.relpath(exam.mask, folder)).as_posix(),
    }
