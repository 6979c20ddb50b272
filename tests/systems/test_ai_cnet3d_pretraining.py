"""What pretraining costs: by hand, voxel by voxel and pair by pair, and that it learns what it says."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from octavo.cohorts.augmentation import Augmentation, exam_stream
from octavo.cohorts.dataset import EpochOrder
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import PreparedExam
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.ai_cnet3d.pretraining import (
    PATCH,
    TEMPERATURE,
    Contrast,
    Reconstruction,
    TwoVariations,
    hidden_voxels,
    hide,
    standardised,
)
from octavo.systems.ai_cnet3d.stages import stages
from octavo.training.fit import fit
from training.small_training import MACHINE, PlantedExams, rows, small_ai_cnet3d, train_batches, validation_batches

SIZE = (16, 24, 16)


class PlantedPairs(PlantedExams):
    """Each exam a pattern of its own, seen twice through noise."""

    def __getitem__(self, at):
        epoch, index = at if isinstance(at, tuple) else (0, at)
        exam = super().__getitem__(index)
        noise = torch.from_numpy(np.random.default_rng((epoch, index)).normal(0, 0.1, (2, 1, *self.size))).float()
        # a slant of its own, which no noise hides
        slant = torch.linspace(-1, 1, self.size[1])[:, None] * ((self.numbers[index] * 7) % 5 - 2)
        return {**exam, "volume": exam["volume"] + slant + noise[0], "second_volume": exam["volume"] + slant + noise[1]}


class Layered(PlantedExams):
    """Bright layers at a depth of each exam's own, the same in every B-scan: hidden parts follow from visible ones."""

    def __getitem__(self, at):
        exam = super().__getitem__(at)
        number = self.numbers[at[1] if isinstance(at, tuple) else at]
        depths = torch.arange(self.size[1])[:, None]
        layers = torch.exp(-((depths - 5 - number % 11) ** 2) / 6.0)
        return {**exam, "volume": layers + 0.05 * exam["volume"]}


class Kept(PreparedExam):
    """An exam in memory, of which nothing else is asked."""

    def __init__(self, number):
        object.__setattr__(self, "exam", Exam(f"E{number}", "P", Path("scan.npy"), label=1))

    def values(self):
        return np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)


def batch_of(count=3, size=SIZE, seed=0, pairs=False):
    generator = torch.Generator().manual_seed(seed)
    made = {
        "volume": torch.rand(count, 1, *size, generator=generator),
        "label": torch.arange(count) % 2,
        "exam_id": [f"E{number}" for number in range(count)],
    }
    return {**made, "second_volume": torch.rand(count, 1, *size, generator=generator)} if pairs else made


def reconstruction(size=SIZE, share=0.6, seed=3, **network):
    return Reconstruction(small_ai_cnet3d(size=size, **network), 1e-3, seed, share)


def contrast(size=SIZE, seed=3):
    return Contrast(small_ai_cnet3d(size=size), 1e-3, seed)


@pytest.mark.parametrize("size", [(16, 16, 16), (8, 15, 8), (16, 23, 29), (24, 12, 14)])
@pytest.mark.parametrize("share", [0.01, 0.6, 0.99])
def test_whole_patches_are_hidden_one_at_least_and_never_all(size, share):
    hidden = hidden_voxels(size, share, (1, 0, 5))
    assert tuple(hidden.shape) == size
    grid = tuple(small_ai_cnet3d("none", size=size).eval().last_map(torch.zeros(1, 1, *size)).shape[2:])
    counted = 0
    for place in np.ndindex(grid):
        patch = hidden[tuple(slice(PATCH * n, PATCH * (n + 1)) for n in place)]
        assert patch.all() or not patch.any()
        counted += bool(patch.all())
    assert counted == min(max(1, round(share * math.prod(grid))), math.prod(grid) - 1)
    # what lies beyond the last place is never asked for
    for axis, places in enumerate(grid):
        assert not hidden.narrow(axis, min(PATCH * places, size[axis]), max(0, size[axis] - PATCH * places)).any()


def test_what_is_hidden_follows_from_seed_epoch_and_exam():
    drawn = [hidden_voxels(SIZE, 0.5, stream) for stream in ((1, 2, 3), (1, 2, 3), (4, 2, 3), (1, 4, 3), (1, 2, 4))]
    assert torch.equal(drawn[0], drawn[1])
    assert not any(torch.equal(drawn[0], other) for other in drawn[2:])


@pytest.mark.parametrize(("size", "placement"), [(SIZE, (2, 4)), ((16, 22, 23), (3, 5))])
def test_reconstruction_costs_what_it_says_voxel_by_voxel(size, placement):
    task = reconstruction(size, placement=placement).eval()
    batch = batch_of(size=size)
    with torch.no_grad():
        got = task.losses(batch)["loss"]
        hidden = task.hidden(batch)
        shown = batch["volume"].clone()
        for exam in range(3):
            shown[exam][hidden[exam]] = batch["volume"][exam][~hidden[exam]].mean()
        last = task.network.last_map(shown)
    weight, bias = task.top.weight.detach().reshape(PATCH, PATCH, PATCH, -1), task.top.bias.detach()
    bias = bias.reshape(PATCH, PATCH, PATCH)
    for exam in range(3):
        grey = batch["volume"][exam, 0].double()
        wanted = (grey - grey.mean()) / grey.std(correction=0)
        costs = []
        for b, d, a in hidden[exam, 0].nonzero().tolist():
            inside = (b % PATCH, d % PATCH, a % PATCH)
            told = weight[inside] @ last[exam, :, b // PATCH, d // PATCH, a // PATCH] + bias[inside]
            costs.append((float(told) - float(wanted[b, d, a])) ** 2)
        assert float(got[exam]) == pytest.approx(np.mean(costs), rel=1e-4)


def test_the_network_does_not_see_what_it_is_asked_for():
    task, batch = reconstruction().eval(), batch_of()
    hidden = task.hidden(batch)
    other = torch.where(hidden, torch.rand_like(batch["volume"]) * 9, batch["volume"])
    assert torch.equal(hide(batch["volume"], hidden), hide(other, hidden))
    assert not torch.equal(task.losses(batch)["loss"], task.losses({**batch, "volume": other})["loss"])


def test_only_hidden_voxels_count():
    task, batch = reconstruction().eval(), batch_of()
    told = torch.zeros(3, 1, *SIZE, requires_grad=True)
    task.tell = lambda volume: told
    task.losses(batch)["loss"].sum().backward()
    assert torch.equal(told.grad != 0, task.hidden(batch))


def test_the_scale_of_grey_values_changes_nothing():
    task, batch = reconstruction(), batch_of()
    torch.testing.assert_close(standardised(batch["volume"] * 255), standardised(batch["volume"]))
    assert torch.equal(standardised(torch.full((1, 1, 8, 8, 8), 0.3)), torch.zeros(1, 1, 8, 8, 8))
    task.tell = torch.zeros_like
    # telling the mean costs the variance, which is one
    assert float(task.losses(batch)["loss"].detach().mean()) == pytest.approx(1, abs=0.05)


def test_in_validation_the_same_is_hidden_whatever_the_epoch_and_the_batch(monkeypatch):
    task, batch = reconstruction(), batch_of()
    monkeypatch.setattr(Reconstruction, "current_epoch", 0)
    first, validated = task.train().hidden(batch), task.eval().hidden(batch)
    monkeypatch.setattr(Reconstruction, "current_epoch", 1)
    assert not torch.equal(task.train().hidden(batch), first)
    assert torch.equal(task.eval().hidden(batch), validated)
    turned = {**batch, "volume": batch["volume"].flip(0), "exam_id": batch["exam_id"][::-1]}
    torch.testing.assert_close(task.losses(turned)["loss"].flip(0), task.losses(batch)["loss"])


def test_contrast_costs_what_it_says_pair_by_pair():
    task, batch = contrast().eval(), batch_of(pairs=True)
    with torch.no_grad():
        got = task.losses(batch)["loss"]
        views = [
            task.top(task.network.last_map(batch[name]).mean(dim=(2, 3, 4))) for name in ("volume", "second_volume")
        ]
    embedded = [(exam, (row / np.linalg.norm(row))) for view in views for exam, row in enumerate(view.double().numpy())]
    for exam in range(3):
        costs = []
        for at, (anchor, one) in enumerate(embedded):
            if anchor != exam:
                continue
            alike = {
                number: math.exp(float(one @ other) / TEMPERATURE)
                for number, (_, other) in enumerate(embedded)
                if number != at
            }
            (partner,) = [number for number, (owner, _) in enumerate(embedded) if owner == exam and number != at]
            costs.append(-math.log(alike[partner] / sum(alike.values())))
        assert float(got[exam]) == pytest.approx(np.mean(costs), rel=1e-4)


def test_contrast_needs_two_exams_to_learn_and_a_lone_one_costs_nothing_in_validation():
    task, lone = contrast(), batch_of(1, pairs=True)
    with pytest.raises(OctavoError, match="a batch holds only exam E0; wanted two or more"):
        task.train().losses(lone)
    assert task.eval().losses(lone)["loss"].tolist() == [0.0]
    twice = {**batch_of(2, pairs=True), "exam_id": ["E0", "E0"]}
    with pytest.raises(OctavoError, match="a batch holds only exam E0"):
        task.train().losses(twice)


@pytest.mark.parametrize("placement", [(2, 4), (3, 5)])
@pytest.mark.parametrize("way", ["reconstruct", "contrast"])
def test_every_weight_gets_a_gradient_and_the_last_layer_none_that_moves_it(way, placement):
    network = small_ai_cnet3d(size=SIZE, placement=placement)
    task = Reconstruction(network, 1e-2, 1, 0.6) if way == "reconstruct" else Contrast(network, 1e-2, 1)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimiser = task.configure_optimizers()
    for step in range(2):
        optimiser.zero_grad()
        task.train().losses(batch_of(seed=step, pairs=True))["loss"].mean().backward()
        assert all(weight.grad is not None for weight in task.parameters())
        optimiser.step()
    still = {name for name, value in network.named_parameters() if torch.equal(value, before[name])}
    assert still == {"dense.weight", "dense.bias"}


def test_two_variations_are_those_of_the_recipe_and_differ_by_epoch_exam_and_view():
    kept = [Kept(number) for number in range(2)]
    exams = TwoVariations(AICNet3DRecipe(grey_range=255.0), kept, 9)
    seen = [exams[at][name] for at in ((0, 0), (1, 0), (0, 1)) for name in ("volume", "second_volume")]
    assert len({tensor.numpy().tobytes() for tensor in seen}) == 6
    assert torch.equal(exams[1, 0]["second_volume"], seen[3])
    assert torch.equal(exams[0]["volume"], seen[0]), "validation is varied as the first epoch is, in every epoch"
    wanted = Augmentation().apply(kept[0].values(), exam_stream(9, 1, 0))
    np.testing.assert_array_equal(seen[2][0].numpy(), wanted * np.float32(255))


def test_the_stage_is_as_the_recipe_says_and_the_others_stay_what_they_were():
    small = AICNet3DRecipe(size=SIZE, channels=8, heads=2, pretrain_epochs=7, pretrain_patience=3, pretrain_mask=0.3)
    without = [stage.task.seed for stage in stages(small, small.build_network(), 5, [0, 1])]
    for way, kind in (("reconstruct", Reconstruction), ("contrast", Contrast)):
        recipe = dataclasses.replace(small, pretrain=way)
        network = recipe.build_network()
        state = torch.get_rng_state()
        first, *others = stages(recipe, network, 5, [0, 1])
        assert torch.equal(torch.get_rng_state(), state), "what is drawn for the top is drawn apart"
        assert (first.name, first.max_epochs, first.patience, first.monitor) == ("stage-0", 7, 3, "val_loss")
        assert first.balance == "none"
        assert type(first.task) is kind
        assert first.task.network is network
        assert [(stage.name, stage.task.seed) for stage in others] == list(
            zip(("stage-1", "stage-2"), without, strict=True)
        )
        assert all(stage.balance is stage.inputs is None for stage in others)
        assert first.task.seed not in without
    assert Reconstruction(network, 1e-3, 1, 0.3).top.weight.equal(Reconstruction(network, 1e-3, 1, 0.3).top.weight)


def test_reconstruction_learns_what_follows_from_the_visible(tmp_path):
    task = reconstruction(SIZE, 0.5)
    task.learning_rate = 1e-2
    train = DataLoader(Layered(24, SIZE), batch_sampler=EpochOrder([0] * 24, 4, "none", 1))
    stage = dataclasses.replace(_stage(task), max_epochs=15)
    fit(stage, train, DataLoader(Layered(8, SIZE, first=100), 4), tmp_path, MACHINE)
    costs = [float(row["val_loss"]) for row in rows(tmp_path)]
    assert min(costs) < 0.8 * min(1.0, costs[0])  # 1 is what telling the mean costs


def test_contrast_learns_to_tell_exams_apart(tmp_path):
    task = contrast(SIZE)
    task.learning_rate = 3e-3
    train = DataLoader(PlantedPairs(20, SIZE), batch_sampler=EpochOrder([0] * 20, 5, "none", 1))
    stage = dataclasses.replace(_stage(task), max_epochs=8)
    fit(stage, train, DataLoader(PlantedPairs(10, SIZE, first=100), 5), tmp_path, MACHINE)
    costs = [float(row["val_loss"]) for row in rows(tmp_path)]
    assert min(costs) < 0.7 * min(math.log(9), costs[0])  # log 9 is what guessing among the nine others costs


def test_a_validation_part_of_one_exam_is_refused_for_contrast(tmp_path):
    pairs, one = train_batches(PlantedPairs(8, SIZE)), validation_batches(PlantedPairs(1, SIZE, first=100))
    with pytest.raises(
        OctavoError, match="exams of the validation part are 1 in all, and no process has two; wanted two"
    ):
        fit(_stage(contrast()), pairs, one, tmp_path, MACHINE)


def _stage(task):
    recipe = AICNet3DRecipe(size=SIZE, channels=8, heads=2, pretrain="reconstruct")
    return dataclasses.replace(next(stages(recipe, recipe.build_network(), 1, [0, 1])), task=task)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrain": "contrast", "batch_size": 1}, "batch size is 1; wanted 2 or more, as contrast"),
        (
            {"pretrain": "contrast", "augmentation": Augmentation(brightness=0, contrast=0, gamma=0, zoom=1)},
            "all variation is off; wanted some",
        ),
        ({"pretrain_mask": 0.0}, "pretrain mask is 0.0; wanted a share"),
        ({"pretrain_mask": float("nan")}, "pretrain mask is nan; wanted a share"),
        ({"pretrain_epochs": 0}, "must be at least 1"),
        ({"pretrain_patience": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_pretrained_is_refused_in_one_line(changes, message):
    with pytest.raises(OctavoError, match=message) as refusal:
        AICNet3DRecipe(**changes)
    assert "\n" not in str(refusal.value)


def test_a_volume_of_a_single_patch_is_refused():
    with pytest.raises(OctavoError, match=r"volumes of \(8, 14, 8\) are a single patch"):
        AICNet3DRecipe(size=(8, 14, 8), pretrain="reconstruct").build_network()
    AICNet3DRecipe(size=(8, 15, 8), pretrain="reconstruct").build_network()


@pytest.mark.parametrize(
    ("epochs", "consistency", "spent"),
    [(2, "mse", (1, 1, 0)), (4, "mse", (1, 2, 1)), (12, "mse", (3, 6, 3)), (40, "off", (10, 30, 0))],
)
def test_a_budget_of_epochs_counts_those_of_pretraining(epochs, consistency, spent):
    recipe = AICNet3DRecipe(pretrain="contrast", consistency=consistency).within(epochs)
    second = 0 if recipe.consistency == "off" else recipe.consistency_epochs
    assert (recipe.pretrain_epochs, recipe.epochs, second) == spent
    assert sum(spent) == epochs
    assert recipe.pretrain == "contrast"


def test_a_budget_of_one_epoch_is_refused():
    with pytest.raises(OctavoError, match="1 epoch in all; wanted 2 or more"):
        AICNet3DRecipe(pretrain="reconstruct").within(1)
    assert AICNet3DRecipe().within(1).epochs == 1


@pytest.mark.parametrize("make", [reconstruction, contrast])
def test_mixed_precision_changes_a_cost_by_little(make):
    task, batch = make().eval(), batch_of(pairs=True)
    with torch.no_grad():
        full = task.losses(batch)["loss"]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = task.losses(batch)["loss"]
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, full, rtol=0.1, atol=0.05)
