"""`octavo cohort adopt`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.workflows.cohort_adopt import adopt_cohort


@dataclass(frozen=True)
class CohortAdopt:
    """Make a manifest from a folder laid out in a known way: ai-cnet3d-folders or zenodo-onh."""

    name: tyro.conf.Positional[str]
    """Which layout: ai-cnet3d-folders (ROOT/glaucoma/**, ROOT/Non-Glaucomas/**) or zenodo-onh (names such as
    POAG-001978-2012-02-08-OS.npy directly below ROOT)."""
    root: tyro.conf.Positional[Path]
    """The folder."""
    out: Path
    """The manifest to write."""
    patient_pattern: Annotated[str | None, tyro.conf.arg(metavar="REGEX")] = None
    """A regular expression with one group that finds the patient in a path relative to ROOT, such as '(P[0-9]+)_'."""
    overwrite: bool = False
    """Replace a manifest that is there."""

    def run(self) -> int:
        """Adopt, and say what was left out."""
        adopted = adopt_cohort(
            self.name, self.root, self.out, patient_pattern=self.patient_pattern, overwrite=self.overwrite
        )
        print(adopted.describe())
        return int(adopted.has_failures)
