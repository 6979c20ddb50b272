"""Divide the patients of a manifest into training, validation and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from octavo.cohorts.check import identical_scans, read_scans
from octavo.cohorts.exam import PARTS
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.cohorts.splits import FRACTIONS, Split, classes_of_patients, split_patients, write_split
from octavo.errors import OctavoError
from octavo.workflows.cohort_check import PROGRESS_SECONDS, progress_log
from octavo.workflows.own_inputs import refuse_own_input


class PartCounts(NamedTuple):
    """Who is in one part. A patient counts as positive if any eye is."""

    patients: int
    positive_patients: int
    exams: int
    positive_exams: int
    by_class: Mapping[str, tuple[int, int]] = MappingProxyType({})
    """Patients and exams of each class, by its name, where there are more than two; each patient is of one."""

    def describe(self) -> str:
        """The same for people."""
        of_patients, of_exams = f"{self.positive_patients} positive", f"{self.positive_exams} positive"
        if self.by_class:
            of_patients, of_exams = (
                ", ".join(f"{counts[index]} {name}" for name, counts in self.by_class.items()) for index in (0, 1)
            )
        return f"{self.patients:>6} patients ({of_patients}){self.exams:>7} exams ({of_exams})"


@dataclass(frozen=True)
class WrittenSplit:
    """A split and where it was written.

    Args:
        path: The file.
        split: What it says.
        counts: Who is in each part.
        identical: Groups of exams that hold the same scan, None where scans were not compared.
        unread: Exams whose scans could not be read to compare them.
    """

    path: Path
    split: Split
    counts: Mapping[str, PartCounts]
    identical: tuple[tuple[str, ...], ...] | None
    unread: tuple[str, ...] = ()

    def describe(self) -> str:
        """The same for people."""
        lines = [f"{self.path}: split {self.split.content_hash[:12]}"]
        for part, counts in self.counts.items():
            lines.append(f"  {part:<11}{counts.describe()}")
        if self.identical is None:
            lines.append("scans were not compared: copies under two patients are found with --compare-scans")
        else:
            lines.append(f"scans that stand under several exams: {len(self.identical)}; their patients are in one part")
        if self.unread:
            lines.append(f"not compared, because they could not be read: {', '.join(self.unread)}")
        return "\n".join(lines)


def split_cohort(
    manifest: Path,
    out: Path,
    *,
    seed: int,
    fractions: tuple[float, float, float] = FRACTIONS,
    positive: str | None = None,
    negative: str | None = None,
    classes: Sequence[str] = (),
    each_row_its_own_patient: bool = False,
    axes: str | None = None,
    key: str | None = None,
    compare_scans: bool = False,
    workers: int = 1,
    overwrite: bool = False,
) -> WrittenSplit:
    """Divide the patients of a manifest and write who is where; see `split_patients`.

    Args:
        manifest: The CSV file.
        out: The file to write.
        seed: The same seed gives the same split, whatever the order of the rows.
        fractions: The shares of the patients for training, validation and test.
        positive: The name of the class that becomes 1, where labels are names.
        negative: The name of the class that becomes 0; exams of any other are left out.
        classes: The names of three or more classes, in order.
        each_row_its_own_patient: Declare that no two rows share a patient.
        axes: The order of axes for rows that do not say.
        key: The name of the array for rows that do not say.
        compare_scans: Read every scan, and keep patients together who share one.
        workers: How many processes read.
        overwrite: Whether a split that is there may be replaced.

    Raises:
        OctavoError: If the manifest is refused, is divided already, cannot be divided so, or would be written over.
    """
    if out.exists() and not overwrite:
        raise OctavoError(f"{out}: exists already; choose another --out, or pass --overwrite")
    cohort = read_manifest(
        manifest,
        positive=positive,
        negative=negative,
        classes=classes,
        each_row_its_own_patient=each_row_its_own_patient,
        axes=axes,
        key=key,
    )
    refuse_own_input(out, [manifest, *(exam.path for exam in cohort.exams)])
    if any(exam.split for exam in cohort.exams):
        raise OctavoError(
            f"{manifest.name}: is divided already by its column 'split'; wanted one split; remove the column to divide "
            "anew"
        )
    identical: tuple[tuple[str, ...], ...] | None = None
    unread: tuple[str, ...] = ()
    if compare_scans:
        scans = list(read_scans(cohort.exams, workers, progress_log(PROGRESS_SECONDS)))
        identical = tuple(identical_scans(scans))
        unread = tuple(scan.exam_id for scan in scans if scan.shape is None)
    split = split_patients(cohort, fractions, seed=seed, together=identical or ())
    write_split(split, out, overwrite=overwrite)
    return WrittenSplit(out, split, _counts(cohort, split), identical, unread)


def _counts(cohort: Cohort, split: Split) -> dict[str, PartCounts]:
    labels = {exam.exam_id: exam.label for exam in cohort.exams}
    class_of = classes_of_patients(cohort)
    counts = {}
    for part in PARTS:
        patients = [class_of[patient] for patient in split.patients(part)]
        exams = [labels[exam_id] for exam_id in split.exams(part)]
        counts[part] = PartCounts(
            patients=len(patients),
            positive_patients=patients.count(1),
            exams=len(exams),
            positive_exams=exams.count(1),
            by_class={name: (patients.count(k), exams.count(k)) for k, name in enumerate(cohort.classes)},
        )
    return counts
