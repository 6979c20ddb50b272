"""The tasks that systems share: cross-entropy step by step, and a fit at once."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.systems.peers.network import Output
from octavo.training.archives import load_archive
from octavo.training.classification import ClassificationTask, ClosedFormTask
from octavo.training.task import LossNotFiniteError
from training.small_training import PlantedExams, SmallNetwork, rows, train, train_batches, validation_batches


class CentredMean(nn.Module):
    """The mean grey value less its mean over all exams: enough to see which exams were met."""

    def __init__(self):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(1))
        self.fitted_to = None

    def describe(self, volume):
        return volume.flatten(2).mean(dim=2)

    def answer(self, numbers):
        margin = 100 * (numbers[:, 0] - self.centre)
        return torch.stack((torch.zeros_like(margin), margin), dim=1)

    def forward(self, volume):
        return Output(self.answer(self.describe(volume)))

    def fit(self, numbers, labels, weights):
        self.fitted_to = numbers, labels, weights
        with torch.no_grad():
            self.centre.copy_((weights[:, None] * numbers).sum() / weights.sum())


def test_the_loss_is_cross_entropy_weighed_by_class():
    batch = next(iter(train_batches()))
    network = SmallNetwork().eval()
    plain = ClassificationTask(network, 0.1, 1).losses(batch)
    wanted = F.cross_entropy(network(batch["volume"]).logits, batch["label"], reduction="none")
    torch.testing.assert_close(plain["loss"], wanted)
    assert torch.equal(plain["classification"], plain["loss"])
    weighed = ClassificationTask(network, 0.1, 1, torch.tensor([0.5, 2.0])).losses(batch)["loss"]
    torch.testing.assert_close(weighed, wanted * torch.where(batch["label"] == 1, 2.0, 0.5))


def test_class_weights_are_no_part_of_the_weights():
    assert not any("class_weights" in name for name in ClassificationTask(SmallNetwork(), 0.1, 1).state_dict())


@pytest.mark.parametrize("batch_size", [4, 5])
def test_one_epoch_fits_to_every_exam_once_whatever_the_order(tmp_path, batch_size):
    fitted = []
    for seed in (5, 6):
        network = CentredMean()
        task = ClosedFormTask(network, seed=seed)
        loaders = train_batches(batch_size=batch_size, seed=seed), validation_batches()
        result = train(tmp_path / str(seed), task, epochs=1, train=loaders[0], validation=loaders[1])
        assert (result.epochs, result.best_epoch) == (1, 0)
        numbers, labels, weights = network.fitted_to
        assert len(numbers) == len(PlantedExams())
        assert labels.bincount().tolist() == [6, 6]
        assert weights.tolist() == [1.0] * 12
        fitted.append(network.centre.item())
        kept = load_archive(tmp_path / str(seed) / "checkpoints" / "best.ckpt")["state_dict"]
        assert kept["network.centre"].item() == network.centre.item(), "validation must see what was fitted"
    assert fitted[0] == fitted[1] != 0
    (row,) = rows(tmp_path / "5")
    assert float(row["train_loss"]) < 0.7
    assert {"val_loss", "val_classification", "train_classification"} <= row.keys()


def test_class_weights_reach_the_fit():
    network = CentredMean()
    task = ClosedFormTask(network, seed=1, weights=torch.tensor([0.5, 2.0]))
    for batch in train_batches():
        task.meet(batch)
    costs = task.fit_to_all_met()
    _, labels, weights = network.fitted_to
    assert torch.equal(weights, torch.where(labels == 1, 2.0, 0.5).double())
    assert costs.shape == (12,)


def test_a_scan_that_is_not_finite_is_named_and_nothing_is_fitted(tmp_path):
    network = CentredMean()
    exams = PlantedExams(poisoned=3)
    with pytest.raises(LossNotFiniteError, match="exam E003"):
        train(tmp_path, ClosedFormTask(network, seed=1), epochs=1, train=train_batches(exams))
    assert network.fitted_to is None


def test_several_processes_are_refused():
    class Two:
        world_size = 2

    task = ClosedFormTask(CentredMean(), seed=1)
    task._trainer = Two()
    with pytest.raises(OctavoError, match="2 processes train together; wanted one"):
        task.on_train_epoch_start()
