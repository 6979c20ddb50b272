import json

import numpy as np
import pytest

from formats.written_scans import eye
from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.formats import (
    VolumeReadError,
    holds_companions,
    list_scans,
    read_companions,
    read_volume,
    write_companions,
    write_volume,
)
from octavo.volume import Laterality, Origin, Spacing, Volume

SCAN = Volume(eye(), Spacing(0.12, 0.004, 0.011), laterality=Laterality.OS, laterality_origin=Origin.READ)
DEPTH = np.where(np.eye(4, 16) > 0, np.nan, np.linspace(2, 9, 64).reshape(4, 16))
BESIDE = Companions(
    surfaces=(Surface("ILM", DEPTH), Surface("Bruch's membrane", DEPTH + 1)),
    pictures=(
        EnFace(Picture.INFRARED, np.arange(30, dtype=np.uint8).reshape(5, 6), (0.01, 0.012)),
        EnFace(Picture.COLOUR, np.arange(36, dtype=np.uint8).reshape(3, 4, 3), name="left"),
        EnFace(Picture.SLAB, np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), name="superficial"),
    ),
    notes=("one contour was left out",),
)


def test_an_archive_keeps_what_comes_with_a_scan(tmp_path):
    path = write_volume(SCAN, tmp_path / "eye.npz", BESIDE)

    again = read_companions(path)

    assert (again.describe(), again.notes) == (BESIDE.describe(), BESIDE.notes)
    for one, other in zip(again.surfaces, BESIDE.surfaces, strict=True):
        np.testing.assert_array_equal(one.depth, other.depth)
    for one, other in zip(again.pictures, BESIDE.pictures, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.kind, one.spacing_mm, one.name) == (other.kind, other.spacing_mm, other.name)
    assert list_scans(path) == ["4 x 12 x 16 uint8"]
    np.testing.assert_array_equal(read_volume(path).values, SCAN.values)


def test_a_scan_that_comes_alone_has_none(tmp_path):
    path = write_volume(SCAN, tmp_path / "eye.npz", Companions())
    np.save(tmp_path / "plain.npy", eye())

    assert read_companions(path) == read_companions(tmp_path / "plain.npy") == Companions()
    assert set(np.load(path)) == {"values", "geometry"}


def test_only_an_archive_holds_them():
    held = {name: holds_companions(f"eye{name}") for name in (".npz", ".nii.gz", ".tif", ".dcm")}
    assert held == {".npz": True, ".nii.gz": False, ".tif": False, ".dcm": False}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"companions": np.frombuffer(b"{", np.uint8)}, "what comes with the scan is damaged"),
        ({"companions": np.frombuffer(b'{"surfaces": ["ILM"]}', np.uint8)}, "damaged"),
        ({"companions": np.frombuffer(json.dumps({"surfaces": ["x"] * 999}).encode(), np.uint8)}, "damaged"),
        ({"surface-1": np.zeros((3, 16))}, r"a surface has \(3, 16\) B-scans and A-scans, and the scan 4 and 16"),
        ({"surface-1": np.full((4, 16), np.inf)}, "damaged"),
        ({"picture-2": np.zeros((3, 4, 2), np.uint8)}, "damaged"),
    ],
)
def test_damaged_companions_are_refused_and_the_scan_is_read(tmp_path, change, said):
    path = write_volume(SCAN, tmp_path / "eye.npz", BESIDE)
    with np.load(path) as archive:
        arrays = {**dict(archive), **change}
    np.savez(path, **arrays)

    with pytest.raises(VolumeReadError, match=said):
        read_companions(path)
    np.testing.assert_array_equal(read_volume(path).values, SCAN.values)


def test_a_folder_gets_a_table_per_surface_and_a_picture_per_picture(tmp_path):
    from PIL import Image

    files = write_companions(BESIDE, tmp_path / "out")

    assert [file.name for file in files] == [
        "surface-ILM.csv",
        "surface-Bruch-s-membrane.csv",
        "infrared.png",
        "colour-left.png",
        "slab-superficial.png",
    ]
    table = np.genfromtxt(files[0], delimiter=",")
    np.testing.assert_allclose(table, DEPTH, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(Image.open(files[2])), BESIDE.pictures[0].values)
    np.testing.assert_array_equal(np.asarray(Image.open(files[3])), BESIDE.pictures[1].values)
    slab = np.asarray(Image.open(files[4]))
    assert (slab.min(), slab.max()) == (0, 255)


def test_names_that_would_be_one_file_become_two(tmp_path):
    twice = Companions((Surface("a/b", DEPTH), Surface("a b", DEPTH), Surface("../..", DEPTH)))

    files = write_companions(twice, tmp_path / "out")

    assert [file.name for file in files] == ["surface-a-b.csv", "surface-a-b-2.csv", "surface.csv"]
    assert {path.parent for path in files} == {tmp_path / "out"}


def test_what_is_there_is_not_replaced_unasked(tmp_path):
    write_companions(BESIDE, tmp_path)
    before = (tmp_path / "infrared.png").read_bytes()

    with pytest.raises(Exception, match=r"surface-ILM\.csv: is there already"):
        write_companions(BESIDE, tmp_path)
    assert (tmp_path / "infrared.png").read_bytes() == before
    write_companions(BESIDE, tmp_path, overwrite=True)
