"""What every `octavo train` is told, whatever it trains."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.training.machine import Machine


@dataclass(frozen=True)
class Training:
    """A cohort, a run's folder, seeds, and where to train; a command adds its recipe."""

    choice: CohortChoice
    folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run's folder: new, empty, or an unfinished run of the same command."""
    seeds: tuple[int, ...] = (100,)
    """One model for each."""
    prepared: Path | None = None
    """Where prepared scans are kept, so that several runs can share them; by default in the run."""
    machine: Machine = field(default_factory=Machine)

    def train(self, system: str, recipe: Any, stage_one_of: Path | None = None) -> bool:
        """Train, and say where the models are.

        Returns:
            Whether this process is the one that speaks; of several that train together only the first does.
        """
        from octavo.workflows.train import train

        summary = train(
            system,
            recipe,
            self.choice,
            self.folder,
            seeds=self.seeds,
            machine=self.machine,
            prepared=self.prepared,
            stage_one_of=stage_one_of,
        )
        if summary:
            print(
                f"{self.folder}: trained seeds {', '.join(map(str, summary['seeds']))}; octavo evaluate {self.folder}"
            )
        return bool(summary)
