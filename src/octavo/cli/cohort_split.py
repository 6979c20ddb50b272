"""`octavo cohort split`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.splits import FRACTIONS
from octavo.workflows.cohort_split import split_cohort


@dataclass(frozen=True)
class CohortSplit:
    """Divide patients into training, validation and test: both eyes together, both classes in every part."""

    manifest: tyro.conf.Positional[Path]
    """The CSV file."""
    out: Path
    """The split to write: exam_id,patient_id,split."""
    seed: int = 100
    """The same seed gives the same split, whatever the order of the rows."""
    fractions: Annotated[tuple[float, float, float], tyro.conf.arg(metavar="TRAIN VALIDATION TEST")] = FRACTIONS
    """The shares of the patients; a part with 0 stays empty."""
    positive: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the class that becomes 1, where labels are names."""
    negative: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the class that becomes 0 beside --positive; exams of any other are left out."""
    classes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """The names of three or more classes, in order; the last is the gravest."""
    each_row_its_own_patient: bool = False
    """Declare that no two rows share a patient."""
    axes: Annotated[str | None, tyro.conf.arg(metavar="A,B,C")] = None
    """The order of axes in array files whose rows do not say; only --compare-scans reads any."""
    key: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the array in archives whose rows do not say; only --compare-scans reads any."""
    compare_scans: bool = False
    """Read every scan, and keep patients together who share one."""
    workers: int = 1
    """How many processes read."""
    overwrite: bool = False
    """Replace a split that is there."""

    def run(self) -> int:
        """Divide, and say who is where."""
        written = split_cohort(
            self.manifest,
            self.out,
            seed=self.seed,
            fractions=self.fractions,
            positive=self.positive,
            negative=self.negative,
            classes=self.classes,
            each_row_its_own_patient=self.each_row_its_own_patient,
            axes=self.axes,
            key=self.key,
            compare_scans=self.compare_scans,
            workers=self.workers,
            overwrite=self.overwrite,
        )
        print(written.describe())
        return int(bool(written.unread))
