from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from octavo.cohorts.exam import read_exam
from octavo.cohorts.scans import exams_of
from octavo.errors import OctavoError
from octavo.formats import Said, VolumeReadError, write_volume
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis, Spacing, Volume

SAID = Said(
    axes="depth,bscan,ascan",
    key="data",
    spacing_mm=(0.2, 0.004, 0.01),
    laterality=Laterality.OS,
    slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
    region=Region.MACULA,
    pattern=ScanPattern.RASTER,
)


@pytest.fixture
def folder(tmp_path):
    for name in ("a/eye.npy", "a/eye.npz", "b/eye.npy", "b/deep/eye10.npy", "b/deep/eye9.npy", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "one.npy", np.arange(24.0).reshape(2, 4, 3))
        (tmp_path / name).write_bytes((tmp_path / "one.npy").read_bytes() if name.endswith("npy") else b"x")
    (tmp_path / "one.npy").unlink()
    return tmp_path


def manifest(path, *rows, header="exam_id,patient_id,path,laterality"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_files_are_named_after_themselves(folder):
    names = [str(folder / "a/eye.npy"), "eye.vol.OCT.nii.gz", "SCAN.NII.GZ", "x.tar.gz", "noending", "many.dcm#2"]
    exams, refused = exams_of(names, Said())
    assert [exam.exam_id for exam in exams] == ["eye", "eye.vol.OCT", "SCAN", "x.tar", "noending", "many"]
    assert [str(exam.path) for exam in exams] == names
    assert refused == []
    assert {(exam.patient_id, exam.label, exam.laterality) for exam in exams} == {("", None, Laterality.UNKNOWN)}


def test_a_folder_is_searched_and_names_are_made_unique(folder):
    exams, refused = exams_of([str(folder), str(folder / "a" / "eye.npy")], Said())
    found = {exam.exam_id: exam.path.relative_to(folder).as_posix() for exam in exams}
    assert found == {
        "eye": "a/eye.npy",
        "eye-2": "a/eye.npz",
        "eye9": "b/deep/eye9.npy",
        "eye10": "b/deep/eye10.npy",
        "eye-3": "b/eye.npy",
        "eye-4": "a/eye.npy",
    }
    assert len(exams) == 6
    assert refused == []


def test_a_made_up_name_does_not_take_one_that_is_there():
    exams, _ = exams_of(["x/eye.npy", "x/eye-2.npy", "y/eye.npy", "y/eye-2.npy"], Said())
    names = [exam.exam_id for exam in exams]
    assert names[:2] == ["eye", "eye-2"]
    assert len(set(names)) == 4


def test_an_empty_folder_is_reported_and_the_others_go_on(folder):
    (folder / "empty").mkdir()
    exams, refused = exams_of([str(folder / "empty"), str(folder / "b/eye.npy")], Said())
    assert [exam.exam_id for exam in exams] == ["eye"]
    ((exam, reason),) = refused
    assert exam.exam_id == "empty"
    assert "folder holds no scan" in reason


def test_nothing_named_is_refused():
    with pytest.raises(OctavoError, match="no scan was named"):
        exams_of([], Said())


def test_what_the_user_says_goes_with_every_scan(folder):
    exams, _ = exams_of([str(folder / "a")], SAID)
    for exam in exams:
        assert {name: getattr(exam, name) for name in SAID} == dict(SAID)
    (numbered,), _ = exams_of([str(folder / "a/eye.npy")], Said(scan=3))
    assert numbered.path == Path(f"{folder}/a/eye.npy#3")


def test_a_manifest_needs_neither_labels_nor_patients(folder):
    path = manifest(folder / "m.csv", "e1,a/eye.npy,R", "e2,b/eye.npy,", header="exam_id,path,laterality")
    exams, _ = exams_of([path], Said())
    assert [(exam.exam_id, exam.patient_id, exam.label) for exam in exams] == [("e1", "", None), ("e2", "", None)]
    assert [exam.laterality for exam in exams] == [Laterality.OD, Laterality.UNKNOWN]
    assert exams[0].path == folder / "a/eye.npy"


def test_both_eyes_of_a_patient_may_stand_in_a_manifest(folder):
    path = manifest(
        folder / "m.csv",
        "e1,p1,a/eye.npy,R,1",
        "e2,p1,b/eye.npy,L,0",
        header="exam_id,patient_id,path,laterality,label",
    )
    exams, _ = exams_of([path], Said())
    assert [(exam.patient_id, exam.label) for exam in exams] == [("p1", 1), ("p1", 0)]


def test_labels_that_are_names_need_the_positive_one(folder):
    header = "exam_id,patient_id,path,laterality,label"
    path = manifest(folder / "m.csv", "e1,p1,a/eye.npy,R,POAG", "e2,p2,b/eye.npy,L,Normal", header=header)
    exams, _ = exams_of([path], Said(), positive="POAG")
    assert [exam.label for exam in exams] == [1, 0]
    with pytest.raises(OctavoError, match="wanted 0 or 1; pass --positive NAME"):
        exams_of([path], Said())


def test_what_the_user_says_fills_what_the_rows_leave_open(folder):
    path = manifest(
        folder / "m.csv",
        "e1,p1,a/eye.npy,,,",
        "e2,p2,b/eye.npy,R,disc,circle",
        header="exam_id,patient_id,path,laterality,region,pattern",
    )
    (bare, told), _ = exams_of([path], SAID)
    assert {name: getattr(bare, name) for name in SAID} == dict(SAID)
    assert (told.laterality, told.region, told.pattern) == (Laterality.OD, Region.DISC, ScanPattern.CIRCLE)
    assert (told.spacing_mm, told.slow_axis, told.key) == (SAID["spacing_mm"], SAID["slow_axis"], "data")


def test_a_manifest_may_name_some_patients_and_others_not(folder):
    path = manifest(folder / "m.csv", "e1,p1,a/eye.npy,R,train", "e2,,b/eye.npy,L,test", "e3,p1,a/eye.npy,L,test",
                    header="exam_id,patient_id,path,laterality,split")  # fmt: skip
    exams, _ = exams_of([path], Said())
    assert [exam.patient_id for exam in exams] == ["p1", "", "p1"]


@pytest.mark.parametrize(("positive", "label"), [("POAG", 1), ("Normal", 0)])
def test_labels_may_all_be_of_one_name(folder, positive, label):
    header = "exam_id,patient_id,path,laterality,label"
    path = manifest(folder / "m.csv", "e1,p1,a/eye.npy,R,POAG", "e2,p2,b/eye.npy,L,POAG", "e3,,c.npy,,", header=header)
    exams, _ = exams_of([path], Said(), positive=positive)
    assert [exam.label for exam in exams] == [label, label, None]
    three = manifest(folder / "n.csv", "a,,a,,POAG", "b,,b,,Normal", "c,,c,,unsure", header=header)
    with pytest.raises(OctavoError, match="3 names"):
        exams_of([three], Said(), positive=positive)


def test_a_number_is_not_said_twice(folder):
    named = f"{folder}/a/eye.npz#2"
    for scan in (None, 2):
        (exam,), refused = exams_of([named], Said(scan=scan))
        assert (str(exam.path), exam.exam_id, refused) == (named, "eye", [])
    exams, ((_, reason),) = exams_of([named], Said(scan=1))
    assert exams == []
    assert "names scan 2 and scan 1 was given" in reason


def test_what_is_said_of_a_folder_refuses_no_file_that_states_its_own(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    write_volume(Volume(values, Spacing(0.2, 0.004, 0.01)), tmp_path / "own.npz")
    np.save(tmp_path / "plain.npy", values.transpose(1, 0, 2))
    said = Said(axes="depth,bscan,ascan")
    exams, _ = exams_of([str(tmp_path)], said)
    assert len(exams) == 2
    for exam in exams:
        np.testing.assert_array_equal(read_exam(exam).values, values)
    (alone,), _ = exams_of([str(tmp_path / "own.npz")], said)
    with pytest.raises(VolumeReadError, match="states its own axes"):
        read_exam(alone)


def test_two_scans_of_one_name_would_get_one_answer_and_are_refused(folder):
    first = manifest(folder / "m.csv", "e1,p1,a/eye.npy,R")
    second = manifest(folder / "n.csv", "e1,p1,b/eye.npy,L")
    for paths in ([first, second], ["e1.npy", second]):
        with pytest.raises(OctavoError, match=r"n\.csv: exam 'e1' bears a name that another scan has already"):
            exams_of(paths, Said())
    exams, _ = exams_of([second, "e1.npy"], Said())
    assert [exam.exam_id for exam in exams] == ["e1", "e1-2"]


def test_a_faulty_manifest_is_refused_as_a_whole(folder):
    path = manifest(folder / "m.csv", "e1,a/eye.npy", header="exam_id,path")
    with pytest.raises(OctavoError, match="column 'laterality' is missing"):
        exams_of([path], Said())
    with pytest.raises(OctavoError, match="cannot be read"):
        exams_of([str(folder / "none.csv")], Said())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_that_is_a_scan_itself_is_no_folder_of_scans(tmp_path, slash):
    for number in (1, 2, 3):
        Image.fromarray(np.full((4, 5), 9 * number, np.uint8)).save(tmp_path / f"{number}.png")
    (exam,), _ = exams_of([f"{tmp_path}{slash}"], Said(axes="depth,bscan,ascan"))
    with pytest.raises(VolumeReadError, match="has no axes"):
        read_exam(exam)
