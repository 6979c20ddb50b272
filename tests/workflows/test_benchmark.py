"""The whole way of a benchmark on a tiny cohort; the trainings run in this process unless a test is about processes."""

import csv
import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.metrics.classification import auroc
from octavo.workflows.benchmark import Budget, Plan, cells
from octavo.workflows.benchmark.cells import run_cell, run_here
from octavo.workflows.phantom import write_phantoms
from workflows import small_benchmark
from workflows.small_benchmark import SIZE, compare, write_rows

plan_of = partial(small_benchmark.plan_of, epochs=2)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    written = write_phantoms(
        tmp_path_factory.mktemp("benchmark") / "eyes", patients=30, seed=5, difficulty="easy", shape=SIZE
    )
    rows = list(csv.DictReader(written.manifest.open()))
    patients = sorted({row["patient_id"] for row in rows})
    for row in rows:
        place = patients.index(row["patient_id"])
        row["site"], row["sex"] = ("north", "south")[place % 2], ("F", "M", "")[place % 3]
    write_rows(written.manifest, rows)
    return written.manifest


@pytest.fixture(scope="module")
def done(cohort, tmp_path_factory):
    run = tmp_path_factory.mktemp("done") / "first"
    return compare(
        plan_of("features-logistic", "trivial", "plain-cnn", settings={"plain-cnn": {"channels": 8}}),
        cohort,
        run,
        groups=("sex", "site"),
    )


def test_every_model_answers_the_same_exams_of_patients_it_never_saw(done):
    split = read_split(done.run / "splits.csv")
    answers = list(csv.DictReader((done.run / "predictions.csv").open()))
    assert len(answers) == 3 * 2 * len(split.exams("test"))
    for model in done.plan.models:
        for seed in "12":
            asked = {one["exam_id"] for one in answers if (one["model"], one["seed"]) == (model, seed)}
            assert asked == set(split.exams("test"))
        for folder in (done.run / "cells" / model).glob("seed-?"):
            assert read_split(folder / "splits.csv").content_hash == split.content_hash


def test_finished_trainings_keep_their_weights_and_no_checkpoints(done):
    folders = [path.parent for path in (done.run / "cells/plain-cnn").glob("seed-?/seed-?/model.safetensors")]
    assert len(folders) == 2
    for folder in folders:
        assert {"finished.json", "metrics.csv", "model.safetensors"} <= {
            one.name for one in (folder / "stage-1").iterdir()
        }
        assert not list(folder.rglob("checkpoints"))


def test_the_table_is_what_the_answers_give(done):
    answers = list(csv.DictReader((done.run / "predictions.csv").open()))
    rows = {row["model"]: row for row in csv.DictReader((done.run / "table.csv").open())}
    for model, row in rows.items():
        by_seed = []
        for seed in "12":
            own = [one for one in answers if (one["model"], one["seed"]) == (model, seed)]
            by_seed.append(
                auroc(np.array([int(o["label"]) for o in own]), np.array([float(o["probability"]) for o in own]))
            )
        assert float(row["auroc_mean"]) == pytest.approx(np.mean(by_seed), abs=1e-12)
        assert float(row["auroc_sd"]) == pytest.approx(np.std(by_seed, ddof=1), abs=1e-12)
    assert rows["trivial"]["auroc_mean"] == "0.5"
    assert rows["features-logistic"]["auroc_difference"] == ""
    assert float(rows["plain-cnn"]["parameters"]) > float(rows["features-logistic"]["parameters"]) > 1
    assert all(float(row["seconds"]) > 0 and float(row["peak_memory_mib"]) > 50 for row in rows.values())
    page = (done.run / "report.html").read_text()
    assert all(
        text in page for text in ("Against features-logistic", "Groups by sex", "Equity-scaled", "at most 2 epochs")
    )
    assert r"\toprule" in (done.run / "table.tex").read_text()
    assert (done.run / "forest.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_decided_stands_in_the_plan(done):
    told = json.loads((done.run / "benchmark.json").read_text())
    assert told["budget"] == {"epochs": 2, "size": list(SIZE), "learning_rates": []}
    assert told["recipes"]["plain-cnn"]["channels"] == 8
    assert {recipe["split_seed"] for recipe in told["recipes"].values()} == {100}
    looks = json.loads((done.run / "test-touches.json").read_text())["looks"]
    assert [look["state"] for look in looks] == ["done"]
    assert len(looks[0]["cells"]) == 6
    assert len(looks[0]["exams"]) == done.table.exams


def test_a_second_call_shows_the_same_and_touches_nothing(done, cohort, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("the test part was read again")

    monkeypatch.setattr("octavo.workflows.benchmark.running.measure", forbidden)
    before = {path: path.read_bytes() for path in done.run.glob("*.csv")}
    again = compare(done.plan, cohort, done.run, runner=forbidden)
    assert {path: path.read_bytes() for path in done.run.glob("*.csv")} == before
    assert again.table.row("plain-cnn").measured == done.table.row("plain-cnn").measured


def test_another_budget_after_the_look_is_tuning_on_the_test_part(done, cohort):
    files = {path: path.read_bytes() for path in done.run.glob("*.json")}
    changed = Plan(**{**vars(done.plan), "budget": Budget(epochs=3, size=SIZE)})
    with pytest.raises(
        OctavoError, match=r"test part was measured on .* budget is another now; .* tuning on the test part"
    ):
        compare(changed, cohort, done.run)
    with pytest.raises(OctavoError, match="tuning on the test part"):
        compare(changed, cohort, done.run, again=True)
    settings = Plan(**{**vars(done.plan), "settings": {"plain-cnn": {"channels": 4}}})
    with pytest.raises(OctavoError, match="tuning on the test part"):
        compare(settings, cohort, done.run)
    assert {path: path.read_bytes() for path in done.run.glob("*.json")} == files


def test_a_further_model_needs_a_second_look_which_the_report_tells(done, cohort, tmp_path):
    run = tmp_path / "second"
    shutil.copytree(done.run, run)
    grown = Plan(**{**vars(done.plan), "models": (*done.plan.models, "bscan-cnn")})
    with pytest.raises(OctavoError, match=r"model bscan-cnn is new; wanted no second look; --again measures"):
        compare(grown, cohort, run)
    found = compare(grown, cohort, run, again=True)
    assert any("measured 2 times" in text for text in found.warnings)
    assert "measured 2 times" in (run / "report.html").read_text()
    assert found.table.row("bscan-cnn").measured.seeds == 2


def test_a_benchmark_beside_it_that_measured_the_same_patients_is_named(done, cohort, tmp_path):
    shutil.copytree(done.run, tmp_path / "first")
    other = Plan(**{**vars(done.plan), "models": ("features-logistic", "trivial"), "settings": {}})
    found = compare(other, cohort, tmp_path / "other", prepared=done.run / "prepared")
    assert any("scans were measured by the benchmark first too" in text for text in found.warnings)


def test_a_training_that_was_measured_by_itself_is_named(cohort, tmp_path):
    from octavo.workflows.evaluate import evaluate

    plan = plan_of("features-logistic", "trivial", seeds=(1,))

    def measured_early(orders):
        for order in orders:
            yield run_cell(order)
            evaluate(order.folder, prepared=order.prepared)

    found = compare(plan, cohort, tmp_path / "run", runner=measured_early)
    assert any("2 trainings were measured on the test part by themselves" in text for text in found.warnings)


def test_a_patient_copied_into_the_test_part_is_named(cohort, tmp_path):
    home = tmp_path / "eyes"
    shutil.copytree(cohort.parent, home)
    rows = list(csv.DictReader((home / "manifest.csv").open()))
    patients = sorted({row["patient_id"] for row in rows})
    for row in rows:
        row["split"] = ("train", "train", "validation", "test")[patients.index(row["patient_id"]) % 4]
    trained = next(row for row in rows if row["split"] == "train")
    tested = {**trained, "exam_id": "copied", "split": "test"}
    write_rows(home / "manifest.csv", [*rows, tested])
    plan = plan_of("features-logistic", "trivial")
    with pytest.raises(OctavoError, match=f"patient '{trained['patient_id']}' is in test and train"):
        compare(plan, home / "manifest.csv", tmp_path / "a")
    # under another name, in a file of its own: the voxels tell
    shutil.copy(home / trained["path"], home / "scans" / "copy.nii.gz")
    tested |= {"patient_id": "somebody", "path": "scans/copy.nii.gz"}
    write_rows(home / "manifest.csv", [*rows, tested])
    with pytest.raises(OctavoError, match=r"'copied' hold the same voxels and stand in test and train"):
        compare(plan, home / "manifest.csv", tmp_path / "b")
    assert not list((tmp_path / "b").glob("cells/*"))


def test_a_training_that_fails_is_a_row_with_its_reason(cohort, tmp_path):
    def broken(orders):
        for order in orders:
            if order.cell.model == "plain-cnn" and order.cell.seed == 2:
                order.folder.mkdir(parents=True)
                (order.folder / "notes.txt").write_text("mine")
            yield run_cell(order)

    plan = plan_of("features-logistic", "plain-cnn", "vit3d", budget=Budget(epochs=1, size=(16, 40, 16)))
    found = compare(plan, cohort, tmp_path / "run", runner=broken)
    assert {one.cell.name for one in found.failed} == {"plain-cnn/seed-2", "vit3d/seed-1", "vit3d/seed-2"}
    assert "multiples of" in found.table.row("vit3d").failures[0]
    assert "notes.txt" in found.table.row("plain-cnn").failures[0]
    assert found.table.row("vit3d").measured is None
    assert found.table.row("plain-cnn").measured.seeds == 1
    assert "3 of 6 trainings failed" in " ".join(found.warnings)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "multiples of" in page
    # what failed is not tried behind the reader's back once the test part was seen
    assert [one.cell for one in compare(plan, cohort, tmp_path / "run").failed] == [one.cell for one in found.failed]
    (tmp_path / "run" / "cells" / "plain-cnn" / "seed-2" / "notes.txt").unlink()
    found = compare(plan, cohort, tmp_path / "run", again=True)
    assert {one.cell.model for one in found.failed} == {"vit3d"}


def test_an_interrupted_benchmark_goes_on_where_it_stopped(cohort, tmp_path):
    plan = plan_of("features-logistic", "plain-cnn", settings={"plain-cnn": {"channels": 8}})

    def dies_after_three(orders):
        for number, order in enumerate(orders):
            if number == 1:
                raise KeyboardInterrupt
            yield run_cell(order)

    with pytest.raises(KeyboardInterrupt):
        compare(plan, cohort, tmp_path / "run", runner=dies_after_three)
    assert not (tmp_path / "run" / "test-touches.json").exists()
    ran = []

    def counted(orders):
        for order in orders:
            ran.append(order.cell.name)
            yield run_cell(order)

    whole = compare(plan, cohort, tmp_path / "run", runner=counted)
    assert ran == ["plain-cnn/seed-1", "features-logistic/seed-2", "plain-cnn/seed-2"]
    at_once = compare(plan, cohort, tmp_path / "at-once", prepared=tmp_path / "run" / "prepared")
    for name in plan.models:
        assert whole.table.row(name).measured == at_once.table.row(name).measured


def test_learning_rates_are_chosen_on_validation_and_all_are_written_down(cohort, tmp_path):
    plan = plan_of(
        "features-logistic",
        "plain-cnn",
        budget=Budget(epochs=2, size=SIZE, learning_rates=(1e-6, 2e-3)),
        settings={"plain-cnn": {"channels": 8}},
    )
    found = compare(plan, cohort, tmp_path / "run")
    tried = json.loads((tmp_path / "run" / "tuning.json").read_text())["chosen"]
    assert [(one["model"], one["learning_rate"]) for one in tried] == [
        ("features-logistic", None),
        ("plain-cnn", 1e-6),
        ("plain-cnn", 2e-3),
    ]
    tried = [one for one in tried if one["learning_rate"] is not None]
    (chosen,) = [one for one in tried if one["chosen"]]
    for folder in (tmp_path / "run" / "cells" / "plain-cnn").glob("*/recipe.json"):
        assert json.loads(folder.read_text())["learning_rate"] == float(folder.parent.name.partition("rate-")[2])
    assert chosen["validation_auroc"] == max(one["validation_auroc"] for one in tried)
    assert found.table.row("plain-cnn").learning_rates == (chosen["learning_rate"],)
    assert found.table.row("features-logistic").learning_rates == ()
    answers = list(csv.DictReader((tmp_path / "run" / "predictions.csv").open()))
    exams = {one["exam_id"] for one in answers}
    assert sum(one["model"] == "plain-cnn" for one in answers) == 2 * len(exams)
    assert "each tried the learning rates 1e-06, 0.002" in (tmp_path / "run" / "report.html").read_text()


def test_folds_test_every_exam_once_for_each_seed(cohort, tmp_path):
    found = compare(plan_of("features-logistic", "trivial", folds=3), cohort, tmp_path / "run")
    exams = {row["exam_id"] for row in csv.DictReader(cohort.open())}
    answers = list(csv.DictReader((tmp_path / "run" / "predictions.csv").open()))
    for seed in "12":
        tested = [one["exam_id"] for one in answers if (one["model"], one["seed"]) == ("trivial", seed)]
        assert sorted(tested) == sorted(exams)
    assert found.table.exams == len(exams)
    assert set(found.table.row("trivial").by_division) == {"fold-1", "fold-2", "fold-3"}
    assert "Folds" in (tmp_path / "run" / "report.html").read_text()


def test_transfer_tests_each_site_by_what_was_learnt_from_the_others(cohort, tmp_path):
    found = compare(plan_of("features-logistic", "trivial", transfer="site"), cohort, tmp_path / "run")
    site_of = {row["exam_id"]: row["site"] for row in csv.DictReader(cohort.open())}
    assert set(found.table.row("features-logistic").by_division) == {"site-north", "site-south"}
    for site in ("north", "south"):
        split = read_split(tmp_path / "run" / "splits" / f"site-{site}.csv")
        assert {site_of[exam] for exam in split.exams("test")} == {site}
        assert site not in {site_of[exam] for part in ("train", "validation") for exam in split.exams(part)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 40}, "patients with label .* for 40 folds"),
        ({"transfer": "clinic"}, "'clinic' is not a covariate"),
        ({"folds": 2, "transfer": "site"}, "folds and transfer were both given"),
        ({"reference": "epa"}, "'epa' is not one of the models compared"),
        ({"seeds": (1, 1)}, "seeds are 1 1; wanted one or more different ones"),
        ({"settings": {"plain-cnn": {}}}, "'plain-cnn' is not one of the models compared"),
        ({"settings": {"trivial": {"epoch": 3}}}, "settings of trivial: 'epoch' is not a field"),
        ({"settings": {"trivial": {"batch_size": "3"}}}, "settings of trivial: batch_size is '3'; wanted int"),
        (
            {"settings": {"trivial": {"epochs": 3}}},
            "settings of trivial: epochs is decided by --epochs, the same for all",
        ),
        ({"settings": {"all": {"size": [8, 8, 8]}}}, "settings of all: size is decided by --size"),
        ({"settings": {"all": {"split_seed": 1}}}, "split_seed is decided by --division-seed"),
        (
            {"settings": {"all": {"batch_sise": 8}}},
            "settings of all: 'batch_sise' is not a field of any model; .*'batch_size'",
        ),
        ({"settings": {"trivial": {"architecture": "vit3d"}}}, "architecture is 'vit3d'; wanted 'trivial'"),
        ({"settings": {"all": {"balance_before_split": True}}}, "takes exams out of the test part"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_anything_is_trained(cohort, tmp_path, changes, message):
    with pytest.raises(OctavoError, match=message):
        compare(plan_of("features-logistic", "trivial", **changes), cohort, tmp_path / "run")
    assert not list((tmp_path / "run").glob("cells/*"))


def test_a_covariate_of_one_value_is_said_in_its_place(cohort, tmp_path):
    rows = [{**row, "device": "A"} for row in csv.DictReader(cohort.open())]
    for row in rows:
        row["path"] = str((cohort.parent / row["path"]).absolute())
        if row.get("mask"):
            row["mask"] = str((cohort.parent / row["mask"]).absolute())
    write_rows(tmp_path / "manifest.csv", rows)
    plan = plan_of("features-logistic", "trivial", seeds=(1,))
    with pytest.raises(OctavoError, match="'gender' is not a covariate"):
        compare(plan, tmp_path / "manifest.csv", tmp_path / "run", groups=("gender",))
    found = compare(plan, tmp_path / "manifest.csv", tmp_path / "run", groups=("device",))
    assert "one value ('A')" in found.table.row("trivial").by_group["device"]
    assert "one value" in (tmp_path / "run" / "report.html").read_text()


def test_the_missing_weights_of_a_backbone_are_the_reason_of_its_row(cohort, tmp_path):
    plan = plan_of("features-logistic", "dino-atten3d", seeds=(1,), settings={"dino-atten3d": {"weights": "nowhere"}})
    with pytest.raises(OctavoError, match="nowhere"):
        compare(plan, cohort, tmp_path / "run")


def test_a_full_disk_is_the_reason_of_a_row_and_finished_cells_stay(cohort, tmp_path, monkeypatch):
    plan = plan_of("features-logistic", "trivial", seeds=(1,))
    real = cells._train

    def full(order):
        if order.cell.model == "trivial":
            raise OSError(28, "No space left on device")
        return real(order)

    monkeypatch.setattr(cells, "_train", full)
    found = compare(plan, cohort, tmp_path / "run")
    assert "No space left on device; wanted a folder with room" in found.table.row("trivial").failures[0]
    assert found.table.row("features-logistic").measured.seeds == 1


def _killed(order):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_costs_its_own_row_only(cohort, tmp_path):
    def one_is_killed(orders):
        orders = list(orders)
        for order in orders:
            if order.cell.model != "trivial":
                yield run_cell(order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cells, "_run_as_child", _killed)
            yield from run_here([order for order in orders if order.cell.model == "trivial"], jobs=1)

    plan = plan_of("features-logistic", "trivial", seeds=(1,))
    found = compare(plan, cohort, tmp_path / "run", runner=one_is_killed)
    assert "ended by signal 9" in found.table.row("trivial").failures[0]


@pytest.mark.slow
def test_the_command_compares_in_processes_of_their_own(cohort, tmp_path, capsys):
    words = ["benchmark", str(cohort), "--run", str(tmp_path / "run"), "--models", "features-logistic"]
    words += ["trivial", "--seeds", "1", "--epochs", "1", "--size", *map(str, SIZE), "--jobs", "2"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "minus features-logistic" in told
    assert "research software, not a medical device" in told
    outcome = json.loads((tmp_path / "run" / "cells" / "trivial" / "seed-100.json").read_text())
    assert outcome["status"] == "finished"
    assert Path(tmp_path / "run" / "cells" / "trivial" / "seed-100.log").exists()
    assert main([*words, "--epochs", "2"]) == 2
    assert "tuning on the test part" in capsys.readouterr().err
