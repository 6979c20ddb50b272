"""What a batch costs, whatever the system: means, modes, and numbers that stop being numbers."""

import pytest
import torch
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.training.checkpoints import LAST
from octavo.training.task import LossNotFiniteError, Task
from training.small_training import (
    PlantedExams,
    SmallNetwork,
    SmallTask,
    ai_cnet3d_task,
    assert_same,
    assert_same_training,
    epochs_done,
    rows,
    train,
    validation_batches,
    weights_of,
)


def test_validation_leaves_the_running_statistics_and_uses_no_dropout(tmp_path):
    class Watching(SmallTask):
        def on_validation_start(self):
            self.before = weights_of(self)

        def on_validation_end(self):
            assert_same(weights_of(self), self.before)
            seen.append(self.before["norm.num_batches_tracked"].item())

    seen, dropped = [], []
    task = Watching(dropout=0.5)
    task.network.dropout.register_forward_hook(
        lambda module, inputs, output: dropped.append((module.training, torch.equal(*inputs, output)))
    )
    train(tmp_path, task, epochs=2)
    assert seen == [3, 6]
    assert {unchanged for training, unchanged in dropped if not training} == {True}
    assert False in {unchanged for training, unchanged in dropped if training}
    assert {module.training for module in task.network.modules()} == {True}


@pytest.mark.parametrize("exams", [5, 6])
def test_validation_is_the_mean_over_exams_whatever_the_batch_size(tmp_path, exams):
    values = []
    for batch_size in (1, 4, 6):
        task = SmallTask()
        part = PlantedExams(exams, first=100)
        train(tmp_path / str(batch_size), task, epochs=1, validation=validation_batches(part, batch_size))
        values.append(float(rows(tmp_path / str(batch_size))[0]["val_loss"]))
        with torch.no_grad():
            task.network.eval()
            each = [
                F.cross_entropy(task.network(part[index]["volume"][None]).logits, torch.tensor([part[index]["label"]]))
                for index in range(exams)
            ]
        assert values[-1] == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    assert values == pytest.approx(values[:1] * 3, rel=1e-6)


def test_a_nan_in_one_exam_stops_with_its_id_and_leaves_the_checkpoint_of_before(tmp_path):
    class Poisoned(SmallTask):
        def losses(self, batch):
            if self.current_epoch == 2 and "E007" in batch["exam_id"]:
                batch["volume"][batch["exam_id"].index("E007"), 0, 0, 0, 0] = float("nan")
            return super().losses(batch)

    train(tmp_path / "clean", SmallTask(), epochs=5)
    with pytest.raises(LossNotFiniteError, match=r"^exam E007: the loss is nan in epoch 2; .*nothing") as refusal:
        train(tmp_path / "run", Poisoned(), epochs=5)
    assert isinstance(refusal.value, OctavoError)
    assert "\n" not in str(refusal.value)
    assert epochs_done(tmp_path / "run") == 2
    assert len(rows(tmp_path / "run")) == 2
    assert not (tmp_path / "run/finished.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp-*"))
    train(tmp_path / "run", SmallTask(), epochs=5)
    assert_same_training(tmp_path / "run", tmp_path / "clean")


def test_a_nan_in_a_validation_exam_stops_with_its_id(tmp_path):
    with pytest.raises(LossNotFiniteError, match="exam E103"):
        train(tmp_path, SmallTask(), validation=validation_batches(PlantedExams(6, first=100, poisoned=103)))
    assert not (tmp_path / "checkpoints" / LAST).exists()


def test_where_the_fault_is_in_no_single_exam_all_are_named(tmp_path):
    class Diverged(SmallTask):
        def losses(self, batch):
            return {name: value * float("nan") for name, value in super().losses(batch).items()}

    with pytest.raises(LossNotFiniteError, match=r"^exams (E0\d\d, ){3}E0\d\d: the loss is nan"):
        train(tmp_path, Diverged())


def test_an_infinite_loss_stops_too(tmp_path):
    class Infinite(SmallTask):
        def losses(self, batch):
            costs = super().losses(batch)
            bad = torch.tensor([name == "E003" for name in batch["exam_id"]])
            return {name: torch.where(bad, torch.inf, value) for name, value in costs.items()}

    with pytest.raises(LossNotFiniteError, match="exam E003: the loss is inf"):
        train(tmp_path, Infinite())


def test_weights_that_are_not_numbers_are_never_saved(tmp_path):
    class Exploding(SmallTask):
        def on_train_epoch_end(self):
            if self.current_epoch == 1:
                with torch.no_grad():
                    self.network.dense.bias[0] = float("nan")

    with pytest.raises(LossNotFiniteError, match=r"network\.dense\.bias is not finite"):
        train(tmp_path, Exploding())
    assert epochs_done(tmp_path) == 1
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_a_task_must_say_what_a_batch_costs():
    with pytest.raises(NotImplementedError, match="Task must say"):
        Task(SmallNetwork(), 0.1, 0).losses({})


def test_the_optimiser_is_nadam_over_all_parameters():
    task = ai_cnet3d_task()
    optimiser = task.configure_optimizers()
    assert type(optimiser) is torch.optim.NAdam
    assert sum(p.numel() for group in optimiser.param_groups for p in group["params"]) == sum(
        p.numel() for p in task.network.parameters()
    )
    assert {group["lr"] for group in optimiser.param_groups} == {1e-3}
