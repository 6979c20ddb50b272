"""Where to train. Nothing here changes what is learnt, only where and how fast."""

import importlib.util
from dataclasses import dataclass
from typing import Literal

from octavo.errors import OctavoError

MLFLOW_PACKAGES = ("mlflow", "sqlalchemy", "alembic")
"""What the extra `track` installs; a store that is a file needs all three."""


@dataclass(frozen=True)
class Machine:
    """Where to train; everything here passes through to Lightning and none of it is part of the recipe.

    Raises:
        OctavoError: If a count is none, or a package is missing for what is asked.
    """

    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu ..."""
    devices: int = 1
    """How many of them on each node."""
    num_nodes: int = 1
    """How many machines."""
    strategy: str = "auto"
    """Lightning's strategy: auto, ddp, ddp_spawn ..."""
    precision: str = "auto"
    """Lightning's precision; auto is bf16-mixed on a GPU that has it and 32-true elsewhere."""
    workers: int = 0
    """Processes that prepare batches."""
    progress: Literal["auto", "bar", "lines"] = "auto"
    """A progress bar, or a line per epoch; auto shows the bar where someone is watching a terminal."""
    track: Literal["tensorboard", "mlflow", "none"] = "tensorboard"
    """Who gets the epochs too: TensorBoard, MLflow, or metrics.csv alone."""

    def __post_init__(self) -> None:
        for name, got, least, cure in (
            ("devices", self.devices, 1, "count the devices that should be used"),
            ("num_nodes", self.num_nodes, 1, "count the machines that should be used"),
            ("workers", self.workers, 0, "0 prepares batches in the training process itself"),
        ):
            if got < least:
                raise OctavoError(f"{name} is {got}; wanted a whole number from {least}; {cure}")
        if self.track == "mlflow":
            _require_mlflow()


def _require_mlflow() -> None:
    """Refuse before anything is written; nothing is imported for that."""
    for package in MLFLOW_PACKAGES:
        found = importlib.util.find_spec(package)
        # a folder of that name where the command is called is found too, but has no file to begin with
        if found is None or found.origin is None:
            raise OctavoError(
                f"track is mlflow, and the package {package!r} is not installed; wanted {', '.join(MLFLOW_PACKAGES)}; "
                "pip install 'octavo[track]'"
            )
