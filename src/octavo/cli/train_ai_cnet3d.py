"""`octavo train ai-cnet3d`."""

from dataclasses import dataclass, field
from pathlib import Path

from octavo.cli.training import Training
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe


@dataclass(frozen=True)
class TrainAICNet3D(Training):
    """Train AI-CNet3D in two stages: classification, then the agreement of CARE with Grad-CAM.

    With --pretrain a stage comes before them that needs no labels and reads all exams of the training part.

    The run's folder gets the recipe, the split, and a folder per seed with the model and everything that led to it. The
    same command goes on with an unfinished run. The test part is not touched: `octavo evaluate RUN` measures on it.
    """

    stage_one_of: Path | None = None
    """Another run with the same first stage, which is taken over instead of trained again, and what came before it."""
    recipe: AICNet3DRecipe = field(default_factory=AICNet3DRecipe)

    def run(self) -> int:
        """Train, and say where the models are."""
        self.train("ai-cnet3d", self.recipe, self.stage_one_of)
        return 0
