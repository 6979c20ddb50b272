import dataclasses

import numpy as np
import pytest

from formats.nifti.test_nifti import FULL
from formats.test_numpy_file import same
from formats.written_scans import eye
from octavo.errors import OctavoError
from octavo.formats import WRITERS, read_volume, write_volume
from octavo.volume import Spacing, Volume

SUFFIXES = [suffix for writer in WRITERS.values() for suffix in writer.suffixes]


def suits(suffix: str) -> Volume:
    """A volume that a format can hold: DICOM tomography has no floating-point samples."""
    return dataclasses.replace(FULL, values=FULL.values.astype(np.uint8)) if suffix == ".dcm" else FULL


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_writer_is_read_back_without_loss(tmp_path, suffix):
    path = write_volume(suits(suffix), tmp_path / f"eye{suffix}")

    assert same(read_volume(path), suits(suffix))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_volume_gives_the_same_bytes(tmp_path, suffix):
    first, second = (write_volume(suits(suffix), tmp_path / f"{name}{suffix}").read_bytes() for name in ("a", "b"))

    assert first == second


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_there_already_is_replaced_only_when_told(tmp_path, suffix):
    path = tmp_path / f"eye{suffix}"
    path.write_bytes(b"precious")

    with pytest.raises(OctavoError, match="is there already; wanted a new name; pass --overwrite"):
        write_volume(suits(suffix), path)

    assert path.read_bytes() == b"precious"
    write_volume(suits(suffix), path, overwrite=True)
    assert same(read_volume(path), suits(suffix))
    assert list(tmp_path.iterdir()) == [path]


def test_a_volume_that_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "eye.nii"
    path.write_bytes(b"precious")

    with pytest.raises(OctavoError, match="is unknown and millimetres were asked for"):
        write_volume(Volume(eye()), path, overwrite=True)

    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_becomes_single_in_nifti(tmp_path):
    values = eye(dtype="float16")
    path = write_volume(Volume(values, Spacing(0.1, 0.004, 0.01)), tmp_path / "eye.nii")

    volume = read_volume(path)

    assert volume.values.dtype == np.float32
    np.testing.assert_array_equal(volume.values, values)


@pytest.mark.parametrize("name", ["eye.mha", "eye.npy", "eye"])
def test_an_ending_that_cannot_be_written_lists_those_that_can(tmp_path, name):
    with pytest.raises(OctavoError, match=r"wanted one of: \.npz, \.nii\.gz, \.nii, \.tif, \.tiff, \.dcm"):
        write_volume(FULL, tmp_path / name)


def test_a_place_that_cannot_be_written_to_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OctavoError, match="cannot be written"):
        write_volume(FULL, tmp_path / "file" / "eye.npz")
