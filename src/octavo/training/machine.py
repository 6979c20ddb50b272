"""Where to train. Nothing here changes what is learnt, only where and how fast."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Machine:
    """Where to train; everything here passes through to Lightning and none of it is part of the recipe."""

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
    tensorboard: bool = True
    """Write TensorBoard logs beside metrics.csv."""
