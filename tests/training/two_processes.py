"""Two stages of a training without dropout and with batch norm frozen, by as many processes as it is told.

Run as a program it is one of the processes that train together: `two_processes.py FOLDER DEVICES BATCH`.
"""

import dataclasses
import sys
from pathlib import Path

import torch
from torch import nn

from octavo.systems.ai_cnet3d.task import AICNet3DTask, Consistency
from octavo.training.fit import Stage, fit
from training.small_training import MACHINE as ONE_PROCESS
from training.small_training import PlantedExams, small_ai_cnet3d, train_batches, validation_batches

MACHINE = dataclasses.replace(ONE_PROCESS, precision="64-true")
SIZE = (16, 16, 16)
EPOCHS, PATIENCE = 8, 2
VALIDATION_EXAMS = 5  # an odd number, so that the processes have unlike shares


class FrozenTask(AICNet3DTask):
    """No dropout and fixed batch norm: what is left depends on the exams of a batch and not on how they are shared."""

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d | nn.Dropout):
                module.training = False
        return self


def network():
    drawn = small_ai_cnet3d(seed=3, size=SIZE).double()
    with torch.no_grad():
        for attention in drawn.attentions:
            attention.gamma.fill_(0.5)  # at the initial 1e-6 attention would take no part
    return drawn


def train_both_stages(folder, devices, batch_size):
    trained = network()
    stages = (
        Stage("stage-1", FrozenTask(trained, 0.003, 1), EPOCHS, PATIENCE, "val_loss"),
        Stage("stage-2", FrozenTask(trained, 0.003, 2, None, Consistency("mse", 0.5)), EPOCHS, PATIENCE, "val_loss"),
    )
    machine = dataclasses.replace(MACHINE, devices=devices, strategy="ddp" if devices > 1 else "auto")
    train, validation = PlantedExams(size=SIZE), PlantedExams(VALIDATION_EXAMS, SIZE, first=100)
    return [
        fit(stage, train_batches(train, batch_size), validation_batches(validation), Path(folder) / stage.name, machine)
        for stage in stages
    ]


if __name__ == "__main__":
    train_both_stages(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
