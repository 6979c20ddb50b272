"""`octavo train peer`."""

from dataclasses import dataclass, field

from octavo.cli.training import Training
from octavo.systems.peers.recipe import PeerRecipe


@dataclass(frozen=True)
class TrainPeer(Training):
    """Train a peer: a network that people use otherwise, in the same way and on the same parts.

    The run's folder gets the recipe, the split, and a folder per seed with the model and everything that led to it. The
    same command goes on with an unfinished run. The test part is not touched: `octavo evaluate RUN` measures on it.
    """

    recipe: PeerRecipe = field(default_factory=PeerRecipe)

    def run(self) -> int:
        """Train, and say where the models are."""
        self.train("peers", self.recipe)
        return 0
