"""What every reader must keep, whichever format it reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from formats.written_scans import eye, heyex_xml, opt_dataset, vol_bytes, write_dicom, write_pictures, write_series
from octavo.formats import READERS, VolumeReadError, list_scans, read_volume, write_volume
from octavo.volume import Laterality, Origin, Spacing, Volume

MILLIMETRES = (0.12, 0.0039, 0.0113)
PLANTED = Volume(
    eye(), Spacing(*MILLIMETRES), laterality=Laterality.OD, laterality_origin=Origin.READ, notes=("planted",)
)


def vol(folder: Path) -> Path:
    path = folder / "exam.vol"
    path.write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4, spacing_mm=MILLIMETRES))
    return path


def pictures(folder: Path) -> Path:
    write_pictures(folder / "scan", eye())
    (folder / "info.xml").write_text(heyex_xml((4, 12, 16), laterality="R"))
    return folder / "scan"


WRITTEN: dict[str, list[Callable[[Path], Path]]] = {
    "numpy": [lambda folder: write_volume(PLANTED, folder / "eye.npz")],
    "nifti": [
        lambda folder: write_volume(PLANTED, folder / "eye.nii"),
        lambda folder: write_volume(PLANTED, folder / "eye.nii.gz"),
    ],
    "tiff": [lambda folder: write_volume(PLANTED, folder / "eye.tif")],
    "dicom": [
        lambda folder: write_dicom(folder / "eye.dcm", opt_dataset(eye(), spacing_mm=MILLIMETRES)),
        lambda folder: write_series(folder / "series", eye(), spacing_mm=MILLIMETRES)[0].parent,
    ],
    "heidelberg-vol": [vol],
    "image-folder": [pictures],
}
"""One eye in every format: a right eye, B-scans 120 um apart."""

PADDED = {"tiff"}
"""Formats whose last byte is padding here, so that nothing is lost with it."""

CASES = [
    pytest.param(name, write, id=f"{name}-{number}")
    for name, writes in WRITTEN.items()
    for number, write in enumerate(writes)
]


def test_every_reader_stands_in_this_contract():
    assert set(WRITTEN) == set(READERS)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_axes_are_bscan_depth_ascan(name, write, tmp_path):
    volume = read_volume(write(tmp_path))

    assert volume.shape == (4, 12, 16)
    np.testing.assert_allclose(volume.values, eye(), atol=0.01)
    assert volume.source.format == name


@pytest.mark.parametrize(("name", "write"), CASES)
def test_millimetres_have_an_origin(name, write, tmp_path):
    spacing = read_volume(write(tmp_path)).spacing_mm

    assert spacing.known_mm() == pytest.approx(MILLIMETRES, rel=1e-6)
    assert set(spacing.origins) <= {Origin.READ, Origin.DERIVED}


@pytest.mark.parametrize(("name", "write"), CASES)
def test_the_eye_has_an_origin(name, write, tmp_path):
    volume = read_volume(write(tmp_path))

    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, Origin.READ)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_what_the_user_says_wins(name, write, tmp_path):
    volume = read_volume(write(tmp_path), laterality=Laterality.OS, spacing_mm=(0.5, 0.004, 0.01))

    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.USER)
    assert volume.spacing_mm == Spacing(0.5, 0.004, 0.01, (Origin.USER,) * 3)
    assert sum("the file says" in note for note in volume.notes) == 2


@pytest.mark.parametrize(("name", "write"), CASES)
def test_listing_reads_no_voxels_and_names_one_scan(name, write, tmp_path):
    labels = list_scans(write(tmp_path))

    assert len(labels) == 1
    assert "Doe" not in labels[0]


@pytest.mark.parametrize(("name", "write"), CASES)
def test_nothing_in_the_volume_names_the_patient(name, write, tmp_path):
    shown = repr(read_volume(write(tmp_path)))

    assert not any(word in shown for word in ("Doe", "Jane", "4711", "1950"))


@pytest.mark.parametrize("damage", ["half", "last byte", "empty", "text"])
@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_damaged_file_is_refused_in_one_sentence(name, write, damage, tmp_path):
    path = write(tmp_path)
    file = sorted(path.iterdir())[1] if path.is_dir() else path
    whole = file.read_bytes()
    cut = {
        "half": whole[: len(whole) // 2],
        "last byte": whole[:-1],
        "empty": b"",
        "text": b"exam_id,path,label\n" * 40,
    }
    file.write_bytes(cut[damage])

    if damage == "last byte" and name in PADDED:
        np.testing.assert_allclose(read_volume(path).values, eye(), atol=0.01)
        return
    with pytest.raises(VolumeReadError) as caught:
        read_volume(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "; wanted " in sentence
    assert "\n" not in sentence
