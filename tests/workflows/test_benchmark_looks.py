"""One look at the test part: what was measured stays what it was, and whatever changes afterwards is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import psutil
import pytest

from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.formats import read_volume, write_volume
from octavo.workflows.benchmark import Budget, cells, running
from octavo.workflows.benchmark.cells import run_cell
from octavo.workflows.phantom import write_phantoms
from workflows import small_benchmark
from workflows.small_benchmark import SIZE, compare, rows_of, write_rows

plan_of = partial(small_benchmark.plan_of, epochs=1)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A cohort divided by its own column, and a benchmark of it."""
    home = tmp_path_factory.mktemp("looks")
    manifest = write_phantoms(home / "eyes", patients=20, seed=5, difficulty="easy", shape=SIZE).manifest
    rows = rows_of(manifest)
    patients = sorted({row["patient_id"] for row in rows})
    positive = {row["patient_id"] for row in rows if row["label"] == "1"}
    for row in rows:
        group = [patient for patient in patients if (patient in positive) == (row["patient_id"] in positive)]
        row["split"] = ("train", "test", "validation")[group.index(row["patient_id"]) % 3]
        row["sex"] = "FM"[patients.index(row["patient_id"]) % 2]
    write_rows(manifest, rows)
    found = compare(PLAN, manifest, home / "run")
    return found, home


PLAN = plan_of("features-logistic", "trivial")


@pytest.fixture
def copied(first, tmp_path):
    """The cohort and the benchmark in folders of their own, to be changed."""
    _, home = first
    shutil.copytree(home / "eyes", tmp_path / "eyes")
    shutil.copytree(home / "run", tmp_path / "run")
    return tmp_path / "eyes" / "manifest.csv", tmp_path / "run"


def test_labels_that_were_changed_after_the_look_are_refused(copied):
    manifest, run = copied
    rows = rows_of(manifest)
    write_rows(manifest, [{**row, "label": str(1 - int(row["label"]))} for row in rows])
    with pytest.raises(OctavoError, match=r"was measured on .* its exams, labels or patients: another now"):
        compare(PLAN, manifest, run)
    write_rows(manifest, rows[:-1])
    with pytest.raises(OctavoError, match="begun with another division of the patients"):
        compare(PLAN, manifest, run)


def test_an_unfinished_benchmark_does_not_go_on_with_other_labels(first, tmp_path):
    _, home = first
    shutil.copytree(home / "eyes", tmp_path / "eyes")
    manifest = tmp_path / "eyes" / "manifest.csv"

    def one_only(orders):
        yield run_cell(orders[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(PLAN, manifest, tmp_path / "run", runner=one_only)
    rows = rows_of(manifest)
    write_rows(manifest, [{**row, "label": str(1 - int(row["label"]))} for row in rows])
    with pytest.raises(OctavoError, match=r"was begun otherwise .its exams, labels or patients"):
        compare(PLAN, manifest, tmp_path / "run")
    write_rows(manifest, rows)
    assert not compare(PLAN, manifest, tmp_path / "run").failed


def test_models_and_seeds_are_not_left_out_after_the_look(copied):
    manifest, run = copied
    with pytest.raises(OctavoError, match=r"seed 2 is left out now; .* tuning on the test part"):
        compare(plan_of("features-logistic", "trivial", seeds=(1,)), manifest, run)
    with pytest.raises(OctavoError, match=r"model trivial is left out now|reference is another now"):
        compare(plan_of("features-logistic", "bscan-cnn"), manifest, run, again=True)


def test_a_recipe_stays_what_it_was_while_its_model_is_left_out(first, tmp_path):
    _, home = first
    manifest = home / "eyes" / "manifest.csv"

    def first_only(orders):
        yield run_cell(orders[0])
        raise KeyboardInterrupt

    three = plan_of("features-logistic", "trivial", "bscan-cnn", settings={"features-logistic": {"l2": 0.5}})
    with pytest.raises(KeyboardInterrupt):
        compare(three, manifest, tmp_path / "run", runner=first_only)
    with pytest.raises(OctavoError, match=r"was begun otherwise .settings is another now"):
        compare(plan_of("features-logistic", "trivial", "bscan-cnn"), manifest, tmp_path / "run")


@pytest.mark.parametrize("damage", ["an exam", "the tail", "a digit"])
def test_answers_that_were_changed_are_refused(copied, damage):
    manifest, run = copied
    path = run / "predictions.csv"
    lines = path.read_text().splitlines(keepends=True)
    changed = {
        "an exam": [line for line in lines if lines[1].split(",")[3] not in line],
        "the tail": lines[:-3],
        "a digit": [*lines[:-1], lines[-1].replace("0.", "0.1", 1)],
    }[damage]
    path.write_text("".join(changed))
    with pytest.raises(OctavoError, match=r"is not what was measured on .*; wanted it untouched"):
        compare(PLAN, manifest, run)
    path.unlink()
    with pytest.raises(OctavoError, match=r"predictions\.csv: is missing; wanted what was measured"):
        compare(PLAN, manifest, run)


def test_a_record_of_looks_that_was_removed_is_missed(copied):
    manifest, run = copied
    (run / "test-touches.json").unlink()
    with pytest.raises(OctavoError, match=r"test-touches\.json: is missing, and predictions\.csv tells"):
        compare(PLAN, manifest, run)
    found = compare(PLAN, manifest, run, again=True)
    assert any("measured 2 times (unknown, " in text for text in found.warnings)


def test_a_call_that_ended_while_it_measured_is_finished_as_one_look(first, tmp_path, monkeypatch):
    _, home = first
    manifest = home / "eyes" / "manifest.csv"

    def ended(*arguments):
        running_measure(*arguments)
        raise KeyboardInterrupt

    running_measure = running.measure
    monkeypatch.setattr(running, "measure", ended)
    with pytest.raises(KeyboardInterrupt):
        compare(PLAN, manifest, tmp_path / "run")
    monkeypatch.setattr(running, "measure", running_measure)
    # the answers lie there, so a further model would be a second look
    with pytest.raises(OctavoError, match="model bscan-cnn is new; wanted no second look"):
        compare(plan_of("features-logistic", "trivial", "bscan-cnn"), manifest, tmp_path / "run")
    found = compare(PLAN, manifest, tmp_path / "run")
    looks = json.loads((tmp_path / "run" / "test-touches.json").read_text())["looks"]
    assert [look["state"] for look in looks] == ["done"]
    assert not any("measured 2 times" in text for text in found.warnings)


def test_a_second_look_that_was_broken_off_is_not_forgotten(copied):
    manifest, run = copied
    grown = plan_of("features-logistic", "trivial", "bscan-cnn")

    def interrupted(orders):
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        compare(grown, manifest, run, again=True, runner=interrupted)
    with pytest.raises(OctavoError, match="model bscan-cnn is new; wanted no second look"):
        compare(grown, manifest, run)
    found = compare(grown, manifest, run, again=True)
    assert found.table.row("bscan-cnn").measured.seeds == 2
    assert any("measured 2 times" in text for text in found.warnings)


def test_groups_that_were_shown_before_are_told(copied):
    manifest, run = copied
    assert not any("groups" in text for text in compare(PLAN, manifest, run, groups=("sex",)).warnings)
    found = compare(PLAN, manifest, run, groups=("severity",))
    assert "groups were shown before by sex, which are not shown now" in found.warnings


def test_an_outcome_that_was_removed_is_a_row_that_says_so(copied):
    manifest, run = copied
    (run / "cells" / "trivial" / "seed-2.json").unlink()
    found = compare(PLAN, manifest, run)
    assert found.table.row("trivial").cells == 2
    assert "not there any more" in found.table.row("trivial").failures[0]


def test_a_learning_rate_that_failed_is_told(first, tmp_path, monkeypatch):
    _, home = first
    real = cells._train

    def fails_at_one_rate(order):
        if order.cell.learning_rate == 1e-2:
            raise OctavoError("the loss is not finite")
        return real(order)

    monkeypatch.setattr(cells, "_train", fails_at_one_rate)
    plan = plan_of("features-logistic", "bscan-cnn", budget=Budget(epochs=1, size=SIZE, learning_rates=(1e-4, 1e-2)))
    found = compare(plan, home / "eyes" / "manifest.csv", tmp_path / "run")
    assert found.table.row("bscan-cnn").learning_rates == (1e-4,)
    assert found.table.row("bscan-cnn").failures == ("bscan-cnn/seed-1-rate-0.01: the loss is not finite",)
    assert "1 of 5 trainings failed; the table says which" in found.warnings
    assert {row["learning_rate"] for row in rows_of(tmp_path / "run" / "cells.csv")} == {"", "0.0001", "0.01"}


def test_a_fold_that_failed_for_all_is_not_left_out_of_the_count(first, tmp_path, monkeypatch):
    _, home = first
    manifest = tmp_path / "manifest.csv"
    rows = [
        {name: row[name] for name in ("exam_id", "patient_id", "path", "laterality", "label")}
        for row in rows_of(home / "eyes" / "manifest.csv")
    ]
    for row in rows:
        row["path"] = str((home / "eyes" / row["path"]).absolute())
    write_rows(manifest, rows)
    real = cells._train

    def second_fold_fails(order):
        if order.cell.division == "fold-2":
            raise OctavoError("no room")
        return real(order)

    monkeypatch.setattr(cells, "_train", second_fold_fails)
    found = compare(plan_of("features-logistic", "trivial", folds=3), manifest, tmp_path / "run")
    assert found.table.exams == len(rows)
    assert all(row.measured is None for row in found.table.rows)
    assert len(found.failed) == 4


def test_a_plan_that_was_refused_before_anything_was_trained_may_be_corrected(first, tmp_path):
    _, home = first
    manifest = tmp_path / "manifest.csv"
    rows = [
        {name: row[name] for name in ("exam_id", "patient_id", "path", "laterality", "label")}
        for row in rows_of(home / "eyes" / "manifest.csv")
    ]
    for row in rows:
        row["path"] = str((home / "eyes" / row["path"]).absolute())
    write_rows(manifest, rows)
    with pytest.raises(OctavoError, match="for 40 folds"):
        compare(plan_of("features-logistic", "trivial", folds=40), manifest, tmp_path / "run")
    assert compare(plan_of("features-logistic", "trivial", folds=2), manifest, tmp_path / "run").table.exams == len(
        rows
    )


def test_what_a_killed_attempt_took_is_unknown_and_not_nothing(first, tmp_path):
    _, home = first

    def killed_then_again(orders):
        for order in orders:
            cells._note(order, cells.Outcome(order.cell, cells.RUNNING, "", None, None, 1, 0, None))
            yield run_cell(order)

    found = compare(PLAN, home / "eyes" / "manifest.csv", tmp_path / "run", runner=killed_then_again)
    assert found.table.row("trivial").cost.seconds is None
    assert found.table.row("trivial").cost.peak_memory_mib is None
    assert found.table.row("trivial").cost.epochs == 1


@pytest.mark.slow
def test_trainings_end_with_the_process_that_started_them(first, tmp_path):
    _, home = first
    words = ["benchmark", "--cohort", str(home / "eyes" / "manifest.csv"), "--run", str(tmp_path / "run")]
    words += ["--models", "bscan-cnn", "plain-cnn", "--seeds", "1", "--size", "16", "32", "16", "--track", "none"]
    program = f"from octavo.cli import main; main({words!r})"
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            logs = list((tmp_path / "run").glob("cells/*/*.log"))
            if logs and "epoch 1" in logs[0].read_text():
                break
            time.sleep(0.1)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert any(child.is_running() for child in children)
        os.kill(parent.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
    finally:
        parent.kill()
        parent.wait()


def archive_of(first, name, patients):
    """Scans of new patients, without labels."""
    written = write_phantoms(first[1] / name, patients=patients, seed=91, difficulty="easy", shape=SIZE)
    rows = [{**row, "label": "", "exam_id": f"N-{row['exam_id']}"} for row in rows_of(written.manifest)]
    write_rows(written.manifest, [{**row, "patient_id": f"N-{row['patient_id']}"} for row in rows])
    return written.manifest, len(rows)


def test_scans_without_labels_go_to_what_pretrains_and_the_report_says_so(first, tmp_path):
    archive, exams = archive_of(first, "archive", 3)
    small = {"all": {"channels": 8, "consistency": "off"}}
    plan = small_benchmark.plan_of("plain-cnn", "hemiretinal-contrast", settings=small, seeds=(1,), epochs=2)
    done = compare(plan, first[1] / "eyes/manifest.csv", tmp_path / "run", unlabelled=str(archive))
    assert not done.failed
    told = {path.parent.parent.name: read_json(path) for path in (tmp_path / "run/cells").glob("*/*/cohort.json")}
    assert told["hemiretinal-contrast"]["unlabelled_exams"] == exams
    assert told["plain-cnn"]["unlabelled"] is None
    said = f"hemiretinal-contrast: given {exams} exams of a second manifest to learn from without labels"
    assert any(one.startswith(said) for one in done.warnings)
    assert said in (tmp_path / "run/report.html").read_text(encoding="utf-8")
    fewer, _ = archive_of(first, "fewer", 2)
    for other in (None, str(fewer)):
        with pytest.raises(OctavoError, match="its scans without labels: another now"):
            compare(plan, first[1] / "eyes/manifest.csv", tmp_path / "run", unlabelled=other)
    scan = archive.parent / rows_of(archive)[0]["path"]
    eye = read_volume(scan)
    write_volume(replace(eye, values=eye.values[:, :, ::-1].copy()), scan, overwrite=True)
    with pytest.raises(OctavoError, match="its scans without labels: another now"):
        compare(plan, first[1] / "eyes/manifest.csv", tmp_path / "run", unlabelled=str(archive))


def test_a_scan_without_label_that_cannot_be_used_is_known_before_anything_is_trained(first, tmp_path):
    archive, _ = archive_of(first, "torn", 3)
    (archive.parent / rows_of(archive)[0]["path"]).write_bytes(b"no scan")
    plan = small_benchmark.plan_of("plain-cnn", "hemiretinal-contrast", seeds=(1,), epochs=2)
    with pytest.raises(OctavoError, match="scans cannot be used; the first is exam 'N-"):
        compare(plan, first[1] / "eyes/manifest.csv", tmp_path / "run", unlabelled=str(archive))
    assert not (tmp_path / "run/cells").exists()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PLAN, "none of features-logistic, trivial learns from scans without labels"),
        (
            small_benchmark.plan_of("trivial", "hemiretinal-contrast", transfer="site", epochs=2),
            "--unlabelled and --transfer site were both given",
        ),
    ],
)
def test_scans_without_labels_that_nothing_may_learn_from_are_refused(first, tmp_path, plan, message):
    archive, _ = archive_of(first, "archive", 3)
    with pytest.raises(OctavoError, match=message):
        compare(plan, first[1] / "eyes/manifest.csv", tmp_path / "run", unlabelled=str(archive))
    assert not (tmp_path / "run").exists()
