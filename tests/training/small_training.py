"""Exams, networks and tasks small enough that a stage of training takes a second."""

import csv
import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from octavo.cohorts.dataset import EpochOrder, OwnShare
from octavo.files import read_json
from octavo.systems.ai_cnet3d.network import AICNet3D, Output
from octavo.systems.ai_cnet3d.task import AICNet3DTask, Consistency
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST
from octavo.training.fit import Stage, fit
from octavo.training.machine import Machine
from octavo.training.task import Task

logging.getLogger("lightning").setLevel(logging.ERROR)

SIZE = (8, 8, 8)
MACHINE = Machine(accelerator="cpu", precision="32-true", progress="lines", track="none")


class PlantedExams(Dataset):
    """Noise, and where the label is 1 a brighter superior half; even a small network learns it in a few steps."""

    def __init__(self, count=12, size=SIZE, dtype=torch.float32, poisoned=None, first=0):
        self.size, self.dtype, self.poisoned = size, dtype, poisoned
        self.numbers = range(first, first + count)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, at):
        number = self.numbers[at[1] if isinstance(at, tuple) else at]
        label = number % 2
        volume = np.random.default_rng(number).random((1, *self.size))
        volume[:, : self.size[0] // 2] += 0.3 * label
        if number == self.poisoned:
            volume[0, 0, 0, 0] = np.nan
        return {"volume": torch.from_numpy(volume).to(self.dtype), "label": label, "exam_id": f"E{number:03d}"}


class SmallNetwork(nn.Module):
    """Everything a resumed run could get wrong: running statistics, dropout, weights."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.convolution = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(4, 2)

    def forward(self, x):
        features = self.convolution(x)
        pooled = F.relu(self.norm(features)).mean(dim=(2, 3, 4))
        return Output(self.dense(self.dropout(pooled)), features.mean(dim=1), features)


class SmallTask(Task):
    """Cross-entropy of a small network; counts its steps and can be cut off in the midst of an epoch."""

    def __init__(self, seed=1, learning_rate=0.02, cut_at=None, dropout=0.3):
        torch.manual_seed(seed)
        super().__init__(SmallNetwork(dropout), learning_rate, seed)
        self.cut_at = cut_at
        self.steps = []

    def losses(self, batch):
        costs = F.cross_entropy(self.network(batch["volume"]).logits, batch["label"], reduction="none")
        return {"loss": costs, "classification": costs}

    def training_step(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == self.cut_at:
            raise CutOffError
        self.steps.append((self.current_epoch, batch_idx))
        return super().training_step(batch, batch_idx)


class CutOffError(Exception):
    """Stands for whatever ends a process."""


def small_ai_cnet3d(attention="hemiretinal", seed=0, **network):
    torch.manual_seed(seed)
    return AICNet3D(attention, **{"size": (8, 8, 8), "channels": 8, "heads": 2, **network})


def ai_cnet3d_task(attention="hemiretinal", seed=0, learning_rate=1e-3, weights=None, **consistency):
    term = Consistency(**{"loss": "mse", "weight": 0.75, **consistency}) if consistency else None
    return AICNet3DTask(small_ai_cnet3d(attention, seed), learning_rate, seed, weights, term)


def train_batches(exams=None, batch_size=4, seed=5):
    exams = PlantedExams() if exams is None else exams
    order = EpochOrder([number % 2 for number in exams.numbers], batch_size, "none", seed)
    return DataLoader(exams, batch_sampler=order)


def validation_batches(exams=None, batch_size=4):
    exams = PlantedExams(6, first=100) if exams is None else exams
    return DataLoader(exams, batch_size=batch_size, sampler=OwnShare(len(exams)))


def train(
    folder, task, epochs=5, patience=100, monitor="val_loss", train=None, validation=None, machine=MACHINE, mirror=None
):
    """One stage, or what is left of it."""
    stage = Stage("stage-1", task, epochs, patience, monitor)
    return fit(stage, train or train_batches(), validation or validation_batches(), Path(folder), machine, mirror)


def epochs_done(folder):
    """How many epochs the last checkpoint holds."""
    last = Path(folder) / "checkpoints" / LAST
    return load_archive(last)["epoch"] + 1 if last.exists() else 0


def rows(folder):
    """`metrics.csv` without what a clock decides."""
    with open(Path(folder) / "metrics.csv", encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def assert_same_training(one, other):
    """Weights, statistics, optimiser and history of two stages are the same, bit for bit."""
    for name in (BEST, LAST):
        a, b = (load_archive(Path(folder) / "checkpoints" / name) for folder in (one, other))
        for part in ("state_dict", "optimizer_states", "epoch", "global_step"):
            assert_same(a[part], b[part], f"{name} {part}")
    assert rows(one) == rows(other)
    endings = [read_json(Path(folder) / "finished.json") for folder in (one, other)]
    for ending in endings:
        assert ending.pop("seconds") > 0
    assert endings[0] == endings[1]


def assert_same(a, b, where=""):
    """Nested values are equal, tensors bit for bit."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for name in a:
            assert_same(a[name], b[name], f"{where} {name}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where} {index}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def weights_of(task):
    """A copy of everything a network holds."""
    return {name: value.clone() for name, value in task.network.state_dict().items()}
