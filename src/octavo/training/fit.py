"""One stage of training: epochs until the validation loss has not improved for a while, resumable at every epoch."""

import csv
import io
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader, Dataset

from octavo.errors import OctavoError
from octavo.files import read_json, write_json, write_text
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST, AtomicCheckpointIO, KeepBestAndLast
from octavo.training.machine import Machine
from octavo.training.task import Task
from octavo.training.threads import cores_for_torch
from octavo.training.tracking import Mirror

_log = logging.getLogger("octavo.training")


@dataclass(frozen=True)
class Stage:
    """One stage of a system's training."""

    name: str
    """The name of its folder."""
    task: Task
    max_epochs: int
    patience: int
    """Stop after so many epochs without a better value."""
    monitor: str
    """The logged value to watch; lower is better."""
    balance: str | None = None
    """How unequal classes are met in this stage, `none` for all exams as they are; as the recipe says if not given."""
    inputs: Callable[[Sequence[Any], int], Dataset[dict[str, Any]]] | None = None
    """From prepared exams and a stream to what this stage reads, in validation too; the system's own if not given."""
    without_labels: bool = False
    """Whether no label is read, so that exams which have none are learnt from too."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended."""

    epochs: int
    best_epoch: int
    best_value: float
    seconds: float


def fit(
    stage: Stage,
    train: DataLoader[Any],
    validation: DataLoader[Any],
    folder: Path,
    machine: Machine,
    mirror: Mirror | None = None,
) -> StageResult:
    """Train one stage, or what is left of it, and leave the task with the best epoch's weights.

    The folder gets `metrics.csv`, `checkpoints/` and, when the stage is done, `finished.json`. Called again it goes on after
    the last finished epoch, to the same weights bit for bit on one machine.

    Args:
        stage: What is trained, and for how long.
        train: Batches to learn from.
        validation: Batches to stop by.
        folder: The stage's folder.
        machine: Where to train.
        mirror: Who else gets the epochs.

    Raises:
        OctavoError: If there are fewer validation exams than processes.
        LossNotFiniteError: If a loss or a weight stops being a number; the checkpoint of before stays.
    """
    _require_exams_for_all(validation, machine)
    checkpoints = folder / "checkpoints"
    if not (folder / "finished.json").exists():
        checkpoints.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        keeper = KeepBestAndLast(checkpoints, stage.monitor, stage.patience)
        table = EpochTable(folder / "metrics.csv")
        last = checkpoints / LAST
        if not (last.exists() and _was_over(last, stage.max_epochs, stage.patience)):
            stage.task.train()  # a network that was loaded for prediction would learn without dropout, and nobody be told
            trainer = _trainer(folder, [table, keeper, EpochMirror(table, mirror)], stage.max_epochs, machine)
            with _interruptible(), cores_for_torch(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="lightning")
                trainer.fit(stage.task, train, validation, ckpt_path=last if last.exists() else None, weights_only=True)
            if not trainer.is_global_zero:
                return StageResult(trainer.current_epoch, keeper.best_epoch, keeper.best_value, 0.0)
        write_json(folder / "finished.json", _ending(last, time.monotonic() - started))
    if mirror is not None:
        mirror.stage(folder)
    stage.task.load_state_dict(load_archive(checkpoints / BEST)["state_dict"])
    return StageResult(**read_json(folder / "finished.json"))  # type: ignore[arg-type]


class EpochTable(Callback):
    """One row per epoch in `metrics.csv`, the same rows whether the run was interrupted or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row."""
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        row = {"epoch": trainer.current_epoch, **values, "seconds": time.monotonic() - self._started}
        self.rows = [*[old for old in self.rows if old["epoch"] < row["epoch"]], row]
        if not trainer.is_global_zero:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
        shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items() if name.endswith("_loss"))
        _log.info("  %s epoch %d: %s (%.1f s)", self.path.parent.name, row["epoch"], shown, row["seconds"])

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a run stopped."""
        self.rows = state_dict["rows"]


class EpochMirror(Callback):
    """Hands an epoch on when its checkpoint is written: one that a kill has repeated is not told twice."""

    def __init__(self, table: EpochTable, mirror: Mirror | None) -> None:
        self.table = table
        self.mirror = mirror

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All epochs before this one; the last of a stage is told when the stage is over."""
        if self.mirror is not None and trainer.is_global_zero:
            self.mirror.epochs(self.table.path.parent, self.table.rows)


def _was_over(last: Path, max_epochs: int, patience: int) -> bool:
    """Whether the stage had already ended when it was cut off before saying so."""
    state = load_archive(last)
    best = state["callbacks"][KeepBestAndLast.__qualname__]
    return state["epoch"] + 1 >= max_epochs or state["epoch"] - best["best_epoch"] >= patience


def _ending(last: Path, seconds: float) -> dict[str, float]:
    """How a stage ended, from its last checkpoint; the seconds where its epochs tell none."""
    state = load_archive(last)["callbacks"]
    best, rows = state[KeepBestAndLast.__qualname__], state[EpochTable.__qualname__]["rows"]
    return {
        "epochs": len(rows),
        "best_epoch": best["best_epoch"],
        "best_value": best["best_value"],
        "seconds": sum(row["seconds"] for row in rows) or seconds,
    }


def _require_exams_for_all(validation: DataLoader[Any], machine: Machine) -> None:
    """Refuse what would leave a process without validation: it would wait for the others for ever."""
    exams, processes = len(validation.dataset), machine.devices * machine.num_nodes  # type: ignore[arg-type]
    if exams < processes:
        raise OctavoError(
            f"the validation part has {exams} exams for {processes} processes; wanted at least one each; "
            "use fewer devices, or give validation a larger fraction"
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning turns Ctrl-C into exit code 1 and leaves it switched off; within the block it stays what it is."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _trainer(folder: Path, callbacks: list[Callback], max_epochs: int, machine: Machine) -> Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    on_gpu = machine.accelerator in {"auto", "gpu", "cuda"} and torch.cuda.is_available()
    precision = machine.precision
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
    try:
        return _made_trainer(folder, callbacks, max_epochs, machine, precision, on_gpu)
    except (ValueError, MisconfigurationException) as refusal:
        reason = " ".join(str(refusal).split())
        raise OctavoError(
            f"accelerator {machine.accelerator!r}, strategy {machine.strategy!r}, precision {precision!r}: {reason}; wanted "
            "what Lightning knows and this machine has"
        ) from None


def _made_trainer(
    folder: Path, callbacks: list[Callback], max_epochs: int, machine: Machine, precision: str, on_gpu: bool
) -> Trainer:
    from lightning.pytorch.loggers import TensorBoardLogger

    return Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.num_nodes,
        strategy=machine.strategy,
        precision=precision,  # type: ignore[arg-type]
        sync_batchnorm=on_gpu and machine.devices * machine.num_nodes > 1,
        max_epochs=max_epochs,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(folder, name="", version="tensorboard") if machine.track == "tensorboard" else False,
        enable_progress_bar=machine.progress == "bar" or (machine.progress == "auto" and sys.stderr.isatty()),
        enable_model_summary=False,
        enable_checkpointing=True,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # our samplers know their rank
        inference_mode=False,  # Grad-CAM needs a gradient in validation too
        deterministic="warn",
        benchmark=False,
        default_root_dir=folder,
    )
