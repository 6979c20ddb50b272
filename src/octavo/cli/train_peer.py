"""`octavo train peer`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.systems.peers.recipe import PeerRecipe
from octavo.training.machine import Machine


@dataclass(frozen=True)
class TrainPeer:
    """Train a peer: a network that people use otherwise, in the same way and on the same parts.

    The run's folder gets the recipe, the split, and a folder per seed with the model and everything that led to it. The
    same command goes on with an unfinished run. The test part is not touched: `octavo evaluate RUN` measures on it.
    """

    choice: CohortChoice
    folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run's folder: new, empty, or an unfinished run of the same command."""
    seeds: tuple[int, ...] = (100,)
    """One model for each."""
    prepared: Path | None = None
    """Where prepared scans are kept, so that several runs can share them; by default in the run."""
    recipe: PeerRecipe = field(default_factory=PeerRecipe)
    machine: Machine = field(default_factory=Machine)

    def run(self) -> int:
        """Train, and say where the models are."""
        from octavo.workflows.train import train

        summary = train(
            "peers",
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
        return 0
