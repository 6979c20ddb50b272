"""`octavo train dino-atten3d`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.systems.dino_atten3d.recipe import DinoAtten3DRecipe
from octavo.training.machine import Machine


@dataclass(frozen=True)
class TrainDinoAtten3D:
    """Train DinoAtten3D: slices read once by a frozen DINOv2, weighed by attention.

    The backbone's weights come from a path, never from the network; without them a small untrained stand-in reads the slices
    and every answer says so. Features are computed once, beside the prepared scans. The run's folder is that of every
    other system: the same command goes on with an unfinished run, and `octavo evaluate RUN` measures on the test part.
    """

    choice: CohortChoice
    folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run's folder: new, empty, or an unfinished run of the same command."""
    seeds: tuple[int, ...] = (100,)
    """One model for each."""
    prepared: Path | None = None
    """Where prepared scans and features are kept, so that several runs can share them; by default in the run."""
    recipe: DinoAtten3DRecipe = field(default_factory=DinoAtten3DRecipe)
    machine: Machine = field(default_factory=Machine)

    def run(self) -> int:
        """Train, and say where the models are."""
        from octavo.workflows.train import train

        summary = train(
            "dino-atten3d",
            self.recipe,
            self.choice,
            self.folder,
            seeds=self.seeds,
            machine=self.machine,
            prepared=self.prepared,
        )
        if summary:
            print(
                f"{self.folder}: trained seeds {', '.join(map(str, summary['seeds']))}; octavo evaluate {self.folder}"
            )
            for note in self.recipe.notes:
                print(f"  {note}")
        return 0
