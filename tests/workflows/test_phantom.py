import json

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts import read_manifest
from octavo.cohorts.exam import read_exam, read_mask
from octavo.errors import OctavoError
from octavo.phantom import plan_cohort
from octavo.workflows.phantom import write_phantoms

SHAPE = (12, 32, 16)


def write(out, **change):
    return write_phantoms(out, **{"patients": 4, "seed": 5, "shape": SHAPE, **change})


def times(out):
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_what_is_written_is_read_back_as_it_was_made(tmp_path):
    written = write(tmp_path / "eyes")
    cohort = read_manifest(written.manifest)
    planned = plan_cohort(4, seed=5, shape=SHAPE)
    assert written.exams == tuple(planned)
    assert written.made == len(planned) == len(cohort.exams)
    for exam, plan in zip(cohort.exams, planned, strict=True):
        eye = plan.make()
        volume = read_exam(exam)
        assert (exam.exam_id, exam.patient_id, exam.label) == (plan.exam_id, plan.patient_id, plan.label)
        assert np.array_equal(volume.values, eye.volume.values)
        assert volume.values.dtype == np.uint8
        for name in (
            "spacing_mm",
            "laterality",
            "laterality_origin",
            "slow_axis",
            "slow_axis_origin",
            "region",
            "pattern",
        ):
            assert getattr(volume, name) == getattr(eye.volume, name), name
        assert volume.source.device == "octavo phantom"
        assert np.array_equal(read_mask(exam, volume.shape), eye.thinned)
        assert float(exam.covariates["severity"]) == pytest.approx(plan.severity, abs=5e-4)
        assert exam.covariates["source"] == "phantom"


def test_the_manifest_has_the_columns_it_promises(tmp_path):
    lines = write(tmp_path / "eyes").manifest.read_text().splitlines()
    assert set(lines[0].split(",")) == {
        "exam_id", "patient_id", "path", "laterality", "label", "severity", "mask", "source"
    }  # fmt: skip
    assert {"0", "1"} == {dict(zip(lines[0].split(","), line.split(","), strict=True))["label"] for line in lines[1:]}


def test_the_same_call_again_changes_nothing(tmp_path):
    out = tmp_path / "eyes"
    write(out)
    before = times(out)
    again = write(out)
    assert again.made == 0
    assert times(out) == before


def test_an_interrupted_call_is_finished_by_the_same_call(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write(whole)
    exams = write(cut).exams
    (cut / "manifest.csv").unlink()
    (cut / "scans" / f"{exams[0].exam_id}.npz").unlink()
    (cut / "truth" / f"{exams[-1].exam_id}.mask.npz").unlink()
    (cut / "scans" / "p00009-OD.npz.tmp-77").write_bytes(b"half")
    assert write(cut).made == 2
    assert {p.relative_to(cut) for p in times(cut)} == {p.relative_to(whole) for p in times(whole)}
    for path in (whole / "scans").iterdir():
        with np.load(path) as ours, np.load(cut / "scans" / path.name) as theirs:
            assert np.array_equal(ours["values"], theirs["values"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 6}, r"made with seed 5 \(now 6\); wanted the same again; choose another folder"),
        ({"difficulty": "hard"}, r"difficulty standard \(now hard\)"),
        ({"patients": 5}, r"patients 4 \(now 5\)"),
        ({"shape": (16, 32, 16)}, r"shape \[12, 32, 16\] \(now \[16, 32, 16\]\)"),
    ],
)
def test_a_folder_of_other_phantoms_is_left_alone(tmp_path, change, said):
    write(tmp_path)
    before = times(tmp_path)
    with pytest.raises(OctavoError, match=said):
        write(tmp_path, **change)
    assert times(tmp_path) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OctavoError, match="holds other files; wanted a new or an empty folder"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(OctavoError, match=r"thesis\.txt: is a file; wanted a folder"):
        write(tmp_path / "thesis.txt")


def test_nothing_is_written_for_a_cohort_that_cannot_be(tmp_path):
    with pytest.raises(OctavoError, match="'medium' is not a difficulty"):
        write(tmp_path / "eyes", difficulty="medium")
    assert not (tmp_path / "eyes").exists()


def test_the_command_writes_and_draws_and_says_what(tmp_path, capsys):
    words = ["phantom", str(tmp_path / "eyes"), "--patients", "3", "--shape", "12", "32", "16", "--seed", "5"]
    assert main([*words, "--difficulty", "hard", "--preview"]) == 0
    text = capsys.readouterr().out
    exams = plan_cohort(3, seed=5, shape=SHAPE, difficulty="hard")
    positive = [exam for exam in exams if exam.label]
    assert f"{len(exams)} exams of 3 patients, {len(positive)} exams of" in text
    assert "hard, 12 x 32 x 16" in text
    recipe = json.loads((tmp_path / "eyes" / "phantom.json").read_text())
    assert (recipe["patients"], recipe["seed"], recipe["shape"]) == (3, 5, [12, 32, 16])
    pictures = sorted((tmp_path / "eyes" / "preview").iterdir())
    assert {picture.stem for picture in pictures} <= {exam.exam_id for exam in exams}
    assert {exam.label for exam in exams if (tmp_path / "eyes" / "preview" / f"{exam.exam_id}.png") in pictures} == {
        0,
        1,
    }
    from PIL import Image

    for picture in pictures:
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert min(pixels.shape) > 200
        assert pixels.std() > 10


def test_the_command_refuses_with_one_line_and_two(tmp_path, capsys):
    assert main(["phantom", str(tmp_path / "eyes"), "--prevalence", "2"]) == 2
    assert capsys.readouterr().err == "octavo: prevalence is 2.0; wanted a share between 0 and 1\n"
    assert not (tmp_path / "eyes").exists()
