import dataclasses
from pathlib import Path

import numpy as np
import pytest

from octavo.cohorts.exam import Exam, LateralityConflictError, read_exam, read_mask, voxel_hash
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, write_volume
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume

VALUES = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture
def bare(tmp_path) -> Exam:
    """A scan whose file says nothing of itself."""
    np.save(tmp_path / "bare.npy", VALUES)
    return Exam("e1", "p1", tmp_path / "bare.npy")


@pytest.fixture
def told(tmp_path) -> Exam:
    """A scan whose file says that it is a right eye."""
    volume = Volume(
        VALUES,
        Spacing(0.2, 0.004, 0.01),
        laterality=Laterality.OD,
        laterality_origin=Origin.READ,
        slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR,
        slow_axis_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
    )
    write_volume(volume, tmp_path / "told.npz")
    return Exam("e1", "p1", tmp_path / "told.npz")


def test_what_the_manifest_does_not_say_stays_unknown(bare):
    volume = read_exam(bare)
    assert np.array_equal(volume.values, VALUES)
    assert volume.laterality is Laterality.UNKNOWN
    assert volume.laterality_origin is Origin.UNKNOWN
    assert not volume.spacing_mm.is_known


def test_what_the_manifest_says_is_marked_as_the_users(bare):
    exam = dataclasses.replace(
        bare,
        laterality=Laterality.OS,
        spacing_mm=(0.2, 0.004, 0.01),
        slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
        region=Region.MACULA,
        pattern=ScanPattern.RASTER,
    )
    volume = read_exam(exam)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.USER)
    assert volume.spacing_mm.values_mm == (0.2, 0.004, 0.01)
    assert volume.spacing_mm.origins == (Origin.USER,) * 3
    assert (volume.slow_axis, volume.slow_axis_origin) == (SlowAxis.INFERIOR_TO_SUPERIOR, Origin.USER)
    assert (volume.region, volume.region_origin) == (Region.MACULA, Origin.USER)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.USER)


def test_axes_and_key_reach_the_reader(tmp_path):
    np.savez(tmp_path / "two.npz", data=VALUES.transpose(1, 0, 2), other=VALUES + 1)
    exam = Exam("e1", "p1", tmp_path / "two.npz", axes="depth,bscan,ascan", key="data")
    assert np.array_equal(read_exam(exam).values, VALUES)


@pytest.mark.parametrize("laterality", [Laterality.UNKNOWN, Laterality.OD])
def test_the_file_keeps_its_word_where_the_manifest_agrees_or_is_silent(told, laterality):
    volume = read_exam(dataclasses.replace(told, laterality=laterality))
    assert volume.laterality is Laterality.OD
    assert volume.laterality_origin in {Origin.READ, Origin.DERIVED}


def test_two_different_eyes_are_a_conflict_that_shows_both(told):
    with pytest.raises(LateralityConflictError) as caught:
        read_exam(dataclasses.replace(told, laterality=Laterality.OS))
    message = str(caught.value)
    assert "told.npz: the file says OD" in message
    assert "the manifest says OS for exam 'e1'" in message
    assert "\n" not in message


def test_an_eye_in_the_name_of_the_file_can_conflict_too(tmp_path):
    np.save(tmp_path / "a_OS.npy", VALUES)
    with pytest.raises(
        LateralityConflictError, match=r"a_OS.npy: the file says OS \(derived\) and the manifest says OD"
    ):
        read_exam(Exam("e1", "p1", tmp_path / "a_OS.npy", laterality=Laterality.OD))


def test_an_eye_that_the_file_only_assumes_gives_way(bare, monkeypatch):
    guess = Volume(VALUES, laterality=Laterality.OD, laterality_origin=Origin.ASSUMED)
    monkeypatch.setattr("octavo.formats.read_volume", lambda path, **options: guess)
    volume = read_exam(dataclasses.replace(bare, laterality=Laterality.OS))
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.USER)


def test_a_missing_scan_is_refused(tmp_path):
    with pytest.raises(VolumeReadError, match=r"none\.npy"):
        read_exam(Exam("e1", "p1", tmp_path / "none.npy"))


def masked(folder: Path, mask: np.ndarray, name: str = "mask.npz") -> Exam:
    if name.endswith(".npz"):
        np.savez(folder / name, thinned=mask)
    else:
        np.save(folder / name, mask)
    return Exam("e1", "p1", folder / "scan.npy", mask=folder / name)


@pytest.mark.parametrize("name", ["mask.npz", "mask.npy"])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_a_mask_is_whatever_is_not_zero(tmp_path, name, kind):
    mask = VALUES % 3 == 0
    read = read_mask(masked(tmp_path, mask.astype(kind), name), (2, 4, 3))
    assert read.dtype == bool
    assert np.array_equal(read, mask)


@pytest.mark.parametrize("everywhere", [False, True])
def test_an_empty_and_a_full_mask_are_masks(tmp_path, everywhere):
    mask = np.full((2, 4, 3), everywhere)
    assert np.array_equal(read_mask(masked(tmp_path, mask), (2, 4, 3)), mask)


def test_a_mask_in_fortran_order_is_not_turned(tmp_path):
    mask = np.asfortranarray(VALUES % 3 == 0)
    assert np.array_equal(read_mask(masked(tmp_path, mask), (2, 4, 3)), mask)


def test_a_mask_must_lie_on_the_grid_of_its_scan(tmp_path):
    with pytest.raises(OctavoError, match=r"mask has shape \(2, 4, 3\) and the scan \(2, 3, 4\)"):
        read_mask(masked(tmp_path, VALUES > 3), (2, 3, 4))


def test_no_mask_and_a_broken_one_are_refused(tmp_path, bare):
    with pytest.raises(OctavoError, match="'e1' has no mask"):
        read_mask(bare, (2, 4, 3))
    exam = masked(tmp_path, VALUES > 3)
    exam.mask.write_bytes(exam.mask.read_bytes()[:60])
    with pytest.raises(VolumeReadError):
        read_mask(exam, (2, 4, 3))


def test_voxels_have_one_hash_in_any_number_type():
    hashes = {voxel_hash(Volume(VALUES.astype(kind))) for kind in (np.uint8, np.int16, ">u2", np.float32, np.float64)}
    assert len(hashes) == 1


def test_voxels_have_another_hash_when_anything_differs():
    changed = VALUES.copy()
    changed[1, 2, 2] += 1
    zeros = np.zeros((2, 2, 2), np.float32)
    others = [Volume(changed), Volume(VALUES[::-1]), Volume(VALUES[:, :, ::-1]), Volume(VALUES.reshape(2, 3, 4))]
    assert len({voxel_hash(volume) for volume in [Volume(VALUES), *others]}) == 5
    assert voxel_hash(Volume(zeros)) == voxel_hash(Volume(-zeros))
