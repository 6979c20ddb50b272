"""Which cohort, and how it is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.cohorts.packed_cohort import read_packed_cohort
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import PreparedExam, Preparer
from octavo.cohorts.store import is_address, is_store
from octavo.errors import OctavoError


@runtime_checkable
class PreparedSource(Protocol):
    """Whatever gives prepared exams: scans that are prepared on the way, or a store where they lie ready."""

    def prepare_all(
        self, exams: Iterable[Exam], progress: Callable[[int], None] = ...
    ) -> tuple[list[PreparedExam], list[tuple[Exam, str]]]:
        """The prepared exams, and those that could not be prepared with the reason."""


_SAID_WHEN_PACKED = ("positive", "negative", "classes", "axes", "key")
"""What decides which exams a packed cohort has, or how they were read."""


@dataclass(frozen=True)
class CohortChoice:
    """Which exams, and how the manifest is read."""

    cohort: str
    """The manifest: the CSV that lists the exams. Or a packed cohort: a folder that `octavo cohort pack` wrote, or the
    address of a copy of it, such as s3://bucket/cohort."""
    split: Path | None = None
    """A split to use, as `octavo cohort split` writes it; by default the manifest's own, or a new one."""
    positive: str | None = None
    """The label that counts as positive, where labels are names."""
    negative: str | None = None
    """The label that counts as negative beside --positive; exams of any other label are left out."""
    classes: tuple[str, ...] = ()
    """The labels of three or more classes, in order, such as NL MCI AD: the last is the gravest."""
    each_row_its_own_patient: bool = False
    """Declare that no two rows show the same patient; only then may the patient column be missing."""
    axes: str | None = None
    """Order of the axes in array files, such as depth,bscan,ascan."""
    key: str | None = None
    """Name of the array in .npz files."""
    unlabelled: str | None = None
    """A second manifest, or packed cohort, of scans that pretraining learns from too; labels in it are passed over."""

    @property
    def place(self) -> str:
        """The whole path of the manifest or the store, or its address."""
        return _place(self.cohort)

    @property
    def unlabelled_place(self) -> str | None:
        """The same of the scans without labels, where there are some."""
        return None if self.unlabelled is None else _place(self.unlabelled)

    def read(self) -> Cohort:
        """Read the manifest, or what the packed cohort says of its own.

        Raises:
            OctavoError: If it is refused, or a packed cohort is to be read otherwise than it was packed.
        """
        if not is_store(self.cohort):
            return read_manifest(
                self.cohort,
                positive=self.positive,
                negative=self.negative,
                classes=self.classes,
                each_row_its_own_patient=self.each_row_its_own_patient,
                axes=self.axes,
                key=self.key,
            )
        said = [name for name in _SAID_WHEN_PACKED if getattr(self, name) not in (None, ())]
        if said:
            raise OctavoError(
                f"{self.cohort}: is packed, and --{said[0]} was given; wanted it when the cohort was packed; drop it, or "
                "pack the cohort again"
            )
        return read_packed_cohort(self.cohort).cohort

    def read_unlabelled(self) -> Cohort:
        """Read the exams of the second manifest, whatever labels they have or lack. Each must say whose it is.

        Raises:
            OctavoError: If it is refused, or none is named.
        """
        if self.unlabelled is None:
            raise OctavoError("no manifest of unlabelled scans is named; wanted one; pass --unlabelled MANIFEST")
        if is_store(self.unlabelled):
            packed = read_packed_cohort(self.unlabelled).cohort
            return replace(packed, exams=tuple(replace(exam, label=None) for exam in packed.exams), classes=(), pair=())
        return read_manifest(
            self.unlabelled,
            pass_over_labels=True,
            axes=self.axes,
            key=self.key,
        )

    def unlabelled_source(self, folder: Path, preparation: Preparation) -> PreparedSource:
        """Where those exams come from, as `source` for the others."""
        return replace(self, cohort=self.unlabelled or self.cohort).source(folder, preparation)

    def source(self, folder: Path, preparation: Preparation) -> PreparedSource:
        """Where the prepared exams come from.

        Args:
            folder: Where scans are prepared to, unless the cohort is packed.
            preparation: What the network wants.

        Raises:
            OctavoError: If the cohort is packed for another preparation.
        """
        if is_store(self.cohort):
            return read_packed_cohort(self.cohort).made_for(preparation)
        return Preparer(folder, preparation)


def _place(named: str) -> str:
    return named if is_address(named) else str(Path(named).absolute())
