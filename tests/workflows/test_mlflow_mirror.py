"""The whole way with `track="mlflow"`: what training and evaluation leave in the store, and what they do not."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.files import read_json
from octavo.training.tracking import TRACKING
from octavo.workflows.evaluate import evaluate
from octavo.workflows.train import train
from training.small_cohort import SIZE, write_cohort
from workflows.conftest import QUICK, tiny_recipe

PATIENT, EXAM, FOLDER = "HARTMANN-ILSE", "BEFUND-1972", "klinik-nord"
SEEDS = (100, 200)


@pytest.fixture(scope="module", autouse=True)
def no_server():
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on exams whose names are names; evaluated twice, which must not be told twice."""
    home = tmp_path_factory.mktemp("mirrored")
    parts = ("train",) * 8 + ("validation",) * 4 + ("test",) * 8
    manifest = write_cohort(home / FOLDER, parts)
    text = manifest.read_text(encoding="utf-8").replace(",P", f",{PATIENT}-")
    manifest.write_text(text.replace("\nE", f"\n{EXAM}-"), encoding="utf-8")
    assert text.count(PATIENT) == len(parts) == text.count("\nE")
    recipe = tiny_recipe(size=SIZE)
    machine = replace(QUICK, track="mlflow")
    train("ai-cnet3d", recipe, CohortChoice(str(manifest)), home / "runs" / "one", seeds=SEEDS, machine=machine)
    for _ in range(2):
        evaluate(home / "runs" / "one")
    return home / "runs" / "one"


def client_of(run):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")


def test_every_seed_is_a_run_of_one_experiment(run):
    client = client_of(run)
    experiment = client.get_experiment_by_name("octavo").experiment_id
    found = {one.info.run_id: one for one in client.search_runs([experiment])}
    told = {read_json(run / f"seed-{seed}" / TRACKING)["mlflow_run"]: str(seed) for seed in SEEDS}
    assert {run_id: one.data.tags["seed"] for run_id, one in found.items()} == told
    for one in found.values():
        assert (one.data.tags["system"], one.data.tags["run"], one.info.status) == ("ai-cnet3d", "one", "FINISHED")
        assert one.data.params["consistency_weight"] == "0.75"
        assert one.data.params["augmentation.zoom"] == "1.25"
        assert {f"stage-{number}/val_classification" for number in (1, 2)} <= set(one.data.metrics)


def test_the_measures_of_the_test_part_are_told_once(run):
    client = client_of(run)
    for seed in SEEDS:
        run_id = read_json(run / f"seed-{seed}" / TRACKING)["mlflow_run"]
        measures = read_json(run / f"seed-{seed}" / "evaluation.json")
        history = client.get_metric_history(run_id, "test/auroc")
        assert [one.value for one in history] == [measures["auroc"]]
        assert "evaluation.json" in {one.path for one in client.list_artifacts(run_id)}


def test_no_patient_no_exam_and_no_folder_of_scans_is_in_the_store(run):
    written = [path for path in run.parent.rglob("*") if path.is_file() and not path.is_relative_to(run)]
    assert {path.relative_to(run.parent).parts[0] for path in written} == {"mlflow.db", "mlartifacts"}
    held = b"\n".join(path.read_bytes() for path in written)
    assert b"consistency_weight" in held
    for planted in (PATIENT, EXAM, FOLDER):
        assert planted.encode() in b"".join(path.read_bytes() for path in run.glob("*.*"))
        assert planted.encode() not in held


def test_a_store_that_is_gone_leaves_the_evaluation_as_it_is(run, tmp_path, monkeypatch, caplog):
    moved = tmp_path / "elsewhere" / "one"
    moved.parent.mkdir()
    run.rename(moved)
    try:
        with caplog.at_level(logging.WARNING):
            found = evaluate(moved)
    finally:
        moved.rename(run)
    assert found.by_seed["seed-100"] == read_json(run / "seed-100" / "evaluation.json")
    said = [record.getMessage() for record in caplog.records if "MLflow" in record.getMessage()]
    assert len(said) == 1
    assert "mlflow.db: there is no such file" in said[0]
    assert [entry.name for entry in Path(moved.parent).iterdir()] == []
