"""What every reader must keep, whichever format it reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from formats.written_analyze import write_analyze
from formats.written_bioptigen import bioptigen_bytes
from formats.written_e2e import blocks_of, e2e_bytes, planted_raster
from formats.written_heyex import planted_series, write_export
from formats.written_matlab import export_variables, write_mat5, write_mat73
from formats.written_optovue import write_optovue
from formats.written_scans import eye, heyex_xml, opt_dataset, vol_bytes, write_dicom, write_pictures, write_series
from formats.written_stored_images import write_mha, write_nrrd
from formats.written_topcon import compressed, plain, topcon_bytes
from formats.written_zeiss import write_profiled
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


def e2e(folder: Path) -> Path:
    path = folder / "exam.E2E"
    path.write_bytes(e2e_bytes(blocks_of(planted_raster())))
    return path


def topcon(folder: Path, block: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(topcon_bytes(block))
    return path


def picture(folder: Path) -> Path:
    path = folder / "exam_OD.png"
    Image.fromarray(eye()[0]).save(path)
    return path


def bioptigen(folder: Path) -> Path:
    path = folder / "exam_OD.OCT"
    path.write_bytes(bioptigen_bytes(eye()))
    return path


WRITTEN: dict[str, list[Callable[[Path], Path]]] = {
    "numpy": [lambda folder: write_volume(PLANTED, folder / "eye.npz")],
    "analyze": [
        lambda folder: write_analyze(folder / "eye_OD.hdr", eye(), MILLIMETRES),
        lambda folder: write_analyze(folder / "eye_OD.hdr", eye(dtype="int16"), MILLIMETRES, order=">"),
    ],
    "nifti": [
        lambda folder: write_volume(PLANTED, folder / "eye.nii"),
        lambda folder: write_volume(PLANTED, folder / "eye.nii.gz"),
    ],
    "tiff": [lambda folder: write_volume(PLANTED, folder / "eye.tif")],
    "dicom": [
        lambda folder: write_dicom(folder / "eye.dcm", opt_dataset(eye(), spacing_mm=MILLIMETRES)),
        lambda folder: write_series(folder / "series", eye(), spacing_mm=MILLIMETRES)[0].parent,
        lambda folder: write_volume(PLANTED, folder / "own.dcm"),
    ],
    "heidelberg-vol": [vol],
    "metaimage": [
        lambda folder: write_mha(folder / "eye.mha", eye(), MILLIMETRES),
        lambda folder: write_mha(folder / "packed.mha", eye(), MILLIMETRES, packed=True),
    ],
    "nrrd": [
        lambda folder: write_nrrd(folder / "eye.nrrd", eye(), MILLIMETRES),
        lambda folder: write_nrrd(folder / "packed.nrrd", eye(), MILLIMETRES, encoding="gzip"),
    ],
    "heidelberg-e2e": [e2e],
    "heidelberg-xml": [lambda folder: write_export(folder / "export", planted_series())],
    "topcon": [
        lambda folder: topcon(folder, compressed(eye()), "exam.fda"),
        lambda folder: topcon(folder, plain(eye()), "exam.fds"),
    ],
    "zeiss-img": [lambda folder: write_profiled(folder, eye())],
    "matlab": [
        lambda folder: write_mat5(folder / "exam.mat", export_variables(eye())),
        lambda folder: write_mat5(folder / "exam.mat", export_variables(eye()), packed=False),
        lambda folder: write_mat73(folder / "exam.mat", export_variables(eye())),
    ],
    "bioptigen-oct": [bioptigen],
    "optovue-oct": [lambda folder: write_optovue(folder, eye())],
    "image-folder": [pictures],
    "picture": [picture],
}
"""One eye in every format: a right eye, B-scans 120 um apart."""

PADDED = {"picture", "tiff", "topcon"}
"""Formats whose last byte is padding or a sum here, so that nothing is lost with it."""

SINGLE = {"picture"}
"""Formats of one B-scan, which hold the first of the planted ones."""

WITHOUT_MILLIMETRES = {"picture"}
"""Formats that state no millimetres at all."""

SALVAGED = {"heidelberg-e2e"}
"""Formats of chunks: B-scans that are cut off are named in a note, and the others are read."""

EYE_IN_NAME = {"analyze", "bioptigen-oct", "picture"}
"""Formats that name no eye, so that only the file's name may."""

WITHOUT_LATERAL_MILLIMETRES = {"heidelberg-e2e"}
"""Formats that state millimetres along depth alone."""

COARSE = {"heidelberg-e2e": 0.04}
"""How far grey values lie from what was planted, in formats whose numbers are shorter than that."""

CASES = [
    pytest.param(name, write, id=f"{name}-{number}")
    for name, writes in WRITTEN.items()
    for number, write in enumerate(writes)
]


def planted(name: str) -> np.ndarray:
    """The B-scans that a format holds."""
    return eye()[:1] if name in SINGLE else eye()


def test_every_reader_stands_in_this_contract():
    assert set(WRITTEN) == set(READERS)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_axes_are_bscan_depth_ascan(name, write, tmp_path):
    volume = read_volume(write(tmp_path))

    assert volume.shape == planted(name).shape
    np.testing.assert_allclose(volume.values, planted(name), atol=COARSE.get(name, 0.01))
    assert volume.source.format == name


@pytest.mark.parametrize(("name", "write"), CASES)
def test_millimetres_have_an_origin(name, write, tmp_path):
    spacing = read_volume(write(tmp_path)).spacing_mm

    if name in WITHOUT_LATERAL_MILLIMETRES:
        assert spacing == Spacing(None, MILLIMETRES[1], None)
        return
    if name in WITHOUT_MILLIMETRES:
        assert spacing == Spacing()
        return
    assert spacing.known_mm() == pytest.approx(MILLIMETRES, rel=1e-6)
    assert set(spacing.origins) <= {Origin.READ, Origin.DERIVED}


@pytest.mark.parametrize(("name", "write"), CASES)
def test_the_eye_has_an_origin(name, write, tmp_path):
    volume = read_volume(write(tmp_path))

    origin = Origin.DERIVED if name in EYE_IN_NAME else Origin.READ
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, origin)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_what_the_user_says_wins(name, write, tmp_path):
    path = write(tmp_path)
    volume = read_volume(path, laterality=Laterality.OS, spacing_mm=(0.5, 0.004, 0.01))

    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.USER)
    assert read_volume(path, laterality="OS").laterality is Laterality.OS
    assert volume.spacing_mm == Spacing(0.5, 0.004, 0.01, (Origin.USER,) * 3)
    assert sum("the file says" in note for note in volume.notes) == (1 if name in WITHOUT_MILLIMETRES else 2)


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
        np.testing.assert_allclose(read_volume(path).values, planted(name), atol=0.01)
        return
    if damage in {"half", "last byte"} and name in SALVAGED:
        volume = read_volume(path)
        assert len(volume.values) < 4
        assert any("are missing or damaged" in note for note in volume.notes)
        return
    with pytest.raises(VolumeReadError) as caught:
        read_volume(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "; wanted " in sentence
    assert "\n" not in sentence
