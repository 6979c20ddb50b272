"""A run's folder: whose it is, who writes it, and what may stand in it."""

import errno
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

import octavo.files as files
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.training.run import (
    COHORT,
    MODEL,
    RECIPE,
    claim,
    is_main_process,
    load_model,
    locked,
    provenance,
    save_model,
)
from octavo.workflows.train import train
from training.small_cohort import SIZE, choice, write_cohort
from training.small_training import MACHINE, small_ai_cnet3d

HOLDER = """
import sys, time
from pathlib import Path
from octavo.training.run import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OctavoError, match="another process is writing this run"), locked(tmp_path):
            pytest.fail("two writers at once")
        holder.kill()
    with locked(tmp_path):
        pass


def test_the_lock_is_given_back_however_the_block_ends(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path), pytest.raises(OctavoError, match="another process"), locked(tmp_path):
        pytest.fail("two writers at once")


def test_a_folder_is_claimed_once_and_again_for_the_same(tmp_path):
    wanted = {"system": "ai-cnet3d", "size": (16, 16, 16), "learning_rate": 1e-4}
    for _ in range(2):
        with locked(tmp_path / "run"):
            claim(tmp_path / "run", RECIPE, wanted)
            claim(tmp_path / "run", COHORT, {"content_hash": "abc"})
    assert json.loads((tmp_path / "run" / RECIPE).read_text()) == {**wanted, "size": [16, 16, 16]}


def test_what_is_told_beside_does_not_make_another_run(tmp_path):
    told = {"content_hash": "abc", "left_out": {"MCI": 3}}
    claim(tmp_path, COHORT, told)
    for wanted in ({"content_hash": "abc"}, {"content_hash": "abc", "left_out": {}}):
        claim(tmp_path, COHORT, wanted, beside=("left_out",))
        with pytest.raises(OctavoError, match="begun with left_out"):
            claim(tmp_path, COHORT, wanted)
    with pytest.raises(OctavoError, match="begun with content_hash"):
        claim(tmp_path, COHORT, {"content_hash": "def"}, beside=("left_out",))


@pytest.mark.parametrize(
    ("now", "field"),
    [
        ({"system": "ai-cnet3d", "epochs": 6}, "epochs 5, now 6"),
        ({"system": "other", "epochs": 5}, "system 'ai-cnet3d', now 'other'"),
        ({"system": "ai-cnet3d"}, "epochs 5, now None"),
        ({"system": "ai-cnet3d", "epochs": 5, "heads": 4}, "heads None, now 4"),
    ],
)
def test_another_recipe_is_refused_naming_the_field(tmp_path, now, field):
    claim(tmp_path, RECIPE, {"system": "ai-cnet3d", "epochs": 5})
    before = contents(tmp_path)
    with pytest.raises(OctavoError, match=f"begun with {field}; repeat the first command"):
        claim(tmp_path, RECIPE, now)
    assert contents(tmp_path) == before


def test_what_a_killed_writer_left_is_swept_when_the_run_is_gone_on_with(tmp_path):
    claim(tmp_path, RECIPE, {"epochs": 5})
    (tmp_path / "seed-100/stage-1/checkpoints").mkdir(parents=True)
    half = tmp_path / "seed-100/stage-1/checkpoints/last.ckpt.tmp-77"
    half.write_bytes(b"half")
    with pytest.raises(OctavoError, match="begun with epochs"):
        claim(tmp_path, RECIPE, {"epochs": 6})
    assert half.exists()
    claim(tmp_path, RECIPE, {"epochs": 5})
    assert not half.exists()


def test_a_writer_killed_in_its_first_file_can_be_followed(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / f"{RECIPE}.tmp-77").write_text('{"epo')
    with locked(tmp_path):
        claim(tmp_path, RECIPE, {"epochs": 5})
    assert sorted(contents(tmp_path)) == [".lock", RECIPE]
    (tmp_path / f"{COHORT}.tmp-78").write_text("{")
    with locked(tmp_path):
        claim(tmp_path, RECIPE, {"epochs": 5})
        claim(tmp_path, COHORT, {})
    assert sorted(contents(tmp_path)) == [".lock", COHORT, RECIPE]


@pytest.mark.parametrize("name", ["thesis.docx", "notes.tmp-1", "recipe.json.bak"])
def test_a_foreign_folder_is_refused_and_left_untouched(tmp_path, name):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "data.tmp-5").write_text("mine")
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(OctavoError, match="is not a run; choose an empty or new folder"), locked(tmp_path):
        pytest.fail("a foreign folder was locked")
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OctavoError, match="cannot be written"), locked(tmp_path / "file"):
        pytest.fail("a file was taken for a folder")
    with pytest.raises(OctavoError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pytest.fail("a file was taken for a folder")

    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("octavo.training.run.fcntl.flock", flock)
    with pytest.raises(OctavoError, match="cannot be locked"), locked(tmp_path / "run"):
        pytest.fail("no lock was held")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    manifest = write_cohort(folder / "cohort")
    recipe = AICNet3DRecipe(size=SIZE, channels=4, heads=2, epochs=1, consistency_epochs=1)
    train("ai-cnet3d", recipe, choice(manifest), folder / "run", machine=MACHINE)
    return folder / "run", recipe, choice(manifest)


def test_a_finished_run_is_refused_and_left_as_it_was(finished_run):
    run, recipe, exams = finished_run
    before = contents(run)
    with pytest.raises(OctavoError, match="this run is finished; choose another folder"):
        train("ai-cnet3d", recipe, exams, run, machine=MACHINE)
    assert contents(run) == before


def test_a_finished_run_takes_further_seeds_and_keeps_the_first(finished_run):
    run, recipe, exams = finished_run
    before = contents(run / "seed-100")
    summary = train("ai-cnet3d", recipe, exams, run, seeds=(100, 200), machine=MACHINE)
    assert summary["seeds"] == [100, 200]
    assert contents(run / "seed-100") == before


def test_another_recipe_or_cohort_is_refused_by_the_workflow(finished_run, tmp_path):
    run, recipe, exams = finished_run
    before = contents(run)
    with pytest.raises(OctavoError, match=r"begun with learning_rate 0\.0001, now 0\.001"):
        train("ai-cnet3d", replace(recipe, learning_rate=1e-3), exams, run, machine=MACHINE)
    with pytest.raises(OctavoError, match="begun with content_hash"):
        train("ai-cnet3d", recipe, choice(write_cohort(tmp_path, seed=1, parts=("train",) * 4)), run, machine=MACHINE)
    assert contents(run) == before


def test_weights_come_back_exactly(tmp_path):
    network = small_ai_cnet3d("shuffled", size=SIZE)
    save_model(tmp_path / "deeper" / MODEL, network.state_dict())
    back = load_model(tmp_path / "deeper" / MODEL)
    state = network.state_dict()
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) and back[name].dtype == state[name].dtype for name in state)
    assert [entry.name for entry in (tmp_path / "deeper").iterdir()] == [MODEL]


def test_weights_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch):
    save_model(tmp_path / MODEL, {"a": torch.ones(2)})

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        save_model(tmp_path / MODEL, {"a": torch.zeros(2)})
    monkeypatch.undo()
    assert list(contents(tmp_path)) == [MODEL]
    assert torch.equal(load_model(tmp_path / MODEL)["a"], torch.ones(2))


def test_weights_that_are_missing_or_spoilt_are_refused(tmp_path):
    with pytest.raises(OctavoError, match="there are no weights; wanted a finished run"):
        load_model(tmp_path / MODEL)
    save_model(tmp_path / MODEL, {"a": torch.ones(200)})
    whole = (tmp_path / MODEL).read_bytes()
    for spoilt in (b"", whole[:50], whole[:-3], b"text of some length", whole + b"more"):
        (tmp_path / MODEL).write_bytes(spoilt)
        with pytest.raises(OctavoError, match="not readable as safetensors"):
            load_model(tmp_path / MODEL)


def test_provenance_repeats_the_command_and_names_the_versions(monkeypatch):
    words = ["train", "ai-cnet3d", "--cohort", "my scans/manifest.csv"]
    monkeypatch.setattr(sys, "argv", ["octavo", *words])
    told = provenance(100, {"cohort_hash": "abc"})
    assert shlex.split(told["command"]) == ["octavo", *words]
    assert told["cohort_hash"] == "abc"
    assert told["seed"] == 100
    assert told["versions"]["torch"].partition("+")[0] == str(torch.__version__).partition("+")[0]
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert "not a medical device" in told["note"]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_only_the_first_of_several_processes_writes(monkeypatch, name):
    for variable in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(variable, raising=False)
    assert is_main_process()
    monkeypatch.setenv(name, "0")
    assert is_main_process()
    monkeypatch.setenv(name, "1")
    assert not is_main_process()
