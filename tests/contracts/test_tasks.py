"""What every task keeps: it overfits one batch, and a resumed stage equals an unbroken one."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from octavo.systems import SYSTEMS, find_system
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.ai_cnet3d.network import ATTENTIONS
from octavo.systems.dino_atten3d import DinoAtten3DRecipe
from octavo.systems.peers import ARCHITECTURES, PeerRecipe
from octavo.training.classification import ClosedFormTask
from octavo.training.fit import fit
from training.small_training import (
    MACHINE,
    CutOffError,
    PlantedExams,
    assert_same_training,
    train_batches,
    validation_batches,
)

SIZE = (16, 8, 16)
SMALL = AICNet3DRecipe(size=SIZE, channels=8, heads=2, epochs=2, consistency_epochs=2, learning_rate=3e-3)
RECIPES = {
    **{name: ("ai-cnet3d", dataclasses.replace(SMALL, attention=name)) for name in ATTENTIONS},
    **{loss: ("ai-cnet3d", dataclasses.replace(SMALL, consistency=loss)) for loss in ("kl", "ssim", "pearson")},
    "published": ("ai-cnet3d", dataclasses.replace(SMALL, grad_cam="published", pooling="published")),
    "weighted": ("ai-cnet3d", dataclasses.replace(SMALL, balance="weighted-loss")),
    "dino-atten3d": ("dino-atten3d", DinoAtten3DRecipe(backbone_width=6, epochs=2, learning_rate=3e-3)),
    **{
        name: ("peers", PeerRecipe(name, size=kind.smallest, epochs=2, learning_rate=1e-3))
        for name, kind in ARCHITECTURES.items()
    },
}
"""Small recipes of every system."""

STEPS = {"resnet3d": (1e-3, 8), "vit3d": (1e-3, 25), "timesformer": (1e-3, 45)}
"""Learning rate and steps that overfit a batch, where they are not the usual ones: many weights want small steps."""

CUT = [name for name in RECIPES if name != "resnet3d"]
"""The task of resnet3d is that of densenet3d, whose checkpoints are a hundred times smaller."""


class PlantedFeatures(PlantedExams):
    """Features of five slices, one of which says which class it is."""

    def __getitem__(self, at):
        number = self.numbers[at[1] if isinstance(at, tuple) else at]
        label = number % 2
        features = torch.from_numpy(np.random.default_rng(number).random((5, 6))).float()
        features[number % 5, 0] += 2 * label
        return {"volume": features, "label": label, "exam_id": f"E{number:03d}"}


@pytest.fixture(scope="module")
def exams():
    """By recipe; kept in memory, for they are asked for often."""

    class Kept(PlantedExams):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.kept = [PlantedExams.__getitem__(self, index) for index in range(len(self))]

        def __getitem__(self, at):
            return self.kept[at[1] if isinstance(at, tuple) else at]

    @functools.cache
    def of_size(size):
        return Kept(8, size), Kept(4, size, first=100)

    @functools.cache
    def as_features():
        return PlantedFeatures(8), PlantedFeatures(4, first=100)

    return lambda name: as_features() if name == "dino-atten3d" else of_size(RECIPES[name][1].size)


def stages_of(name, seed=3):
    system, recipe = RECIPES[name]
    torch.manual_seed(seed)
    return find_system(system).stages_of(recipe, recipe.build_network(), seed, [0, 0, 0, 1])


def train_both(name, exams, folder, cut_at=None):
    """All stages; with `cut_at` each is cut off in the midst of that epoch and taken up again by new objects."""
    cut, exams = set(), exams(name)
    while True:
        try:
            for stage in stages_of(name):
                if cut_at is not None and stage.name not in cut:
                    _cut(stage, min(cut_at, stage.max_epochs - 1), cut)
                loaders = train_batches(exams[0], 4), validation_batches(exams[1])
                fit(stage, *loaders, folder / stage.name, MACHINE)
        except CutOffError:
            continue
        return cut


def _cut(stage, epoch, cut):
    step = stage.task.training_step

    def cutting(batch, batch_idx):
        if (stage.task.current_epoch, batch_idx) == (epoch, 1):
            cut.add(stage.name)
            raise CutOffError
        return step(batch, batch_idx)

    stage.task.training_step = cutting


def learn(task, batch, learning_rate, steps):
    """All that can be learnt of one batch."""
    if isinstance(task, ClosedFormTask):
        task.meet(batch)
        task.fit_to_all_met()
        return
    optimiser = torch.optim.NAdam(task.parameters(), lr=learning_rate)
    torch.manual_seed(0)
    for _ in range(steps):
        optimiser.zero_grad()
        task.losses(batch)["loss"].mean().backward()
        optimiser.step()


def test_every_system_has_a_recipe_here():
    assert {system for system, _ in RECIPES.values()} == set(SYSTEMS)


@pytest.mark.parametrize("name", RECIPES)
def test_every_task_overfits_one_batch(name, exams):
    if name == "trivial":
        pytest.skip("it reads nothing, so it cannot tell the exams of a batch apart")
    batch = next(iter(DataLoader(exams(name)[0], batch_size=4)))
    for stage in stages_of(name):
        task = stage.task.train()
        learn(task, batch, *STEPS.get(name, (0.03, 20)))
        with torch.no_grad():
            for module in task.modules():
                if isinstance(module, torch.nn.BatchNorm3d):
                    module.momentum = 1.0  # running statistics lag behind; let them catch up at once
            task.network(batch["volume"])
            task.eval()
            answers = task.network(batch["volume"]).logits
        assert (answers.argmax(dim=1) == batch["label"]).all(), stage.name
        assert float(torch.nn.functional.cross_entropy(answers, batch["label"])) < 0.3, stage.name


@pytest.mark.parametrize("name", CUT)
def test_every_task_resumed_equals_unbroken(name, exams, tmp_path):
    train_both(name, exams, tmp_path / "whole")
    cut = train_both(name, exams, tmp_path / "cut", cut_at=1)
    stages = sorted(entry.name for entry in (tmp_path / "whole").iterdir())
    assert sorted(cut) == stages
    for stage in stages:
        assert_same_training(tmp_path / "whole" / stage, tmp_path / "cut" / stage)
