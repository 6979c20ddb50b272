"""Checkpoints are whole or not there, and a save that failed is never silent."""

import builtins
import errno
import os

import pytest
import torch

import octavo.files as files
import octavo.training.checkpoints as checkpoints_file
from octavo.errors import OctavoError
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST, AtomicCheckpointIO
from training.small_training import SmallTask, assert_same_training, epochs_done, train

FAULTS = [errno.EACCES, errno.ENOSPC, errno.EIO]
EPOCHS = 4


def fault(number):
    return OSError(number, os.strerror(number))


def break_rename(monkeypatch, error):
    def replace(source, target):
        raise error

    monkeypatch.setattr(files.os, "replace", replace)


def break_flush(monkeypatch, error):
    def fsync(descriptor):
        raise error

    monkeypatch.setattr(files.os, "fsync", fsync)


def break_open(monkeypatch, error):
    whole = builtins.open

    def opened(name, mode="r", *more, **options):
        if "w" in mode and ".tmp-" in str(name):
            raise error
        return whole(name, mode, *more, **options)

    monkeypatch.setattr(builtins, "open", opened)


def break_write(monkeypatch, error):
    def save(content, file):
        file.write(b"PK half of it")
        raise error

    monkeypatch.setattr(checkpoints_file.torch, "save", save)


BREAKS = [break_rename, break_flush, break_open, break_write]


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("broken", BREAKS)
def test_a_failed_save_raises_and_leaves_the_old_checkpoint(tmp_path, monkeypatch, broken, number):
    path = tmp_path / LAST
    AtomicCheckpointIO().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)
    broken(monkeypatch, fault(number))
    with pytest.raises(OSError) as raised:
        AtomicCheckpointIO().save_checkpoint({"epoch": 2, "weights": torch.zeros(3)}, path)
    monkeypatch.undo()
    assert raised.value.errno == number
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST]
    assert load_archive(path)["epoch"] == 1


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    train(folder, SmallTask(), EPOCHS)
    return folder


@pytest.mark.parametrize(("broken", "number"), zip(BREAKS, [*FAULTS, errno.EACCES], strict=True))
def test_a_failed_save_stops_training_and_what_was_there_can_be_gone_on_with(
    unbroken, tmp_path, monkeypatch, broken, number
):
    class OnFailingDisk(SmallTask):
        def on_train_epoch_end(self):
            if self.current_epoch == 2:
                broken(monkeypatch, fault(number))

    with pytest.raises(OSError) as raised:
        train(tmp_path / "run", OnFailingDisk(), EPOCHS)
    monkeypatch.undo()
    assert raised.value.errno == number
    assert epochs_done(tmp_path / "run") == 2
    assert not list((tmp_path / "run").rglob("*.tmp-*"))
    assert not (tmp_path / "run/finished.json").exists()
    train(tmp_path / "run", SmallTask(), EPOCHS)
    assert_same_training(tmp_path / "run", unbroken)


def test_a_checkpoint_is_flushed_before_it_takes_its_name_and_so_is_its_folder(tmp_path, monkeypatch):
    done = []
    flush, rename = os.fsync, os.replace

    def fsync(descriptor):
        done.append(("flush", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")).partition(".tmp-")[0]))
        flush(descriptor)

    def replace(source, target):
        done.append(("rename", os.path.basename(target)))
        rename(source, target)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / LAST)
    assert done == [("flush", LAST), ("rename", LAST), ("flush", tmp_path.name)]


def test_a_checkpoint_comes_back_and_can_be_removed_twice(tmp_path):
    plugin, path = AtomicCheckpointIO(), tmp_path / "deeper" / BEST
    plugin.save_checkpoint({"weights": torch.arange(4)}, path)
    assert torch.equal(plugin.load_checkpoint(path)["weights"], torch.arange(4))
    plugin.remove_checkpoint(path)
    plugin.remove_checkpoint(path)
    assert not path.exists()


def test_a_spoilt_checkpoint_is_refused_and_not_trained_over(tmp_path):
    class CutTask(SmallTask):
        def on_train_epoch_start(self):
            if self.current_epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, CutTask(), EPOCHS)
    last = tmp_path / "checkpoints" / LAST
    spoilt = last.read_bytes()[:-100]
    last.write_bytes(spoilt)
    with pytest.raises(OctavoError, match=r"last\.ckpt: not a readable torch archive"):
        train(tmp_path, SmallTask(), EPOCHS)
    assert last.read_bytes() == spoilt
