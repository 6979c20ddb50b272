"""A training killed at any moment goes on as if nothing had happened.

`OCTAVO_KILLS` says how often it is killed; `make faults` asks for more than `make test`.
"""

import dataclasses
import multiprocessing
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from octavo.files import read_json
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST
from octavo.training.run import load_model
from training.small_cohort import command, octavo, octavo_here, write_cohort
from training.small_training import assert_same, assert_same_training, rows

KILLS = int(os.environ.get("OCTAVO_KILLS", "5"))
STAGES = ("stage-1", "stage-2")
OPTIONS = ("--epochs", 8, "--consistency-epochs", 6, "--learning-rate", 0.003, "--batch-size", 2)
AIMED_AT = (f"checkpoints/{LAST}", f"checkpoints/{BEST}", "metrics.csv", "model.safetensors", "finished.json")

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Unbroken:
    manifest: Path
    run: Path
    seconds: float
    """From the first file to the last, without imports."""


@pytest.fixture(scope="module")
def forked():
    """Processes that begin with everything imported, so that kills fall on the training and not on imports."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["octavo.cli", "octavo.cli.train_ai_cnet3d", "octavo.workflows.train", "tyro"])
    yield context
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    manifest = write_cohort(folder / "cohort")
    words = octavo(*command(manifest, folder / "run", *OPTIONS))
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    begun, ended = ((folder / "run" / name).stat().st_mtime for name in ("recipe.json", "summary.json"))
    return Unbroken(manifest, folder / "run", ended - begun)


def _start(forked, manifest, run, log, seconds_per_flush=0.0):
    words = command(manifest, run, *OPTIONS)
    process = forked.Process(target=octavo_here, args=(words, str(log), seconds_per_flush))
    process.start()
    return process


def test_a_training_killed_again_and_again_equals_an_unbroken_one(forked, unbroken, tmp_path):
    chance = random.Random(20)
    landed = {"at random": 0, "inside a write": 0}
    number = 0
    while sum(landed.values()) < KILLS:
        run = tmp_path / f"run-{number}"
        number += 1
        assert number <= 3 * KILLS + 3, "kills do not land"
        progress = dict.fromkeys(STAGES, -1)
        while not (run / "summary.json").exists() and sum(landed.values()) < KILLS:
            how = list(landed)[sum(landed.values()) % 2]
            aim = _wait if how == "at random" else _wait_for_write
            process = _start(forked, unbroken.manifest, run, tmp_path / "log", 0.0 if aim is _wait else 0.05)
            aim(process, run, chance, unbroken.seconds)
            process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                landed[how] += 1
            else:
                assert process.exitcode == 0, (tmp_path / "log").read_text()
            _check_after_kill(run, unbroken.run, progress)
        _finish(forked, unbroken, run, tmp_path / "log")
    assert min(landed.values()) >= KILLS // 2


def _wait(process, run, chance, whole_seconds):
    process.join(chance.uniform(0.0, 0.5 * whole_seconds))


def _wait_for_write(process, run, chance, whole_seconds):
    """Until some file of the run is half-written, after a while of training."""
    process.join(chance.uniform(0.0, 0.3 * whole_seconds))
    name = chance.choice(AIMED_AT)
    while process.is_alive():
        if any(run.glob(f"seed-100/stage-*/{name}.tmp-*")):
            return
        time.sleep(0.002)


def _check_after_kill(run, unbroken, progress):
    """No checkpoint is corrupt, no finished epoch is lost, and the table says what the unbroken run's says."""
    for stage in STAGES:
        folder, whole = run / "seed-100" / stage, unbroken / "seed-100" / stage
        for name in (BEST, LAST):
            if (folder / "checkpoints" / name).exists():
                assert load_archive(folder / "checkpoints" / name)["state_dict"]
        last = folder / "checkpoints" / LAST
        done = load_archive(last)["epoch"] if last.exists() else -1
        assert done >= progress[stage], "a finished epoch was lost"
        progress[stage] = done
        if (folder / "metrics.csv").exists():
            table = rows(folder)
            assert len(table) - 1 in (done, done + 1)
            assert table == rows(whole)[: len(table)]
        for finished in run.rglob("finished.json"):
            assert read_json(finished)


def _finish(forked, unbroken, run, log):
    if not (run / "summary.json").exists():
        process = _start(forked, unbroken.manifest, run, log)
        process.join()
        assert process.exitcode == 0, log.read_text()
    assert not list(run.rglob("*.tmp-*"))
    for stage in STAGES:
        assert_same_training(run / "seed-100" / stage, unbroken.run / "seed-100" / stage)
    for name in ("seed-100/model.safetensors", *(f"seed-100/{stage}/model.safetensors" for stage in STAGES)):
        assert_same(load_model(run / name), load_model(unbroken.run / name))
    for name in ("summary.json", "recipe.json", "seed-100/finished.json", "seed-100/calibration.json"):
        assert read_json(run / name) == read_json(unbroken.run / name), name


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_stop_leaves_with_its_own_code_and_can_be_gone_on_with(
    forked, unbroken, tmp_path, signal_number, code
):
    run = tmp_path / "run"
    process = _start(forked, unbroken.manifest, run, tmp_path / "log", 0.02)
    process.join(0.1)
    while process.is_alive() and not (run / "seed-100/stage-1/metrics.csv").exists():
        time.sleep(0.005)
    os.kill(process.pid, signal_number)
    process.join()
    assert process.exitcode == code, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not (run / "seed-100/stage-2").exists()
    _finish(forked, unbroken, run, tmp_path / "log")
