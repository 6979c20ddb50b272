import csv
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.dataset import PreparedExams, evaluation_batches
from octavo.cohorts.parts import divide
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.reference import Reference
from octavo.cohorts.splits import apply_split, read_split
from octavo.errors import OctavoError
from octavo.formats import read_volume, write_volume
from octavo.metrics.calibration import fit_temperature
from octavo.metrics.classification import auroc, youden_threshold
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.archives import load_archive
from octavo.training.inference import logit_margins
from octavo.training.machine import Machine
from octavo.workflows.models import load_models
from octavo.workflows.train import calibrate, train

STAGE = {"checkpoints", "finished.json", "metrics.csv", "model.safetensors"}
SEED = {
    "stage-1",
    "stage-2",
    "model.safetensors",
    "recipe.json",
    "reference.json",
    "calibration.json",
    "provenance.json",
    "finished.json",
}


def names(folder):
    return {entry.name for entry in folder.iterdir()}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def youden_or_half(labels, probabilities):
    """So short a training may be no better than chance, and then no threshold can be chosen."""
    try:
        return youden_threshold(labels, probabilities)
    except UndefinedMetricError:
        return 0.5


@pytest.fixture(scope="module")
def parts(study):
    """The parts as the run must have divided them."""
    model = load_models(study.run)[0]
    preparer = Preparer(study.run / "prepared", model.preparation)
    split = read_split(study.run / "splits.csv")
    return divide(
        CohortChoice(str(study.manifest)).read(), preparer, split=split, fractions=(0.65, 0.15, 0.2), seed=100
    )


def test_a_run_holds_what_the_architecture_lists(study):
    assert names(study.run) >= {"recipe.json", "cohort.json", "splits.csv", "summary.json", "prepared", "seed-100"}
    for seed in ("seed-100", "seed-200"):
        assert names(study.run / seed) >= SEED
        for stage in ("stage-1", "stage-2"):
            assert names(study.run / seed / stage) == STAGE
            assert names(study.run / seed / stage / "checkpoints") == {"best.ckpt", "last.ckpt"}
            rows = list(csv.DictReader((study.run / seed / stage / "metrics.csv").open(encoding="utf-8")))
            assert [row["epoch"] for row in rows] == ["0", "1"]
    assert not list(study.run.rglob("*.tmp-*"))


def test_the_recipe_stands_in_the_run_and_in_every_seed(study):
    recipe = read(study.run / "recipe.json")
    assert recipe == read(study.run / "seed-100" / "recipe.json") == read(study.run / "seed-200" / "recipe.json")
    assert (recipe["system"], recipe["size"], recipe["epochs"]) == ("ai-cnet3d", [16, 24, 16], 2)
    assert recipe["augmentation"]["flip_ascans"] is False
    assert load_models(study.run)[0].recipe.size == (16, 24, 16)


def test_patients_stay_together_and_every_exam_is_in_one_part(study):
    split = read_split(study.run / "splits.csv")
    cohort = CohortChoice(str(study.manifest)).read()
    assert {row.exam_id for row in split.placements} == {exam.exam_id for exam in cohort.exams}
    divided = apply_split(cohort, split)
    part_of = {}
    for exam in divided.exams:
        assert part_of.setdefault(exam.patient_id, exam.split) == exam.split
    assert set(part_of.values()) == {"train", "validation", "test"}


def test_the_weights_are_those_of_the_last_stages_best_epoch(study):
    for seed in ("seed-100", "seed-200"):
        weights = load_file(study.run / seed / "model.safetensors")
        best = load_archive(study.run / seed / "stage-2" / "checkpoints" / "best.ckpt")["state_dict"]
        assert {f"network.{name}" for name in weights} == {name for name in best if name.startswith("network.")}
        assert all(torch.equal(value, best[f"network.{name}"]) for name, value in weights.items())
        first = load_file(study.run / seed / "stage-1" / "model.safetensors")
        assert any(not torch.equal(first[name], value) for name, value in weights.items())


def test_seeds_differ(study):
    one, other = (load_file(study.run / seed / "model.safetensors") for seed in ("seed-100", "seed-200"))
    assert not torch.equal(one["dense.weight"], other["dense.weight"])


def test_the_reference_is_that_of_the_training_part_alone(study, parts):
    stored = Reference.from_json(read(study.run / "seed-100" / "reference.json"))
    assert stored == Reference.of(one.facts for one in parts.train)
    assert stored.scans == stored.phantoms == len(parts.train)


def test_temperature_and_threshold_come_from_validation_alone(study, parts):
    labels = np.array([one.exam.label for one in parts.validation])
    for model, seed in zip(load_models(study.run), ("seed-100", "seed-200"), strict=True):
        margins = logit_margins(model.network, evaluation_batches(PreparedExams(parts.validation), 4))
        stored = read(study.run / seed / "calibration.json")
        temperature = fit_temperature(labels, margins).temperature
        assert stored["temperature"] == pytest.approx(temperature)
        assert stored["exams"] == len(labels)
        probabilities = 1 / (1 + np.exp(-margins / temperature))
        assert stored["threshold"] == pytest.approx(youden_or_half(labels, probabilities))
        finished = read(study.run / seed / "finished.json")
        assert finished["validation_auroc"] == pytest.approx(auroc(labels, margins))


def test_provenance_says_what_led_to_a_model(study):
    told = read(study.run / "seed-200" / "provenance.json")
    assert told["seed"] == 200
    assert told["cohort_hash"] == CohortChoice(str(study.manifest)).read().content_hash
    assert told["split_hash"] == read_split(study.run / "splits.csv").content_hash
    assert told["versions"]["torch"] == torch.__version__
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert "not a medical device" in told["note"]


def test_the_summary_is_over_the_seeds(study):
    summary = read(study.run / "summary.json")
    values = [read(study.run / seed / "finished.json")["validation_auroc"] for seed in ("seed-100", "seed-200")]
    assert summary["seeds"] == [100, 200]
    assert summary["validation_auroc_mean"] == pytest.approx(np.mean(values))
    assert summary["validation_auroc_sd"] == pytest.approx(np.std(values, ddof=1))
    assert set(summary["stages"]) == {"seed-100", "seed-200"}
    assert sum(part["exams"] for part in summary["parts"].values()) == 24


def test_a_finished_run_is_refused_and_stays_as_it_is(study):
    before = study.files(study.run)
    with pytest.raises(OctavoError, match="this run is finished"):
        study.train(study.run, seeds=(200, 100))
    assert study.files(study.run) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"learning_rate": 1e-3}, "this run was begun with learning_rate 0.002, now 0.001"),
        ({"attention": "none"}, "this run was begun with attention 'hemiretinal', now 'none'"),
    ],
)
def test_another_recipe_is_another_run(study, change, says):
    before = study.files(study.run)
    with pytest.raises(OctavoError, match=says):
        study.train(study.run, seeds=(300,), **change)
    assert study.files(study.run) == before


def test_another_manifest_is_another_run(study, tmp_path):
    rows = study.manifest.read_text(encoding="utf-8").replace("scans/", f"{study.manifest.parent}/scans/")
    (tmp_path / "manifest.csv").write_text(rows.replace("truth/", f"{study.manifest.parent}/truth/"), encoding="utf-8")
    before = study.files(study.run)
    with pytest.raises(OctavoError, match=r"this run was begun with content_hash .*choose another folder"):
        study.train(study.run, manifest=tmp_path / "manifest.csv", seeds=(300,))
    assert study.files(study.run) == before


@pytest.mark.parametrize("seeds", [(), (-1,), (100, 100), (5, -7)])
def test_impossible_seeds_are_refused_before_anything_is_written(study, tmp_path, seeds):
    with pytest.raises(OctavoError, match="wanted one or more different whole numbers"):
        study.train(tmp_path / "run", seeds=seeds)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change", [{"channels": 6}, {"size": (12, 24, 16)}, {"placement": (4, 2)}, {"size": (16, 4, 16)}], ids=str
)
def test_an_impossible_recipe_is_refused_before_anything_is_written(study, tmp_path, change):
    with pytest.raises(OctavoError):
        study.train(tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_left_alone(study, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    (tmp_path / "letter.tmp-1").write_text("Draft", encoding="utf-8")
    before = study.files(tmp_path)
    with pytest.raises(OctavoError, match="is not a run; choose an empty or new folder"):
        study.train(tmp_path)
    assert study.files(tmp_path) == before


def own_rows(study, tmp_path):
    """The cohort's rows with paths that hold from anywhere, to be changed."""
    rows = list(csv.DictReader(study.manifest.open(encoding="utf-8")))
    for row in rows:
        row["path"] = str(study.manifest.parent / row["path"])
        row["mask"] = str(study.manifest.parent / row["mask"])
    return rows


def write_rows(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_manifest_whose_scans_cannot_be_used_may_be_corrected(study, tmp_path):
    rows, short = own_rows(study, tmp_path), {"epochs": 1, "consistency": "off"}
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"no array")
    right = rows[3]["path"]
    rows[3]["path"] = str(broken)
    manifest, run = write_rows(tmp_path / "m.csv", rows), tmp_path / "run"
    with pytest.raises(OctavoError, match=r"1 of 24 scans cannot be used; the first is exam 'p00003-OD'"):
        study.train(run, manifest=manifest, **short)
    assert not list(run.glob("seed-*"))
    rows[3]["path"] = right
    write_rows(manifest, rows)
    summary = study.train(run, manifest=manifest, **short)
    assert summary["seeds"] == [100]


def test_a_split_that_changes_in_the_middle_of_a_run_is_refused(study, tmp_path):
    split = read_split(study.run / "splits.csv")
    part_of = {row.exam_id: row.split for row in split.placements}
    rows = [{**row, "split": part_of[row["exam_id"]]} for row in own_rows(study, tmp_path)]
    manifest, run = write_rows(tmp_path / "m.csv", rows), tmp_path / "run"
    study.train(run, manifest=manifest, epochs=1, consistency="off")
    train, test = split.patients("train")[0], split.patients("test")[0]
    for row in rows:
        row["split"] = {train: "test", test: "train"}.get(row["patient_id"], row["split"])
    write_rows(manifest, rows)
    before = study.files(run)
    with pytest.raises(OctavoError, match=r"splits\.csv: this run was begun with another split"):
        study.train(run, manifest=manifest, seeds=(200,), epochs=1, consistency="off")
    assert study.files(run) == before


def test_seeds_can_be_added_and_those_that_are_there_stay(study, tmp_path):
    run = study.copy(tmp_path / "run")
    before = study.files(run / "seed-100")
    summary = study.train(run, seeds=(100, 300))
    assert summary["seeds"] == [100, 200, 300]
    assert study.files(run / "seed-100") == before
    assert (run / "seed-300" / "model.safetensors").exists()


def test_a_seed_repeats_whatever_else_is_trained(study, tmp_path):
    study.train(tmp_path / "run", seeds=(200,))
    for name in ("seed-200/model.safetensors", "seed-200/calibration.json", "splits.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (study.run / name).read_bytes()


def test_the_first_stage_of_another_run_can_be_taken_over(study, tmp_path):
    study.train(tmp_path / "run", stage_one_of=study.run, consistency_weight=0.25)
    taken, source = tmp_path / "run" / "seed-100", study.run / "seed-100"
    assert study.files(taken / "stage-1") == study.files(source / "stage-1")
    weights = [load_file(folder / "stage-2" / "model.safetensors") for folder in (taken, source)]
    assert not torch.equal(weights[0]["dense.weight"], weights[1]["dense.weight"])


def test_a_first_stage_that_would_be_another_is_not_taken_over(study, tmp_path):
    with pytest.raises(OctavoError, match="this run differs in learning_rate; wanted one with the same first stage"):
        study.train(tmp_path / "a", stage_one_of=study.run, learning_rate=1e-3)
    with pytest.raises(OctavoError, match="has no finished seed-300/stage-1"):
        study.train(tmp_path / "b", seeds=(300,), stage_one_of=study.run)
    with pytest.raises(OctavoError, match="differs in split_seed"):
        study.train(tmp_path / "c", stage_one_of=study.run, split_seed=7)
    # the same recipe on other patients: what was learnt from would be tested on
    split = (study.run / "splits.csv").read_text(encoding="utf-8")
    placed = read_split(study.run / "splits.csv")
    train, test = placed.patients("train")[0], placed.patients("test")[0]
    swapped = [
        line.replace(",train", ",test")
        if f",{train}," in line
        else line.replace(",test", ",train")
        if f",{test}," in line
        else line
        for line in split.splitlines()
    ]
    (tmp_path / "split.csv").write_text("\n".join(swapped) + "\n", encoding="utf-8")
    with pytest.raises(OctavoError, match="differs in its split"):
        study.train(tmp_path / "d", split=tmp_path / "split.csv", stage_one_of=study.run)
    assert not (tmp_path / "d" / "seed-100" / "stage-1").exists()


def test_without_consistency_there_is_one_stage_and_the_loss_may_be_weighted(study, tmp_path):
    summary = study.train(tmp_path / "run", consistency="off", balance="weighted-loss", epochs=1)
    assert list(summary["stages"]["seed-100"]) == ["stage-1"]
    assert not (tmp_path / "run" / "seed-100" / "stage-2").exists()
    assert load_models(tmp_path / "run")[0].recipe.balance == "weighted-loss"


def test_the_published_protocol_balances_before_the_split_and_says_all_it_implies(study, tmp_path):
    rows = own_rows(study, tmp_path)
    uneven = [row for row in rows if row["label"] == "0" or row["patient_id"] in {"p00001", "p00004", "p00007"}]
    manifest = write_rows(tmp_path / "m.csv", uneven)
    summary = study.train(tmp_path / "run", manifest=manifest, published_protocol=True, epochs=1, consistency_epochs=1)
    recipe = read(tmp_path / "run" / "recipe.json")
    assert (recipe["grey_range"], recipe["intensity"], recipe["pooling"]) == (255.0, "stored", "published")
    assert recipe["balance_before_split"]
    assert recipe["augmentation"]["flip_bscans"]
    counted = summary["parts"].values()
    assert sum(part["positives"] for part in counted) == 6
    assert sum(part["exams"] for part in counted) == 12


def test_training_says_where_it_stands(study, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="octavo"):
        study.train(tmp_path / "run", epochs=1, consistency="off")
    assert "seed 100: train 15 exams (7 positive), validation 4 exams (2 positive), test 5 exams (3 positive)" in (
        caplog.text
    )


def test_calibration_without_both_classes_says_what_stands_instead():
    found = calibrate(np.array([1, 1, 1]), np.array([0.2, -0.3, 1.0]))
    assert (found["temperature"], found["threshold"], found["exams"]) == (1.0, 0.5, 3)
    assert found["temperature_note"].startswith("no temperature could be fitted, 1 stands: ")
    assert found["threshold_rule"].startswith("0.5, as Youden's could not be chosen: ")


def test_calibration_of_answers_that_are_all_wrong_chooses_no_threshold():
    found = calibrate(np.array([0, 0, 1, 1]), np.array([2.0, 1.0, -1.0, -2.0]))
    assert found["threshold"] == 0.5
    assert "does better than chance" in found["threshold_rule"]


def test_calibration_finds_temperature_and_threshold():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    honest = rng.normal(0, 1, 400) + (2 * labels - 1)  # log odds of two normals one apart are twice the value
    found = calibrate(labels, 2 * honest * 3)  # three times too sure
    assert found["temperature"] == pytest.approx(3, rel=0.25)
    assert found["threshold"] == pytest.approx(0.5, abs=0.12)
    assert found["threshold_rule"] == "Youden on validation"


def test_a_run_killed_just_before_its_summary_is_finished_by_the_same_command(study, tmp_path):
    run = study.copy(tmp_path / "run")
    before = study.files(run)
    (run / "summary.json").unlink()
    assert study.train(run, seeds=(100, 200))["seeds"] == [100, 200]
    assert study.files(run) == before


def test_a_run_that_was_refused_may_be_begun_with_another_recipe(study, tmp_path):
    run = tmp_path / "run"
    rows = own_rows(study, tmp_path)
    (tmp_path / "text.npz").write_text("no scan", encoding="utf-8")
    manifest = write_rows(tmp_path / "m.csv", [{**rows[0], "path": str(tmp_path / "text.npz")}, *rows[1:]])
    with pytest.raises(OctavoError, match="cannot be used"):
        study.train(run, manifest=manifest)
    summary = study.train(run, epochs=1, consistency="off")
    assert summary["seeds"] == [100]


def test_a_scan_that_is_replaced_between_two_seeds_is_noticed(study, tmp_path):
    shutil.copytree(study.manifest.parent, tmp_path / "cohort")
    manifest, run = tmp_path / "cohort" / "manifest.csv", tmp_path / "run"
    study.train(run, manifest=manifest, epochs=1, consistency="off")
    scan = next((tmp_path / "cohort" / "scans").iterdir())
    volume = read_volume(scan)
    write_volume(volume.with_values(volume.values[:, ::-1]), scan, overwrite=True)
    with pytest.raises(OctavoError, match="this run was begun with voxels_hash"):
        study.train(run, manifest=manifest, seeds=(200,), epochs=1, consistency="off")
    assert not (run / "seed-200").exists()


@pytest.mark.parametrize("machine", [{"precision": "half"}, {"strategy": "teamwork"}, {"accelerator": "abacus"}])
def test_what_lightning_does_not_know_is_refused_in_one_line(study, tmp_path, machine):
    recipe = AICNet3DRecipe(size=(16, 24, 16), channels=8, balance="none")
    with pytest.raises(OctavoError, match="wanted what Lightning knows") as refusal:
        train("ai-cnet3d", recipe, CohortChoice(str(study.manifest)), tmp_path / "run", machine=Machine(**machine))
    assert "\n" not in str(refusal.value)
