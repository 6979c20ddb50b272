"""Checkpoints that are whole or not there, and a failed save that is never silent.

Lightning's own writer swallows a PermissionError and does not flush to the disk; this one writes beside, flushes, renames,
and lets every error through. Archives are read with `weights_only=True` only.
"""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from octavo.files import atomic_writer
from octavo.training.archives import load_archive

LAST = "last.ckpt"
BEST = "best.ckpt"


class AtomicCheckpointIO(CheckpointIO):
    """Writes a torch archive beside its name, flushes it to the disk and renames it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write one checkpoint."""
        with atomic_writer(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read one checkpoint, never anything but tensors and plain values."""
        return load_archive(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove one checkpoint."""
        Path(path).unlink(missing_ok=True)


class KeepBestAndLast(Checkpoint):
    """Saves after every epoch, and stops when the watched loss has not improved for a while.

    `best.ckpt` is written when the loss improved, then always `last.ckpt`.

    In this order a kill between the two repeats one epoch, which the seeds make the same, and loses nothing.

    Args:
        folder: Where the two files go.
        monitor: The logged value to watch; lower is better.
        patience: Stop after so many epochs without a better value.
    """

    def __init__(self, folder: Path, monitor: str, patience: int) -> None:
        self.folder = folder
        self.monitor = monitor
        self.patience = patience
        self.best_value = float("inf")
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save; runs after all other callbacks, validation included."""
        value = float(trainer.callback_metrics[self.monitor])
        if value < self.best_value:
            self.best_value, self.best_epoch = value, trainer.current_epoch
            trainer.save_checkpoint(self.folder / BEST)
        trainer.save_checkpoint(self.folder / LAST)
        if trainer.current_epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best_value": self.best_value, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a run stopped."""
        self.best_value = state_dict["best_value"]
        self.best_epoch = state_dict["best_epoch"]
