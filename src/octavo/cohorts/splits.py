"""Dividing a cohort by patient: both eyes together, every part with both classes, the same again from the same seed.

A patient in two parts is the commonest way to fool oneself: the network recognises the fellow eye. So the unit that is
divided is never the scan. Patients who share a scan, by a slip or because one person was given two numbers, are one
unit too.

The order in which units are dealt out comes from a hash of seed and patient and not from a random generator, so it
depends neither on the order of the rows nor on the version of a library.
"""

import hashlib
import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from octavo.cohorts.exam import PARTS, Exam
from octavo.cohorts.manifest import Cohort, patients_in_two_parts, same_letters
from octavo.cohorts.table import read_table, write_table
from octavo.errors import OctavoError, unknown_name
from octavo.formats import split_name

FRACTIONS = (0.65, 0.15, 0.20)
"""The shares of the patients for training, validation and test."""

COLUMNS = ("exam_id", "patient_id", "split")

_MOST_ROUNDINGS = 10_000
_MOST_ROUNDINGS_OF_TWO = 1_000_000
"""So many ways to round are looked at: two classes are divided as they always were, whatever that takes."""


class Placement(NamedTuple):
    """Which part an exam belongs to."""

    exam_id: str
    patient_id: str
    split: str


@dataclass(frozen=True)
class Split:
    """Which part every exam belongs to. It holds no scans and no labels, so it can be shared.

    Args:
        placements: One for each exam, in any order; they are kept in the order of their names.

    Raises:
        OctavoError: If an exam stands twice, a part is unknown, or a patient is in two parts.
    """

    placements: tuple[Placement, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "placements", tuple(sorted(self.placements)))
        for one, next_one in itertools.pairwise(self.placements):
            if one.exam_id == next_one.exam_id:
                raise OctavoError(f"exam {one.exam_id!r} stands twice in the split; wanted each exam once")
        for placement in self.placements:
            if placement.split not in PARTS:
                raise OctavoError(unknown_name("a part of a split", placement.split, PARTS))
        straddling = patients_in_two_parts((row.patient_id, row.split) for row in self.placements)
        if straddling:
            patient, parts = next(iter(straddling.items()))
            raise OctavoError(
                f"patient {patient!r} is in {' and '.join(parts)}; wanted every patient in one part, both eyes together"
            )

    @property
    def content_hash(self) -> str:
        """A fingerprint of who is where."""
        text = "\n".join("\t".join(placement) for placement in self.placements)
        return hashlib.sha256(text.encode()).hexdigest()

    def exams(self, part: str) -> tuple[str, ...]:
        """The exams of one part, by name."""
        return tuple(placement.exam_id for placement in self.placements if placement.split == part)

    def patients(self, part: str) -> tuple[str, ...]:
        """The patients of one part, by name."""
        return tuple(sorted({placement.patient_id for placement in self.placements if placement.split == part}))


class Unit(NamedTuple):
    """Patients who must stay together, and the class they are dealt out with: the last that any of their exams has."""

    patients: tuple[str, ...]
    label: int

    @property
    def positive(self) -> bool:
        """Of two classes: whether any of their eyes is positive."""
        return self.label > 0


class Stratum(NamedTuple):
    """Units of one class, which are dealt out by themselves."""

    who: str
    """Which patients these are, in words."""
    units: list[Unit]

    @property
    def size(self) -> int:
        """How many patients."""
        return sum(len(unit.patients) for unit in self.units)


def split_patients(
    cohort: Cohort,
    fractions: tuple[float, float, float] = FRACTIONS,
    *,
    seed: int,
    together: Iterable[Iterable[str]] = (),
) -> Split:
    """Divide the patients of a cohort into training, validation and test.

    Positive patients (any eye is positive) and the others are divided separately; each part gets within one patient of
    its share of either, except where it would get none. Of more than two classes each is divided by itself, and a patient
    is of the last class, in their order, that any exam has. A split that the cohort already has is not looked at.

    Args:
        cohort: The exams, all of them labelled.
        fractions: The shares of the patients for training, validation and test; a part with 0 stays empty.
        seed: The same seed gives the same split.
        together: Groups of exams whose patients must stay in one part, because they hold the same scan. Exams of one
            file are kept together in any case.

    Raises:
        OctavoError: If the fractions are not shares of one whole, an exam has no label, a group names an unknown exam,
            or there are too few patients of a class to give one to every part.

    Example:
        >>> from octavo.cohorts.exam import Exam
        >>> eyes = [Exam(f"{k}-{eye}", f"p{k}", Path(f"{k}-{eye}.npy"), label=k % 2) for k in range(40) for eye in "RL"]
        >>> split = split_patients(Cohort(tuple(eyes), Path("manifest.csv")), seed=100)
        >>> [len(split.patients(part)) for part in PARTS], [len(split.exams(part)) for part in PARTS]
        ([26, 6, 8], [52, 12, 16])
    """
    fractions = _shares(fractions)
    active = [index for index, fraction in enumerate(fractions) if fraction > 0]
    units = units_of(cohort, together)
    strata = strata_of(cohort, units)
    for who, members in strata:
        if len(members) < len(active):
            raise OctavoError(
                f"{cohort.path.name}: {len(members)} patients with {who} (those who share a scan count once); wanted "
                f"at least {len(active)}, one for each of {', '.join(PARTS[index] for index in active)}; add patients, "
                "or give a part the fraction 0"
            )
    part_of: dict[str, str] = {}
    for stratum, quota in zip(strata, quotas_of([one.size for one in strata], fractions), strict=True):
        for index, dealt in deal_units(stratum.units, quota, active, seed).items():
            part_of.update({patient: PARTS[index] for unit in dealt for patient in unit.patients})
    return Split(tuple(Placement(exam.exam_id, exam.patient_id, part_of[exam.patient_id]) for exam in cohort.exams))


def split_of(cohort: Cohort) -> Split:
    """The split that the manifest itself gives.

    Raises:
        OctavoError: If it gives none, or a patient or a file is in two parts.
    """
    placements = []
    for exam in cohort.exams:
        if exam.split is None:
            raise OctavoError(
                f"{cohort.path.name}: exam {exam.exam_id!r} belongs to no part; divide the cohort with octavo cohort "
                "split, or add the column 'split'"
            )
        placements.append(Placement(exam.exam_id, exam.patient_id, exam.split))
    _refuse_parted_files(cohort)
    return Split(tuple(placements))


def write_split(split: Split, path: Path, *, overwrite: bool = False) -> None:
    """Write a split as CSV, whole or not at all.

    Raises:
        OctavoError: If the file exists and may not be overwritten, or cannot be written.
    """
    write_table(path, COLUMNS, [placement._asdict() for placement in split.placements], overwrite=overwrite)


def read_split(path: Path | str) -> Split:
    """Read a split back.

    Raises:
        OctavoError: If the file is not such a split; see `Split`.
    """
    path = Path(path)
    table = read_table(path, COLUMNS, COLUMNS)
    rows = tuple(
        Placement(*(cells[name].filled("wanted every exam, its patient and its part") for name in COLUMNS))
        for cells in table.rows
    )
    if not rows:
        raise OctavoError(f"{path.name}: holds a header and no exams; wanted at least one row below it")
    rows = tuple(row._replace(patient_id=same_letters(row.patient_id)) for row in rows)
    try:
        return Split(rows)
    except OctavoError as refusal:
        raise OctavoError(f"{path.name}: {refusal}") from None


def apply_split(cohort: Cohort, split: Split) -> Cohort:
    """Put every exam of a cohort where a split says.

    The split may know further exams: a cohort from which scans were taken out keeps the places of the others.

    Raises:
        OctavoError: If an exam is not in the split, has another patient there, has another part in the manifest, or is of
            one file with an exam in another part.
    """
    placements: Mapping[str, Placement] = {placement.exam_id: placement for placement in split.placements}
    missing = [exam.exam_id for exam in cohort.exams if exam.exam_id not in placements]
    if missing:
        raise OctavoError(
            f"{len(missing)} of {len(cohort.exams)} exams of {cohort.path.name} are not in the split (the first: "
            f"{missing[0]!r}); wanted all of them; divide the cohort again"
        )
    for exam in cohort.exams:
        there = placements[exam.exam_id]
        if there.patient_id != exam.patient_id:
            raise OctavoError(
                f"exam {exam.exam_id!r} belongs to patient {there.patient_id!r} in the split and to "
                f"{exam.patient_id!r} in {cohort.path.name}; wanted the same; use the split of this manifest"
            )
        if exam.split not in {None, there.split}:
            raise OctavoError(
                f"exam {exam.exam_id!r} is in {there.split} in the split and in {exam.split} in {cohort.path.name}; "
                "wanted one; remove the column 'split' from the manifest, or leave out the split file"
            )
    divided = tuple(replace(exam, split=placements[exam.exam_id].split) for exam in cohort.exams)
    _refuse_parted_files(replace(cohort, exams=divided))
    return replace(cohort, exams=divided)


def file_of(exam: Exam) -> str:
    """The file or folder that a scan lies in, whatever links lead there and whichever of its scans it is."""
    return os.path.realpath(split_name(exam.path, None)[0])


def _refuse_parted_files(cohort: Cohort) -> None:
    """Refuse scans of one file in two parts: a file is of one person, whatever names its rows bear."""
    first: dict[str, Exam] = {}
    for exam in cohort.exams:
        other = first.setdefault(file_of(exam), exam)
        if exam.split != other.split:
            raise OctavoError(
                f"{cohort.path.name}: exams {other.exam_id!r} in {other.split} and {exam.exam_id!r} in {exam.split} are of "
                f"one file, {exam.path.name}; wanted every file in one part; divide again with octavo cohort split"
            )


def _shares(fractions: tuple[float, float, float]) -> tuple[float, float, float]:
    """The fractions, or a refusal; rounded ones such as 0.333 are made to add up."""
    sound = all(math.isfinite(fraction) and fraction >= 0 for fraction in fractions)
    if not sound or abs(sum(fractions) - 1) > 0.005 or fractions[0] == 0:
        raise OctavoError(
            f"fractions are {', '.join(f'{fraction:g}' for fraction in fractions)}; wanted shares for train, "
            "validation and test that are not negative and add up to 1, with more than 0 for train"
        )
    train, validation, test = (fraction / sum(fractions) for fraction in fractions)
    return (train, validation, test)


def units_of(cohort: Cohort, together: Iterable[Iterable[str]]) -> list[Unit]:
    """Patients who share nothing stand alone; those who share a scan are joined."""
    class_of = classes_of_patients(cohort)
    patient_of = {exam.exam_id: exam.patient_id for exam in cohort.exams}
    leader = {patient: patient for patient in cohort.patients}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = leader[leader[patient]]
            patient = leader[patient]
        return patient

    by_path: dict[str, list[str]] = {}
    for exam in cohort.exams:
        by_path.setdefault(file_of(exam), []).append(exam.exam_id)
    for group in [*by_path.values(), *map(list, together)]:
        unknown = [exam_id for exam_id in group if exam_id not in patient_of]
        if unknown:
            raise OctavoError(f"{unknown[0]!r} is not an exam of {cohort.path.name}; wanted groups of its exams")
        for exam_id in group[1:]:
            leader[find(patient_of[exam_id])] = find(patient_of[group[0]])
    members: dict[str, list[str]] = {}
    for patient in cohort.patients:
        members.setdefault(find(patient), []).append(patient)
    return [Unit(tuple(sorted(patients)), max(class_of[one] for one in patients)) for patients in members.values()]


def classes_of_patients(cohort: Cohort) -> dict[str, int]:
    """The class every patient counts under: the last, in the order of the classes, that any of their exams has.

    Of two classes that is 1 where any eye is positive.
    """
    class_of: dict[str, int] = {}
    for exam, label in zip(cohort.exams, cohort.labels.tolist(), strict=True):
        class_of[exam.patient_id] = max(label, class_of.get(exam.patient_id, 0))
    return class_of


def strata_of(cohort: Cohort, units: Iterable[Unit]) -> list[Stratum]:
    """The units of each class, the last class first."""
    who = ["label 0 in every eye", "label 1 in any eye"]
    if cohort.classes:
        who = [f"{name} as the last of their classes" for name in cohort.classes]
    units = list(units)
    return [Stratum(who[label], [unit for unit in units if unit.label == label]) for label in reversed(range(len(who)))]


def quotas_of(sizes: Sequence[int], fractions: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """How many patients of each class each part gets.

    Each number is the ideal one rounded up or down. Of all such roundings the one is taken that lies closest to the
    ideal in every class and in their sum. Where there are too many to look at all, as of many classes in many folds, one
    class is rounded after the other, each as close to the ideal as those before it allow.
    """
    choices = [_roundings(size, fractions) for size in sizes]
    most = _MOST_ROUNDINGS if len(sizes) > 2 else _MOST_ROUNDINGS_OF_TWO
    if math.prod(map(len, choices)) <= most:
        return _closest(itertools.product(*choices), sizes, fractions)
    chosen: tuple[tuple[int, ...], ...] = ()
    for number, roundings in enumerate(choices, start=1):
        chosen = _closest(((*chosen, rounding) for rounding in roundings), sizes[:number], fractions)
    return chosen


def _closest(
    roundings: Iterable[tuple[tuple[int, ...], ...]], sizes: Sequence[int], fractions: Sequence[float]
) -> tuple[tuple[int, ...], ...]:
    """The first of the roundings that lie closest to the ideal."""

    def distance(rounding: tuple[tuple[int, ...], ...]) -> float:
        rows = [
            *zip(rounding, sizes, strict=True),
            ([sum(column) for column in zip(*rounding, strict=True)], sum(sizes)),
        ]
        return sum(
            (count - fraction * size) ** 2
            for counts, size in rows
            for count, fraction in zip(counts, fractions, strict=True)
        )

    return min(roundings, key=distance)


def _roundings(size: int, fractions: Sequence[float]) -> list[tuple[int, ...]]:
    floors = [math.floor(fraction * size + 1e-9) for fraction in fractions]
    # from the last part to the first: among equals the first is taken, and test needs a rare class more than training
    active = [index for index, fraction in reversed([*enumerate(fractions)]) if fraction > 0]
    return [
        tuple(floor + (index in raised) for index, floor in enumerate(floors))
        for raised in itertools.combinations(active, size - sum(floors))
    ]


def deal_units(units: Sequence[Unit], quota: Sequence[int], active: Sequence[int], seed: int) -> dict[int, list[Unit]]:
    """Deal units to the parts that lack most; large ones first, because small ones fill what they leave."""
    shuffled = sorted(units, key=lambda unit: hashlib.sha256(f"{seed}/{unit.patients[0]}".encode()).digest())
    dealt: dict[int, list[Unit]] = {index: [] for index in active}
    lacking = {index: quota[index] for index in active}
    for unit in sorted(shuffled, key=lambda unit: -len(unit.patients)):
        index = max(active, key=lambda index: lacking[index])
        dealt[index].append(unit)
        lacking[index] -= len(unit.patients)
    for index in active:
        if not dealt[index]:
            fullest = max(active, key=lambda other: len(dealt[other]))
            # the last one dealt is the smallest
            dealt[index].append(dealt[fullest].pop())
    return dealt
