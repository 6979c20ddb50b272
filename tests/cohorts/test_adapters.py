import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from octavo.cohorts.adapters import ADAPTERS, Adoption, AdoptionOptions
from octavo.cohorts.adapters.adoption import files_below, patient_finder
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, read_volume

PUBLISHED = (64, 128, 64)


def npy(path: Path, shape: tuple[int, ...] = (2, 3, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
    return path


def left_out(adoption) -> dict[str, str]:
    return {item.path.as_posix(): item.reason for item in adoption.left_out}


def adopt(name: str, root: Path, **options) -> Adoption:
    return ADAPTERS[name].adopt(root, AdoptionOptions(**options))


def refusal(name: str, root: Path, pattern: str | None = None) -> str:
    with pytest.raises(OctavoError) as caught:
        adopt(name, root, patient_pattern=pattern)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- zenodo-onh


@pytest.fixture
def onh(tmp_path) -> Path:
    for name in ("POAG-001978-2012-02-08-OS", "POAG-000008-2009-02-03-OD", "Normal-000123-2010-10-20-OD"):
        npy(tmp_path / f"{name}.npy", PUBLISHED)
    return tmp_path


def test_zenodo_names_say_everything(onh):
    adoption = adopt("zenodo-onh", onh)
    assert adoption.left_out == ()
    assert len(adoption.rows) == 3
    row = next(row for row in adoption.rows if row["exam_id"] == "POAG-001978-2012-02-08-OS")
    assert row == {
        "exam_id": "POAG-001978-2012-02-08-OS",
        "patient_id": "001978",
        "path": str(onh / "POAG-001978-2012-02-08-OS.npy"),
        "laterality": "OS",
        "label": "1",
        "region": "disc",
        "pattern": "raster",
        "exam_date": "2012-02-08",
        "spacing_bscan_mm": "0.09375",
        "spacing_depth_mm": "0.015625",
        "spacing_ascan_mm": "0.09375",
    }
    assert [row["label"] for row in adoption.rows] == ["0", "1", "1"]
    assert "slow_axis" not in row
    assert any("direction" in note for note in adoption.notes)


MISFITS = {
    "Glaucoma-000001-2012-02-08-OS.npy": "label is 'Glaucoma'; wanted Normal or POAG",
    "poag-000001-2012-02-08-OS.npy": "label is 'poag'",
    "POAG-000001-2012-02-08-L.npy": "eye is 'L'; wanted OD or OS",
    "POAG-000001-2012-13-08-OS.npy": "2012-13-08 is no date",
    "POAG-2012-02-08-OS.npy": "wanted LABEL-PATIENT-YYYY-MM-DD-EYE.npy",
    "POAG-00A001-2012-02-08-OS.npy": "wanted LABEL-PATIENT-YYYY-MM-DD-EYE.npy",
    "POAG-000001-2012-02-08-OS.npz": "not an .npy file",
    "._POAG-000001-2012-02-08-OS.npy": "label is '._POAG'",
    "README.md": "not an .npy file",
    "more/POAG-000001-2012-02-08-OS.npy": "lies in a folder of its own",
}


@pytest.mark.parametrize(("name", "reason"), MISFITS.items())
def test_zenodo_names_that_do_not_fit_are_listed(onh, name, reason):
    npy(onh / name)
    adoption = adopt("zenodo-onh", onh)
    assert len(adoption.rows) == 3
    assert list(left_out(adoption)) == [name]
    assert reason in left_out(adoption)[name]
    assert adoption.left_out[0].is_expected is (name.startswith("._") or name == "README.md")


def test_zenodo_spacing_is_not_claimed_for_another_size(onh):
    npy(onh / "Normal-000200-2010-10-20-OS.npy", (200, 32, 200))
    adoption = adopt("zenodo-onh", onh)
    by_id = {row["exam_id"]: row for row in adoption.rows}
    assert "spacing_bscan_mm" not in by_id["Normal-000200-2010-10-20-OS"]
    assert by_id["POAG-000008-2009-02-03-OD"]["spacing_bscan_mm"] == "0.09375"
    assert any("1 of 4 files are not 64 x 128 x 64" in note for note in adoption.notes)


def test_zenodo_says_when_a_class_is_absent(onh):
    (onh / "Normal-000123-2010-10-20-OD.npy").unlink()
    assert any("'Normal'" in note for note in adopt("zenodo-onh", onh).notes)


def test_zenodo_root_that_lies_above_is_told_where_the_scans_are(tmp_path):
    npy(tmp_path / "volumes" / "POAG-001978-2012-02-08-OS.npy", PUBLISHED)
    assert f"pass {tmp_path / 'volumes'}" in refusal("zenodo-onh", tmp_path)


def test_zenodo_root_without_any_such_name_is_refused_with_an_example(tmp_path):
    npy(tmp_path / "scan1.npy")
    message = refusal("zenodo-onh", tmp_path)
    assert "none of 1 files has a name such as POAG-001978-2012-02-08-OS.npy" in message
    assert "scan1.npy: wanted LABEL-PATIENT" in message


def test_zenodo_names_hold_the_patient_so_a_pattern_is_refused(onh):
    assert "--patient-pattern" in refusal("zenodo-onh", onh, "([0-9]+)")


def test_zenodo_header_that_cannot_be_read_does_not_stop_the_others(onh):
    # a damaged header makes NumPy raise an exception of Python's tokeniser
    damaged = (onh / "POAG-000008-2009-02-03-OD.npy").read_bytes().replace(b"(64, 128, 64)", b"(64L, 128, 64")
    (onh / "POAG-000008-2009-02-03-OD.npy").write_bytes(damaged)
    (onh / "POAG-000009-2009-02-03-OD.npy").write_bytes(b"")
    adoption = adopt("zenodo-onh", onh)
    assert len(adoption.rows) == 4
    assert any("2 of 4 files have no header that can be read" in note for note in adoption.notes)


def test_zenodo_spacing_is_not_claimed_for_a_file_that_cannot_be_read(onh):
    (onh / "POAG-000008-2009-02-03-OD.npy").write_bytes(b"no array")
    rows = {row["exam_id"]: row for row in adopt("zenodo-onh", onh).rows}
    assert ["spacing_bscan_mm" in row for row in rows.values()] == [True, False, True]


@pytest.mark.parametrize("content", ["npz", "garbage"])
def test_zenodo_archive_under_the_name_of_an_array_is_listed(onh, content):
    name = "POAG-000009-2009-02-03-OD"
    np.savez(onh / f"{name}.npz", scan=np.zeros((2, 3, 4)))
    whole = (onh / f"{name}.npz").read_bytes()
    (onh / f"{name}.npz").unlink()
    (onh / f"{name}.npy").write_bytes(whole if content == "npz" else whole[:60] + b"garbage")
    adoption = adopt("zenodo-onh", onh)
    assert len(adoption.rows) == 3
    assert left_out(adoption) == {
        f"{name}.npy": "holds a zip archive, as .npz files are; wanted one array; save it with numpy.save"
    }


def test_zenodo_names_that_are_no_files_are_listed(onh):
    (onh / "POAG-000009-2009-02-03-OD.npy").symlink_to(onh / "nothing")
    os.mkfifo(onh / "POAG-000009-2009-02-03-OS.npy")
    adoption = adopt("zenodo-onh", onh)
    assert len(adoption.rows) == 3
    assert set(left_out(adoption).values()) == {"is a link that leads nowhere, or no file; wanted a file"}
    assert len(adoption.left_out) == 2


# --- ai-cnet3d-folders


@pytest.fixture
def folders(tmp_path) -> Path:
    npy(tmp_path / "glaucoma" / "P017_OD.npy")
    npy(tmp_path / "glaucoma" / "visit2" / "P018_OS.npy")
    npy(tmp_path / "Non-Glaucomas" / "P019_OD.npy")
    npy(tmp_path / "Non-Glaucomas" / "deep" / "er" / "P020_OD.npy")
    return tmp_path


def test_class_folders_give_the_label_and_nothing_else(folders):
    adoption = adopt("ai-cnet3d-folders", folders)
    assert adoption.left_out == ()
    assert {(row["exam_id"], row["label"]) for row in adoption.rows} == {
        ("P017_OD", "1"),
        ("P018_OS", "1"),
        ("P019_OD", "0"),
        ("P020_OD", "0"),
    }
    assert {row["patient_id"] for row in adoption.rows} == {""}
    assert {row["laterality"] for row in adoption.rows} == {""}
    assert any("--each-row-its-own-patient" in note and "--patient-pattern" in note for note in adoption.notes)
    assert all(Path(row["path"]).is_file() for row in adoption.rows)


def test_the_patient_is_found_by_a_pattern(folders):
    adoption = adopt("ai-cnet3d-folders", folders, patient_pattern=r"(P\d+)_")
    assert {row["exam_id"]: row["patient_id"] for row in adoption.rows} == {
        "P017_OD": "P017",
        "P018_OS": "P018",
        "P019_OD": "P019",
        "P020_OD": "P020",
    }
    assert not any("--each-row-its-own-patient" in note for note in adoption.notes)


def test_a_scan_without_patient_is_listed_and_nobody_is_refused(folders):
    npy(folders / "glaucoma" / "phantom.npy")
    adoption = adopt("ai-cnet3d-folders", folders, patient_pattern=r"(P\d+)_")
    assert len(adoption.rows) == 4
    assert left_out(adoption) == {"glaucoma/phantom.npy": r"the pattern '(P\\d+)_' finds no patient"}
    assert not adoption.left_out[0].is_expected
    assert "finds nobody in 5 paths" in refusal("ai-cnet3d-folders", folders, r"(Q\d+)_")


def test_a_folder_of_bscans_is_one_exam(folders):
    home = folders / "glaucoma" / "P021_OS"
    home.mkdir()
    for k in range(1, 13):
        Image.fromarray(np.full((5, 6), 20 * k, np.uint8)).save(home / f"{k}.png")
    adoption = adopt("ai-cnet3d-folders", folders, patient_pattern=r"(P\d+)_")
    row = next(row for row in adoption.rows if row["patient_id"] == "P021")
    assert row["path"] == str(home)
    assert adoption.left_out == ()


def test_scans_beside_pictures_are_exams_and_unused_pictures_are_listed(folders):
    home = folders / "glaucoma" / "P021_OS"
    npy(home / "P022_OD.npy")
    npy(home / "deep" / "P023_OD.npy")
    for name in ("1.png", "2.png", "3.png", "overview.png"):
        Image.fromarray(np.full((5, 6), 20, np.uint8)).save(home / name)
    (home / "segmentation.xyz").write_bytes(b"x")
    adoption = adopt("ai-cnet3d-folders", folders)
    below = [row["path"] for row in adoption.rows if row["path"].startswith(str(home))]
    assert below == [str(home), str(home / "P022_OD.npy"), str(home / "deep" / "P023_OD.npy")]
    assert left_out(adoption) == {
        "glaucoma/P021_OS/overview.png": "not known to hold a scan",
        "glaucoma/P021_OS/segmentation.xyz": "not known to hold a scan",
    }


def test_links_that_lead_nowhere_and_pipes_are_listed(folders):
    (folders / "glaucoma" / "gone.npy").symlink_to(folders / "nothing")
    os.mkfifo(folders / "glaucoma" / "pipe")
    adoption = adopt("ai-cnet3d-folders", folders)
    assert len(adoption.rows) == 4
    assert left_out(adoption) == {
        f"glaucoma/{name}": "a link that leads nowhere, or no file" for name in ("gone.npy", "pipe")
    }


def test_an_archive_of_several_arrays_is_one_row_that_is_refused_until_one_is_named(folders):
    np.savez(folders / "glaucoma" / "two.npz", left=np.zeros((2, 3, 4)), right=np.zeros((2, 3, 4)))
    rows = adopt("ai-cnet3d-folders", folders).rows
    assert [row["path"] for row in rows if "two" in row["path"]] == [str(folders / "glaucoma" / "two.npz")]
    with pytest.raises(VolumeReadError, match="holds 2 scans"):
        read_volume(folders / "glaucoma" / "two.npz")


def test_files_that_are_no_scans_are_listed(folders):
    (folders / "notes.txt").write_text("x")
    (folders / "glaucoma" / "segmentation.xyz").write_bytes(b"\x00\x01")
    (folders / "glaucoma" / ".DS_Store").write_bytes(b"\x00\x01")
    npy(folders / "unsure" / "P030_OD.npy")
    adoption = adopt("ai-cnet3d-folders", folders)
    assert len(adoption.rows) == 4
    assert left_out(adoption) == {
        "notes.txt": "lies in neither glaucoma nor Non-Glaucomas",
        "unsure/P030_OD.npy": "lies in neither glaucoma nor Non-Glaucomas",
        "glaucoma/segmentation.xyz": "not known to hold a scan",
        "glaucoma/.DS_Store": "not known to hold a scan",
    }
    assert {item.path.name for item in adoption.left_out if item.is_expected} == {"notes.txt", ".DS_Store"}


def test_links_to_class_folders_are_followed_and_links_below_are_listed(folders, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    (folders / "glaucoma").rename(away / "cases")
    (folders / "glaucoma").symlink_to(away / "cases")
    npy(away / "more" / "P040_OD.npy")
    (away / "cases" / "linked").symlink_to(away / "more")
    adoption = adopt("ai-cnet3d-folders", folders)
    assert {row["exam_id"] for row in adoption.rows if row["label"] == "1"} == {"P017_OD", "P018_OS"}
    assert left_out(adoption) == {"glaucoma/linked": "a link to a folder is not entered"}


def test_scans_of_one_name_get_different_exams(folders):
    npy(folders / "Non-Glaucomas" / "P017_OD.npy")
    ids = [row["exam_id"] for row in adopt("ai-cnet3d-folders", folders).rows]
    assert len(set(ids)) == 5
    assert {"glaucoma--P017_OD.npy", "Non-Glaucomas--P017_OD.npy", "P018_OS"} <= set(ids)


def test_endings_are_not_part_of_the_exam(tmp_path):
    import nibabel

    (tmp_path / "glaucoma").mkdir()
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), tmp_path / "glaucoma" / "a.nii.gz")
    npy(tmp_path / "Non-Glaucomas" / "v1.2.npy")
    ids = [row["exam_id"] for row in adopt("ai-cnet3d-folders", tmp_path).rows]
    assert ids == ["a", "v1.2"]


@pytest.mark.parametrize("wrong", ["Non-Glaucoma", "non-glaucomas", "normal"])
def test_a_layout_that_is_nearly_right_is_told_what_is_missing(folders, wrong):
    (folders / "Non-Glaucomas").rename(folders / wrong)
    message = refusal("ai-cnet3d-folders", folders)
    assert "has no folder 'Non-Glaucomas'" in message
    assert repr(wrong) in message


def test_a_class_without_scans_is_refused(folders):
    for path in (folders / "Non-Glaucomas").rglob("*.npy"):
        path.unlink()
    assert "Non-Glaucomas" in refusal("ai-cnet3d-folders", folders)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(P", "is no regular expression"),
        ("P[0-9]+", "has 0 groups"),
        ("(P)([0-9]+)", "has 2 groups; wanted exactly one"),
    ],
)
def test_a_pattern_has_one_group(pattern, expected):
    with pytest.raises(OctavoError, match=expected):
        patient_finder(pattern)


def test_files_come_in_the_same_order_every_time(folders):
    order = list(files_below(folders))
    assert order == sorted(order, key=lambda path: (path.parent.parts, path.name))
    assert len(order) == 4


@pytest.mark.parametrize("shape", [(10**6, 10**6, 10**6), (2**70, 1, 1), (-4, 128, 64), ("a", 1, 1), (2**62, 2**62, 4)])
def test_zenodo_header_that_no_array_has_does_not_stop_the_others(onh, shape):
    path = onh / "Normal-000777-2011-01-01-OS.npy"
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117).encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    adoption = adopt("zenodo-onh", onh)
    row = next(row for row in adoption.rows if row["patient_id"] == "000777")
    assert not row.get("spacing_bscan_mm")
    assert f"1 of {len(adoption.rows)} files have no header that can be read" in " ".join(adoption.notes)
