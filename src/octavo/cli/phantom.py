"""`octavo phantom`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.workflows.phantom import write_phantoms


@dataclass(frozen=True)
class Phantom:
    """Make a cohort of synthetic eyes whose truth is known.

    OUT gets scans/, truth/ (the tissue that was thinned, voxel by voxel) and manifest.csv. The same call again finishes
    what was interrupted, and otherwise changes nothing.
    """

    out: tyro.conf.Positional[Path]
    """A new or empty folder."""
    patients: int = 200
    """How many patients; most have both eyes scanned."""
    seed: int = 1
    """The same seed makes the same voxels; patient 7 is the same among ten patients as among a thousand."""
    difficulty: Annotated[str, tyro.conf.arg(metavar="easy|standard|hard")] = "standard"
    """How well the disease hides among the differences between healthy people and between recordings."""
    shape: Annotated[tuple[int, int, int], tyro.conf.arg(metavar="BSCAN DEPTH ASCAN")] = (32, 64, 48)
    """Samples along each axis; the scan covers 9 x 12 mm whatever the shape."""
    prevalence: float = 0.5
    """Share of patients with glaucoma in at least one eye."""
    two_eyes: float = 0.7
    """Share of patients of whom both eyes are scanned."""
    preview: bool = False
    """Draw some of the eyes into OUT/preview, with the thinned tissue outlined."""

    def run(self) -> int:
        """Make them, and say what was made."""
        written = write_phantoms(
            self.out,
            patients=self.patients,
            seed=self.seed,
            difficulty=self.difficulty,
            shape=self.shape,
            prevalence=self.prevalence,
            two_eyes=self.two_eyes,
            preview=self.preview,
        )
        print(written.describe())
        return 0
