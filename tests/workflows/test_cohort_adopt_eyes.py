"""A scan that is said to be of both eyes stops adoption, whoever says so; checking a manifest reports it as a fault."""

from pathlib import Path

import numpy as np
import pytest

from cohorts import trees
from formats.written_scans import eye, heyex_xml, opt_dataset, vol_bytes, write_dicom, write_pictures
from octavo.cli import main
from octavo.cohorts.adapters import AdoptionOptions
from octavo.cohorts.check import check_cohort
from octavo.cohorts.exam import LateralityConflictError, read_exam
from octavo.cohorts.manifest import read_manifest
from octavo.workflows.cohort_adopt import adopt_cohort


def vol(path: Path, eye_code: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(vol_bytes(eye(dtype="float32") / 255, eye_code=eye_code))
    return path


def folders(root: Path, name: str, header: bytes) -> Path:
    vol(root / "glaucoma" / name, header)
    vol(root / "Non-Glaucomas" / "P2_OS.vol", b"OS\0\0")
    return root


@pytest.mark.parametrize(
    ("name", "header"), [("P1_OS.vol", b"OD\0\0"), ("P1_OD.vol", b"OS\0\0"), ("OS/P1.vol", b"OD\0\0")]
)
def test_a_name_and_a_header_that_differ_stop_adoption(tmp_path, name, header):
    root = folders(tmp_path / "root", name, header)
    out = tmp_path / "cohort.csv"
    with pytest.raises(LateralityConflictError) as caught:
        adopt_cohort("ai-cnet3d-folders", root, out)
    message = str(caught.value)
    said, other = ("OS", "OD") if "OS" in name else ("OD", "OS")
    assert message.startswith("1 of 2 scans are said to be of both eyes")
    assert f"glaucoma/{name}" in message
    assert f" says {said}" in message
    assert f"the header says {other}" in message
    assert not out.exists()


def test_names_and_headers_that_agree_or_are_silent_are_adopted(tmp_path):
    root = folders(tmp_path / "root", "P1_OD.vol", b"OD\0\0")
    vol(root / "glaucoma" / "OD_OS.vol", b"OS\0\0")
    vol(root / "glaucoma" / "GOOD.vol", b"OS\0\0")
    vol(root / "glaucoma" / "P3_OS.vol", b"\0\0\0\0")
    (root / "glaucoma" / "broken_OD.vol").write_bytes(b"HSF-OCT-103" + bytes(100))
    assert adopt_cohort("ai-cnet3d-folders", root, tmp_path / "cohort.csv").exams == 6


def test_two_names_that_differ_stop_adoption_without_any_header(tmp_path):
    root = tmp_path / "root"
    for name in ("glaucoma/OD/P1_OS.npy", "Non-Glaucomas/P2_OD.npy"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / name, eye())
    with pytest.raises(LateralityConflictError, match=r"the name OD says OD and the name P1_OS.npy says OS"):
        adopt_cohort("ai-cnet3d-folders", root, tmp_path / "cohort.csv")


def test_the_word_of_a_spreadsheet_is_compared_too(tmp_path):
    vol(tmp_path / "a.vol", b"OS\0\0")
    (tmp_path / "list.csv").write_text("path,patient_id,laterality,label\na.vol,1,OD,1\n")
    with pytest.raises(LateralityConflictError, match=r"a\.vol: the layout says OD and the header says OS"):
        adopt_cohort("csv", tmp_path, tmp_path / "out.csv", options=AdoptionOptions())


def test_dicom_and_picture_folders_are_asked(tmp_path):
    root = tmp_path / "root"
    (root / "A").mkdir(parents=True)
    write_dicom(root / "A" / "P1_OS.dcm", opt_dataset(eye(), laterality="R"))
    pictures = write_pictures(root / "B" / "P2_OD", eye())
    (pictures / "export.xml").write_text(heyex_xml(eye().shape, laterality="L"))
    with pytest.raises(LateralityConflictError) as caught:
        adopt_cohort("class-folders", root, tmp_path / "out.csv")
    assert "A/P1_OS.dcm: the name P1_OS.dcm says OS and the header says OD" in str(caught.value)


def test_the_command_leaves_with_2_and_writes_nothing(tmp_path, capsys):
    root = folders(tmp_path / "root", "P1_OS.vol", b"OD\0\0")
    out = tmp_path / "cohort.csv"
    assert main(["cohort", "adopt", "ai-cnet3d-folders", str(root), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "says OS and the header says OD" in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "faults"), [("P1_OS.vol", ["laterality-conflict"]), ("P1_OD.vol", []), ("P1.vol", [])]
)
def test_checking_reports_a_name_and_a_header_that_differ(tmp_path, name, faults):
    vol(tmp_path / name, b"OD\0\0")
    manifest = tmp_path / "cohort.csv"
    manifest.write_text(f"exam_id,patient_id,path,laterality,label\na,1,{name},,1\n")
    check = check_cohort(read_manifest(manifest, require_labels=False), allow=("one-class-empty",))
    found = [finding for finding in check.faults if finding.kind != "one-class-empty"]
    assert [finding.kind for finding in found] == faults
    if faults:
        assert found[0].message == "P1_OS.vol: its header says OD and its name says OS"


@pytest.mark.parametrize(("headers", "wrong"), [(("L", "R", "L"), 0), (("R", "R", "L"), 1), (("R", "L", "R"), 3)])
def test_ai_readi_headers_are_compared_with_its_list(tmp_path, headers, wrong):
    root = trees.ai_readi(tmp_path / "root")
    # the order of the list
    scans = sorted((root / "retinal_oct" / "structural_oct").rglob("*.dcm"), key=lambda path: path.stem[-1])
    for path, header in zip(scans, headers, strict=True):
        write_dicom(path, opt_dataset(eye(), laterality=header))
    if not wrong:
        assert adopt_cohort("ai-readi", root, tmp_path / "out.csv").exams == 3
        exams = read_manifest(tmp_path / "out.csv", positive="healthy").exams
        assert [exam.laterality.value for exam in exams] == ["OS", "OD", "OS"]
        assert all(read_exam(exam).laterality is exam.laterality for exam in exams)
        return
    with pytest.raises(LateralityConflictError, match=f"^{wrong} of 3 scans are said to be of both eyes"):
        adopt_cohort("ai-readi", root, tmp_path / "out.csv")


def test_the_arrays_of_duke_are_read_as_the_manifest_says(tmp_path):
    adopt_cohort("duke-amd", trees.duke_amd(tmp_path / "root"), tmp_path / "out.csv")
    for exam in read_manifest(tmp_path / "out.csv").exams:
        # written as depth, A-scans, B-scans
        assert read_exam(exam).shape == (3, 5, 7)
