"""What each data set of eyes brings, from planted facts, and what a layout that is nearly right is told."""

from pathlib import Path

import numpy as np
import pytest
import trees

from octavo.cohorts.adapters import ADAPTERS, Adoption, AdoptionOptions
from octavo.errors import OctavoError


def adopt(name: str, root: Path, **options) -> Adoption:
    return ADAPTERS[name].adopt(root, AdoptionOptions(**options))


def rows_of(adoption: Adoption) -> dict[str, dict[str, str]]:
    return {row["exam_id"]: dict(row) for row in adoption.rows}


def left_out(adoption: Adoption) -> dict[str, str]:
    return {item.path.as_posix(): item.reason for item in adoption.left_out}


def refusal(name: str, root: Path, **options) -> str:
    with pytest.raises(OctavoError) as caught:
        adopt(name, root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Harvard


def test_harvard_gf_brings_label_part_and_covariates(tmp_path):
    rows = rows_of(adopt("harvard-gf", trees.harvard_gf(tmp_path)))
    assert rows["data_0001"] == {
        "exam_id": "data_0001",
        "patient_id": "0001",
        "path": str(tmp_path / "Training" / "data_0001.npz"),
        "laterality": "",
        "label": "1",
        "key": "oct_bscans",
        "split": "train",
        "age": "63.4",
        "sex": "M",
        "race": "White",
        "ethnicity": "non-Hispanic",
        "md": "-3.5",
    }
    assert [rows[name]["split"] for name in sorted(rows)] == ["train", "train", "validation", "test"]
    assert [rows[name]["label"] for name in sorted(rows)] == ["1", "0", "1", "0"]
    assert rows["data_0002"]["race"] == "Black"
    assert (rows["data_0002"]["sex"], rows["data_0002"]["ethnicity"]) == ("F", "Hispanic")
    # -1 and not-a-number are no facts
    assert rows["data_2400"]["ethnicity"] == ""
    assert rows["data_3300"]["md"] == ""


def test_harvard_gf_without_folders_has_no_split(tmp_path):
    trees.harvard_gf(tmp_path)
    (tmp_path / "Test" / "data_3300.npz").rename(tmp_path / "data_3300.npz")
    adoption = adopt("harvard-gf", tmp_path)
    assert all("split" not in row for row in adoption.rows)
    assert any("published split is left out: 1 of 4 scans belong to no part" in note for note in adoption.notes)


def test_a_harvard_archive_that_cannot_be_read_is_listed(tmp_path):
    trees.harvard_gf(tmp_path)
    whole = (tmp_path / "Training" / "data_0001.npz").read_bytes()
    for number, content in enumerate((b"", b"PK", whole[:200], whole[:-30], b"x" * 300)):
        (tmp_path / "Training" / f"data_9{number}.npz").write_bytes(content)
    trees.archive(tmp_path / "Training" / "data_10.npz", rnflt=np.zeros((4, 4)), glaucoma=1)
    trees.archive(tmp_path / "Training" / "data_11.npz", oct_bscans=np.array([[[{}]]], dtype=object), glaucoma=1)
    adoption = adopt("harvard-gf", tmp_path)
    assert len(adoption.rows) == 4
    reasons = left_out(adoption)
    assert len(reasons) == 7
    assert reasons["Training/data_10.npz"] == "holds no oct_bscans; found 'rnflt', 'glaucoma'"
    assert "Python objects, which could run code" in reasons["Training/data_11.npz"]
    assert all("archive: " in reasons[f"Training/data_9{number}.npz"] for number in range(5))
    assert not any(item.is_expected for item in adoption.left_out)


@pytest.mark.parametrize("stored", [str, np.bytes_], ids=["text", "bytes"])
def test_fairvision_asks_for_a_disease_and_takes_its_task(tmp_path, stored):
    trees.fairvision(tmp_path, stored)
    assert "holds AMD, DR, Glaucoma; wanted one" in refusal("fairvision", tmp_path)
    assert "did you mean 'Glaucoma'" in refusal("fairvision", tmp_path, disease="Glaucma")

    glaucoma = rows_of(adopt("fairvision", tmp_path, disease="Glaucoma"))
    assert [(row["label"], row["split"]) for row in glaucoma.values()] == [
        ("0", "test"),
        ("1", "train"),
        ("0", "validation"),
    ]
    retinopathy = adopt("fairvision", tmp_path, disease="DR").rows
    assert [(row["severity"], row["label"], row["sex"]) for row in retinopathy] == [
        ("mild.npdr", "0", "F"),
        ("pdr", "1", "F"),
    ]
    macula = adopt("fairvision", tmp_path, disease="AMD")
    assert {row["label"] for row in macula.rows} == {"no-amd", "early-amd", "intermediate-amd", "late-amd"}
    first = rows_of(macula)["data_00001"]
    assert (first["race"], first["sex"], first["ethnicity"], first["age"]) == ("White", "M", "non-Hispanic", "60")
    assert first["photograph"] == str(tmp_path / "AMD" / "Training" / "slo_00001.jpg")
    assert any("--positive" in note for note in macula.notes)
    # the other diseases are left out by design
    assert all(item.is_expected for item in macula.left_out)


def test_fairvision_classes_become_labels_and_others_are_left_out(tmp_path):
    trees.fairvision(tmp_path)
    adoption = adopt("fairvision", tmp_path, disease="AMD", positive=("late-amd",), negative=("no-amd",))
    assert {row["exam_id"]: (row["label"], row["diagnosis"]) for row in adoption.rows} == {
        "data_00001": ("0", "no-amd"),
        "data_07500": ("1", "late-amd"),
        "data_07501": ("0", "no-amd"),
    }
    reasons = left_out(adoption)
    assert reasons["AMD/Training/data_00002.npz"] == "is early-amd, neither positive nor negative"
    assert reasons["AMD/Training/slo_00002.jpg"] == "belongs to data_00002.npz, which is left out"
    assert "did you mean 'late-amd'" in refusal("fairvision", tmp_path, disease="AMD", positive=("late",))


def test_fairvision_conditions_that_are_objects_are_not_loaded(tmp_path):
    """The condition then comes from the summary beside the folders, or there is none and that is said."""
    trees.fairvision(tmp_path, lambda condition: np.array(condition, dtype=object))
    adoption = adopt("fairvision", tmp_path, disease="AMD")
    assert [row["label"] for row in adoption.rows].count("no-amd") == 2
    assert any("dr_subtype is stored as Python objects in 5 files" in note for note in adoption.notes)
    (tmp_path / "data_summary_amd.csv").unlink()
    message = refusal("fairvision", tmp_path, disease="AMD")
    assert "none of 5 scans has a label" in message
    assert "dr_subtype is stored as a Python object" in message
    assert "data_summary_amd.csv" in message
    assert len(adopt("fairvision", tmp_path, disease="AMD", unlabelled=True).rows) == 5


def test_fairvision_the_folder_of_one_disease_is_enough(tmp_path):
    trees.fairvision(tmp_path)
    assert len(adopt("fairvision", tmp_path / "DR").rows) == 2
    (tmp_path / "Glaucoma").rename(tmp_path / "Glaukom")
    assert "has no folder 'Glaucoma'; found 'AMD', 'DR', 'Glaukom'; the nearest is 'Glaukom'" in refusal(
        "fairvision", tmp_path, disease="Glaucoma"
    )


def test_harvard_gdp_is_refused_because_maps_are_no_scans(tmp_path):
    message = refusal("harvard-gdp", trees.harvard_gdp(tmp_path))
    assert "3 archives such as data_0001.npz hold thickness maps (225 x 225) and no B-scans" in message


# --- GAMMA and pairs


def test_gamma_grades_by_spreadsheet_of_its_part(tmp_path):
    adoption = adopt("gamma", trees.gamma(tmp_path))
    rows = rows_of(adoption)
    assert {name: (row["label"], row["split"]) for name, row in rows.items()} == {
        "0001": ("non", "train"),
        "0002": ("mid_advanced", "train"),
        "0101": ("early", "validation"),
        "0201": ("non", "test"),
    }
    home = tmp_path / "Glaucoma_grading" / "Training" / "multi-modality_images" / "0001"
    assert rows["0001"]["path"] == str(home / "0001")
    assert rows["0001"]["photograph"] == str(home / "0001.jpg")
    assert rows["0001"]["severity"] == "non"
    assert rows["0001"]["patient_id"] == ""
    assert any("--each-row-its-own-patient" in note for note in adoption.notes)


def test_gamma_tells_what_is_missing(tmp_path):
    trees.gamma(tmp_path)
    base = tmp_path / "Glaucoma_grading"
    (base / "Testing" / "glaucoma_grading_testing_GT.xlsx").unlink()
    adoption = adopt("gamma", tmp_path)
    assert "Testing has no spreadsheet of grades" in adoption.notes
    eye = "Glaucoma_grading/Testing/multi-modality_images/0201/0201"
    assert left_out(adoption)[eye] == "its grade stands in no spreadsheet; --unlabelled keeps it"
    images = base / "Training" / "multi-modality_images"
    (images / "0001" / "0001.jpg").rename(images / "0001" / "fundus.jpg")
    assert left_out(adopt("gamma", tmp_path))["Glaucoma_grading/Training/multi-modality_images/0001"] == (
        "has no photograph 0001.jpg; found '0001', 'fundus.jpg'"
    )
    for part in ("Training", "Validation", "Testing"):
        (base / part / "multi-modality_images").rename(base / part / "images")
    assert "has no folder 'multi-modality_images' in Training, Validation, Testing" in refusal("gamma", tmp_path)


def test_gamma_a_spreadsheet_without_the_grades_is_told_the_column(tmp_path):
    trees.gamma(tmp_path)
    path = tmp_path / "Glaucoma_grading" / "Training" / "glaucoma_grading_training_GT.xlsx"
    trees.workbook(path, [{"data": "0001", "non": 1, "earli": 0, "mid_advanced": 0}])
    assert "has no column 'early'; found 'data', 'non', 'earli', 'mid_advanced'; the nearest is 'earli'" in refusal(
        "gamma", tmp_path
    )


def test_pairs_are_named_and_their_photographs_kept(tmp_path):
    adoption = adopt("paired", trees.paired(tmp_path), patient_pattern=r"(P\d+)_")
    rows = rows_of(adoption)
    assert {name: (row["patient_id"], row["label"]) for name, row in rows.items()} == {
        "P1_OD": ("P1", "AMD"),
        "P2_OS": ("P2", "AMD"),
        "P3_OD": ("P3", "NORMAL"),
    }
    assert rows["P1_OD"]["photograph"] == str(tmp_path / "AMD" / "P1_OD.png")
    (tmp_path / "AMD" / "P1_OD.png").unlink()
    adoption = adopt("paired", tmp_path)
    assert len(adoption.rows) == 2
    assert sum("AMD/P1_OD" in path for path in left_out(adoption)) == 3


# --- other rasters


def test_octa_500_gives_millimetres_only_for_the_published_size(tmp_path):
    adoption = adopt("octa-500", trees.octa_500(tmp_path))
    rows = rows_of(adoption)
    assert {name: (row["label"], row["laterality"], row["sex"], row["age"]) for name, row in rows.items()} == {
        "10001": ("NORMAL", "OD", "M", "61"),
        "10002": ("AMD", "OS", "F", "47"),
        "10301": ("NORMAL", "OS", "F", "33"),
    }
    three = rows["10301"]
    assert [float(three[f"spacing_{axis}_mm"]) for axis in ("bscan", "depth", "ascan")] == [3 / 304, 2 / 640, 3 / 304]
    assert rows["10001"]["spacing_bscan_mm"] == ""
    assert any("2 of 3 scans have not the published number or size" in note for note in adoption.notes)
    assert left_out(adoption)["OCTA_6mm/OCTA"] == "angiography, no structure"
    assert all(item.is_expected for item in adoption.left_out)


def test_octa_500_tells_what_is_missing(tmp_path):
    trees.octa_500(tmp_path)
    sheet = tmp_path / "OCTA_6mm" / "Text labels.xlsx"
    sheet.rename(sheet.with_name("Labels.xlsx"))
    message = refusal("octa-500", tmp_path)
    assert "has no file 'Text labels.xlsx'" in message
    assert "the nearest is 'Labels.xlsx'" in message
    assert "--table" in message
    (tmp_path / "OCTA_6mm").rename(tmp_path / "six")
    (tmp_path / "OCTA_3mm").rename(tmp_path / "three")
    assert "found 'six', 'three'" in refusal("octa-500", tmp_path)
    assert len(adopt("octa-500", tmp_path / "three").rows) == 1


def test_ai_readi_brings_devices_eyes_regions_and_parts(tmp_path):
    adoption = adopt("ai-readi", trees.ai_readi(tmp_path))
    rows = [dict(row) for row in adoption.rows]
    told = ("patient_id", "laterality", "label", "device", "region", "split", "age", "site")
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("1001", "OS", "healthy", "heidelberg_spectralis", "disc", "train", "61", "UW"),
        ("1001", "OD", "healthy", "topcon_maestro2", "macula", "train", "61", "UW"),
        ("1002", "OS", "insulin_dependent", "topcon_maestro2", "macula-and-disc", "validation", "55", "UAB"),
    ]
    assert set(left_out(adoption)) == {
        "retinal_octa",
        "retinal_photography",
        "participants.tsv",
        "retinal_oct/manifest.tsv",
    }


def test_ai_readi_list_and_name_that_differ_stop_adoption(tmp_path):
    trees.ai_readi(tmp_path)
    path = tmp_path / "retinal_oct" / "manifest.tsv"
    path.write_text(path.read_text().replace("\tL\t", "\tR\t", 1))
    message = refusal("ai-readi", tmp_path)
    assert "its name says OS and retinal_oct/manifest.tsv says OD" in message


def test_ai_readi_files_that_are_not_there_and_paths_that_lead_out_are_listed(tmp_path):
    trees.ai_readi(tmp_path)
    trees.text(tmp_path.parent / "outside.dcm")
    path = tmp_path / "retinal_oct" / "manifest.tsv"
    extra = "1002\tMacula\tR\t/retinal_oct/gone_oct_r_1.dcm\t496\n1002\tMacula\tR\t/../outside.dcm\t496\n"
    path.write_text(path.read_text() + extra)
    adoption = adopt("ai-readi", tmp_path)
    assert len(adoption.rows) == 3
    reasons = [item.reason for item in adoption.left_out]
    assert "is listed in retinal_oct/manifest.tsv and is not there" in reasons
    assert "a row leads to no file below the root" in reasons
    path.unlink()
    assert "has no file 'manifest.tsv' or 'manifest.csv'" in refusal("ai-readi", tmp_path)


def test_duke_numbers_people_of_each_class_apart(tmp_path):
    rows = rows_of(adopt("duke-amd", trees.duke_amd(tmp_path)))
    told = {name[-16:]: (row["patient_id"], row["label"], row["age"]) for name, row in rows.items()}
    assert set(told.values()) == {("AMD-1001", "1", "71"), ("AMD-1002", "1", "80"), ("Control-1001", "0", "66")}
    assert {(row["key"], row["axes"]) for row in rows.values()} == {("images", "depth,ascan,bscan")}


def test_duke_files_that_cannot_be_read_have_no_age(tmp_path):
    trees.duke_amd(tmp_path)
    path = tmp_path / "AMD" / "Farsiu_Ophthalmology_2013_AMD_Subject_1001.mat"
    for content in (b"", b"x" * 500, path.read_bytes()[:200]):
        path.write_bytes(content)
        adoption = adopt("duke-amd", tmp_path)
        assert len(adoption.rows) == 3
        assert "no age could be read from 1 of 3 files" in adoption.notes


def test_oimhs_has_no_labels_and_people_only_with_its_sheet(tmp_path):
    root = trees.oimhs(tmp_path / "root")
    assert "all eyes of this data set have a macular hole" in refusal("oimhs", root)
    adoption = adopt("oimhs", root, unlabelled=True)
    assert [row["patient_id"] for row in adoption.rows] == ["", ""]
    assert {row["key"] for row in adoption.rows} == {"left"}
    assert any("in colours: the column key says left" in note for note in adoption.notes)
    sheet = trees.oimhs_sheet(tmp_path / "sheet.csv")
    rows = adopt("oimhs", root, unlabelled=True, table=sheet).rows
    assert [(row["patient_id"], row["laterality"], row["sex"], row["age"]) for row in rows] == [
        ("P1", "OD", "F", "64"),
        ("P1", "OS", "F", "64"),
    ]


def test_oimhs_eyes_without_the_published_halves_are_left_out(tmp_path):
    root = trees.oimhs(tmp_path / "root")
    for k in range(1, 4):
        trees.picture(root / "Images" / "2" / f"{k}.png", (4, 1000))
    trees.picture_with_segmentation(root / "Images" / "3" / "1.png")
    adoption = adopt("oimhs", root, unlabelled=True)
    assert list(rows_of(adoption)) == ["1"]
    assert left_out(adoption) == {
        "Images/2": "its pictures are 1000 columns wide; wanted 1024, of which the left 512 are the B-scan",
        "Images/3": "holds a single numbered picture, and no raster",
    }
    for k in range(1, 4):
        trees.text(root / "Images" / "1" / f"{k}.png", "no picture")
    assert list(rows_of(adopt("oimhs", root, unlabelled=True))) == ["1"], "reading it says what is wrong"
    for k in range(1, 4):
        trees.picture(root / "Images" / "1" / f"{k}.png")
    assert "holds no eye of numbered pictures (Images/1: its pictures are 4 columns wide" in refusal(
        "oimhs", root, unlabelled=True
    )


# --- single B-scans


def test_kermany_knows_patients_and_drops_a_split_that_parts_them(tmp_path):
    trees.kermany(tmp_path)
    rows = rows_of(adopt("kermany", tmp_path))
    assert (rows["CNV-1016042-1"]["patient_id"], rows["CNV-1016042-1"]["label"]) == ("1016042", "CNV")
    assert {row["pattern"] for row in rows.values()} == {"line"}
    assert rows["DRUSEN-77-1"]["split"] == "validation"
    trees.picture(tmp_path / "OCT2017" / "test" / "CNV" / "CNV-1016042-3.jpeg")
    adoption = adopt("kermany", tmp_path)
    assert all("split" not in row for row in adoption.rows)
    assert any(
        "1 patients are in two parts of it, such as '1016042' in test and train" in note for note in adoption.notes
    )


def test_kermany_folder_and_name_that_differ_are_listed(tmp_path):
    trees.kermany(tmp_path)
    trees.picture(tmp_path / "OCT2017" / "train" / "CNV" / "DME-1-1.jpeg")
    trees.picture(tmp_path / "OCT2017" / "train" / "CNV" / "odd.jpeg")
    adoption = adopt("kermany", tmp_path)
    assert len(adoption.rows) == 5
    assert left_out(adoption) == {
        "OCT2017/train/CNV/DME-1-1.jpeg": "lies in CNV, and its name says DME",
        "OCT2017/train/CNV/odd.jpeg": "is not called CLASS-PATIENT-NUMBER.jpeg",
    }


def test_octdl_takes_patient_eye_and_sex_from_its_table(tmp_path):
    trees.octdl(tmp_path)
    rows = rows_of(adopt("octdl", tmp_path))
    assert {
        name: tuple(row[k] for k in ("patient_id", "laterality", "label", "sex")) for name, row in rows.items()
    } == {
        "amd_1": ("11", "OD", "AMD", "M"),
        "amd_2": ("12", "", "AMD", "F"),
        "no_1": ("13", "OS", "NO", "F"),
    }
    (tmp_path / "OCTDL" / "AMD" / "amd_1.jpg").rename(tmp_path / "OCTDL" / "NO" / "amd_1.jpg")
    trees.picture(tmp_path / "OCTDL" / "NO" / "new.jpg")
    assert left_out(adopt("octdl", tmp_path)) == {
        "OCTDL/NO/amd_1.jpg": "lies in NO, and OCTDL_labels.csv says AMD",
        "OCTDL/NO/new.jpg": "has no row in OCTDL_labels.csv",
        "OCTDL_labels.csv": "no picture in the folder of a class",
    }
    table = tmp_path / "OCTDL_labels.csv"
    table.write_text(table.read_text().replace("patient_id", "person"))
    assert "has no column 'patient_id'; found 'file_name', 'disease', 'person'" in refusal("octdl", tmp_path)
    table.rename(tmp_path / "OCTDL_label.csv")
    assert "the nearest is 'OCTDL_label.csv'" in refusal("octdl", tmp_path)
