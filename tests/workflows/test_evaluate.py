import csv
import json
import shutil

import numpy as np
import pytest
from sklearn import metrics

from octavo.cli import main
from octavo.cohorts.dataset import PreparedExams, evaluation_batches
from octavo.cohorts.reference import PHANTOMS
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.files import write_json
from octavo.formats import read_volume, write_volume
from octavo.metrics.fairness import evaluate_by_group
from octavo.training.inference import logit_margins
from octavo.workflows.evaluate import OVER_SEEDS, evaluate
from octavo.workflows.groups import named_groups
from octavo.workflows.report import report

WANTED = (
    *("auroc", "accuracy", "sensitivity", "specificity", "f1", "auprc", "brier", "calibration_error"),
    "sensitivity_at_95_specificity",
    "auroc_of_hard_predictions",
)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def evaluated(study, tmp_path_factory):
    return evaluate(study.copy(tmp_path_factory.mktemp("evaluated") / "run"))


def test_only_patients_never_seen_are_measured(study, evaluated):
    split = read_split(study.run / "splits.csv")
    assert sorted(one.exam.exam_id for one in evaluated.predictions) == sorted(split.exams("test"))
    assert evaluated.evaluation["exams"] == len(split.exams("test"))
    assert evaluated.evaluation["patients"] == len(split.patients("test"))


def test_the_evaluation_is_flat_with_an_interval_or_a_reason_for_every_measure(evaluated):
    found = read(evaluated.run / "evaluation.json")
    assert all(value is None or isinstance(value, int | float | str) for value in found.values())
    for name in WANTED:
        assert name in found
        if found[name] is None:
            assert found[f"{name}_undefined"]
        else:
            assert f"{name}_ci_low" in found
            assert found[f"{name}_ci_low"] <= found[name] <= found[f"{name}_ci_high"]
    assert "auroc_delong_ci_low" in found
    for part in ("train", "validation", "test"):
        exams, positives = found[f"{part}_exams"], found[f"{part}_positives"]
        assert found[f"{part}_prevalence"] == pytest.approx(positives / exams)
    assert found["test_exams"] == found["exams"]
    assert found == dict(evaluated.evaluation)


def test_measures_are_those_of_the_predictions(evaluated):
    found = evaluated.evaluation
    labels = np.array([one.exam.label for one in evaluated.predictions])
    p = np.array([one.probability for one in evaluated.predictions])
    predicted = np.array([one.predicted for one in evaluated.predictions])
    threshold = np.mean([model.threshold for model in evaluated.models])
    assert found["threshold"] == pytest.approx(threshold)
    np.testing.assert_array_equal(predicted, p >= threshold)
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(labels, p))
    assert found["auprc"] == pytest.approx(metrics.average_precision_score(labels, p))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(labels, p))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["accuracy_at_half"] == pytest.approx(metrics.accuracy_score(labels, p >= 0.5))
    assert found["auroc_of_hard_predictions"] == pytest.approx(metrics.roc_auc_score(labels, predicted))
    assert found["prevalence"] == pytest.approx(labels.mean())


def test_seeds_are_averaged_and_their_spread_is_told(evaluated):
    found = evaluated.evaluation
    assert found["seeds"] == 2
    for one in evaluated.predictions:
        assert len(one.by_seed) == 2
        assert one.by_seed[0] != one.by_seed[1]
        assert one.probability == pytest.approx(np.mean(one.by_seed))
    for name in OVER_SEEDS:
        values = [evaluated.by_seed[seed][name] for seed in ("seed-100", "seed-200")]
        if None not in values:
            assert found[f"{name}_mean"] == pytest.approx(np.mean(values))
            assert found[f"{name}_sd"] == pytest.approx(np.std(values, ddof=1))


def test_every_seed_gets_its_own_evaluation_and_predictions(evaluated):
    for number, seed in enumerate(("seed-100", "seed-200")):
        found = read(evaluated.run / seed / "evaluation.json")
        assert found == dict(evaluated.by_seed[seed])
        rows = list(csv.DictReader((evaluated.run / seed / "predictions.csv").open(encoding="utf-8")))
        assert {row["model"] for row in rows} == {f"run/{seed}"}
        for row, one in zip(rows, evaluated.predictions, strict=True):
            assert float(row["probability"]) == pytest.approx(one.by_seed[number], abs=1e-6)
    rows = list(csv.DictReader((evaluated.run / "predictions.csv").open(encoding="utf-8")))
    assert {row["model"] for row in rows} == {"run (mean of 2 seeds)"}


def test_what_the_temperature_changed_is_told(evaluated):
    labels = np.array([one.exam.label for one in evaluated.predictions])
    raw = []
    for model in evaluated.models:
        margins = logit_margins(model.network, evaluation_batches(PreparedExams(evaluated.exams), 4))
        raw.append(1 / (1 + np.exp(-margins)))
    before = metrics.brier_score_loss(labels, np.mean(raw, axis=0))
    assert evaluated.evaluation["brier_before_temperature"] == pytest.approx(before, abs=1e-9)
    temperatures = [model.temperature for model in evaluated.models]
    assert evaluated.evaluation["temperature"] == pytest.approx(np.mean(temperatures))


def test_evaluating_again_changes_nothing(evaluated, study):
    before = study.files(evaluated.run)
    evaluate(evaluated.run)
    assert study.files(evaluated.run) == before


def test_one_seed_alone(study, tmp_path):
    run = study.copy(tmp_path / "run")
    evaluated = evaluate(run, seed=200)
    assert [model.name for model in evaluated.models] == ["run/seed-200"]
    assert evaluated.evaluation["seeds"] == 1
    assert evaluated.evaluation["auroc_sd"] is None
    assert not (run / "seed-100" / "evaluation.json").exists()
    with pytest.raises(OctavoError, match="holds no finished seed 7"):
        evaluate(run, seed=7)


def test_prepared_scans_may_be_deleted(study, evaluated, tmp_path):
    run = study.copy(tmp_path / "run")
    shutil.rmtree(run / "prepared")
    again = evaluate(run, prepared=tmp_path / "elsewhere")
    assert again.evaluation == evaluated.evaluation
    assert list((tmp_path / "elsewhere").iterdir())
    assert not (run / "prepared").exists()


@pytest.fixture
def own(study, tmp_path):
    """A run on a manifest that may be changed."""
    split = read_split(study.run / "splits.csv")
    part_of = {row.exam_id: row.split for row in split.placements}
    rows = list(csv.DictReader(study.manifest.open(encoding="utf-8")))
    for row in rows:
        row["path"] = str(study.manifest.parent / row["path"])
        row["split"] = part_of[row["exam_id"]]
        del row["mask"]

    def write(rows):
        with (tmp_path / "own.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / "own.csv"

    return rows, write, tmp_path / "own-run"


def test_a_manifest_that_says_something_else_afterwards_is_refused(study, own):
    rows, write, run = own
    study.train(run, manifest=write(rows), epochs=1, consistency="off")
    before = study.files(run)
    other_label = [{**rows[0], "label": "0" if rows[0]["label"] == "1" else "1"}, *rows[1:]]
    other_patient = [{**rows[0], "patient_id": "p99999"}, *rows[1:]]
    other_eye = [{**rows[0], "laterality": ""}, *rows[1:]]
    for changed in (other_label, other_patient, other_eye, rows[1:], [*rows, {**rows[0], "exam_id": "new"}]):
        write(changed)
        with pytest.raises(OctavoError, match=r"says something else than when .* was trained"):
            evaluate(run)
        assert study.files(run) == before
    write(rows[::-1])
    assert evaluate(run).evaluation["exams"] == 5


def test_a_manifest_that_is_gone_is_refused(study, own):
    rows, write, run = own
    study.train(run, manifest=write(rows), epochs=1, consistency="off")
    write(rows).unlink()
    with pytest.raises(OctavoError, match=r"own\.csv: cannot be read"):
        evaluate(run)


def test_without_a_test_part_there_is_nothing_to_measure(study, own):
    rows, write, run = own
    rows = [{**row, "split": "train" if row["split"] == "test" else row["split"]} for row in rows]
    study.train(run, manifest=write(rows), epochs=1, consistency="off")
    with pytest.raises(OctavoError, match="its test part is empty; wanted patients never seen"):
        evaluate(run)
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize("label", ["0", "1"])
def test_a_test_part_of_one_class_says_what_is_undefined_and_why(study, own, label):
    rows, write, run = own
    rows = [
        {**row, "split": "train" if row["split"] == "test" and row["label"] != label else row["split"]} for row in rows
    ]
    study.train(run, manifest=write(rows), epochs=1, consistency="off")
    evaluated = evaluate(run)
    found = evaluated.evaluation
    assert found["auroc"] is None
    assert found["auroc_undefined"]
    undefined = "sensitivity" if label == "0" else "specificity"
    assert found[undefined] is None
    assert found[f"{undefined}_undefined"]
    assert found["brier"] is not None
    page = report(evaluated).read_text(encoding="utf-8")
    assert "Not drawn" in page


def test_a_model_without_its_run_cannot_be_evaluated(study, tmp_path):
    with pytest.raises(OctavoError, match=r"cohort\.json"):
        evaluate(study.shared_model(tmp_path / "model"))


def test_the_command_prints_the_measures_that_matter_and_where_the_report_is(study, evaluated, tmp_path, capsys):
    run = study.copy(tmp_path / "run")
    assert main(["evaluate", str(run)]) == 0
    told = capsys.readouterr().out
    found = evaluated.evaluation
    assert told.startswith(f"{found['exams']} exams of {found['patients']} patients, {found['positives']} positive\n")
    interval = f"95 % {found['accuracy_ci_low']:.3f} to {found['accuracy_ci_high']:.3f}"
    spread = f"seeds {found['accuracy_mean']:.3f} +- {found['accuracy_sd']:.3f}"
    assert f"{found['accuracy']:.3f} ({interval}; {spread})" in told
    assert f"not a medical device; see {run / 'report.html'}" in told
    assert (run / "report.html").exists()


def test_a_scan_that_was_replaced_since_training_is_noticed(study, tmp_path):
    cohort = tmp_path / "cohort"
    shutil.copytree(study.manifest.parent, cohort)
    run = study.copy(tmp_path / "run")
    stored = json.loads((run / "cohort.json").read_text(encoding="utf-8"))
    write_json(run / "cohort.json", {**stored, "manifest": str(cohort / "manifest.csv")})
    assert evaluate(run).evaluation["auroc"] is not None
    scan = next((cohort / "scans").iterdir())
    volume = read_volume(scan)
    write_volume(volume.with_values(volume.values[:, ::-1]), scan, overwrite=True)
    with pytest.raises(
        OctavoError, match=r"its scans hold other voxels than when .* was trained; wanted the same scans"
    ):
        evaluate(run)


def test_a_split_that_was_exchanged_after_training_is_refused(study, tmp_path):
    run = study.copy(tmp_path / "run")
    text = (run / "splits.csv").read_text(encoding="utf-8")
    swapped = text.replace(",train", ",TEST").replace(",test", ",train").replace(",TEST", ",test")
    (run / "splits.csv").write_text(swapped, encoding="utf-8")
    with pytest.raises(OctavoError, match=r"splits\.csv: is not the split that run/seed-100 was trained with"):
        evaluate(run)


def test_an_evaluation_of_phantoms_says_so(evaluated):
    assert read(evaluated.run / "evaluation.json")["caution"] == PHANTOMS


def test_groups_are_told_apart_by_columns_of_the_manifest(study, tmp_path):
    run = study.copy(tmp_path / "run")
    rows = {row["exam_id"]: row for row in csv.DictReader(study.manifest.open())}
    found = evaluate(run, groups=("severity", "source"))
    labels = np.array([one.exam.label for one in found.predictions])
    given = np.array([one.probability for one in found.predictions])
    patients = [one.exam.patient_id for one in found.predictions]
    values = [rows[one.exam.exam_id]["severity"] for one in found.predictions]
    assert found.by_group["severity"] == evaluate_by_group(labels, given, patients, named_groups(values, patients))
    assert "one value ('phantom')" in found.by_group["source"]
    told = read(run / "groups.json")
    assert told["source"] == {"undefined": found.by_group["source"]}
    assert [one["group"] for one in told["severity"]["groups"]] == [
        one.group for one in found.by_group["severity"].groups
    ]
    page = report(found).read_text(encoding="utf-8")
    assert "Groups by severity" in page
    assert "Nothing to compare: the covariate has one value" in page
    before = study.files(run)
    with pytest.raises(OctavoError, match="'sex' is not a covariate; wanted one of: severity, source"):
        evaluate(run, groups=("sex",))
    assert study.files(run) == before
