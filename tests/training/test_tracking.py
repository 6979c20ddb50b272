"""A run mirrored to MLflow: the same numbers, none twice, and no training that stops for it."""

import csv
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

import octavo.training.tracking as tracking_file
from octavo.cli import main
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.checkpoints import LAST, AtomicCheckpointIO
from octavo.training.fit import EpochMirror, EpochTable
from octavo.training.machine import MLFLOW_PACKAGES, Machine
from octavo.training.tracking import TRACKING, Mirror
from training.small_training import CutOffError, SmallTask, assert_same_training, train

EPOCHS = 4
CONTENT = {
    "system": "small",
    "size": [8, 8, 8],
    "augmentation": {"zoom": 1.25},
    "weights": "/home/jane/dinov2",
    "l2": None,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One folder of runs, and so one store: making it takes seconds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    for name in list(os.environ):
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)


@pytest.fixture
def seed(runs, request):
    return runs / request.node.name.translate(str.maketrans("[]-, ", "_____")) / "seed-100"


def mirrored(seed, task=None, epochs=EPOCHS, stage="stage-1"):
    """A stage, or what is left of it, as a training runs it; a new mirror each time, as in a new process."""
    mirror = Mirror(seed.parent, CONTENT)
    with mirror.seed(seed):
        return train(seed / stage, task or SmallTask(), epochs, mirror=mirror)


def client_of(seed):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{seed.parent.parent / 'mlflow.db'}")


def in_mlflow(seed, stage="stage-1"):
    """Names and steps and values of all epochs, in the order of steps; a step that is there twice is twice in it."""
    client, run_id = client_of(seed), read_json(seed / TRACKING)["mlflow_run"]
    names = [name for name in client.get_run(run_id).data.metrics if name.startswith(f"{stage}/")]
    histories = {name.removeprefix(f"{stage}/"): client.get_metric_history(run_id, name) for name in names}
    return {name: sorted((one.step, one.value) for one in history) for name, history in histories.items()}


def in_folder(seed, stage="stage-1"):
    with open(seed / stage / "metrics.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [(int(row["epoch"]), float(row[name])) for row in rows] for name in rows[0] if name != "epoch"}


def test_mlflow_has_the_numbers_of_the_table_and_the_recipe_without_paths(seed):
    mirrored(seed)
    assert in_mlflow(seed) == in_folder(seed)
    assert len(in_folder(seed)["seconds"]) == EPOCHS
    run = client_of(seed).get_run(read_json(seed / TRACKING)["mlflow_run"])
    assert run.data.params == {
        "system": "small",
        "size": "[8, 8, 8]",
        "augmentation.zoom": "1.25",
        "weights": "(path left out)",
        "l2": "null",
    }
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    assert tags == {"system": "small", "run": seed.parent.name, "seed": "100"}
    assert (run.info.status, run.info.run_name) == ("FINISHED", f"{seed.parent.name}/seed-100")


def test_every_stage_has_its_own_numbers(seed):
    mirrored(seed, epochs=2)
    mirrored(seed, SmallTask(seed=9), epochs=3, stage="stage-2")
    for stage in ("stage-1", "stage-2"):
        assert in_mlflow(seed, stage) == in_folder(seed, stage)


@pytest.mark.parametrize("cut_at", [(0, 1), (1, 0), (3, 2)])
def test_a_resumed_run_goes_on_in_mlflow_and_repeats_nothing(seed, cut_at):
    with pytest.raises(CutOffError):
        mirrored(seed, SmallTask(cut_at=cut_at))
    told = read_json(seed / TRACKING)
    assert client_of(seed).get_run(told["mlflow_run"]).info.status == "FAILED"
    assert len(in_mlflow(seed).get("seconds", [])) == cut_at[0]
    mirrored(seed)
    assert read_json(seed / TRACKING) == told
    assert in_mlflow(seed) == in_folder(seed)
    assert client_of(seed).get_run(told["mlflow_run"]).info.status == "FINISHED"


def test_an_epoch_that_was_cut_off_before_its_checkpoint_is_told_once(seed, monkeypatch):
    write = AtomicCheckpointIO.save_checkpoint

    def cut(self, checkpoint, path, storage_options=None):
        if path.name == LAST and checkpoint["epoch"] == 2:
            raise CutOffError
        write(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", cut)
    with pytest.raises(CutOffError):
        mirrored(seed)
    monkeypatch.undo()
    assert len(in_folder(seed)["seconds"]) == 3
    assert len(in_mlflow(seed)["seconds"]) == 2
    mirrored(seed)
    assert in_mlflow(seed) == in_folder(seed)


def test_what_was_not_sent_before_a_kill_is_sent_when_a_finished_stage_is_loaded(seed):
    train(seed / "stage-1", SmallTask(), EPOCHS)
    mirrored(seed)
    assert in_mlflow(seed) == in_folder(seed)


def test_a_run_that_mlflow_no_longer_has_is_made_anew_with_all_its_epochs(seed):
    with pytest.raises(CutOffError):
        mirrored(seed, SmallTask(cut_at=(2, 1)))
    before = read_json(seed / TRACKING)["mlflow_run"]
    client_of(seed).delete_run(before)
    mirrored(seed)
    assert read_json(seed / TRACKING)["mlflow_run"] != before
    assert in_mlflow(seed) == in_folder(seed)


def test_a_server_that_is_gone_costs_one_warning_and_no_epoch(seed, tmp_path, monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://jane:geheim@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mirrored(seed)
    train(tmp_path, SmallTask(), EPOCHS)
    assert_same_training(seed / "stage-1", tmp_path)
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == 1
    assert str(port) in warned[0].getMessage()
    assert "geheim" not in caplog.text
    assert not (seed / TRACKING).exists()


def test_a_server_that_comes_back_misses_nothing(seed, monkeypatch, caplog):
    reach, calls = tracking_file._client, []

    def flaky(*told, **more):
        calls.append(told)
        if len(calls) in {3, 4, 5}:
            raise ConnectionError("https://jane:geheim@mlflow.example: away")
        return reach(*told, **more)

    monkeypatch.setattr(tracking_file, "_client", flaky)
    mirrored(seed)
    # one for each of beginning, epoch 0, epoch 1 that fails, then the end of the stage that fails, and the end
    assert len(calls) == 5
    assert len(in_mlflow(seed)["seconds"]) == 1
    mirrored(seed)
    assert in_mlflow(seed) == in_folder(seed)
    assert caplog.text.count("https://mlflow.example: away; this goes on without it") == 1


def test_a_damaged_note_of_the_run_stops_nothing(seed, caplog):
    (seed / "stage-1").mkdir(parents=True)
    (seed / TRACKING).write_text("{", encoding="utf-8")
    assert mirrored(seed).epochs == EPOCHS
    assert TRACKING in caplog.text


def test_only_small_files_without_exams_become_artifacts(seed):
    for name in ("recipe.json", "calibration.json", "reference.json", "finished.json", "provenance.json"):
        write_json(seed / name, {"said": 0.5, "command": "octavo train --cohort /home/jane/doe.csv"})
    (seed / "predictions.csv").write_text("exam_id\nDOE\n", encoding="utf-8")
    mirrored(seed, epochs=1)
    client, run_id = client_of(seed), read_json(seed / TRACKING)["mlflow_run"]
    names = {one.path for one in client.list_artifacts(run_id)}
    assert names == {"recipe.json", "calibration.json", "reference.json", "finished.json"}
    place = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    assert place.is_relative_to(seed.parent.parent / "mlartifacts")
    assert json.loads((place / "recipe.json").read_text()) == {"said": 0.5, "command": "(path left out)"}


def test_nothing_reaches_for_the_network_unless_a_server_is_named(seed, monkeypatch):
    reached = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *told, **more: reached.append(told) or [])
    mirrored(seed, epochs=1)
    assert reached == []
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_only_the_first_process_tells(seed, monkeypatch):
    table = EpochTable(seed / "stage-1" / "metrics.csv")
    table.rows = [{"epoch": 0, "seconds": 1.0}]
    told = []
    mirror = Mirror(seed.parent, CONTENT)
    mirror.epochs = lambda stage, rows: told.append((stage, rows))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
    for first in (False, True):
        monkeypatch.setattr(Trainer, "is_global_zero", first)
        EpochMirror(table, mirror).on_train_epoch_start(trainer, SmallTask())
        assert told == [(seed / "stage-1", table.rows)] * first


def test_a_mirror_can_be_taken_into_another_process_while_it_is_open(seed):
    mirror = Mirror(seed.parent, CONTENT)
    with mirror.seed(seed):
        pickle.loads(pickle.dumps(mirror)).epochs(seed / "stage-1", [{"epoch": 0, "seconds": 2.0}])
    assert in_mlflow(seed) == {"seconds": [(0, 2.0)]}


def test_without_it_nothing_of_mlflow_is_imported(tmp_path):
    said = (
        "import sys; from training.small_training import *; import octavo.workflows.evaluate, octavo.workflows.train; "
        "train(sys.argv[1], SmallTask(), epochs=1, machine=Machine(accelerator='cpu', progress='lines')); "
        "print([name for name in ('mlflow', 'sqlalchemy', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", said, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "tensorboard").is_dir()


@pytest.mark.parametrize("package", MLFLOW_PACKAGES)
def test_a_package_that_is_missing_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch, package):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    words = ["train", "ai-cnet3d", "--cohort", str(tmp_path / "m.csv"), "--run", str(tmp_path / "run")]
    assert main([*words, "--track", "mlflow"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"octavo: track is mlflow, and the package {package!r} is not installed; wanted ")
    assert said.endswith("; pip install 'octavo[track]'\n")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_called_mlflow_is_not_the_package(tmp_path, monkeypatch):
    (tmp_path / "mlflow").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(OctavoError, match="'mlflow' is not installed"):
        Machine(track="mlflow")
