"""Real scans, answered and explained by a model of phantoms: what it says means nothing, and it says so."""

import csv
from pathlib import Path

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.reference import OUTSIDE, PHANTOMS
from octavo.workflows.explain import explain_exam, write_explanations
from octavo.workflows.models import load_models

DATA = Path(__file__).parents[3] / "shared" / "data"
RASTERS = (
    "oct_spectralis_drusen_bonn/OCT-Volume-Scan",
    "oct_macular_hole/mh.tif",
    "heidelberg_vol/derived_raster_19x256x512.vol",
    "dicom_opt/spectralis_19frames_from_bonn.dcm",
)
OTHERS = {"heidelberg_vol/peripapillary_circle_OD.vol": "circle", "heidelberg_vol/macula_line_OD.vol": "line"}

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the sample scans are not there: {DATA}"),
]


def test_rasters_are_answered_and_doubted_and_circles_and_lines_refused(study, tmp_path, capsys):
    scans = [str(DATA / name) for name in (*RASTERS, *OTHERS)]
    assert main(["predict", str(study.run), *scans, "--out", str(tmp_path / "p.csv")]) == 1
    rows = list(csv.DictReader((tmp_path / "p.csv").open(encoding="utf-8")))
    assert [row["path"] for row in rows] == scans
    for row in rows[:4]:
        assert 0 < float(row["probability"]) < 1
        assert OUTSIDE in row["warnings"]
        assert PHANTOMS in row["warnings"]
        assert "eye unknown" in row["warnings"] or row["laterality"] != "unknown"
    refusals = capsys.readouterr().err.splitlines()
    assert len(refusals) == 2
    for row, line, pattern in zip(rows[4:], refusals, OTHERS.values(), strict=True):
        assert row["probability"] == ""
        assert f"this is a {pattern} scan; wanted a raster of parallel B-scans" in line
        assert f"this is a {pattern} scan" in row["warnings"]


@pytest.mark.parametrize("name", RASTERS[1:3])
def test_maps_of_real_scans_lie_on_their_own_grid(study, tmp_path, name):
    model = load_models(study.run, seed=100)[0]
    by = ("care",) if name.endswith(".tif") else ("care", "grad-cam")
    explanation = explain_exam(model, Exam("real", "", DATA / name), by)
    shape = read_exam(explanation.exam).shape
    for heat in explanation.heats.values():
        assert heat.shape == shape
        assert np.isfinite(heat).all()
    assert explanation.cautions
    if name.endswith(".tif"):
        write_explanations(tmp_path, [explanation], model)
        assert {path.name for path in (tmp_path / "001-real").iterdir()} >= {"care.npz", "care.gif", "numbers.json"}
        assert PHANTOMS in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_model_learns_from_real_volumes_the_same_way(tmp_path, capsys):
    """Twelve scans of a needle's tip, nothing of an eye about them: is the tip deeper than half of the others?"""
    scans = sorted((DATA / "oct3d_pose").glob("*.npz"))
    depths = [float(np.load(scan)["pos"][2]) for scan in scans]
    rows = [
        f"n{k},n{k},{scan},,{int(z > np.median(depths))}" for k, (scan, z) in enumerate(zip(scans, depths, strict=True))
    ]
    manifest, run = tmp_path / "needles.csv", tmp_path / "run"
    manifest.write_text("\n".join(["exam_id,patient_id,path,laterality,label", *rows]) + "\n", encoding="utf-8")
    words = ["train", "ai-cnet3d", "--cohort", manifest, "--run", run, "--axes", "depth,ascan,bscan", "--key", "data"]
    words += ["--size", "16", "24", "16", "--channels", "8", "--epochs", "1", "--consistency-epochs", "1"]
    words += ["--split-fractions", "0.5", "0.25", "0.25", "--accelerator", "cpu", "--track", "none"]
    assert main([str(word) for word in words]) == 0
    assert main(["evaluate", str(run)]) == 0
    told = capsys.readouterr().out
    assert "3 exams of 3 patients" in told
    assert PHANTOMS not in (run / "report.html").read_text(encoding="utf-8")
    exam = Exam("needle", "", scans[0], axes="depth,ascan,bscan", key="data")
    explanation = explain_exam(load_models(run)[0], exam)
    assert explanation.heats["grad-cam"].shape == (64, 512, 64)
    # like those learnt from, and still not an eye whose side is known
    assert explanation.cautions == ()
    assert any(text.startswith("eye unknown") for text in explanation.warnings)
