"""`octavo train ai-cnet3d`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.machine import Machine


@dataclass(frozen=True)
class TrainAICNet3D:
    """Train AI-CNet3D in two stages: classification, then the agreement of CARE with Grad-CAM.

    With --pretrain a stage comes before them that needs no labels and reads all exams of the training part.

    The run's folder gets the recipe, the split, and a folder per seed with the model and everything that led to it. The
    same command goes on with an unfinished run. The test part is not touched: `octavo evaluate RUN` measures on it.
    """

    choice: CohortChoice
    folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run's folder: new, empty, or an unfinished run of the same command."""
    seeds: tuple[int, ...] = (100,)
    """One model for each; 100 200 300 400 500 are the published ones."""
    prepared: Path | None = None
    """Where prepared scans are kept, so that several runs can share them; by default in the run."""
    stage_one_of: Path | None = None
    """Another run with the same first stage, which is taken over instead of trained again, and what came before it."""
    recipe: AICNet3DRecipe = field(default_factory=AICNet3DRecipe)
    machine: Machine = field(default_factory=Machine)

    def run(self) -> int:
        """Train, and say where the models are."""
        from octavo.workflows.train import train

        summary = train(
            "ai-cnet3d",
            self.recipe,
            self.choice,
            self.folder,
            seeds=self.seeds,
            machine=self.machine,
            prepared=self.prepared,
            stage_one_of=self.stage_one_of,
        )
        if summary:
            print(
                f"{self.folder}: trained seeds {', '.join(map(str, summary['seeds']))}; octavo evaluate {self.folder}"
            )
        return 0
