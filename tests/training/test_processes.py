"""Several processes that train together learn what one learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import octavo.training.fit as fit_file
from octavo.cli import main
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST
from training import two_processes
from training.small_cohort import command, octavo, write_cohort
from training.small_training import rows

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_two_processes_train_to_the_same_weights_as_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    results = two_processes.train_both_stages(one, devices=1, batch_size=4)
    assert any(result.epochs < two_processes.EPOCHS for result in results), "early stopping must take part"
    done = subprocess.run(
        [sys.executable, two_processes.__file__, str(two), "2", "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stderr
    for stage, result in zip(("stage-1", "stage-2"), results, strict=True):
        table, expected = rows(two / stage), rows(one / stage)
        assert len(table) == len(expected) == result.epochs
        for row, wanted in zip(table, expected, strict=True):
            assert row.keys() == wanted.keys()
            for name in row:
                assert float(row[name]) == pytest.approx(float(wanted[name]), rel=1e-6, abs=1e-9), name
        for name in (BEST, LAST):
            a, b = (load_archive(folder / stage / "checkpoints" / name) for folder in (one, two))
            assert (a["epoch"], a["global_step"]) == (b["epoch"], b["global_step"])
            assert a["state_dict"].keys() == b["state_dict"].keys()
            for weight, value in a["state_dict"].items():
                torch.testing.assert_close(b["state_dict"][weight], value, rtol=0, atol=1e-8)
        assert load_archive(two / stage / "checkpoints" / BEST)["epoch"] == result.best_epoch
    start = two_processes.network().state_dict()
    end = load_archive(one / "stage-2/checkpoints" / LAST)["state_dict"]
    moved = max(float((end[f"network.{name}"] - value).abs().max()) for name, value in start.items())
    assert moved > 1e-2


class TrainerReachedError(Exception):
    """Ends a command when it comes to training."""


def test_the_shell_passes_the_machine_to_lightning(tmp_path, monkeypatch):
    got = {}

    def trainer(**options):
        got.update(options)
        raise TrainerReachedError

    monkeypatch.setattr(fit_file, "Trainer", trainer)
    words = command(write_cohort(tmp_path / "cohort"), tmp_path / "run")
    words += ["--devices", "2", "--num-nodes", "2", "--strategy", "ddp_spawn", "--precision", "64-true"]
    with pytest.raises(TrainerReachedError):
        main(words)
    wanted = {"devices": 2, "num_nodes": 2, "strategy": "ddp_spawn", "precision": "64-true", "accelerator": "cpu"}
    assert {name: got[name] for name in wanted} == wanted
    assert got["sync_batchnorm"] is False
    assert got["use_distributed_sampler"] is False


@pytest.mark.parametrize(("devices", "synchronised"), [(1, False), (2, True)])
def test_on_gpus_batch_norm_is_synchronised_and_precision_mixed(tmp_path, monkeypatch, devices, synchronised):
    got = {}

    def trainer(**options):
        got.update(options)
        raise TrainerReachedError

    monkeypatch.setattr(fit_file, "Trainer", trainer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    words = command(write_cohort(tmp_path / "cohort"), tmp_path / "run")
    words[words.index("--accelerator") + 1] = "gpu"
    with pytest.raises(TrainerReachedError):
        main([*words, "--devices", str(devices)])
    assert got["sync_batchnorm"] is synchronised
    assert got["precision"] == "bf16-mixed"


@pytest.mark.slow
def test_a_run_of_two_processes_ends_with_calibrated_models(tmp_path):
    manifest = write_cohort(tmp_path / "cohort")
    more = ("--epochs", 2, "--consistency-epochs", 1, "--batch-size", 2, "--devices", 2, "--strategy", "ddp")
    done = subprocess.run(
        octavo(*command(manifest, tmp_path / "run", *more)), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/seed-100/calibration.json").exists()
    assert (tmp_path / "run/seed-100/finished.json").exists()
