"""`octavo phantom-heads`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class PhantomHeads:
    """Make a cohort of head-like volumes in NIfTI, some of them changed in a few neighbouring slices.

    A test object for methods that weigh slices, and no model of a disease: which slices were changed is known. OUT gets
    scans/, truth/ and manifest.csv with the labels AD (changed) and NL, as in tables of ADNI.
    """

    out: tyro.conf.Positional[Path]
    """A new or empty folder."""
    heads: int = 60
    """How many; each is a patient."""
    seed: int = 1
    """The same seed makes the same voxels."""
    shape: Annotated[tuple[int, int, int], tyro.conf.arg(metavar="LEFT-RIGHT BACK-FRONT BOTTOM-TOP")] = (48, 56, 48)
    """Samples along each axis; the head is 180 mm wide whatever the shape."""
    prevalence: float = 0.5
    """Share of changed heads."""
    strength: float = 0.6
    """How much darker the changed patch is, from 0 to 1."""
    stages: bool = False
    """Change half of the changed heads half as strongly; their label is MCI, which makes three classes."""

    def run(self) -> int:
        """Make them, and say what was made."""
        from octavo.workflows.phantom_heads import write_heads

        written = write_heads(
            self.out,
            heads=self.heads,
            seed=self.seed,
            shape=self.shape,
            prevalence=self.prevalence,
            strength=self.strength,
            stages=self.stages,
        )
        print(written.describe())
        return 0
