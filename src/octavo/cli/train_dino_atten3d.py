"""`octavo train dino-atten3d`."""

from dataclasses import dataclass, field

from octavo.cli.training import Training
from octavo.systems.dino_atten3d.recipe import DinoAtten3DRecipe


@dataclass(frozen=True)
class TrainDinoAtten3D(Training):
    """Train DinoAtten3D: slices read once by a frozen DINOv2, weighed by attention.

    The backbone's weights come from a path, never from the network; without them a small untrained stand-in reads the slices
    and every answer says so. Features are computed once, beside the prepared scans. The run's folder is that of every
    other system: the same command goes on with an unfinished run, and `octavo evaluate RUN` measures on the test part.
    """

    recipe: DinoAtten3DRecipe = field(default_factory=DinoAtten3DRecipe)

    def run(self) -> int:
        """Train, and say where the models are."""
        if self.train("dino-atten3d", self.recipe):
            for note in self.recipe.notes:
                print(f"  {note}")
        return 0
