import dataclasses
from pathlib import Path

import numpy as np
import pytest

from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.manifest import OPTIONAL, REQUIRED, Cohort, read_manifest, write_manifest
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, write_volume
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis, Spacing, Volume

HEADER = "exam_id,patient_id,path,laterality,label"
ROWS = ("e1,p1,a.npy,OD,0", "e2,p1,b.npy,OS,1", "e3,p2,scans/c.npy,,0")


def write(folder: Path, *lines: str, name: str = "cohort.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def refusal(path: Path, **options) -> str:
    with pytest.raises(OctavoError) as caught:
        read_manifest(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_a_plain_manifest_is_read_as_written(tmp_path):
    cohort = read_manifest(write(tmp_path, HEADER, *ROWS))
    assert [exam.exam_id for exam in cohort.exams] == ["e1", "e2", "e3"]
    assert cohort.patients == ("p1", "p2")
    assert cohort.labels.tolist() == [0, 1, 0]
    assert [exam.laterality for exam in cohort.exams] == [Laterality.OD, Laterality.OS, Laterality.UNKNOWN]
    assert cohort.exams[2].path == tmp_path / "scans" / "c.npy"
    assert cohort.exams[0].spacing_mm is None
    assert cohort.exams[0].slow_axis is None


def test_everything_a_row_may_say_reaches_the_exam(tmp_path):
    columns = (
        "split,axes,key,spacing_bscan_mm,spacing_depth_mm,spacing_ascan_mm,slow_axis,region,pattern,mask,age,field note"
    )
    row = 'train,"depth,bscan,ascan",data,0.12,0.0039,1e-2,inferior-to-superior,macula-and-disc,raster,m.npz,61,"a, b"'
    exam = read_manifest(write(tmp_path, f"{HEADER},{columns}", f"e1,p1,a.npz,left,1,{row}")).exams[0]
    assert exam == Exam(
        exam_id="e1",
        patient_id="p1",
        path=tmp_path / "a.npz",
        laterality=Laterality.OS,
        label=1,
        split="train",
        covariates={"age": "61", "field note": "a, b"},
        axes="depth,bscan,ascan",
        key="data",
        spacing_mm=(0.12, 0.0039, 0.01),
        slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
        region=Region.MACULA_AND_DISC,
        pattern=ScanPattern.RASTER,
        mask=tmp_path / "m.npz",
    )


def test_defaults_hold_where_a_row_says_nothing(tmp_path):
    path = write(tmp_path, f"{HEADER},key", "e1,p1,a.npz,,0,own", "e2,p2,b.npz,,1,")
    cohort = read_manifest(path, axes="depth,bscan,ascan", key="data")
    assert [exam.key for exam in cohort.exams] == ["own", "data"]
    assert {exam.axes for exam in cohort.exams} == {"depth,bscan,ascan"}


def test_defaults_reach_files_by_what_they_hold_and_cells_must_fit(tmp_path):
    """What is said of the whole cohort refuses no file that states its own axes or holds one array."""
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    turned = values.transpose(1, 0, 2)
    known = Volume(values, Spacing(0.2, 0.004, 0.01))
    for name in ("own.npz", "own.nii.gz", "own.tif"):
        write_volume(known, tmp_path / name)
    np.save(tmp_path / "plain.npy", turned)
    np.savez(tmp_path / "two.npz", data=turned, other=values)
    np.savez(tmp_path / "one.npz", scan=turned)
    (tmp_path / "plain.npy").rename(tmp_path / "no_ending")
    np.save(tmp_path / "plain.npy", turned)
    names = ["own.npz", "own.nii.gz", "own.tif", "plain.npy", "no_ending", "two.npz", "one.npz"]
    rows = [f"e{n},p{n},{name},,{n % 2}" for n, name in enumerate(names)]
    cohort = read_manifest(write(tmp_path, HEADER, *rows), axes="depth,bscan,ascan", key="data")
    for exam in cohort.exams:
        np.testing.assert_array_equal(read_exam(exam).values, values, err_msg=exam.path.name)

    header = f"{HEADER},axes,key"
    for cells, says in (
        ('own.npz,,1,"depth,bscan,ascan",', "states its own axes"),
        ('own.nii.gz,,1,"depth,bscan,ascan",', "states its own axes"),
        ('own.tif,,1,"depth,bscan,ascan",', "has no axes"),
        ("plain.npy,,1,,data", "holds one array"),
        ("one.npz,,1,,data", "is not an array of this archive"),
    ):
        (exam,) = read_manifest(write(tmp_path, header, f"e,p,{cells}"), axes="bscan,depth,ascan", key="x").exams
        with pytest.raises(VolumeReadError, match=says):
            read_exam(exam)


def test_a_default_that_a_file_with_several_arrays_has_not_is_refused(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.arange(24).reshape(2, 4, 3), b=np.arange(24).reshape(4, 2, 3))
    (exam,) = read_manifest(write(tmp_path, HEADER, "e,p,two.npz,,1"), key="data").exams
    with pytest.raises(VolumeReadError, match="'data' is not an array of this archive"):
        read_exam(exam)


def test_training_still_needs_every_patient_and_both_classes(tmp_path):
    some = write(tmp_path, HEADER, "e1,p1,a.npy,R,POAG", "e2,,b.npy,L,Normal")
    with pytest.raises(OctavoError, match="line 3, column 'patient_id': is empty"):
        read_manifest(some, positive="POAG")
    alone = write(tmp_path, HEADER, "e1,p1,a.npy,R,POAG", "e2,p2,b.npy,L,POAG")
    with pytest.raises(OctavoError, match=r"1 names \('POAG'\); wanted exactly two"):
        read_manifest(alone, positive="POAG")
    with pytest.raises(OctavoError, match="wanted exactly two"):
        read_manifest(alone, positive="POAG", require_patients=False)


def test_paths_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    write(tmp_path, HEADER, *ROWS)
    monkeypatch.chdir(tmp_path)
    cohort = read_manifest("cohort.csv")
    assert cohort.exams[0].path == tmp_path / "a.npy"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read_the_same(tmp_path, delimiter, encoding, ending):
    plain = read_manifest(write(tmp_path, HEADER, *ROWS))
    text = ending.join(line.replace(",", delimiter) for line in (HEADER, *ROWS, ""))
    other = tmp_path / "other.csv"
    other.write_bytes(text.encode(encoding))
    assert read_manifest(other).exams == plain.exams


def test_blank_lines_and_blanks_around_cells_mean_nothing(tmp_path):
    path = write(tmp_path, HEADER, "", "e1 , p1, a.npy ,OD, 0", "", "e2,p1 ,b.npy,OS,1", "")
    cohort = read_manifest(path)
    assert cohort.patients == ("p1",)
    assert cohort.exams[0].path == tmp_path / "a.npy"


@pytest.mark.parametrize("missing", ["exam_id", "patient_id", "path", "laterality", "label"])
def test_a_missing_column_is_named(tmp_path, missing):
    at = HEADER.split(",").index(missing)
    lines = [",".join(cell for k, cell in enumerate(line.split(",")) if k != at) for line in (HEADER, *ROWS)]
    assert f"line 1: column '{missing}' is missing" in refusal(write(tmp_path, *lines))


@pytest.mark.parametrize("wrong", ["Patient_ID", "patient id", "patientid", "patient-id"])
def test_a_column_that_is_nearly_right_is_told_its_spelling(tmp_path, wrong):
    message = refusal(write(tmp_path, HEADER.replace("patient_id", wrong), *ROWS))
    assert repr(wrong) in message
    assert "'patient_id'" in message


def test_an_optional_column_that_is_nearly_right_does_not_become_a_covariate(tmp_path):
    assert "'slow_axis'" in refusal(write(tmp_path, f"{HEADER},Slow axis", "e1,p1,a.npy,OD,0,x"))


def test_a_column_twice_is_refused(tmp_path):
    assert "'label' stands more than once" in refusal(write(tmp_path, f"{HEADER},label", "e1,p1,a.npy,OD,0,1"))


BAD_ROWS = {
    "exam twice": ("e1,p3,d.npy,OD,0", "line 5, column 'exam_id': is 'e1', as in line 2"),
    "no exam": (",p3,d.npy,OD,0", "line 5, column 'exam_id': is empty"),
    "exam that is a path": ("../../e9,p3,d.npy,OD,0", "line 5, column 'exam_id': is '../../e9'"),
    "no patient": ("e9,,d.npy,OD,0", "line 5, column 'patient_id': is empty"),
    "no path": ("e9,p3, ,OD,0", "line 5, column 'path': is empty"),
    "other eye": ("e9,p3,d.npy,OU,0", "line 5, column 'laterality': is 'OU'; wanted OD or OS"),
    "other label": ("e9,p3,d.npy,OD,2", "line 5, column 'label': is '2'; wanted 0 or 1"),
    "no label": ("e9,p3,d.npy,OD,", "line 5, column 'label': is empty"),
    "cells missing": ("e9,p3,d.npy", "line 5: 3 cells and 5 columns"),
    "cells too many": ("e9,p3,d.npy,OD,0,x", "line 5: 6 cells and 5 columns"),
    "control character": ("e9,p\x073,d.npy,OD,0", "line 5, column 'patient_id'"),
    "open quote": ('e9,"p3,d.npy,OD,0', "not readable as CSV"),
}


@pytest.mark.parametrize(("row", "expected"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_refused_with_line_and_column(tmp_path, row, expected):
    assert expected in refusal(write(tmp_path, HEADER, *ROWS, row))


BAD_OPTIONS = {
    "part": ("split", "training", "wanted one of: train, validation, test; did you mean 'train'?"),
    "direction": ("slow_axis", "inferior", "did you mean"),
    "region": ("region", "fovea", "wanted one of: macula, disc, macula-and-disc, unknown"),
    "pattern": ("pattern", "cube", "wanted one of: raster, line, radial, circle, other, unknown"),
    "spacing alone": ("spacing_depth_mm", "0.004", "wanted all of spacing_bscan_mm"),
}


@pytest.mark.parametrize(("column", "value", "expected"), BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_a_bad_option_is_refused_with_line_and_column(tmp_path, column, value, expected):
    message = refusal(write(tmp_path, f"{HEADER},{column}", f"e1,p1,a.npy,OD,0,{value}"))
    assert f"line 2, column '{column}'" in message
    assert expected in message


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "3,9", "4um"])
def test_a_spacing_is_a_positive_number(tmp_path, value):
    header = f"{HEADER},spacing_bscan_mm,spacing_depth_mm,spacing_ascan_mm"
    message = refusal(write(tmp_path, header, f'e1,p1,a.npy,OD,0,0.1,"{value}",0.01'))
    assert "line 2, column 'spacing_depth_mm'" in message


def test_unknown_is_a_value(tmp_path):
    path = write(tmp_path, f"{HEADER},slow_axis,region", "e1,p1,a.npy,unknown,0,unknown,", "e2,p2,b.npy,,1,,unknown")
    for exam in read_manifest(path).exams:
        assert (exam.laterality, exam.slow_axis, exam.region) == (Laterality.UNKNOWN, None, None)


def test_labels_may_be_names(tmp_path):
    path = write(tmp_path, HEADER, "e1,p1,a.npy,OD,POAG", "e2,p2,b.npy,OS,Normal")
    assert read_manifest(path, positive="POAG").labels.tolist() == [1, 0]
    assert read_manifest(path, positive="Normal").labels.tolist() == [0, 1]
    message = refusal(path)
    assert "line 2, column 'label': is 'POAG'" in message
    assert "--positive NAME (the names are 'Normal', 'POAG')" in message


@pytest.mark.parametrize("names", [("POAG", "POAG"), ("POAG", "normal", "Normal"), ("AMD", "Normal")])
def test_names_of_labels_are_exactly_two(tmp_path, names):
    path = write(tmp_path, HEADER, *(f"e{k},p{k},{k}.npy,OD,{name}" for k, name in enumerate(names)))
    message = refusal(path, positive="POAG")
    assert "wanted exactly two, one of them 'POAG'" in message
    assert all(repr(name) in message for name in names)


def test_prediction_needs_no_labels(tmp_path):
    path = write(tmp_path, HEADER.removesuffix(",label"), "e1,p1,a.npy,OD")
    cohort = read_manifest(path, require_labels=False)
    assert cohort.exams[0].label is None
    with pytest.raises(OctavoError, match="'e1' has no label"):
        _ = cohort.labels
    half = write(tmp_path, HEADER, "e1,p1,a.npy,OD,", "e2,p1,b.npy,OS,1", name="half.csv")
    assert [exam.label for exam in read_manifest(half, require_labels=False).exams] == [None, 1]


def test_rows_without_patients_need_a_declaration(tmp_path):
    without = write(tmp_path, "exam_id,path,laterality,label", "e1,a.npy,OD,0", "e2,b.npy,OD,1")
    empty = write(tmp_path, HEADER, "e1,,a.npy,OD,0", "e2,,b.npy,OD,1", name="empty.csv")
    assert "'patient_id' is missing" in refusal(without)
    assert "--each-row-its-own-patient" in refusal(empty)
    for path in (without, empty):
        cohort = read_manifest(path, each_row_its_own_patient=True)
        assert cohort.patients == ("e1", "e2")
        assert cohort.each_row_its_own_patient


def test_a_declaration_that_is_not_true_is_refused(tmp_path):
    assert "line 3, column 'patient_id': is 'p1', as in line 2" in refusal(
        write(tmp_path, HEADER, *ROWS), each_row_its_own_patient=True
    )
    # the empty row would be named like the patient of the other
    mixed = write(tmp_path, HEADER, "e1,e2,a.npy,OD,0", "e2,,b.npy,OD,1", name="mixed.csv")
    assert "is 'e2', as in line 2" in refusal(mixed, each_row_its_own_patient=True)


def test_a_patient_in_two_parts_is_refused_unless_a_check_lists_it(tmp_path):
    path = write(tmp_path, f"{HEADER},split", "e1,p1,a.npy,OD,0,train", "e2,p1,b.npy,OS,1,test")
    assert "patient 'p1' is in test and train" in refusal(path)
    assert len(read_manifest(path, allow_straddling=True).exams) == 2


def test_a_split_is_complete_or_absent(tmp_path):
    path = write(tmp_path, f"{HEADER},split", "e1,p1,a.npy,OD,0,train", "e2,p2,b.npy,OS,1,")
    assert "line 3, column 'split': is empty and line 2 says 'train'" in refusal(path)
    path = write(tmp_path, f"{HEADER},split", "e1,p1,a.npy,OD,0,", "e2,p2,b.npy,OS,1,")
    assert {exam.split for exam in read_manifest(path).exams} == {None}


NO_TABLES = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "header only": (HEADER.encode() + b"\n", "holds a header and no exams"),
    "UTF-16": ((HEADER + "\n" + ROWS[0]).encode("utf-16"), "'CSV UTF-8'"),
    "zeros": (HEADER.encode() + b"\ne1,p1,\0,OD,0\n", "zero bytes"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "'CSV UTF-8'"),
    "prose": (b"These are the scans of our study.\n", "column 'exam_id' is missing"),
}


@pytest.mark.parametrize(("content", "expected"), NO_TABLES.values(), ids=NO_TABLES.keys())
def test_what_is_no_manifest_is_refused(tmp_path, content, expected):
    path = tmp_path / "cohort.csv"
    path.write_bytes(content)
    assert expected in refusal(path)


def test_no_file_and_a_folder_are_refused(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "none.csv")
    assert "cannot be read" in refusal(tmp_path)


def test_the_hash_is_of_the_content(tmp_path):
    cohort = read_manifest(write(tmp_path, HEADER, *ROWS))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    same = {
        "rows in another order": write(tmp_path, HEADER, *reversed(ROWS), name="order.csv"),
        "semicolons": write(tmp_path, *(line.replace(",", ";") for line in (HEADER, *ROWS)), name="semicolons.csv"),
        "another folder": write(moved, HEADER, *ROWS),
        "whole paths": write(
            tmp_path, HEADER, *(row.replace("a.npy", f"{tmp_path}/a.npy") for row in ROWS), name="w.csv"
        ),
        "a split": write(tmp_path, f"{HEADER},split", *(f"{row},train" for row in ROWS), name="split.csv"),
    }
    for what, path in same.items():
        assert read_manifest(path).content_hash == cohort.content_hash, what
    for old, new in {",1": ",0", "OD": "OS", "p2": "p3", "c.npy": "d.npy", "e1": "e4"}.items():
        other = read_manifest(write(tmp_path, HEADER, *(row.replace(old, new) for row in ROWS), name="other.csv"))
        assert other.content_hash != cohort.content_hash, old
    other = read_manifest(write(tmp_path, f"{HEADER},age", *(f"{row},61" for row in ROWS), name="other.csv"))
    assert other.content_hash != cohort.content_hash


def test_parts_are_cohorts(tmp_path):
    lines = [f"e{k},p{k},{k}.npy,OD,{k % 2},{part}" for k, part in enumerate(["train", "test", "train"])]
    cohort = read_manifest(write(tmp_path, f"{HEADER},split", *lines))
    assert [exam.exam_id for exam in cohort.part("train").exams] == ["e0", "e2"]
    assert cohort.part("test").path == cohort.path
    with pytest.raises(OctavoError, match="no exam belongs to validation"):
        cohort.part("validation")
    with pytest.raises(OctavoError, match="did you mean 'train'"):
        cohort.part("trian")


def test_a_cohort_made_in_python_keeps_the_same_rules():
    exam = Exam("e1", "p1", Path("a.npy"), label=1)
    with pytest.raises(OctavoError, match="holds no exams"):
        Cohort((), Path("cohort.csv"))
    with pytest.raises(OctavoError, match="'e1' stands 2 times"):
        Cohort((exam, exam), Path("cohort.csv"))
    with pytest.raises(OctavoError, match="label is -2"):
        dataclasses.replace(exam, label=-2)
    with pytest.raises(OctavoError, match="label is 2; wanted 0 to 1, as there are 2 classes"):
        Cohort((dataclasses.replace(exam, label=2),), Path("cohort.csv"))
    with pytest.raises(OctavoError, match="'dev' is not a part"):
        dataclasses.replace(exam, split="dev")


def test_written_manifests_are_read_back(tmp_path):
    path = tmp_path / "new" / "cohort.csv"
    rows = [
        {"exam_id": "e1", "patient_id": "p1", "path": "a, b.npy", "laterality": "OD", "label": "1", "age": "61"},
        {"exam_id": "e2", "patient_id": "p2", "path": 'b"c.npy', "laterality": "", "label": "0", "region": "disc"},
    ]
    write_manifest(rows, path)
    first, second = read_manifest(path).exams
    assert first.path.name == "a, b.npy"
    assert second.path.name == 'b"c.npy'
    assert (first.region, second.region) == (None, Region.DISC)
    assert (first.covariates, second.covariates) == ({"age": "61"}, {"age": ""})
    before = path.read_bytes()
    with pytest.raises(OctavoError, match="--overwrite"):
        write_manifest(rows[:1], path)
    assert path.read_bytes() == before
    write_manifest(rows[:1], path, overwrite=True)
    assert len(read_manifest(path).exams) == 1
    assert [file.name for file in path.parent.iterdir()] == ["cohort.csv"]


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OctavoError, match="cannot be written"):
        write_manifest([], tmp_path / "file" / "cohort.csv")


def test_labels_are_numbers_for_numpy(tmp_path):
    labels = read_manifest(write(tmp_path, HEADER, *ROWS)).labels
    assert labels.dtype == np.int64
    assert labels.sum() == 1


def test_the_documentation_explains_every_column():
    page = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()
    table = page[page.index("## Columns") : page.index("## Whose eye")]
    explained = [
        word for line in table.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")[1::2]
    ]
    assert explained == [*REQUIRED, *OPTIONAL]
