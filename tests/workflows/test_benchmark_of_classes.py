"""A benchmark of three classes, cross-validated: what is measured, and what it compares by."""

import csv

import numpy as np
import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError
from octavo.metrics.multiclass import accuracy, macro_auroc
from octavo.training.machine import Machine
from octavo.workflows.benchmark import Budget, Plan, benchmark
from octavo.workflows.benchmark.cells import run_cell
from octavo.workflows.phantom_heads import write_heads

QUICK = Machine(accelerator="cpu", track="none")
NAMES = ("NL", "MCI", "AD")
SETTINGS = {"dino-atten3d": {"anatomy": "as-stored", "slice_axis": "ascan", "slices": 8}}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    home = tmp_path_factory.mktemp("heads")
    return write_heads(
        home / "cohort", heads=36, seed=3, shape=(24, 24, 20), strength=1.0, prevalence=0.6, stages=True
    ).manifest


def _in_this_process(orders):
    yield from map(run_cell, orders)


def _plan(**changes):
    told = {
        "models": ("dino-atten3d", "trivial"),
        "seeds": (1, 2),
        "reference": "trivial",
        "budget": Budget(epochs=2, size=(16, 16, 16)),
        "settings": SETTINGS,
        **changes,
    }
    return Plan(**told)


@pytest.fixture(scope="module")
def done(heads, tmp_path_factory):
    run = tmp_path_factory.mktemp("classes") / "run"
    choice = CohortChoice(str(heads), classes=NAMES)
    return benchmark(_plan(folds=3), choice, run, machine=QUICK, runner=_in_this_process)


def test_every_head_is_tested_once_with_the_probability_of_each_class(done, heads):
    exams = {row["exam_id"]: row["label"] for row in csv.DictReader(heads.open())}
    answers = list(csv.DictReader((done.run / "predictions.csv").open()))
    assert len(answers) == 2 * 2 * len(exams)
    for one in answers:
        assert NAMES[int(one["label"])] == exams[one["exam_id"]]
        assert sum(float(one[f"probability_of_{number}"]) for number in range(3)) == pytest.approx(1)
        assert one["probability"] == ""
    assert done.table.by_label == tuple(list(exams.values()).count(name) for name in NAMES)


def test_the_table_is_what_the_answers_give(done):
    answers = list(csv.DictReader((done.run / "predictions.csv").open()))
    for row in csv.DictReader((done.run / "table.csv").open()):
        areas, shares = [], []
        for seed in "12":
            own = [one for one in answers if (one["model"], one["seed"]) == (row["model"], seed)]
            labels = np.array([int(one["label"]) for one in own])
            given = np.array([[float(one[f"probability_of_{number}"]) for number in range(3)] for one in own])
            areas.append(macro_auroc(labels, given))
            shares.append(accuracy(labels, given))
        assert float(row["macro_auroc_mean"]) == pytest.approx(np.mean(areas), abs=1e-12)
        assert float(row["accuracy_mean"]) == pytest.approx(np.mean(shares), abs=1e-12)
    compared = done.table.row("dino-atten3d").comparison
    assert compared.comparison.accuracy_test == "McNemar, exact"
    assert compared.auroc_p_value_holm is not None
    page = (done.run / "report.html").read_text()
    assert "Macro AUROC" in page
    assert "p (bootstrap)" in page
    assert "of the classes " in page


def test_a_pair_of_the_classes_is_a_benchmark_of_two(heads, tmp_path):
    choice = CohortChoice(str(heads), positive="AD", negative="NL")
    found = benchmark(_plan(seeds=(1,)), choice, tmp_path / "run", machine=QUICK, runner=_in_this_process)
    labels = [row["label"] for row in csv.DictReader(heads.open())]
    split = {row["exam_id"] for row in csv.DictReader((tmp_path / "run" / "splits.csv").open())}
    assert len(split) == labels.count("AD") + labels.count("NL")
    assert found.table.ranking == "auroc"


def test_fewer_patients_of_a_class_than_folds_are_named(heads, tmp_path):
    choice = CohortChoice(str(heads), classes=NAMES)
    with pytest.raises(OctavoError, match=r"patients with (NL|MCI|AD) as the last of their classes .* for 30 folds"):
        benchmark(_plan(folds=30), choice, tmp_path / "run", machine=QUICK, runner=_in_this_process)


def test_what_tells_two_classes_apart_only_is_a_row_with_its_reason(heads, tmp_path):
    choice = CohortChoice(str(heads), classes=NAMES)
    plan = _plan(models=("trivial", "features-logistic"), seeds=(1,), settings={})
    found = benchmark(plan, choice, tmp_path / "run", machine=QUICK, runner=_in_this_process)
    assert found.table.row("features-logistic").measured is None
    assert "two classes" in found.table.row("features-logistic").failures[0]
    assert found.table.row("trivial").measured.measures["accuracy"].mean > 0
