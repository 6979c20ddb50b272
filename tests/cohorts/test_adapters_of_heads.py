"""What data sets of Alzheimer's disease bring, and the layouts that fit anything: BIDS, class folders, spreadsheets."""

import pytest
import trees
from test_adapters_of_eyes import adopt, left_out, refusal, rows_of

from octavo.errors import OctavoError


def test_ohsu_pairs_and_their_halves(tmp_path):
    trees.ohsu_ad(tmp_path)
    adoption = adopt("ohsu-ad", tmp_path)
    rows = rows_of(adoption)
    told = {name: (row["patient_id"], row["label"], row["protocol"]) for name, row in rows.items()}
    assert told == {
        "AD647_LIGHT_MARKED": ("AD647", "AD", "LIGHT_MARKED"),
        "AD647_DARK_MARKED": ("AD647", "AD", "DARK_MARKED"),
        "CN12_LIGHT_MARKED": ("CN12", "CN", "LIGHT_MARKED"),
    }
    assert adoption.left_out == ()
    (tmp_path / "scans" / "CN12_LIGHT_MARKED.img").unlink()
    assert left_out(adopt("ohsu-ad", tmp_path)) == {
        "scans/CN12_LIGHT_MARKED.hdr": "has no CN12_LIGHT_MARKED.img beside it"
    }


def test_adni_by_image(tmp_path):
    rows = adopt("adni", trees.adni(tmp_path)).rows
    told = ("patient_id", "label", "exam_date", "age", "sex", "visit")
    assert {tuple(row[name] for name in told) for row in rows} == {
        ("002_S_0295", "CN", "2006-11-02", "85", "M", "2"),
        ("002_S_0295", "MCI", "2008-07-23", "86", "M", "4"),
        ("005_S_0221", "AD", "2006-05-04", "68", "F", "1"),
    }


def test_adni_by_nearest_visit(tmp_path):
    adoption = adopt("adni", trees.adni(tmp_path, "merge"), positive=("MCI",))
    assert {(row["exam_date"], row["diagnosis"], row["label"]) for row in adoption.rows} == {
        ("2006-11-02", "CN", "0"),
        ("2008-07-23", "MCI", "1"),
    }
    (reason,) = [item.reason for item in adoption.left_out if item.path.suffix == ".nii"]
    assert "has no visit with a diagnosis within 92 days" in reason
    assert any("at most 92 days" in note for note in adoption.notes)


def test_adni_two_tables_none_or_a_wrong_one(tmp_path):
    trees.adni(tmp_path, "search and merge")
    assert "'search.csv', 'ADNIMERGE.csv' all hold diagnoses; wanted one" in refusal("adni", tmp_path)
    assert len(adopt("adni", tmp_path, table=tmp_path / "search.csv").rows) == 3
    other = trees.table(tmp_path / "other.csv", [{"Image ID": "1", "Group": "AD"}])
    assert "has no column 'Image Data ID'; found 'Image ID', 'Group'; the nearest is 'Image ID'" in refusal(
        "adni", tmp_path, table=other
    )
    (tmp_path / "search.csv").unlink()
    (tmp_path / "ADNIMERGE.csv").unlink()
    assert "none of 3 scans has a label" in refusal("adni", tmp_path)
    assert [row["label"] for row in adopt("adni", tmp_path, unlabelled=True).rows] == [""] * 3


def test_adni_an_image_of_another_subject_gets_no_label(tmp_path):
    trees.adni(tmp_path)
    table = tmp_path / "search.csv"
    table.write_text(table.read_text().replace("I33000,005_S_0221", "I33000,999_S_0001"))
    reasons = left_out(adopt("adni", tmp_path))
    assert any("gives I33000 to another subject" in reason for reason in reasons.values())


def test_oasis_1_rates_sessions(tmp_path):
    adoption = adopt("oasis-1", trees.oasis_1(tmp_path))
    rows = rows_of(adoption)
    told = ("patient_id", "label", "severity", "age", "sex", "mmse", "protocol")
    assert {name: tuple(row[k] for k in told) for name, row in rows.items()} == {
        "OAS1_0001_MR1": ("OAS1_0001", "0", "0", "74", "F", "29", "atlas, gain corrected, masked"),
        "OAS1_0003_MR1": ("OAS1_0003", "1", "0.5", "73", "F", "27", "raw, first"),
    }
    assert rows["OAS1_0001_MR1"]["path"].endswith("_t88_masked_gfc.hdr")
    assert any("was not rated" in reason for reason in left_out(adoption).values())
    assert len(adopt("oasis-1", tmp_path, unlabelled=True).rows) == 3


def test_oasis_1_tells_what_is_missing(tmp_path):
    trees.oasis_1(tmp_path)
    sheet = tmp_path / "oasis_cross-sectional.csv"
    sheet.write_text(sheet.read_text().replace("CDR", "Rating"))
    assert "has no column 'CDR'" in refusal("oasis-1", tmp_path)
    sheet.rename(tmp_path / "oasis_longitudinal.csv")
    assert "the nearest is 'oasis_longitudinal.csv'" in refusal("oasis-1", tmp_path)
    assert len(adopt("oasis-1", tmp_path, unlabelled=True).rows) == 3
    assert "has no folder such as OAS1_0001_MR1" in refusal("oasis-1", tmp_path / "disc1" / "OAS1_0001_MR1")


@pytest.mark.parametrize(("tables", "labels"), [("adrc", ["0", "1"]), ("uds", ["0", "1", "1"])])
def test_oasis_3_takes_the_nearest_rating(tmp_path, tables, labels):
    adoption = adopt("oasis-3", trees.oasis_3(tmp_path, tables))
    assert [row["label"] for row in adoption.rows] == labels
    assert [row["visit"] for row in adoption.rows][:2] == ["d0129", "d2430"]
    assert [row["severity"] for row in adoption.rows][:2] == ["0", "0.5"]
    if tables == "adrc":
        assert any("within 365 days" in reason for reason in left_out(adoption).values())
        assert adoption.rows[0]["mmse"] == "28"


def test_bids_people_and_sessions(tmp_path):
    adoption = adopt("bids", trees.bids(tmp_path))
    told = ("patient_id", "label", "age", "sex", "visit")
    assert {row["exam_id"]: tuple(row[k] for k in told) for row in map(dict, adoption.rows)} == {
        "sub-01_ses-1_T1w": ("sub-01", "patient", "70", "F", "ses-1"),
        "sub-01_ses-2_run-1_T1w": ("sub-01", "patient", "70", "F", "ses-2"),
        "sub-02_T1w": ("sub-02", "control", "", "M", ""),
    }
    assert set(left_out(adoption)) == {
        "derivatives/sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/func/sub-02_task-rest_bold.nii.gz",
        "dataset_description.json",
        "participants.tsv",
    }


def test_bids_which_column_is_the_label(tmp_path):
    trees.bids(tmp_path)
    table = tmp_path / "participants.tsv"
    table.write_text(table.read_text().replace("group", "cohort"))
    message = refusal("bids", tmp_path)
    assert "found 'participant_id', 'age', 'sex', 'cohort'" in message
    assert "--columns label=NAME" in message
    assert {row["label"] for row in adopt("bids", tmp_path, columns={"label": "cohort"}).rows} == {"patient", "control"}
    assert "has no column 'kohort'" in refusal("bids", tmp_path, columns={"label": "kohort"})
    table.unlink()
    assert "has no file 'participants.tsv'" in refusal("bids", tmp_path)
    assert len(adopt("bids", tmp_path, unlabelled=True).rows) == 3


def test_a_bids_image_in_the_folder_of_another_subject_stops_adoption(tmp_path):
    trees.bids(tmp_path)
    trees.nifti(tmp_path / "sub-01" / "anat" / "sub-02_T1w.nii")
    assert "lies in the folder of another subject" in refusal("bids", tmp_path)


def test_class_folders_of_any_name(tmp_path):
    trees.class_folders(tmp_path)
    adoption = adopt("class-folders", tmp_path)
    assert [row["label"] for row in adoption.rows] == ["AMD", "AMD", "DR", "NORMAL"]
    assert any("AMD 2, DR 1, NORMAL 1" in note for note in adoption.notes)
    adoption = adopt("class-folders", tmp_path, positive=("AMD",), negative=("NORMAL",))
    assert {row["exam_id"]: row["label"] for row in adoption.rows} == {"P1_OD": "1", "P2_OS": "1", "P4_OS": "0"}
    assert left_out(adoption) == {"DR/deep/P3_OD.npy": "is DR, neither positive nor negative"}
    assert adoption.left_out[0].is_expected
    assert "did you mean 'NORMAL'" in refusal("class-folders", tmp_path, positive=("AMD",), negative=("NORMALS",))
    assert "as --positive and as --negative" in refusal("class-folders", tmp_path, positive=("AMD",), negative=("AMD",))
    assert "without --positive" in refusal("class-folders", tmp_path, negative=("AMD",))


def test_a_spreadsheet_with_mapped_columns(tmp_path):
    adoption = adopt("csv", trees.csv_table(tmp_path), columns=trees.CSV_COLUMNS)
    assert [dict(row) for row in adoption.rows] == [
        {
            "exam_id": "a",
            "patient_id": "P1",
            "path": str(tmp_path / "scans" / "a.npy"),
            "laterality": "OD",
            "label": "AMD",
            "age": "63",
        },
        {
            "exam_id": "b",
            "patient_id": "P2",
            "path": str(tmp_path / "scans" / "b.npy"),
            "laterality": "OS",
            "label": "NORMAL",
            "age": "",
        },
    ]
    assert "columns that were not asked for stay behind: 'surname', 'birth date'" in adoption.notes
    assert "Canarysurname" not in repr(adoption)


def test_a_spreadsheet_tells_which_column_it_lacks(tmp_path):
    trees.csv_table(tmp_path)
    assert "has no column 'path'" in refusal("csv", tmp_path)
    assert "the nearest is 'file'" in refusal("csv", tmp_path, columns={"path": "files"})
    assert "did you mean 'patient_id'" in refusal("csv", tmp_path, columns={"path": "file", "patientid": "PTID"})
    trees.table(tmp_path / "second.csv", [{"file": "x"}])
    assert "holds 2 spreadsheets" in refusal("csv", tmp_path, columns=trees.CSV_COLUMNS)
    table = tmp_path / "clinic.csv"
    assert len(adopt("csv", tmp_path, columns=trees.CSV_COLUMNS, table=table).rows) == 2


def test_rows_that_lead_nowhere_and_files_that_no_row_names_are_listed(tmp_path):
    trees.csv_table(tmp_path)
    (tmp_path / "scans" / "b.npy").rename(tmp_path / "scans" / "c.npy")
    assert left_out(adopt("csv", tmp_path, columns=trees.CSV_COLUMNS)) == {
        "scans/b.npy": "there is no such file or folder",
        "scans/c.npy": "no row of clinic.csv names it",
        "clinic.csv": "the list itself",
    }
    (tmp_path / "scans" / "a.npy").unlink()
    assert "none of 2 rows leads to a scan" in refusal("csv", tmp_path, columns=trees.CSV_COLUMNS)


def test_names_that_would_be_the_same_are_refused(tmp_path):
    trees.csv_table(tmp_path)
    table = tmp_path / "clinic.csv"
    table.write_text(table.read_text().replace("scans/b.npy", "scans/a.npy"))
    with pytest.raises(OctavoError, match="would both be named"):
        adopt("csv", tmp_path, columns=trees.CSV_COLUMNS)


def clinic(folder, rows):
    for name in "ab":
        trees.array(folder / f"{name}.npy")
    trees.table(folder / "list.csv", rows)
    return folder


@pytest.mark.parametrize("unknown", ["NA", "unknown", "#N/A", "nan", ""])
def test_a_diagnosis_that_is_not_known_is_no_control(tmp_path, unknown):
    rows = [
        {"path": "a.npy", "patient_id": "1", "label": "AMD"},
        {"path": "b.npy", "patient_id": "2", "label": unknown},
    ]
    adoption = adopt("csv", clinic(tmp_path, rows), positive=("AMD",))
    assert [(row["path"].rpartition("/")[2], row["label"]) for row in adoption.rows] == [("a.npy", "1")]
    assert left_out(adoption)["b.npy"].startswith("its label is empty, or says that nothing is known")


def test_a_patient_that_is_not_known_has_no_name(tmp_path):
    rows = [{"path": f"{name}.npy", "patient_id": who, "label": "1"} for name, who in (("a", "P1"), ("b", "#N/A"))]
    assert [row["patient_id"] for row in adopt("csv", clinic(tmp_path, rows)).rows] == ["P1", ""]


def test_an_eye_that_cannot_be_read_is_refused(tmp_path):
    rows = [{"path": "a.npy", "laterality": "OD", "label": "1"}, {"path": "b.npy", "laterality": "OU", "label": "0"}]
    assert "row 2 below the header, column 'laterality': is 'OU'" in refusal("csv", clinic(tmp_path, rows))


@pytest.mark.parametrize(
    ("names", "says"),
    [(("x", "x"), "exam_id 'x' stands 2 times"), (("x", "y/1"), "exam_id is 'y/1'; wanted a name with")],
)
def test_names_of_exams_that_are_the_users_own_are_kept_or_refused(tmp_path, names, says):
    rows = [{"path": f"{file}.npy", "exam_id": name, "label": "1"} for file, name in zip("ab", names, strict=True)]
    assert says in refusal("csv", clinic(tmp_path, rows))
    rows = [{"path": "a.npy", "exam_id": "b", "label": "1"}, {"path": "b.npy", "exam_id": "", "label": "1"}]
    assert [row["exam_id"] for row in adopt("csv", clinic(tmp_path, rows)).rows] == ["b", "b.npy"]


def test_the_age_at_entry_grows_to_the_day_of_the_scan(tmp_path):
    rows = adopt("oasis-3", trees.oasis_3(tmp_path)).rows
    assert [(row["visit"], row["age"]) for row in rows if row["patient_id"] == "OAS30001"] == [
        ("d0129", "65.45"),
        ("d2430", "71.75"),
    ]
