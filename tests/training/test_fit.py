"""A stage: resumed equals unbroken, early stopping, seeds, and what stands in its folder."""

import math
import signal
from dataclasses import replace

import pytest
import torch

import octavo.training.fit as fit_file
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST, AtomicCheckpointIO
from octavo.training.machine import Machine
from training.small_training import (
    MACHINE,
    CutOffError,
    PlantedExams,
    SmallTask,
    assert_same,
    assert_same_training,
    epochs_done,
    rows,
    train,
    train_batches,
    validation_batches,
    weights_of,
)

EPOCHS = 5


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    task = SmallTask()
    result = train(folder, task, EPOCHS)
    return folder, result, weights_of(task)


def test_a_stage_leaves_its_table_checkpoints_and_ending(unbroken):
    folder, result, weights = unbroken
    assert sorted(entry.name for entry in folder.iterdir()) == ["checkpoints", "finished.json", "metrics.csv"]
    assert sorted(entry.name for entry in (folder / "checkpoints").iterdir()) == [BEST, LAST]
    table = rows(folder)
    assert [row["epoch"] for row in table] == [str(epoch) for epoch in range(EPOCHS)]
    assert list(table[0]) == ["epoch", "train_classification", "train_loss", "val_classification", "val_loss"]
    losses = [float(row["val_loss"]) for row in table]
    assert losses[-1] < losses[0]
    assert result.epochs == EPOCHS
    assert result.best_epoch == losses.index(min(losses))
    assert result.best_value == min(losses)
    best = load_archive(folder / "checkpoints" / BEST)
    assert best["epoch"] == result.best_epoch
    assert_same({f"network.{name}": value for name, value in weights.items()}, dict(best["state_dict"]))


def test_the_table_holds_the_mean_of_the_training_costs(tmp_path):
    task = SmallTask()
    seen = []
    losses = task.losses
    task.losses = lambda batch: seen.append(losses(batch)) or seen[-1]
    train(tmp_path, task, epochs=1)
    of_training = torch.cat([costs["loss"].detach() for costs in seen if costs["loss"].requires_grad])
    assert len(of_training) == 12
    assert float(rows(tmp_path)[0]["train_loss"]) == pytest.approx(float(of_training.mean()), rel=1e-6)


@pytest.mark.parametrize("cut_at", [(0, 1), (1, 0), (2, 2), (4, 1)])
def test_resumed_equals_unbroken(unbroken, tmp_path, cut_at):
    first = SmallTask(cut_at=cut_at)
    with pytest.raises(CutOffError):
        train(tmp_path, first, EPOCHS)
    assert epochs_done(tmp_path) == cut_at[0]
    assert not (tmp_path / "finished.json").exists()
    second = SmallTask()
    result = train(tmp_path, second, EPOCHS)
    assert second.steps[0] == (cut_at[0], 0)
    assert result.best_epoch == unbroken[1].best_epoch
    assert_same_training(tmp_path, unbroken[0])
    assert_same(weights_of(second), unbroken[2])


def test_cut_off_in_every_epoch_equals_unbroken(unbroken, tmp_path):
    for epoch in range(EPOCHS):
        with pytest.raises(CutOffError):
            train(tmp_path, SmallTask(cut_at=(epoch, 2)), EPOCHS)
        assert epochs_done(tmp_path) == epoch
    train(tmp_path, SmallTask(), EPOCHS)
    assert_same_training(tmp_path, unbroken[0])


def test_cut_off_between_best_and_last_repeats_one_epoch_and_loses_nothing(unbroken, tmp_path, monkeypatch):
    losses = [float(row["val_loss"]) for row in rows(unbroken[0])]
    improved = [epoch for epoch in range(1, EPOCHS) if losses[epoch] < min(losses[:epoch])]
    assert improved, "the reference run must improve after its first epoch for this test to mean anything"
    _cut_before_last(monkeypatch, improved[-1])
    with pytest.raises(CutOffError):
        train(tmp_path, SmallTask(), EPOCHS)
    monkeypatch.undo()
    assert load_archive(tmp_path / "checkpoints" / BEST)["epoch"] == improved[-1]
    assert epochs_done(tmp_path) == improved[-1]
    train(tmp_path, SmallTask(), EPOCHS)
    assert_same_training(tmp_path, unbroken[0])


def test_cut_off_between_best_and_last_of_the_first_epoch_starts_anew(unbroken, tmp_path, monkeypatch):
    _cut_before_last(monkeypatch, 0)
    with pytest.raises(CutOffError):
        train(tmp_path, SmallTask(), EPOCHS)
    monkeypatch.undo()
    assert (tmp_path / "checkpoints" / BEST).exists()
    assert epochs_done(tmp_path) == 0
    train(tmp_path, SmallTask(), EPOCHS)
    assert_same_training(tmp_path, unbroken[0])


def _cut_before_last(monkeypatch, epoch):
    write = AtomicCheckpointIO.save_checkpoint

    def cut(self, checkpoint, path, storage_options=None):
        if path.name == LAST and checkpoint["epoch"] == epoch:
            raise CutOffError
        write(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", cut)


@pytest.mark.parametrize("patience", [100, 2], ids=["all epochs", "early stop"])
def test_cut_off_after_the_last_epoch_trains_no_further_one(tmp_path, monkeypatch, patience):
    whole = tmp_path / "whole"
    train(whole, SmallTask(learning_rate=0.3), 12, patience)

    def cut(path, content):
        raise CutOffError

    monkeypatch.setattr(fit_file, "write_json", cut)
    with pytest.raises(CutOffError):
        train(tmp_path / "cut", SmallTask(learning_rate=0.3), 12, patience)
    monkeypatch.undo()
    resumed = SmallTask(learning_rate=0.3)
    train(tmp_path / "cut", resumed, 12, patience)
    assert resumed.steps == []
    assert_same_training(tmp_path / "cut", whole)


def test_a_finished_stage_is_loaded_and_not_trained(unbroken):
    folder, result, weights = unbroken
    before = (folder / "checkpoints" / LAST).read_bytes()
    task = SmallTask(seed=9)
    assert train(folder, task, EPOCHS) == result
    assert task.steps == []
    assert_same(weights_of(task), weights)
    assert (folder / "checkpoints" / LAST).read_bytes() == before


class ScriptedTask(SmallTask):
    """Its validation costs are written beforehand; what it learns does not matter."""

    def __init__(self, script):
        super().__init__()
        self.script = script

    def losses(self, batch):
        costs = super().losses(batch)
        if self.training:
            return costs
        return {name: torch.full_like(value, self.script[self.current_epoch]) for name, value in costs.items()}


@pytest.mark.parametrize(
    ("script", "patience", "epochs", "best"),
    [
        ([5, 4, 3, 3, 3, 3, 3], 2, 5, 2),  # equal is not better
        ([5, 4, 6, 6, 3, 6, 6, 6, 1], 3, 8, 4),  # the count starts anew at every better value
        ([5, 6, 7, 8], 1, 2, 0),
        ([5, 4, 3, 2], 2, 4, 3),
        ([1, 2, 3, 4], 100, 4, 0),
    ],
)
def test_early_stopping_counts_epochs_without_a_better_value(tmp_path, script, patience, epochs, best):
    result = train(tmp_path, ScriptedTask(script), len(script), patience)
    assert (result.epochs, result.best_epoch, result.best_value) == (epochs, best, script[best])
    assert len(rows(tmp_path)) == epochs
    assert load_archive(tmp_path / "checkpoints" / BEST)["epoch"] == best


def test_patience_counts_over_an_interruption(tmp_path):
    script = [5, 4, 6, 6, 6, 6, 6, 6]
    task = ScriptedTask(script)
    task.cut_at = (3, 0)
    with pytest.raises(CutOffError):
        train(tmp_path, task, len(script), 3)
    assert train(tmp_path, ScriptedTask(script), len(script), 3).epochs == 5


def test_a_seed_repeats_and_another_differs(unbroken, tmp_path):
    train(tmp_path / "again", SmallTask(), EPOCHS)
    assert_same_training(tmp_path / "again", unbroken[0])
    train(tmp_path / "other", SmallTask(seed=2), EPOCHS)
    one, other = (load_archive(folder / "checkpoints" / LAST) for folder in (unbroken[0], tmp_path / "other"))
    name = "network.dense.weight"
    assert not torch.equal(one["state_dict"][name], other["state_dict"][name])


def test_the_seed_decides_dropout_and_not_the_stream_before(tmp_path):
    ends = []
    for noise in (0, 1):
        task = SmallTask(dropout=0.5)
        torch.manual_seed(noise)
        torch.rand(noise)
        train(tmp_path / str(noise), task, epochs=2)
        ends.append(weights_of(task))
    assert_same(*ends)
    other = SmallTask(dropout=0.5)
    other.seed = 77
    train(tmp_path / "other", other, epochs=2)
    assert not torch.equal(weights_of(other)["dense.weight"], ends[0]["dense.weight"])


def test_dropout_differs_from_step_to_step(tmp_path):
    task = SmallTask(dropout=0.5)
    masks = []
    task.network.dropout.register_forward_hook(
        lambda module, inputs, output: masks.append((output == 0).tolist()) if module.training else None
    )
    train(tmp_path, task, epochs=2)
    assert len(masks) == 6
    assert len({str(mask) for mask in masks}) == len(masks)


def test_fewer_validation_exams_than_processes_are_refused(tmp_path):
    machine = Machine(accelerator="cpu", devices=2, num_nodes=2, strategy="ddp", track="none")
    with pytest.raises(OctavoError, match=r"3 exams.*4 processes"):
        train(tmp_path, SmallTask(), validation=validation_batches(PlantedExams(3)), machine=machine)
    assert not (tmp_path / "metrics.csv").exists()


def test_a_network_that_was_loaded_for_prediction_learns_as_any_other(unbroken, tmp_path):
    task = SmallTask()
    task.network.eval()
    train(tmp_path, task, EPOCHS)
    assert_same_training(tmp_path, unbroken[0])


def test_ctrl_c_stays_ctrl_c(unbroken, tmp_path):
    class Interrupted(SmallTask):
        def training_step(self, batch, batch_idx):
            if self.current_epoch == 2:
                signal.raise_signal(signal.SIGINT)
            return super().training_step(batch, batch_idx)

    # a program that was started in the background is born deaf to Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, Interrupted(), EPOCHS)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert epochs_done(tmp_path) == 2
    train(tmp_path, SmallTask(), EPOCHS)
    assert_same_training(tmp_path, unbroken[0])


def test_an_exit_code_passes_through(tmp_path):
    class Leaving(SmallTask):
        def training_step(self, batch, batch_idx):
            raise SystemExit(143)

    with pytest.raises(SystemExit) as stop:
        train(tmp_path, Leaving(), EPOCHS)
    assert stop.value.code == 143


def test_tensorboard_logs_lie_beside_the_table(tmp_path):
    train(tmp_path, SmallTask(), epochs=1, machine=replace(MACHINE, track="tensorboard"))
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_the_ending_is_plain_json(unbroken):
    ending = read_json(unbroken[0] / "finished.json")
    assert set(ending) == {"epochs", "best_epoch", "best_value", "seconds"}
    assert math.isfinite(ending["best_value"])


def test_batches_follow_the_epoch_after_an_interruption(tmp_path):
    seen = []

    class Watching(SmallTask):
        def training_step(self, batch, batch_idx):
            seen.append((self.current_epoch, tuple(batch["exam_id"])))
            return super().training_step(batch, batch_idx)

    train(tmp_path / "whole", Watching(), epochs=3)
    whole, seen[:] = list(seen), []
    with pytest.raises(CutOffError):
        train(tmp_path / "cut", Watching(cut_at=(1, 1)), epochs=3)
    seen.clear()
    train(tmp_path / "cut", Watching(), epochs=3, train=train_batches())
    assert seen == [step for step in whole if step[0] >= 1]
    orders = {epoch: [ids for e, ids in whole if e == epoch] for epoch in range(3)}
    assert orders[0] != orders[1] != orders[2]
