"""`octavo cohort check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.workflows.cohort_check import as_json, check_manifest, describe


@dataclass(frozen=True)
class CohortCheck:
    """Read every exam of a manifest and list what is wrong. Exit code 1 if there are faults."""

    manifest: tyro.conf.Positional[Path]
    """The CSV file."""
    positive: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the class that becomes 1, where labels are names."""
    negative: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the class that becomes 0 beside --positive; exams of any other are left out."""
    classes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """The names of three or more classes, in order; the last is the gravest."""
    each_row_its_own_patient: bool = False
    """Declare that no two rows share a patient."""
    axes: Annotated[str | None, tyro.conf.arg(metavar="A,B,C")] = None
    """The order of axes in array files whose rows do not say, such as depth,bscan,ascan."""
    key: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The name of the array in archives whose rows do not say."""
    unlabelled: bool = False
    """Exams may be without a label, as for prediction."""
    allow: tuple[str, ...] = ()
    """Kinds of faults that are accepted and become warnings, such as laterality-unknown."""
    workers: int = 1
    """How many processes read."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> int:
        """Check, and say what is wrong."""
        check = check_manifest(
            self.manifest,
            positive=self.positive,
            negative=self.negative,
            classes=self.classes,
            each_row_its_own_patient=self.each_row_its_own_patient,
            axes=self.axes,
            key=self.key,
            unlabelled=self.unlabelled,
            workers=self.workers,
            allow=self.allow,
        )
        print(as_json(check) if self.json else describe(check))
        return int(bool(check.faults))
