"""The sample scans beside the repository, against the table of what each must say. Their pixels stay where they are."""

import csv
from pathlib import Path

import numpy as np
import pytest

from octavo.formats import VolumeReadError, read_volume
from octavo.volume import Origin, ScanPattern, SlowAxis

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (DATA / "expected.csv").exists(), reason=f"the sample scans are not in {DATA}"),
]


def rows() -> list[dict[str, str]]:
    if not (DATA / "expected.csv").exists():
        return []
    with (DATA / "expected.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["path"])
def test_a_scan_says_what_the_table_expects(row):
    if row["opens"] == "refused":
        with pytest.raises(VolumeReadError, match="wanted the same"):
            read_volume(DATA / row["path"])
        return

    volume = read_volume(DATA / row["path"])

    assert volume.shape == (int(row["bscans"]), int(row["depth"]), int(row["ascans"]))
    for column, value in zip(("bscan_um", "depth_um", "ascan_um"), volume.spacing_mm.values_mm, strict=True):
        if row[column]:
            # The table rounds to four digits.
            assert value * 1000 == pytest.approx(float(row[column]), rel=5e-4)
    for column, word in (("laterality", volume.laterality), ("pattern", volume.pattern)):
        if row[column]:
            assert word == row[column]
    if row["slow_axis"]:
        assert volume.slow_axis == row["slow_axis"]


def test_the_table_was_read_whole():
    assert len(rows()) == 14
    assert sum(row["opens"] == "refused" for row in rows()) == 1


def test_without_its_export_file_a_folder_has_no_millimetres(tmp_path):
    for number in range(1, 4):
        source = DATA / "oct_spectralis_drusen_bonn" / "OCT-Volume-Scan" / f"{number}-Input.tif"
        (tmp_path / "part").mkdir(exist_ok=True)
        (tmp_path / "part" / source.name).symlink_to(source)

    volume = read_volume(tmp_path / "part")

    assert volume.shape == (3, 496, 512)
    assert not any(volume.spacing_mm.values_mm)
    assert (volume.pattern_origin, volume.slow_axis) == (Origin.ASSUMED, SlowAxis.UNKNOWN)


def test_one_scan_in_three_formats_shows_the_same_tissue():
    folder = read_volume(DATA / "oct_spectralis_drusen_bonn" / "OCT-Volume-Scan").values[::8].astype(np.float64)
    vol = read_volume(DATA / "heidelberg_vol" / "derived_raster_19x256x512.vol").values
    dicom = read_volume(DATA / "dicom_opt" / "spectralis_19frames_from_bonn.dcm").values

    np.testing.assert_allclose(vol, folder[:, 100:356], atol=0.01)
    assert np.corrcoef(dicom.ravel(), folder.ravel())[0, 1] > 0.99


def test_line_and_circle_have_no_distance_between_bscans():
    for name, pattern in (
        ("macula_line_OD.vol", ScanPattern.LINE),
        ("peripapillary_circle_OD.vol", ScanPattern.CIRCLE),
    ):
        volume = read_volume(DATA / "heidelberg_vol" / name)
        assert (volume.pattern, volume.spacing_mm.bscan) == (pattern, None)


def test_an_en_face_slab_has_no_millimetres_and_says_why():
    volume = read_volume(DATA / "octa_enface" / "eye1_OD_SVP.nii")

    assert not any(volume.spacing_mm.values_mm)
    assert "does not state the unit" in volume.notes[0]
    assert (volume.laterality, volume.laterality_origin) == ("OD", Origin.DERIVED)


def test_the_labelled_volumes_turn_as_their_axes_say():
    paths = sorted((DATA / "oct3d_pose").glob("*.npz"))
    assert len(paths) == 12
    for path in paths:
        volume = read_volume(path, key="data", axes="depth,bscan,ascan")
        with np.load(path) as archive:
            np.testing.assert_array_equal(volume.values, archive["data"].transpose(1, 0, 2))


def test_no_placeholder_of_a_patient_comes_out():
    for path in [*sorted((DATA / "heidelberg_vol").glob("*.vol")), DATA / "heidelberg_xml" / "test_volume"]:
        try:
            said = repr(read_volume(path))
        except VolumeReadError as refusal:
            said = str(refusal)
        assert not any(word in said for word in ("anon", "Study-01", "Doe", "John"))
