from pathlib import Path

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.manifest import read_manifest
from octavo.errors import OctavoError
from octavo.volume import Laterality, Region, ScanPattern
from octavo.workflows.cohort_adopt import adopt_cohort

NAMES = ("POAG-001978-2012-02-08-OS", "POAG-001978-2012-02-08-OD", "Normal-000123-2010-10-20-OD")


@pytest.fixture
def onh(tmp_path) -> Path:
    root = tmp_path / "onh"
    root.mkdir()
    for k, name in enumerate(NAMES):
        np.save(root / f"{name}.npy", np.full((64, 128, 64), k, np.uint8))
    return root


def test_an_adopted_manifest_is_read(onh, tmp_path):
    adopted = adopt_cohort("zenodo-onh", onh, tmp_path / "cohort.csv")
    assert (adopted.exams, adopted.patients, adopted.positive) == (3, 2, 2)
    assert not adopted.has_failures
    cohort = read_manifest(tmp_path / "cohort.csv")
    exam = next(exam for exam in cohort.exams if exam.exam_id == NAMES[0])
    assert exam.path == onh / f"{NAMES[0]}.npy"
    assert (exam.patient_id, exam.laterality, exam.label) == ("001978", Laterality.OS, 1)
    assert exam.spacing_mm == (6 / 64, 2 / 128, 6 / 64)
    assert (exam.region, exam.pattern, exam.slow_axis) == (Region.DISC, ScanPattern.RASTER, None)
    assert exam.covariates == {"exam_date": "2012-02-08"}


def test_scans_below_the_manifest_can_be_moved_with_it(onh, tmp_path):
    adopt_cohort("zenodo-onh", onh, tmp_path / "cohort.csv")
    assert f",onh/{NAMES[0]}.npy," in (tmp_path / "cohort.csv").read_text()
    away = tmp_path / "away" / "cohort.csv"
    adopt_cohort("zenodo-onh", onh, away)
    assert all(exam.path.is_file() for exam in read_manifest(away).exams)


def test_a_relative_root_leads_to_the_same_manifest(onh, tmp_path, monkeypatch):
    adopt_cohort("zenodo-onh", onh, tmp_path / "cohort.csv")
    monkeypatch.chdir(onh)
    adopt_cohort("zenodo-onh", Path(), Path("../relative.csv"))
    assert (tmp_path / "relative.csv").read_text() == (tmp_path / "cohort.csv").read_text()


def test_a_layout_without_patients_trains_only_when_declared(tmp_path):
    for folder in ("glaucoma", "Non-Glaucomas"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / f"{folder}1.npy", np.arange(24).reshape(2, 3, 4))
    adopted = adopt_cohort("ai-cnet3d-folders", tmp_path, tmp_path / "cohort.csv")
    assert "patients unknown" in adopted.describe()
    with pytest.raises(OctavoError, match="--each-row-its-own-patient"):
        read_manifest(tmp_path / "cohort.csv")
    assert len(read_manifest(tmp_path / "cohort.csv", each_row_its_own_patient=True).patients) == 2


def test_what_was_left_out_is_said_scans_first(onh, tmp_path):
    (onh / "README.md").write_text("x")
    for k in range(30):
        (onh / f"scan{k}.npy").write_bytes(b"")
    adopted = adopt_cohort("zenodo-onh", onh, tmp_path / "cohort.csv")
    assert adopted.has_failures
    lines = adopted.describe().splitlines()
    start = lines.index("left out: 31")
    assert lines[start + 1].startswith("  scan0.npy: wanted LABEL-PATIENT")
    assert lines[-1] == "  and 11 more"


def test_the_command_adopts_and_refuses(onh, tmp_path, capsys):
    out = tmp_path / "cohort.csv"
    words = ["cohort", "adopt", "zenodo-onh", str(onh), "--out", str(out)]
    assert main(words) == 0
    assert "3 exams (2 with label 1, 1 with label 0), 2 patients" in capsys.readouterr().out
    before = out.read_bytes()
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == before
    (onh / "README.md").write_text("x")
    assert main([*words, "--overwrite"]) == 0
    (onh / "POAG-1-OS.npy").write_bytes(b"")
    assert main([*words, "--overwrite"]) == 1
    assert "POAG-1-OS.npy" in capsys.readouterr().out


def test_an_unknown_layout_is_told_the_known_ones(onh, tmp_path, capsys):
    assert main(["cohort", "adopt", "zenodo_onh", str(onh), "--out", str(tmp_path / "c.csv")]) == 2
    error = capsys.readouterr().err
    assert "oimhs, paired, zenodo-onh; did you mean 'zenodo-onh'?" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "c.csv").exists()


def test_files_that_no_reader_knows_are_said(tmp_path):
    root = tmp_path / "root"
    for name in ("AMD/a.npy", "NORMAL/b.npy"):
        (root / name).parent.mkdir(parents=True)
        np.save(root / name, np.arange(24).reshape(2, 3, 4))
    (root / "c.foreign").write_bytes(b"nothing that is known")
    (root / "list.csv").write_text("path,patient_id,laterality,label\nAMD/a.npy,1,OD,1\nc.foreign,2,OD,0\n")
    adopted = adopt_cohort("csv", root, tmp_path / "out.csv")
    assert (
        "1 of 2 scans are .foreign files, which octavo does not read: convert them before they are used"
        in adopted.notes
    )
