"""Pretraining in a run: whose scans it reads, that it knows no label, and that it goes on where it stopped."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import write_manifest
from octavo.cohorts.unlabelled import HELD_OUT_PATIENT
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.recipe import recipe_from_json
from octavo.training.task import Task
from octavo.workflows import report as report_file
from octavo.workflows.evaluate import evaluate
from octavo.workflows.models import load_models
from octavo.workflows.train import train
from training.small_cohort import choice, command, write_cohort
from training.small_training import MACHINE, CutOffError, assert_same_training

PARTS = ("train",) * 10 + ("validation",) * 5 + ("test",) * 4
LABELS = (*(1, 0, 0, 0, 0, 0, 1, 0, 0, 0), *(1, 0, 1, 0, 0), *(0, 1, 0, 1))
PRETRAIN_FIELDS = {"pretrain", "pretrain_epochs", "pretrain_patience", "pretrain_mask"}
WAYS = ("reconstruct", "contrast")


def recipe_of(way, **changes):
    told = {"size": (16, 16, 16), "channels": 8, "heads": 2, "batch_size": 2, "learning_rate": 3e-3, "epochs": 2}
    return AICNet3DRecipe(**{**told, "consistency": "off", "pretrain": way, "pretrain_epochs": 3, **changes})


def learn(manifest, run, way, seed=7, **changes):
    return train("ai-cnet3d", recipe_of(way, **changes), choice(manifest), run, seeds=(seed,), machine=MACHINE)


def relabelled(manifest, name, labels):
    """The same scans and parts under other labels."""
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = [{**row, "label": str(label)} for row, label in zip(csv.DictReader(file), labels, strict=True)]
    write_manifest(rows, manifest.parent / name)
    return manifest.parent / name


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return relabelled(write_cohort(tmp_path_factory.mktemp("cohort"), PARTS), "uneven.csv", LABELS)


@pytest.fixture(scope="module")
def runs(manifest, tmp_path_factory):
    """One run of each way, and what each task met: (task, whether it learnt, exams)."""
    home, met = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        steps = {"training_step": Task.training_step, "validation_step": Task.validation_step}
        for way in ("none", *WAYS):
            for name, step in steps.items():
                patch.setattr(Task, name, watched(step, met.setdefault(way, []), name == "training_step"))
            learn(manifest, home / way, way)
    return home, met


def watched(step, met, learns):
    def watching(task, batch, batch_idx):
        met.append((type(task).__name__, learns, tuple(batch["exam_id"])))
        return step(task, batch, batch_idx)

    return watching


def exams(met, task, learns):
    return {exam for name, learnt, batch in met if (name, learnt) == (task, learns) for exam in batch}


def part(name):
    return {f"E{number:02d}" for number, one in enumerate(PARTS) if one == name}


@pytest.mark.parametrize(("way", "task"), zip(WAYS, ("Reconstruction", "Contrast"), strict=True))
def test_all_exams_of_the_training_part_are_read_and_no_others_learnt_from(runs, way, task):
    met = runs[1][way]
    assert exams(met, task, True) == part("train")
    balanced = exams(met, "AICNet3DTask", True)
    assert balanced < part("train")
    assert len(balanced) == 4, "undersampling throws away six"
    assert exams(met, task, False) == exams(met, "AICNet3DTask", False) == part("validation")
    assert not {exam for _, _, batch in met for exam in batch} & part("test")


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_after_sees_the_same_exams_in_the_same_order_as_without(runs, way):
    with_it, without = ([one for one in runs[1][name] if one[0] == "AICNet3DTask"] for name in (way, "none"))
    assert with_it == without


@pytest.mark.parametrize("way", WAYS)
def test_labels_change_nothing_in_what_is_pretrained(runs, manifest, tmp_path, way):
    turned = LABELS[9::-1] + LABELS[14:9:-1] + LABELS[15:]
    assert turned != LABELS
    learn(relabelled(manifest, f"turned-{way}.csv", turned), tmp_path, way)
    for name in ("stage-0/model.safetensors", "stage-0/metrics.csv"):
        one, other = ((run / "seed-7" / name) for run in (tmp_path, runs[0] / way))
        if name.endswith(".csv"):
            values = [
                [{**row, "seconds": ""} for row in csv.DictReader(path.open(encoding="utf-8"))] for path in (one, other)
            ]
            assert values[0] == values[1]
        else:
            assert one.read_bytes() == other.read_bytes()
    after = [load_file(run / "seed-7/stage-1/model.safetensors") for run in (tmp_path, runs[0] / way)]
    assert not torch.equal(after[0]["dense.weight"], after[1]["dense.weight"])


@pytest.mark.parametrize("way", WAYS)
def test_the_network_is_kept_without_what_was_put_on_top_and_its_last_layer_is_as_drawn(runs, way):
    torch.manual_seed(7)
    drawn = recipe_of(way).build_network().state_dict()
    kept = load_file(runs[0] / way / "seed-7/stage-0/model.safetensors")
    assert kept.keys() == drawn.keys()
    same = {name for name in kept if torch.equal(kept[name], drawn[name])}
    assert same == {"dense.weight", "dense.bias"}
    (model,) = load_models(runs[0] / way)
    assert model.recipe.pretrain == way


@pytest.mark.parametrize(("stage", "epoch"), [("stage-0", 1), ("stage-1", 0)])
@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_cut_off_ends_as_an_unbroken_one(runs, manifest, tmp_path, monkeypatch, way, stage, epoch):
    step = Task.training_step

    def cutting(task, batch, batch_idx):
        pretrains = type(task).__name__ != "AICNet3DTask"
        if (pretrains, task.current_epoch, batch_idx) == (stage == "stage-0", epoch, 1):
            raise CutOffError
        return step(task, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", cutting)
    with pytest.raises(CutOffError):
        learn(manifest, tmp_path, way)
    monkeypatch.setattr(Task, "training_step", step)
    summary = learn(manifest, tmp_path, way)
    assert list(summary["stages"]["seed-7"]) == ["stage-0", "stage-1"]
    for name in ("stage-0", "stage-1"):
        assert_same_training(tmp_path / "seed-7" / name, runs[0] / way / "seed-7" / name)
    last = "seed-7/model.safetensors"
    assert (tmp_path / last).read_bytes() == (runs[0] / way / last).read_bytes()


def test_the_report_shows_how_pretraining_went(runs, monkeypatch):
    shown = []
    section = report_file.training_section
    monkeypatch.setattr(report_file, "training_section", lambda stages, by: shown.extend(stages) or section(stages, by))
    report_file.report(evaluate(runs[0] / "reconstruct"))
    assert shown == ["stage-0", "stage-1"]


def test_pretraining_is_taken_over_with_the_first_stage(runs, manifest, tmp_path):
    source = runs[0] / "contrast"
    later = recipe_of("contrast", consistency="mse", consistency_epochs=1)
    train("ai-cnet3d", later, choice(manifest), tmp_path / "a", seeds=(7,), machine=MACHINE, stage_one_of=source)
    for stage in ("stage-0", "stage-1"):
        for name in ("model.safetensors", "metrics.csv", "finished.json"):
            one, other = (run / "seed-7" / stage / name for run in (tmp_path / "a", source))
            assert one.read_bytes() == other.read_bytes()
    assert (tmp_path / "a/seed-7/stage-2/finished.json").exists()
    with pytest.raises(OctavoError, match="differs in pretrain; wanted one with the same first stage"):
        train(
            "ai-cnet3d",
            recipe_of("none"),
            choice(manifest),
            tmp_path / "b",
            seeds=(7,),
            machine=MACHINE,
            stage_one_of=source,
        )


def make_old(run):
    """As a run was written before there was any pretraining."""
    for path in run.rglob("recipe.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        old = {name: value for name, value in content.items() if name not in PRETRAIN_FIELDS}
        assert len(old) == len(content) - len(PRETRAIN_FIELDS)
        path.write_text(json.dumps(old), encoding="utf-8")
    return old


def test_a_run_from_before_there_was_pretraining_loads_goes_on_and_is_taken_over(study, tmp_path):
    old = study.copy(tmp_path / "old")
    content = make_old(old)
    assert recipe_from_json(AICNet3DRecipe, {n: v for n, v in content.items() if n != "system"}).pretrain == "none"
    assert [model.recipe.pretrain for model in load_models(old)] == ["none", "none"]
    study.train(tmp_path / "taken", stage_one_of=old, consistency_epochs=1)
    study.train(old, seeds=(100, 300))
    assert (old / "seed-300/finished.json").exists()
    with pytest.raises(OctavoError, match="this run was begun with pretrain None, now 'contrast'"):
        study.train(old, seeds=(400,), pretrain="contrast")


def archive_of(manifest, name="archive.csv", new=("N1", "N2", "N3")):
    """A second manifest: new scans of new patients without labels, and one more of a test patient."""
    rng = np.random.default_rng(5)
    known = {"laterality": "OD", "label": "", "pattern": "raster", "slow_axis": "superior-to-inferior"}
    rows = []
    for exam_id, patient in (*((exam_id, f"someone-of-{exam_id}") for exam_id in new), ("of-a-test-patient", "P17")):
        path = manifest.parent / f"{exam_id}.npy"
        if not path.exists():
            np.save(path, rng.integers(0, 180, (16, 16, 16), dtype=np.uint8))
        rows.append({"exam_id": exam_id, "patient_id": patient, "path": path.name, **known})
    write_manifest(rows, manifest.parent / name)
    return manifest.parent / name


def learn_beside(manifest, archive, run, way, **more):
    beside = CohortChoice(str(manifest), unlabelled=None if archive is None else str(archive))
    return train("ai-cnet3d", recipe_of(way), beside, run, seeds=(7,), machine=MACHINE, **more)


@pytest.fixture(scope="module")
def archive(manifest):
    return archive_of(manifest)


@pytest.fixture(scope="module")
def beside(manifest, archive, tmp_path_factory):
    """A run that learnt from scans without labels too, and what each task met."""
    run, met = tmp_path_factory.mktemp("beside") / "run", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(Task, "training_step", watched(Task.training_step, met, True))
        patch.setattr(Task, "validation_step", watched(Task.validation_step, met, False))
        learn_beside(manifest, archive, run, "contrast")
    return run, met


def test_scans_without_labels_are_read_by_pretraining_and_by_nothing_else(beside, runs):
    met = beside[1]
    assert exams(met, "Contrast", True) == part("train") | {"N1", "N2", "N3"}
    assert exams(met, "Contrast", False) == part("validation")
    without = [one for one in runs[1]["none"] if one[0] == "AICNet3DTask"]
    assert [one for one in met if one[0] == "AICNet3DTask"] == without
    assert "of-a-test-patient" not in {exam for _, _, batch in met for exam in batch}


def test_a_run_says_which_scans_it_learnt_from_beside_the_cohort(beside, archive, runs):
    told = read_json(beside[0] / "cohort.json")
    assert told["unlabelled"] == str(archive)
    assert (told["unlabelled_exams"], told["unlabelled_patients"]) == (3, 3)
    assert told["unlabelled_left_out"] == {HELD_OUT_PATIENT: 1}
    provenance = read_json(beside[0] / "seed-7/provenance.json")
    assert provenance["unlabelled_hash"] == told["unlabelled_voxels_hash"]
    assert "unlabelled_hash" not in read_json(runs[0] / "contrast/seed-7/provenance.json")
    name = "seed-7/stage-0/model.safetensors"
    assert (beside[0] / name).read_bytes() != (runs[0] / "contrast" / name).read_bytes()


def test_cards_and_report_say_it_too(beside):
    found = evaluate(beside[0])
    page = report_file.report(found).read_text(encoding="utf-8")
    read = "all exams of the training part and 3 exams of 3 patients from a second manifest"
    assert f"Pretraining, which comes before and uses no labels, reads {read}." in page
    card = (beside[0] / "model-card.md").read_text(encoding="utf-8")
    assert f"pretrained without labels on {read} (contrast)" in card
    besides = (
        "pretraining alone read 3 exams of 3 patients of a second manifest without labels, of which were left out: 1"
    )
    assert f"{besides} {HELD_OUT_PATIENT}" in card
    lists = [(beside[0] / name).read_text(encoding="utf-8") for name in ("tripod-ai.csv", "claim.csv")]
    assert all(besides in one for one in lists)
    everything = "".join((card, page, *lists))
    assert not any(word in everything for word in ("someone-of", "archive.csv", "no data from elsewhere"))


@pytest.mark.parametrize("change", ["dropped", "other", "voxels"])
def test_a_run_goes_on_with_the_same_scans_only(beside, manifest, archive, tmp_path, change):
    run = tmp_path / "run"
    shutil.copytree(beside[0], run)
    (run / "seed-7/finished.json").unlink()
    (run / "summary.json").unlink()
    choices = {"dropped": None, "other": archive_of(manifest, f"{change}.csv", ("N1", "N2"))}
    now = choices.get(change, archive)
    if change == "voxels":
        kept = (manifest.parent / "N3.npy").read_bytes()
        np.save(manifest.parent / "N3.npy", np.load(manifest.parent / "N2.npy")[::-1])
    field = "unlabelled_" if change == "voxels" else "unlabelled"
    try:
        with pytest.raises(OctavoError, match=f"this run was begun with {field}"):
            learn_beside(manifest, now, run, "contrast")
    finally:
        if change == "voxels":
            (manifest.parent / "N3.npy").write_bytes(kept)
    assert not (run / "seed-7/finished.json").exists()


def test_a_stage_that_learnt_from_other_scans_is_not_taken_over(beside, manifest, archive, runs, tmp_path):
    with pytest.raises(OctavoError, match="differs in its unlabelled scans; wanted one with the same first stage"):
        learn_beside(manifest, archive, tmp_path / "a", "contrast", stage_one_of=runs[0] / "contrast")
    with pytest.raises(OctavoError, match="differs in its unlabelled scans"):
        train(
            "ai-cnet3d",
            recipe_of("contrast"),
            choice(manifest),
            tmp_path / "b",
            seeds=(7,),
            machine=MACHINE,
            stage_one_of=beside[0],
        )
    learn_beside(manifest, archive, tmp_path / "c", "contrast", stage_one_of=beside[0])
    one, other = (run / "seed-7/model.safetensors" for run in (tmp_path / "c", beside[0]))
    assert one.read_bytes() == other.read_bytes()


def test_scans_that_nothing_would_learn_from_are_refused_and_nothing_is_written(manifest, archive, tmp_path):
    with pytest.raises(OctavoError, match="nothing learns from them; wanted a model with pretraining"):
        learn_beside(manifest, archive, tmp_path / "run", "none")
    assert not (tmp_path / "run").exists()
    words = command(
        manifest, tmp_path / "run", "--unlabelled", manifest.parent / "missing.csv", "--pretrain", "contrast"
    )
    assert main(list(map(str, words))) == 2
    assert not (tmp_path / "run").exists()
