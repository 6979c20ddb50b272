import csv
import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from octavo.cohorts.reference import PHANTOMS
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.files import write_json
from octavo.systems.catalogue import MODELS, catalogued
from octavo.training.recipe import recipe_to_json
from octavo.workflows.evaluate import evaluate
from octavo.workflows.models import load_models
from octavo.workflows.reporting.checklists import write_checklists
from octavo.workflows.reporting.model_card import write_model_card
from octavo.workflows.reporting.run_facts import MUST_FILL, NOT_MEASURED, plain_command, read_run
from octavo.workflows.several_classes import measure_classes

SECTIONS = {
    "what_it_is": ("system", "model", "architecture", "parameters", "input", "output", "weights_sha256", "contact"),
    "intended_use": ("statement", "not_meant_for", "intended_use_beyond_research", "intended_users"),
    "training_data": (
        "looked_for",
        "what_the_label_means",
        "cohort_hash",
        "voxels_hash",
        "split_hash",
        "divided_by",
        "parts_share_no",
        "train_exams",
        "validation_patients",
        "test_positives",
        "scan_patterns",
        "synthetic_scans",
        "devices",
    ),
    "training": ("seeds", "steps", "epochs_trained", "selection", "initial_weights", "unequal_classes", "recipe"),
    "performance": ("auroc", "accuracy", "sensitivity", "specificity", "validation_auroc", "by_group"),
    "calibration": ("temperature", "threshold", "threshold_rule", "calibration_slope"),
    "limits": (
        "cautions",
        "outside_what_it_learnt_from",
        "eye_unknown_taken_as_right",
        "measured_on",
        "further_limits",
    ),
    "provenance": ("versions", "machine", "command"),
}


def card_of(run):
    write_model_card(run)
    return json.loads((run / "model-card.json").read_text(encoding="utf-8"))


def entries(card):
    return {(s, name): entry for s, section in card.items() if s != "form" for name, entry in section.items()}


@pytest.fixture(scope="module")
def run(study, tmp_path_factory):
    run = study.copy(tmp_path_factory.mktemp("carded") / "run")
    evaluate(run)
    return run


@pytest.fixture(scope="module")
def card(run):
    return json.loads((run / "model-card.json").read_text(encoding="utf-8"))


def test_training_leaves_a_card_and_evaluating_takes_up_the_measures(study, run, card):
    before = json.loads((study.run / "model-card.json").read_text(encoding="utf-8"))
    assert before["performance"]["auroc"] == {"value": NOT_MEASURED, "sources": []}
    assert NOT_MEASURED in (study.run / "model-card.md").read_text(encoding="utf-8")
    found = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    for name in ("auroc", "accuracy", "sensitivity", "specificity", "brier", "calibration_error"):
        told = card["performance"][name]
        assert (told["value"], told["ci_low"], told["ci_high"]) == tuple(
            found[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high")
        )
    assert before["what_it_is"] == card["what_it_is"]
    assert before["training_data"] == card["training_data"]


def test_no_field_is_missing_or_empty(study, card, tmp_path):
    cards = [card, card_of(study.copy(tmp_path / "run")), card_of(study.shared_model(tmp_path / "model"))]
    for one in cards:
        assert one["form"] == "octavo model card 1"
        for section, names in SECTIONS.items():
            assert set(names) <= set(one[section])
        for where, entry in entries(one).items():
            assert entry["value"] not in (None, "", [], {}), where
            assert None not in entry.values(), where


def test_what_rests_on_a_file_names_one_that_is_there_and_what_does_not_is_left_to_the_author(run, card):
    for where, entry in entries(card).items():
        assert all((run / source).exists() for source in entry["sources"]), where
        if isinstance(entry["value"], int | float):
            assert entry["sources"], where
    for section, name in (
        ("intended_use", "intended_users"),
        ("training_data", "devices"),
        ("limits", "further_limits"),
    ):
        assert card[section][name] == {"value": MUST_FILL, "sources": []}
    page = (run / "model-card.md").read_text(encoding="utf-8")
    assert f"| Devices | {MUST_FILL} | - |" in page


def test_every_measure_says_of_how_many_exams_by_which_models_and_from_which_data(run, card):
    split = read_split(run / "splits.csv")
    measured = [entry for entry in card["performance"].values() if entry["sources"] == ["evaluation.json"]]
    measured = [entry for entry in measured if isinstance(entry["value"], float)]
    assert len(measured) >= 8
    for entry in measured:
        assert (entry["exams"], entry["patients"]) == (len(split.exams("test")), len(split.patients("test")))
        assert entry["split_hash"] == split.content_hash
        assert entry["models"] == "mean of 2 seeds"
        assert len(entry["voxels_hash"]) == len(entry["cohort_hash"]) == 64


def test_numbers_are_those_of_the_model_and_its_cohort(study, run, card):
    network = load_models(run)[0].network
    assert card["what_it_is"]["parameters"]["value"] == sum(weights.numel() for weights in network.parameters())
    weights = hashlib.sha256((run / "seed-200" / "model.safetensors").read_bytes()).hexdigest()
    assert card["what_it_is"]["weights_sha256"]["value"]["seed-200"] == weights
    split = read_split(run / "splits.csv")
    label = {row["exam_id"]: row["label"] for row in csv.DictReader(study.manifest.open(encoding="utf-8"))}
    for part in ("train", "validation", "test"):
        told = [card["training_data"][f"{part}_{what}"]["value"] for what in ("exams", "patients", "positives")]
        positives = sum(label[exam] == "1" for exam in split.exams(part))
        assert told == [len(split.exams(part)), len(split.patients(part)), positives]
    assert card["training"]["seeds"]["value"] == [100, 200]
    assert set(card["training"]["epochs_trained"]["value"]) == {
        f"{seed} {stage}" for seed in ("seed-100", "seed-200") for stage in ("stage-1", "stage-2")
    }
    assert "stage-1: the epoch with the smallest val_loss" in card["training"]["selection"]["value"]
    assert "stage-2: the epoch with the smallest val_classification" in card["training"]["selection"]["value"]
    assert "octavo divided the patients" in card["training_data"]["divided_by"]["value"]


def test_it_says_what_speaks_against_believing_it(run, card):
    assert PHANTOMS in card["limits"]["cautions"]["value"]
    page = (run / "model-card.md").read_text(encoding="utf-8")
    assert "not a medical device" in page
    assert PHANTOMS in page


def test_no_patient_no_exam_and_no_path_stands_in_it(study, run, tmp_path):
    """A manifest, a folder and a command that name somebody."""
    home = tmp_path / "Doe^Jane"
    rows = list(csv.DictReader(study.manifest.open(encoding="utf-8")))
    part_of = {row.exam_id: row.split for row in read_split(study.run / "splits.csv").placements}
    for row in rows:
        row["path"], row["split"] = str(study.manifest.parent / row["path"]), part_of[row["exam_id"]]
        row["exam_id"], row["patient_id"] = f"Roe-{row['exam_id']}", f"Roe-{row['patient_id']}"
        del row["mask"]
    home.mkdir()
    with (home / "Poe.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    named = home / "run-of-Moe"
    study.train(named, manifest=home / "Poe.csv", epochs=1, consistency="off")
    seed = named / "seed-100" / "provenance.json"
    told = json.loads(seed.read_text(encoding="utf-8"))
    write_json(seed, {**told, "command": "octavo train ai-cnet3d --cohort /home/Zoe/Poe.csv --run Moe --epochs 1"})
    evaluate(named)
    for name in ("model-card.md", "model-card.json", "reporting.md", "tripod-ai.csv", "claim.csv"):
        text = (named / name).read_text(encoding="utf-8")
        assert not re.search(r"Roe|Poe|Doe|Moe|Zoe|/home|p0000\d", text), name
        assert str(tmp_path) not in text, name
    card = json.loads((named / "model-card.json").read_text(encoding="utf-8"))
    assert card["provenance"]["command"]["value"]["seed-100"] == (
        "octavo train ai-cnet3d --cohort ... --run ... --epochs 1"
    )
    assert card["training_data"]["divided_by"]["value"] == "the manifest said which part each patient is in"


def test_words_of_a_command_that_are_not_known_are_left_out():
    recipe = {"balance": "none", "weights": "/data/doe.pth", "learning_rate": 1e-4, "class_names": ["NL", "MCI", "AD"]}
    command = "octavo train dino-atten3d --weights doe.pth --run=jane -q 3 --balance none --learning-rate 1e-3"
    assert plain_command(f"{command} --classes NL Doe AD", recipe) == (
        "octavo train dino-atten3d --weights ... --run=... -q ... --balance none --learning-rate 1e-3 --classes NL ... AD"
    )


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("octavo demo 19750312 --seed 2", "octavo demo ... --seed 2"),
        ("octavo demo --patients 30 19750312", "octavo demo --patients 30 ..."),
        ("octavo demo demo", "octavo demo ..."),
        ("octavo benchmark trivial --run none", "octavo benchmark ... --run ..."),
        (
            "octavo train peer --run 19750312 --cohort 1 --split 2 --prepared=3 --seeds 1 2 --size 4 5 6 --zoom 1.5",
            "octavo train peer --run ... --cohort ... --split ... --prepared=... --seeds 1 2 --size 4 5 6 --zoom 1.5",
        ),
        (
            "octavo train ai-cnet3d --stage-one-of 19750312 --published-protocol 7 --epochs 3 19750312",
            "octavo train ai-cnet3d --stage-one-of ... --published-protocol ... --epochs 3 ...",
        ),
    ],
)
def test_numbers_are_kept_of_settings_and_not_of_names(command, shown):
    recipe = {
        "balance": "none",
        "size": [1, 2, 3],
        "epochs": 9,
        "augmentation": {"zoom": 1},
        "published_protocol": True,
    }
    assert plain_command(command, recipe) == shown


def test_a_path_in_a_recipe_is_left_out(study, tmp_path):
    run = study.copy(tmp_path / "run")
    system, recipe = catalogued("dino-atten3d", slices=4)
    told = {**recipe_to_json(recipe.resolved()), "weights": "/home/jane/doe.pth"}
    write_json(run / "recipe.json", {"system": system, **told})
    card = card_of(run)
    assert card["training"]["recipe"]["value"]["weights"] == "(path left out)"
    assert "jane" not in (run / "model-card.json").read_text(encoding="utf-8")


def test_an_evaluation_of_some_seeds_alone_says_so(study, tmp_path):
    run = study.copy(tmp_path / "run")
    evaluate(run, seed=200)
    card = card_of(run)
    assert card["performance"]["models_measured"]["value"].startswith("1 of the run's 2: seed-200; octavo evaluate")
    assert card["performance"]["auroc"]["models"] == "seed-200"


def test_a_finished_run_with_a_card_takes_further_seeds_and_the_card_follows(study, tmp_path):
    run = tmp_path / "run"
    study.train(run, epochs=1, consistency="off")
    first = (run / "model-card.json").read_bytes()
    with pytest.raises(OctavoError, match="this run is finished"):
        study.train(run, epochs=1, consistency="off")
    assert (run / "model-card.json").read_bytes() == first
    study.train(run, seeds=(100, 200), epochs=1, consistency="off")
    told = json.loads((run / "model-card.json").read_text(encoding="utf-8"))
    assert told["training"]["seeds"]["value"] == [100, 200]


def test_a_run_of_before_says_that_it_is_not_known_who_divided_the_cohort(study, tmp_path):
    run = study.copy(tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    del summary["split_from"]
    write_json(run / "summary.json", summary)
    assert card_of(run)["training_data"]["divided_by"] == {"value": MUST_FILL, "sources": []}


def test_of_more_than_two_classes_each_is_counted_and_measured(study, tmp_path):
    run = study.copy(tmp_path / "run")
    rng = np.random.default_rng(0)
    labels, probabilities = np.arange(60) % 3, rng.dirichlet(np.ones(3), (60, 1))
    found = measure_classes(labels, probabilities, [str(n) for n in range(60)], [1.0], ("NL", "MCI", "AD"))
    write_json(run / "evaluation.json", {**found, "seeds": 2})
    for name, told in (("cohort", {"classes": ["NL", "MCI", "AD"]}), ("summary", {})):
        before = json.loads((run / f"{name}.json").read_text(encoding="utf-8"))
        part = {"exams": 9, "exams_of_0": 2, "exams_of_1": 3, "exams_of_2": 4}
        parts = {"parts": dict.fromkeys(("train", "validation", "test"), part)} if name == "summary" else {}
        write_json(run / f"{name}.json", {**before, **told, **parts})
    for seed in ("seed-100", "seed-200"):
        calibration = {"temperature": 1.5, "prediction": "the most probable class", "exams": 9}
        write_json(run / seed / "calibration.json", calibration)
    card = card_of(run)
    assert card["training_data"]["train_of_class_AD"]["value"] == 4
    assert card["performance"]["macro_auroc"]["ci_low"] == found["macro_auroc_ci_low"]
    assert card["performance"]["auroc_of_2"]["value"] == found["auroc_of_2"]
    assert card["calibration"]["prediction"]["value"]["seed-100"] == "the most probable class"
    assert all(entry["value"] not in (None, "", [], {}) for entry in entries(card).values())
    write_checklists(run)
    rows = {row["item"]: row for row in csv.DictReader((run / "claim.csv").open(encoding="utf-8"))}
    assert "confusion 0 as 2" in rows["38"]["answer"]
    assert "4 of class AD" in rows["21"]["answer"]
    assert "NL, MCI, AD" in rows["22"]["answer"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(OctavoError, match=r"recipe\.json: there is no such file"):
        write_model_card(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.is_installed])
def test_every_model_of_the_catalogue_is_known_by_its_recipe(study, tmp_path, name):
    run = study.copy(tmp_path / "run")
    shutil.rmtree(run / "prepared")
    size = {} if name == "dino-atten3d" else {"size": (32, 32, 32)}
    system, recipe = catalogued(name, **size)
    write_json(run / "recipe.json", {"system": system, **recipe_to_json(recipe.resolved())})
    facts = read_run(run)
    assert facts.network.name == name
    assert facts.network.parameters
    assert facts.network.stages
    write_model_card(run)
