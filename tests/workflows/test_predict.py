import csv
import dataclasses

import numpy as np
import pytest
import torch

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.dataset import PreparedExams
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.reference import OUTSIDE, PHANTOMS
from octavo.errors import OctavoError
from octavo.formats import read_volume, write_volume
from octavo.phantom import make_eye
from octavo.volume import Laterality, Region, ScanPattern, Spacing
from octavo.workflows.models import load_models
from octavo.workflows.predict import COLUMNS, predict, predict_prepared, write_predictions

HEADER = "exam_id,patient_id,path,laterality,label,probability,predicted,threshold,model,warnings"


@pytest.fixture(scope="module")
def exams(study):
    return list(CohortChoice(str(study.manifest)).read().exams)


@pytest.fixture(scope="module")
def answered(study, exams, tmp_path_factory):
    predictions, failed = predict(study.run, exams, tmp_path_factory.mktemp("prepared"))
    assert failed == []
    return {one.exam.exam_id: one for one in predictions}


def rows_of(path):
    assert path.read_text(encoding="utf-8").splitlines()[0] == HEADER
    return list(csv.DictReader(path.open(encoding="utf-8")))


def scan(study, number=0):
    return sorted((study.manifest.parent / "scans").iterdir())[number]


def test_a_probability_is_the_mean_of_the_seeds_calibrated_answers(study, exams, answered, tmp_path):
    models = load_models(study.run)
    for exam in exams[:3]:
        prepared = Preparer(tmp_path, models[0].preparation).prepare(exam)
        grey = torch.from_numpy(prepared.values().astype(np.float32) / 255)[None, None]
        each = []
        for model in models:
            with torch.no_grad():
                logits = model.network(grey).logits[0].double()
            each.append(float(torch.softmax(logits / model.temperature, dim=0)[1]))
        assert answered[exam.exam_id].by_seed == pytest.approx(each, abs=1e-6)
        assert answered[exam.exam_id].probability == pytest.approx(np.mean(each), abs=1e-6)
        assert answered[exam.exam_id].threshold == pytest.approx(np.mean([model.threshold for model in models]))
        assert answered[exam.exam_id].predicted == int(np.mean(each) >= answered[exam.exam_id].threshold)


def test_an_answer_depends_on_no_other_exam_and_on_no_order(study, exams, answered, tmp_path):
    others = [[exam] for exam in exams[:4]] + [exams[::-1], exams[3:9], exams[5:6] + exams[:5]]
    for company in others:
        predictions, _ = predict(study.run, company, tmp_path)
        assert [one.exam.exam_id for one in predictions] == [exam.exam_id for exam in company]
        for one in predictions:
            assert abs(one.probability - answered[one.exam.exam_id].probability) <= 1e-6


def test_labels_are_not_looked_at(study, exams, answered, tmp_path):
    turned = [dataclasses.replace(exam, label=1 - exam.label, patient_id="x") for exam in exams]
    for one in predict(study.run, turned, tmp_path)[0]:
        assert one.probability == pytest.approx(answered[one.exam.exam_id].probability, abs=1e-9)


def test_predicting_leaves_the_models_as_they_were(study, exams, tmp_path):
    models = load_models(study.run)
    before = [{name: value.clone() for name, value in m.network.state_dict().items()} for m in models]
    ready, _ = Preparer(tmp_path, models[0].preparation).prepare_all(exams[:5])
    first = predict_prepared(models, ready)
    assert predict_prepared(models, ready) == first
    for model, weights in zip(models, before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    assert predict_prepared(models, []) == []
    assert PreparedExams(ready)[0]["volume"].max() <= 1


def test_every_answer_of_a_model_of_phantoms_says_so(answered):
    assert all(PHANTOMS in one.warnings for one in answered.values())
    assert not any(text.startswith(OUTSIDE) for one in answered.values() for text in one.warnings)


def test_one_seed_alone(study, exams, answered, tmp_path):
    predictions, _ = predict(study.run, exams[:3], tmp_path, seed=200)
    for one in predictions:
        assert one.model == "run/seed-200"
        assert one.probability == pytest.approx(answered[one.exam.exam_id].by_seed[1], abs=1e-6)


def test_the_table_has_these_columns_and_a_row_for_every_exam(study, exams, answered, tmp_path):
    assert ",".join(COLUMNS) == HEADER
    write_predictions(tmp_path / "p.csv", [answered[exam.exam_id] for exam in exams])
    rows = rows_of(tmp_path / "p.csv")
    assert len(rows) == len(exams)
    for row, exam in zip(rows, exams, strict=True):
        one = answered[exam.exam_id]
        assert (row["exam_id"], row["patient_id"], row["path"]) == (exam.exam_id, exam.patient_id, str(exam.path))
        assert (row["laterality"], row["label"]) == (exam.laterality.value, str(exam.label))
        assert row["probability"] == f"{one.probability:.6f}"
        assert row["predicted"] == str(int(one.probability >= one.threshold))
        assert row["threshold"] == f"{one.threshold:.6f}"
        assert row["model"] == "run (mean of 2 seeds)"
        assert row["warnings"] == PHANTOMS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: dataclasses.replace(v, region=Region.UNKNOWN), "region unknown, learnt from macula-and-disc"),
        (lambda v: v.with_values(v.values, Spacing()), "millimetres along bscan unknown"),
        (lambda v: v.with_values(v.values, Spacing(0.1, 0.02, 0.75)), "1.6 mm along bscan, learnt from 9 mm"),
        (lambda v: v.with_values(np.repeat(v.values, 2, axis=0)), "32 samples along bscan, learnt from 16"),
        (lambda v: dataclasses.replace(v, pattern=ScanPattern.UNKNOWN), "pattern unknown, learnt from raster"),
        (lambda v: v.with_values((v.values // 128 * 255).astype(np.uint8)), "grey value"),
    ],
)
def test_a_scan_unlike_those_learnt_from_is_answered_and_marked(study, tmp_path, change, says):
    volume = change(read_volume(scan(study)))
    write_volume(volume, tmp_path / "other.npz")
    (one,), failed = predict(study.run, [Exam("other", "", tmp_path / "other.npz")], tmp_path / "prepared")
    assert failed == []
    assert 0 < one.probability < 1
    marked = [text for text in one.warnings if text.startswith(OUTSIDE)]
    assert len(marked) == 1
    assert says in marked[0]


def test_an_eye_that_is_not_known_is_said(study, tmp_path):
    volume = dataclasses.replace(read_volume(scan(study)), laterality=Laterality.UNKNOWN)
    write_volume(volume, tmp_path / "other.npz")
    (one,), _ = predict(study.run, [Exam("other", "", tmp_path / "other.npz")], tmp_path / "prepared")
    assert one.laterality == "unknown"
    assert any(text.startswith("eye unknown") for text in one.warnings)


def test_both_eyes_of_a_mirrored_person_get_one_answer(study, tmp_path):
    volume = read_volume(scan(study))
    other = Laterality.OS if volume.laterality is Laterality.OD else Laterality.OD
    mirrored = dataclasses.replace(volume, values=volume.values[:, :, ::-1].copy(), laterality=other)
    turned = {"superior-to-inferior": "inferior-to-superior", "inferior-to-superior": "superior-to-inferior"}
    upside = dataclasses.replace(
        volume, values=volume.values[::-1].copy(), slow_axis=type(volume.slow_axis)(turned[volume.slow_axis])
    )
    exams = []
    for name, one in (("plain", volume), ("mirrored", mirrored), ("upside", upside)):
        write_volume(one, tmp_path / f"{name}.npz")
        exams.append(Exam(name, "", tmp_path / f"{name}.npz"))
    predictions, _ = predict(study.run, exams, tmp_path / "prepared")
    np.testing.assert_allclose([one.probability for one in predictions], predictions[0].probability, atol=1e-5)


def test_a_shared_model_answers_and_says_that_it_is_not_calibrated(study, tmp_path):
    folder = study.shared_model(tmp_path / "glaucoma-v1")
    exam = Exam("one", "", scan(study))
    (one,), _ = predict(folder, [exam], tmp_path / "prepared")
    assert (one.model, one.threshold) == ("glaucoma-v1", 0.5)
    assert any(text.startswith("not calibrated") for text in one.warnings)
    assert any("no scan can be told to lie outside it" in text for text in one.warnings)
    (model,) = load_models(study.run, seed=100)
    prepared = Preparer(tmp_path / "prepared", model.preparation).prepare(exam)
    with torch.no_grad():
        grey = torch.from_numpy(prepared.values().astype(np.float32) / 255)[None, None]
        raw = float(torch.softmax(model.network(grey).logits[0], dim=0)[1])
    assert one.probability == pytest.approx(raw, abs=1e-6)


def test_an_exam_that_cannot_be_used_keeps_its_row_without_an_answer(study, exams, tmp_path):
    gone = Exam("gone", "p", tmp_path / "gone.npy", laterality=Laterality.OS)
    predictions, failed = predict(study.run, [exams[0], gone, exams[1]], tmp_path / "prepared")
    assert [exam.exam_id for exam, _ in failed] == ["gone"]
    middle = predictions[1]
    assert (middle.probability, middle.predicted, middle.by_seed) == (None, None, ())
    assert middle.row()["probability"] == middle.row()["predicted"] == ""
    assert "no such file" in middle.row()["warnings"]
    assert predictions[0].probability is not None
    assert predictions[2].probability is not None


def test_one_bad_scan_among_several_is_reported_at_the_end(study, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(4):
        (folder / f"e{number}.npz").write_bytes(scan(study, number).read_bytes())
    (folder / "e1.npz").write_bytes(scan(study, 1).read_bytes()[:200])
    assert main(["predict", str(study.run), str(folder), "--out", str(tmp_path / "p.csv")]) == 1
    told = capsys.readouterr()
    assert f"{tmp_path / 'p.csv'}: 3 exams answered by run (mean of 2 seeds)" in told.out
    assert PHANTOMS in told.out
    assert "not a medical device" in told.out
    errors = told.err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"octavo: e1: {folder / 'e1.npz'}: ")
    rows = rows_of(tmp_path / "p.csv")
    assert [row["exam_id"] for row in rows] == ["e0", "e1", "e2", "e3"]
    assert [bool(row["probability"]) for row in rows] == [True, False, True, True]
    assert all(PHANTOMS in row["warnings"] for row in rows if row["probability"])
    assert "not predicted" in rows[1]["warnings"]


def test_a_folder_without_scans_among_several_is_reported_too(study, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = ["predict", str(study.run), str(tmp_path / "empty"), str(scan(study)), "--out", str(tmp_path / "p.csv")]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "1 exams answered" in told.out
    assert told.err.startswith("octavo: empty: ")
    answered, empty = rows_of(tmp_path / "p.csv")
    assert answered["probability"]
    assert (empty["exam_id"], empty["path"]) == ("empty", str(tmp_path / "empty"))
    assert (empty["probability"], empty["predicted"], empty["laterality"]) == ("", "", "unknown")
    assert "not predicted: " in empty["warnings"]
    assert "folder holds no scan" in empty["warnings"]
    assert (empty["threshold"], empty["model"]) == (answered["threshold"], answered["model"])


def test_where_no_scan_can_be_used_nothing_is_written(study, tmp_path, capsys):
    (tmp_path / "a.npy").write_bytes(b"")
    words = ["predict", str(study.run), str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    assert main([*words, "--out", str(tmp_path / "p.csv")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 2
    assert not (tmp_path / "p.csv").exists()


def test_a_manifest_is_answered_row_by_row(study, answered, tmp_path, capsys):
    assert main(["predict", str(study.run), str(study.manifest), "--out", str(tmp_path / "p.csv")]) == 0
    rows = rows_of(tmp_path / "p.csv")
    assert capsys.readouterr().err == ""
    assert len(rows) == len(answered)
    for row in rows:
        assert float(row["probability"]) == pytest.approx(answered[row["exam_id"]].probability, abs=2e-6)
        assert row["label"] in {"0", "1"}


def test_older_answers_are_kept_unless_told_otherwise(study, tmp_path, capsys):
    out = tmp_path / "p.csv"
    out.write_text("precious", encoding="utf-8")
    words = ["predict", str(study.run), str(scan(study)), "--out", str(out)]
    assert main(words) == 2
    assert "is there already; choose another --out, or pass --overwrite" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "precious"
    assert main([*words, "--overwrite"]) == 0
    assert len(rows_of(out)) == 1


def test_what_the_user_says_of_a_scan_is_used(study, tmp_path):
    eye = make_eye(5, Laterality.OS, shape=(16, 32, 16)).volume
    np.save(tmp_path / "bare.npy", eye.values.transpose(1, 0, 2))
    said = ["--axes", "depth,bscan,ascan", "--laterality", "OS", "--slow-axis", "superior-to-inferior"]
    said += ["--region", "macula-and-disc", "--pattern", "raster", "--spacing-mm", *map(str, eye.spacing_mm.known_mm())]
    assert main(["predict", str(study.run), str(tmp_path / "bare.npy"), "--out", str(tmp_path / "p.csv"), *said]) == 0
    write_volume(eye, tmp_path / "told.npz")
    (told,), _ = predict(study.run, [Exam("told", "", tmp_path / "told.npz")], tmp_path / "prepared")
    (row,) = rows_of(tmp_path / "p.csv")
    assert float(row["probability"]) == pytest.approx(told.probability, abs=1e-6)
    assert (row["laterality"], row["warnings"]) == ("OS", PHANTOMS)


def test_nothing_named_and_no_run_are_refused(study, tmp_path):
    with pytest.raises(OctavoError, match="holds no model"):
        predict(tmp_path, [Exam("one", "", scan(study))], tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_the_eye_a_user_names_wins_over_the_file(study, tmp_path, capsys):
    eye = next(path for path in sorted((study.manifest.parent / "scans").iterdir()) if "-OD" in path.name)
    for name, words in (("read", []), ("said", ["--laterality", "OS"])):
        assert main(["predict", str(study.run), str(eye), "--out", str(tmp_path / f"{name}.csv"), *words]) == 0
    capsys.readouterr()
    (read,), (said,) = rows_of(tmp_path / "read.csv"), rows_of(tmp_path / "said.csv")
    assert (read["laterality"], said["laterality"]) == ("OD", "OS")
    assert "laterality OS (user) is used; the file says OD (read)" in said["warnings"]
    assert read["probability"] != said["probability"]
    out = tmp_path / "looked"
    assert main(["explain", str(study.run), str(eye), "--laterality", "OS", "--by", "care", "--out", str(out)]) == 0
    assert "laterality OS (user) is used" in (out / "explanations.csv").read_text(encoding="utf-8")


def test_masks_beside_scans_are_not_predicted(study, tmp_path, capsys):
    scans = len(list((study.manifest.parent / "scans").iterdir()))
    assert main(["predict", str(study.run), str(study.manifest.parent), "--out", str(tmp_path / "p.csv")]) == 0
    assert f"{scans} exams answered" in capsys.readouterr().out
