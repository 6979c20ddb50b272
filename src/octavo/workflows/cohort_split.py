"""Divide the patients of a manifest into training, validation and test."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from octavo.cohorts.check import identical_scans, read_scans
from octavo.cohorts.exam import PARTS
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.cohorts.splits import FRACTIONS, Split, split_patients, write_split
from octavo.errors import OctavoError
from octavo.workflows.cohort_check import PROGRESS_SECONDS, progress_log
from octavo.workflows.own_inputs import refuse_own_input


class PartCounts(NamedTuple):
    """Who is in one part. A patient counts as positive if any eye is."""

    patients: int
    positive_patients: int
    exams: int
    positive_exams: int


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
            lines.append(
                f"  {part:<11}{counts.patients:>6} patients ({counts.positive_patients} positive)"
                f"{counts.exams:>7} exams ({counts.positive_exams} positive)"
            )
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
        manifest, positive=positive, each_row_its_own_patient=each_row_its_own_patient, axes=axes, key=key
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
    positive_patients = {exam.patient_id for exam in cohort.exams if exam.label == 1}
    return {
        part: PartCounts(
            patients=len(split.patients(part)),
            positive_patients=len(positive_patients.intersection(split.patients(part))),
            exams=len(split.exams(part)),
            positive_exams=sum(labels[exam_id] == 1 for exam_id in split.exams(part)),
        )
        for part in PARTS
    }
