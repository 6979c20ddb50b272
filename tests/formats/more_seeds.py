"""Seeds of mutants beside the one eye of every format in the contract: more layouts, and files with companions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from formats.nifti.test_nifti import FULL
from formats.test_numpy_companions import BESIDE, SCAN
from formats.written_bioptigen import bioptigen_bytes
from formats.written_e2e import planted_raster, write_e2e
from formats.written_heyex import planted_series, write_export
from formats.written_matlab import write_mat5, write_mat73
from formats.written_octexplorer import write_surfaces
from formats.written_scans import eye, opt_dataset, vol_bytes, write_dicom, write_pictures
from formats.written_stored_images import write_mhd, write_nhdr, write_nrrd
from formats.written_topcon import contour, infrared, photograph, plain, projection, topcon_bytes, written
from octavo.formats import write_volume

MILLIMETRES = (0.12, 0.0039, 0.0113)
SHAPE = (4, 12, 16)


def _dicom(syntax: str, depth: int = 40):
    return lambda folder: write_dicom(folder / "a.dcm", opt_dataset(eye(2, depth, 48)), syntax)


def _layered_mat(write):
    def made(folder: Path) -> Path:
        layers = np.full((4, 16, 3), 5.0) + np.arange(3)
        return write(folder / "a.mat", {"images": eye().transpose(1, 2, 0), "layerMaps": layers})

    return made


def _topcon_with_all(folder: Path) -> Path:
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    depth = np.linspace(2, 9, 64).reshape(4, 16)
    more = [
        contour(b"MULTILAYERS_1", depth, 12),
        contour(b"RETINA_2", depth, 12, kind=256),
        photograph(np.stack([grey, grey + 1, grey + 2], axis=-1)),
        infrared(grey),
        projection(np.arange(64, dtype=np.uint8).reshape(4, 16)),
    ]
    return written(folder, topcon_bytes(plain(eye()), more=more), "exam.fds")


def _surfaces_beside(folder: Path) -> Path:
    write_surfaces(folder / "eye_Surfaces_Iowa.xml", SHAPE)
    return write_volume(FULL, folder / "eye.npz")


def _vol(folder: Path, **how: object) -> Path:
    path = folder / "a.vol"
    path.write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4, spacing_mm=MILLIMETRES, **how))
    return path


def _e2e(folder: Path) -> Path:
    surfaces = {0: np.full((4, 16), 3.0), 1: np.full((4, 16), 8.0)}
    first = planted_raster(surfaces=surfaces, picture=np.arange(30, dtype=np.uint8).reshape(5, 6))
    return write_e2e(folder, first, planted_raster(letter="L", ids=(7, 8, 10)), per_directory=5)


def _heyex(folder: Path) -> Path:
    layers = {"ILM": np.full((4, 16), 3.0), "BM": np.full((4, 16), 9.0)}
    picture = np.arange(30, dtype=np.uint8).reshape(5, 6)
    return write_export(folder / "x", planted_series(layers=layers, localiser=picture)) / "zz.xml"


def _bytes(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _packed_tiff(folder: Path) -> Path:
    first, *others = [Image.fromarray(bscan) for bscan in eye()]
    first.save(folder / "a.tif", save_all=True, append_images=others, compression="tiff_lzw")
    return folder / "a.tif"


MORE = [
    pytest.param(name, write, id=label)
    for name, label, write in [
        ("dicom", "dicom-rle", _dicom(RLELossless)),
        ("dicom", "dicom-jpeg-ls", _dicom(JPEGLSLossless)),
        ("dicom", "dicom-jpeg2000", _dicom(JPEG2000Lossless)),
        ("dicom", "dicom-deflated", _dicom(DeflatedExplicitVRLittleEndian)),
        ("nifti", "nifti-own", lambda folder: write_volume(FULL, folder / "a.nii")),
        ("numpy", "numpy-plain", lambda folder: _saved(folder / "a.npy")),
        ("numpy", "numpy-companions", lambda folder: write_volume(SCAN, folder / "a.npz", BESIDE)),
        ("numpy", "numpy-octexplorer", _surfaces_beside),
        ("tiff", "tiff-lzw", _packed_tiff),
        ("heidelberg-vol", "vol-circle", lambda folder: _vol(folder, pattern=2)),
        ("heidelberg-vol", "vol-radial", lambda folder: _vol(folder, pattern=5)),
        ("heidelberg-e2e", "e2e-two-scans", _e2e),
        ("heidelberg-xml", "xml-layers", _heyex),
        ("topcon", "topcon-companions", _topcon_with_all),
        ("matlab", "matlab-layers-5", _layered_mat(write_mat5)),
        ("matlab", "matlab-layers-73", _layered_mat(write_mat73)),
        ("matlab", "matlab-nested", lambda folder: write_mat5(folder / "a.mat", {"s": {"a": {"images": eye()}}})),
        ("metaimage", "metaimage-mhd", lambda folder: write_mhd(folder / "a.mhd", eye(), MILLIMETRES, packed=True)),
        ("nrrd", "nrrd-bzip2", lambda folder: write_nrrd(folder / "a.nrrd", eye(), MILLIMETRES, encoding="bzip2")),
        ("nrrd", "nrrd-nhdr", lambda folder: write_nhdr(folder / "a.nhdr", eye(), MILLIMETRES)),
        (
            "bioptigen-oct",
            "bioptigen-repeated",
            lambda folder: _bytes(folder, "a.OCT", bioptigen_bytes(eye(), scan_type=1, frames=2)),
        ),
        ("image-folder", "pictures-png", lambda folder: write_pictures(folder / "scan", eye(), "{}.png")),
    ]
]
"""Format, and what writes the seed into a folder."""


def _saved(path: Path) -> Path:
    np.save(path, eye())
    return path


def damaged_file(path: Path) -> Path:
    """The file of a seed that is damaged: of a folder the second, by name; of a pair the one that is named."""
    return sorted(path.iterdir())[1] if path.is_dir() else path
