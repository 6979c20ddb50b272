"""Which cohort, and how its manifest is read."""

from dataclasses import dataclass
from pathlib import Path

from octavo.cohorts.manifest import Cohort, read_manifest


@dataclass(frozen=True)
class CohortChoice:
    """Which exams, and how the manifest is read."""

    cohort: Path
    """The manifest: the CSV that lists the exams."""
    split: Path | None = None
    """A split to use, as `octavo cohort split` writes it; by default the manifest's own, or a new one."""
    positive: str | None = None
    """The label that counts as positive, where labels are names."""
    each_row_its_own_patient: bool = False
    """Declare that no two rows show the same patient; only then may the patient column be missing."""
    axes: str | None = None
    """Order of the axes in array files, such as depth,bscan,ascan."""
    key: str | None = None
    """Name of the array in .npz files."""

    def read(self) -> Cohort:
        """Read the manifest."""
        return read_manifest(
            self.cohort,
            positive=self.positive,
            each_row_its_own_patient=self.each_row_its_own_patient,
            axes=self.axes,
            key=self.key,
        )
