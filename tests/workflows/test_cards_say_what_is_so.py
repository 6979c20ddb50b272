"""Cards and checklists of real runs of every kind: what would be false of one kind is not said of it."""

import csv
import json
import logging
import os
import shutil

import numpy as np
import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import write_manifest
from octavo.cohorts.splits import split_patients, write_split
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.systems.dino_atten3d import DinoAtten3DRecipe
from octavo.systems.peers import PeerRecipe
from octavo.training.machine import Machine
from octavo.workflows.evaluate import evaluate
from octavo.workflows.report import report
from octavo.workflows.reporting import refresh
from octavo.workflows.reporting.checklists import FILLED, write_checklists
from octavo.workflows.reporting.model_card import write_model_card
from octavo.workflows.reporting.run_facts import MUST_FILL, NOT_MEASURED, read_run
from octavo.workflows.train import train

QUICK = Machine(accelerator="cpu", track="none", precision="32-true", progress="lines")
NAMES = ("NL", "MCI", "AD")
SIZE = (16, 16, 16)
SHARES = (0.4, 0.3, 0.3)
PEER = {"size": SIZE, "split_fractions": SHARES, "epochs": 1}
SMALL = {"size": SIZE, "channels": 8, "heads": 2, "split_fractions": SHARES, "batch_size": 2, "epochs": 1}
PRETRAINED = {**SMALL, "pretrain": "reconstruct", "pretrain_epochs": 1}
CLASSES, PAIR = {"classes": NAMES}, {"positive": "AD", "negative": "NL"}

RUNS = {
    "classes": ("peers", PeerRecipe("bscan-cnn", **PEER), CLASSES),
    "trivial": ("peers", PeerRecipe("trivial", balance="weighted-loss", **PEER), CLASSES),
    "logistic": ("peers", PeerRecipe("features-logistic", **PEER), PAIR),
    "pretrained": ("ai-cnet3d", AICNet3DRecipe(**PRETRAINED, consistency="off"), PAIR),
    "taken": ("ai-cnet3d", AICNet3DRecipe(**PRETRAINED, consistency_epochs=1), PAIR),
    "untrained": ("dino-atten3d", DinoAtten3DRecipe(slices=0, anatomy="as-stored", epochs=1), PAIR),
}
"""A system, its recipe, and what is said of the labels; `untrained` follows a split that was made for all classes."""

SAID = {
    "classes": {
        "tripod 12a": "chosen on validation: epochs, temperature; test",
        "tripod 12f": "changes no weight and no temperature",
        "tripod 13": "the larger classes of the training part are cut to the size of the smallest",
        "tripod 16": "classes are balanced for training and not for the test",
        "tripod 21": "validation: epochs, temperature; test: measures",
        "claim 19": "those of each class separately, where a patient counts as the last of their classes",
        "claim 28": "counts which class was called what, and draws no curves",
        "claim 31": "draws no maps for a model of more than two classes",
    },
    "trivial": {
        "tripod 9a": "none; the answer is how common each class is in the training part after its balance",
        "tripod 12a": "chosen on validation: temperature; test",
        "tripod 13": "so that all classes count the same",
        "claim 22": "how common each class is, whatever the scan",
    },
    "logistic": {
        "tripod 9b": "fixed numbers of brightness and thickness",
        "tripod 12a": "chosen on validation: temperature, threshold; test",
        "tripod 20a": "exams of labels beside the pair were left out: 8 (8 'MCI')",
        "claim 10": "exams of labels beside the pair were left out: 8 (8 'MCI')",
        "claim 24": "they are computed from the training exams that balancing keeps",
        "claim 25": "computed from the training exams that balancing keeps; there are no epochs",
        "claim 31": "octavo explain draws no maps for this model",
    },
    "pretrained": {
        "tripod 13": "pretraining, which comes before and uses no labels, reads all exams of the training part",
        "tripod 16": "classes are balanced for training and not for the test",
        "claim 24": "no weights of another training; pretrained without labels on all exams of the training part",
        "claim 25": "pretraining, which comes before and uses no labels, reads all exams of the training part",
        "claim 31": "draws maps for this model (care, grad-cam)",
    },
    "taken": {
        "claim 24": "seed-100 stage-0, seed-100 stage-1 taken over from another run",
        "claim 25": ", taken over from another run; seed-100 stage-2: ",
    },
    "untrained": {
        "tripod 4": "whether the test part is from elsewhere is not known",
        "tripod 16": "whether the test part is from elsewhere is not known",
        "tripod 22": "the untrained stand-in that reads slices, which octavo makes again; its weights, fingerprint",
        "tripod 26": "whether the test part is from elsewhere is not known",
        "claim 22": "an untrained stand-in for DINOv2 (not counted) reads each",
        "claim 31": "octavo explain draws no maps for this model; octavo predict says how much each slice counted",
        "claim 35": "exams of labels beside the pair were left out: 8 (8 'MCI')",
    },
}
"""What must stand in the answer to an item."""

FALSE = {
    "classes": ("positive ones", "threshold", "draws the curves", "larger class of", "both classes", "DeLong"),
    "trivial": (
        "positive ones",
        "threshold",
        "draws the curves",
        "both classes",
        "validation: epochs",
        "draws maps for this",
        "disease",
    ),
    "logistic": (
        "all training exams",
        "validation: epochs",
        " epochs, best",
        "draws maps",
        "every exam of the manifest",
    ),
    "pretrained": ("for the whole run", "by design none", "the same patients"),
    "taken": ("no weights of another training", "first-stage-of-jane"),
    "untrained": ("frozen DINOv2", "the whole model", "no data from elsewhere", "it learnt from alone", "draws maps"),
}
"""What must stand nowhere in card or checklists."""

FILLED_OR_NOT = {
    "classes": {"tripod 12a": True, "tripod 16": False, "tripod 21": True},
    "logistic": {"tripod 16": False, "claim 19": True},
    "taken": {"claim 24": True},
    "untrained": {"tripod 12a": False, "tripod 16": False, "tripod 21": True, "claim 19": False, "claim 32": False},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Patients with two eyes, unlike in brightness by their class: ten NL, four MCI, five AD."""
    home, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(0)
    rows = []
    for number, name in enumerate([name for name, of in zip(NAMES, (10, 4, 5), strict=True) for _ in range(of)]):
        for eye in ("OD", "OS"):
            volume = rng.integers(0, 150, SIZE, dtype=np.uint8)
            volume[:8] += np.uint8(50 * NAMES.index(name))
            np.save(home / f"{number}-{eye}.npy", volume)
            rows.append(
                {
                    "exam_id": f"E{number}-{eye}",
                    "patient_id": f"P{number}",
                    "path": f"{number}-{eye}.npy",
                    "laterality": eye,
                    "label": name,
                    "pattern": "raster",
                    "slow_axis": "superior-to-inferior",
                }
            )
    write_manifest(rows, home / "manifest.csv")
    return home / "manifest.csv"


@pytest.fixture(scope="module")
def trained(manifest, tmp_path_factory):
    """Every run, before it was measured."""
    home = tmp_path_factory.mktemp("runs")
    source = home / "first-stage-of-jane"
    write_split(split_patients(CohortChoice(str(manifest), classes=NAMES).read(), SHARES, seed=1), home / "split.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        for kind, (system, recipe, labels) in RUNS.items():
            split = home / "split.csv" if kind == "untrained" else None
            choice = CohortChoice(str(manifest), split=split, **labels)
            if kind == "taken":
                shutil.copytree(home / "pretrained", source)
            taken = source if kind == "taken" else None
            train(system, recipe, choice, home / kind, machine=QUICK, prepared=home / "prepared", stage_one_of=taken)
    return home


@pytest.fixture(scope="module")
def parts(trained):
    """The parts of every run, as evaluation prepared them; the runs are measured then."""
    for kind in RUNS:
        shutil.copytree(trained / kind, trained / "before" / kind)
    return {kind: evaluate(trained / kind, prepared=trained / "prepared").parts for kind in RUNS}


def rows_of(run):
    lists = {"tripod": "tripod-ai.csv", "claim": "claim.csv"}
    return {
        f"{name} {row['item']}": row
        for name, file in lists.items()
        for row in csv.DictReader((run / file).open(encoding="utf-8"))
    }


def everything(run):
    """The card, and what is said to the items; not what they ask."""
    answers = (row["answer"] for row in rows_of(run).values())
    return "\n".join([(run / "model-card.md").read_text(encoding="utf-8"), *answers])


def card_of(run):
    return read_json(run / "model-card.json")


@pytest.mark.parametrize("kind", RUNS)
def test_what_is_false_of_a_run_is_not_said_of_it_and_what_is_so_is(trained, parts, kind):
    rows, text = rows_of(trained / kind), everything(trained / kind)
    for item, said in SAID[kind].items():
        assert said in rows[item]["answer"], item
    for phrase in (*FALSE[kind], "by design none"):
        assert phrase not in text, phrase
    for item, is_filled in FILLED_OR_NOT.get(kind, {}).items():
        assert (rows[item]["status"] == FILLED) == is_filled, item


@pytest.mark.parametrize("kind", RUNS)
def test_patients_are_those_of_the_prepared_parts(trained, parts, kind):
    summary, found = (read_json(trained / kind / name) for name in ("summary.json", "evaluation.json"))
    card, rows = card_of(trained / kind), rows_of(trained / kind)
    for part in ("train", "validation", "test"):
        exams = getattr(parts[kind], part)
        patients = len({one.exam.patient_id for one in exams})
        assert summary["parts"][part]["patients"] == found[f"{part}_patients"] == patients
        assert card["training_data"][f"{part}_patients"] == {"value": patients, "sources": ["summary.json"]}
        assert f"{part}: {len(exams)} exams of {patients} patients" in rows["tripod 21"]["answer"]
    of_split = sum(len(parts[kind].split.patients(part)) for part in ("train", "validation", "test"))
    assert of_split == (19 if kind in {"classes", "trivial", "untrained"} else 15)


def test_patients_that_an_older_run_did_not_count_are_left_to_the_author_where_the_split_holds_more(
    trained, parts, tmp_path
):
    for kind, is_known in (("logistic", True), ("untrained", False)):
        run = shutil.copytree(trained / "before" / kind, tmp_path / kind)
        summary = read_json(run / "summary.json")
        for part in summary["parts"].values():
            del part["patients"]
        write_json(run / "summary.json", summary)
        write_model_card(run)
        write_checklists(run)
        train_patients = len({one.exam.patient_id for one in parts[kind].train})
        wanted = {"value": train_patients, "sources": ["splits.csv"]}
        assert card_of(run)["training_data"]["train_patients"] == (
            wanted if is_known else {"value": MUST_FILL, "sources": []}
        )
        assert (rows_of(run)["tripod 21"]["status"] == FILLED) == is_known
        assert (rows_of(run)["tripod 12a"]["status"] == FILLED) == is_known


@pytest.mark.parametrize("kind", ["classes", "untrained"])
def test_what_is_not_measured_yet_is_not_told_as_if_it_were(trained, parts, kind):
    run = trained / "before" / kind
    assert card_of(run)["limits"]["measured_on"] == {"value": NOT_MEASURED, "sources": []}
    write_checklists(run)
    rows = rows_of(run)
    assert rows["tripod 4"]["answer"] == "this run develops a model; what it is worth is not measured yet"
    assert "measured on" not in rows["tripod 26"]["answer"]
    assert NOT_MEASURED in rows["tripod 26"]["answer"]


def test_the_report_says_that_pretraining_reads_what_balancing_leaves_out(trained, parts):
    run = trained / "pretrained"
    page = report(evaluate(run, prepared=trained / "prepared")).read_text(encoding="utf-8")
    assert "balanced by: undersample. Pretraining, which comes before and uses no labels, reads all exams" in page


def test_where_nothing_is_balanced_parts_differ_by_chance_alone(study, tmp_path):
    run = study.copy(tmp_path / "run")
    evaluate(run)
    row = rows_of(run)["tripod 16"]
    assert row["status"] == FILLED
    assert row["answer"].startswith("parts of the same cohort, divided by chance; they share no patients")


def test_stages_that_were_taken_over_are_a_flag_without_a_name(trained):
    finished = read_json(trained / "taken/seed-100/finished.json")
    assert finished["stages_taken_over"] == ["stage-0", "stage-1"]
    assert "stages_taken_over" not in read_json(trained / "pretrained/seed-100/finished.json")
    assert not (trained / "taken/seed-100/taken-over.json").exists()


def test_an_older_run_whose_command_took_stages_over_does_not_deny_it(trained, tmp_path):
    run = shutil.copytree(trained / "taken", tmp_path / "run")
    finished, told = (read_json(run / "seed-100" / name) for name in ("finished.json", "provenance.json"))
    del finished["stages_taken_over"]
    write_json(run / "seed-100/finished.json", finished)
    write_json(run / "seed-100/provenance.json", {**told, "command": "octavo train ai-cnet3d --stage-one-of jane"})
    write_checklists(run)
    row = rows_of(run)["claim 24"]
    assert row["status"] == MUST_FILL
    assert "whether stages were taken over from another run is not known" in row["answer"]
    assert "no weights of another" not in row["answer"]


def broken(run):
    raise RuntimeError("the catalogue\nis gone")


def test_a_card_that_cannot_be_written_ends_nothing(manifest, trained, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(refresh, "write_model_card", broken)
    recipe, run = PeerRecipe("trivial", balance="none", **PEER), tmp_path / "run"
    choice = CohortChoice(str(manifest), **PAIR)
    with caplog.at_level(logging.WARNING, logger="octavo"):
        assert train("peers", recipe, choice, run, machine=QUICK, prepared=trained / "prepared")["seeds"] == [100]
        assert report(evaluate(run, prepared=trained / "prepared")).exists()
    said = [record.getMessage() for record in caplog.records if "could not be written" in record.getMessage()]
    assert said == [
        f"{run}: the model card could not be written, all else was: the catalogue is gone",
        f"{run}: the model card and the checklists could not be written, all else was: the catalogue is gone",
    ]
    assert (run / "evaluation.json").exists()
    monkeypatch.undo()
    with pytest.raises(OctavoError, match="this run is finished"):
        train("peers", recipe, choice, run, machine=QUICK, prepared=trained / "prepared")
    assert card_of(run)["performance"]["auroc"]["value"] == 0.5


def test_maps_are_those_that_the_network_has(trained):
    maps = {kind: read_run(trained / kind).network.explained_by for kind in RUNS}
    assert maps["pretrained"] == ("care", "grad-cam")
    assert maps["classes"] == ("grad-cam",)
    assert maps["logistic"] == maps["untrained"] == maps["trivial"] == ()


def test_groups_that_were_looked_at_are_not_denied(trained, parts, tmp_path):
    run = shutil.copytree(trained / "logistic", tmp_path / "run")
    write_json(run / "groups.json", {"sex": {"undefined": "too few"}})
    write_model_card(run)
    write_checklists(run)
    row = rows_of(run)["tripod 23a"]
    assert "in groups by sex" in row["answer"]
    assert (row["status"], "groups.json" in row["evidence"]) == (MUST_FILL, True)
    assert card_of(run)["performance"]["by_group"]["sources"] == ["groups.json"]
    assert "not looked at" not in json.dumps(rows_of(run))
