"""Scans without labels, for what is learnt before any label is shown: none of anybody who is chosen by or tested.

An archive holds more scans than anybody has labelled, and often those of the labelled cohort among them. So whatever of it
belongs to a patient of the validation or test part, or holds the voxels of a scan there, is left out and counted.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from octavo.cohorts.choice import CohortChoice, PreparedSource
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts, prepare_every
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.splits import file_of
from octavo.errors import OctavoError

HELD_OUT_PATIENT = "of patients of the validation or test part"
HELD_OUT_SCAN = "with the voxels of a scan of the validation or test part"
MARKED = "of patients of the validation or test part of their own manifest"
LEARNT_FROM = "with the voxels of a scan of the training part, which is read anyway"
REPEATED = "with the voxels of another of them"


@dataclass(frozen=True)
class Unlabelled:
    """Exams that only pretraining learns from.

    Args:
        exams: Prepared, without labels.
        content_hash: Fingerprint of the manifest they come from.
        left_out: How many exams of it are not among them, by the reason.
    """

    exams: tuple[PreparedExam, ...] = ()
    content_hash: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def voxels_hash(self) -> str:
        """Fingerprint of what the scans hold, whatever they are called."""
        return hashlib.sha256("\n".join(sorted(one.content for one in self.exams)).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What a run says of them, as plain values."""
        return {
            "content_hash": self.content_hash,
            "voxels_hash": self.voxels_hash,
            "exams": len(self.exams),
            "patients": self.patients,
            "left_out": dict(self.left_out),
        }

    @property
    def patients(self) -> int:
        """How many patients."""
        return len({one.exam.patient_id for one in self.exams})


def read_unlabelled(choice: CohortChoice, cohort: Cohort) -> Cohort | None:
    """Read the exams of the second manifest of a choice; None where it names none.

    Args:
        choice: Which exams.
        cohort: The labelled ones.

    Raises:
        OctavoError: If it is refused, or either does not say whose scans they are: nobody could tell then whether somebody
            who is tested is among them.
    """
    if choice.unlabelled is None:
        return None
    for one, name in ((cohort, "the labelled cohort"), (found := choice.read_unlabelled(), "their store")):
        if one.each_row_its_own_patient:
            raise OctavoError(
                f"{choice.unlabelled}: scans without labels were given, and {name} was read with "
                "--each-row-its-own-patient; wanted the patient of every row of both, so that nobody who is tested is "
                "learnt from; fill in patient_id"
            )
    return found


def unlabelled_beside(parts: Parts, cohort: Cohort | None, source: PreparedSource) -> Unlabelled:
    """Prepare unlabelled exams, and leave out whatever parts other than training may know.

    Args:
        parts: The labelled cohort, divided.
        cohort: The unlabelled exams; None where there are none.
        source: Where the prepared exams come from.

    Raises:
        OctavoError: If a scan cannot be used, two different scans have one name, no exam is left, or equal scans tell that
            somebody stands in two parts.
    """
    if cohort is None:
        return Unlabelled()
    ready = prepare_every(cohort, source)
    _refuse_two_of_one_name(cohort, parts, ready)
    reasons = _reasons(parts, ready)
    kept = tuple(replace(one, exam=replace(one.exam, split=None)) for one in ready if one.exam.exam_id not in reasons)
    counted = Counter(reasons.values())
    if not kept:
        told = ", ".join(f"{count} {reason}" for reason, count in counted.items())
        raise OctavoError(
            f"{cohort.path.name}: none of its {len(ready)} exams may be learnt from ({told}); wanted some of other patients"
        )
    return Unlabelled(kept, cohort.content_hash, dict(sorted(counted.items())))


def _refuse_two_of_one_name(cohort: Cohort, parts: Parts, ready: Sequence[PreparedExam]) -> None:
    """Contrast tells exams apart by their names, and so does whoever reads of them."""
    content = {one.exam.exam_id: one.content for one in (*parts.train, *parts.validation, *parts.test)}
    for one in ready:
        if content.get(one.exam.exam_id, one.content) != one.content:
            raise OctavoError(
                f"{cohort.path.name}: exam {one.exam.exam_id!r} holds other voxels than the labelled exam of that name; "
                "wanted a name of its own for every scan; rename one of the two"
            )


def _reasons(parts: Parts, ready: Sequence[PreparedExam]) -> dict[str, str]:
    """Why exams are left out, by their names; those that are kept do not stand in it.

    Raises:
        OctavoError: If somebody of the training part turns out to be the same as somebody who is chosen by or tested.
    """
    # the split may know patients of whom no exam is here
    known = {patient for part in ("validation", "test") for patient in parts.split.patients(part)}
    held_back = [*parts.validation, *parts.test]
    held_out = _same_people([*parts.train, *ready, *held_back], known | {one.exam.patient_id for one in held_back})
    _refuse_two_parts(parts, ready, held_out)
    marked = _same_people(ready, {one.exam.patient_id for one in ready if one.exam.split in ("validation", "test")})
    scans = {one.content for one in held_back}
    of_training = {one.content for one in parts.train}
    learnt = set(of_training)
    reasons: dict[str, str] = {}
    for one in ready:
        if one.content in scans:
            reason = HELD_OUT_SCAN
        elif one.exam.patient_id in held_out:
            reason = HELD_OUT_PATIENT
        elif one.exam.patient_id in marked:
            reason = MARKED
        elif one.content in learnt:
            reason = LEARNT_FROM if one.content in of_training else REPEATED
        else:
            learnt.add(one.content)
            continue
        reasons[one.exam.exam_id] = reason
    return reasons


def _same_people(exams: Iterable[PreparedExam], patients: Collection[str]) -> set[str]:
    """Everybody who is one of these patients, under whatever number: who shares a scan or a file with one is the same."""
    marks_of, patients_of = defaultdict(set), defaultdict(set)
    for one in exams:
        for mark in (one.content, file_of(one.exam)):
            marks_of[one.exam.patient_id].add(mark)
            patients_of[mark].add(one.exam.patient_id)
    found, left = set(patients), list(patients)
    followed: set[str] = set()
    while left:
        for mark in marks_of[left.pop()] - followed:
            followed.add(mark)
            left += patients_of[mark] - found
            found |= patients_of[mark]
    return found


def _refuse_two_parts(parts: Parts, ready: Sequence[PreparedExam], held_out: Collection[str]) -> None:
    training = {one.exam.patient_id for one in parts.train}
    if not training & set(held_out):
        return
    marks = {mark for one in parts.train for mark in (one.content, file_of(one.exam))}
    links = [
        one.exam.exam_id
        for one in ready
        if one.exam.patient_id in held_out
        and (one.exam.patient_id in training or {one.content, file_of(one.exam)} & marks)
    ]
    raise OctavoError(
        f"unlabelled exam {links[0]!r} is of somebody of the training part, and equal scans or files tell that this is "
        "somebody of the validation or test part too; wanted every patient in one part; correct the patient, or the split"
    )
