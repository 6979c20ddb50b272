"""The parts of a cohort, prepared: what is learnt from, what is chosen by, and what is only measured."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from octavo.cohorts.choice import PreparedSource
from octavo.cohorts.exam import PARTS
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.splits import Split, apply_split, split_of, split_patients
from octavo.errors import OctavoError


@dataclass(frozen=True)
class Parts:
    """Prepared exams of each part, and the split they follow."""

    train: list[PreparedExam]
    validation: list[PreparedExam]
    test: list[PreparedExam]
    split: Split
    classes: tuple[str, ...] = ()
    """The names of the classes, where there are more than two."""
    pair: tuple[str, ...] = ()
    """The names of labels 0 and 1, where two classes have names."""

    @property
    def voxels_hash(self) -> str:
        """Fingerprint of what all scans hold, wherever they lie: a scan that was replaced makes another."""
        content = sorted(f"{one.exam.exam_id} {one.content}" for one in (*self.train, *self.validation, *self.test))
        return hashlib.sha256("\n".join(content).encode()).hexdigest()

    def prevalences(self) -> dict[str, dict[str, float | int]]:
        """Exams, patients, positives and prevalence of each part; of more than two classes exams of each."""
        counted: dict[str, dict[str, float | int]] = {}
        for name in PARTS:
            exams = [prepared.exam for prepared in getattr(self, name)]
            labels = [exam.label for exam in exams]
            # not those of the split, which may know exams that are no part of this
            counted[name] = {"exams": len(exams), "patients": len({exam.patient_id for exam in exams})}
            if self.classes:
                counted[name] |= {f"exams_of_{label}": labels.count(label) for label in range(len(self.classes))}
                continue
            positives = sum(label == 1 for label in labels)
            counted[name] |= {"positives": positives, "prevalence": positives / len(labels) if labels else 0.0}
        return counted

    def require_every_class(self) -> None:
        """Refuse to learn from exams that lack a class, or to choose by exams that lack one of more than two.

        Of two classes the validation part may hold one: what is chosen by it then says that it could not be.

        Raises:
            OctavoError: Naming the class and the part.
        """
        learnt = {prepared.exam.label for prepared in self.train}
        for label in () if self.classes else (0, 1):
            if label not in learnt:
                name = f" ({self.pair[label]})" if self.pair else ""
                raise OctavoError(
                    f"the train part has no exam with label {label}{name}; wanted some of both classes to learn from; "
                    "divide the cohort again"
                )
        for part in ("train", "validation"):
            labels = {prepared.exam.label for prepared in getattr(self, part)}
            for label, name in enumerate(self.classes):
                if label not in labels:
                    raise OctavoError(
                        f"the {part} part has no exam of class {name!r}; wanted some of each of {', '.join(self.classes)}; "
                        "divide the cohort again, or leave the class out of --classes and its exams out of the manifest"
                    )


def divide(
    cohort: Cohort,
    source: PreparedSource,
    *,
    split: Split | None,
    fractions: tuple[float, float, float],
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Parts:
    """Prepare every exam and divide them by patient.

    Scans with equal voxels stay in one part, whatever patient they are filed under.

    Args:
        cohort: The exams.
        source: Where the prepared exams come from.
        split: The split to follow; None takes the manifest's own, or draws a new one.
        fractions: Shares of a new split.
        seed: Seed of a new split.
        progress: Told how many exams are done.

    Raises:
        OctavoError: If any scan cannot be used, or the split puts one patient or one scan into two parts.
    """
    prepared = prepare_every(cohort, source, progress)
    if split is None and all(exam.split is not None for exam in cohort.exams):
        split = split_of(cohort)
    if split is None:
        split = split_patients(cohort, fractions, seed=seed, together=equal_scans(prepared))
    part_of = {exam.exam_id: exam.split for exam in apply_split(cohort, split).exams}
    _refuse_shared_scans(prepared, part_of)
    by_part: dict[str | None, list[PreparedExam]] = {}
    for one in prepared:
        part = part_of[one.exam.exam_id]
        by_part.setdefault(part, []).append(replace(one, exam=replace(one.exam, split=part)))
    for name in ("train", "validation"):
        if not by_part.get(name):
            raise OctavoError(
                f"{cohort.path.name}: the {name} part is empty; wanted exams in it; give it a larger fraction"
            )
    return Parts(by_part["train"], by_part["validation"], by_part.get("test", []), split, cohort.classes, cohort.pair)


def prepare_every(
    cohort: Cohort, source: PreparedSource, progress: Callable[[int], None] = lambda done: None
) -> list[PreparedExam]:
    """Prepare every exam of a cohort, or none: one that is left out without a word would change what is found.

    Raises:
        OctavoError: If any scan cannot be used, naming the first.
    """
    prepared, failed = source.prepare_all(cohort.exams, progress)
    if failed:
        exam, reason = failed[0]
        raise OctavoError(
            f"{cohort.path.name}: {len(failed)} of {len(cohort.exams)} scans cannot be used; the first is exam "
            f"{exam.exam_id!r}: {reason}; take them out of the manifest (octavo cohort check lists what cannot be read)"
        )
    return prepared


def undersample_cohort(cohort: Cohort, seed: int) -> Cohort:
    """Keep a random, seeded part of the larger classes of a whole cohort, as the published protocol does before its split.

    Raises:
        OctavoError: If one class is empty.
    """
    labels = cohort.labels
    counts = np.bincount(labels, minlength=cohort.class_count)
    if counts.min() == 0:
        wanted = "all" if cohort.classes else "both"
        raise OctavoError(f"{cohort.path.name}: class {int(counts.argmin())} is empty; wanted {wanted}")
    rng = np.random.default_rng(np.random.SeedSequence((seed, 17)))
    classes = range(cohort.class_count)
    kept = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[: counts.min()] for label in classes])
    return replace(cohort, exams=tuple(cohort.exams[index] for index in np.sort(kept)))


def equal_scans(prepared: Sequence[PreparedExam]) -> list[list[str]]:
    """Groups of exams, by name, whose scans hold the same voxels."""
    groups: dict[str, list[str]] = {}
    for one in prepared:
        groups.setdefault(one.content, []).append(one.exam.exam_id)
    return [group for group in groups.values() if len(group) > 1]


def _refuse_shared_scans(prepared: Sequence[PreparedExam], part_of: dict[str, str | None]) -> None:
    for group in equal_scans(prepared):
        parts = sorted({str(part_of[exam_id]) for exam_id in group})
        if len(parts) > 1:
            raise OctavoError(
                f"exams {group[0]!r} and {group[1]!r} hold the same voxels and stand in {' and '.join(parts)}; "
                "wanted every scan in one part; take one of them out of the manifest"
            )
