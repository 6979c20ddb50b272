"""Pictures that say how bright and which way up they are to be shown."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from formats.written_scans import eye
from octavo.formats import VolumeReadError, read_volume

BSCAN = eye()[0]
WHITE = "stored with white as the smallest value; turned over so that bright is large"
UPRIGHT = {2: BSCAN[:, ::-1], 3: BSCAN[::-1, ::-1], 4: BSCAN[::-1]}


def tiff(path, values, photometric: int = 1, orientation: int = 1):
    """A TIFF of one strip, written byte by byte."""
    rows, columns = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    entries = [
        (256, 4, columns),
        (257, 4, rows),
        (258, 3, values.dtype.itemsize * 8),
        (259, 3, 1),
        (262, 3, photometric),
    ]
    entries += [(273, 4, 8), (274, 3, orientation), (277, 3, 1), (278, 4, rows), (279, 4, len(data))]
    entries += [(339, 3, 3)] if values.dtype.kind == "f" else []
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + directory + bytes(4)
    )
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_white_as_the_smallest_value_is_turned_over_whatever_the_samples(tmp_path, dtype, as_folder):
    largest = np.iinfo(dtype).max
    stored = eye(dtype=dtype)
    for number, bscan in enumerate(stored, 1):
        tiff(tmp_path / f"{number}.tif", bscan, photometric=0)

    volume = read_volume(tmp_path if as_folder else tmp_path / "1.tif")

    np.testing.assert_array_equal(volume.values, largest - (stored if as_folder else stored[:1]))
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.notes == (WHITE,)


def test_compressed_samples_are_turned_over_too(tmp_path):
    values = eye(1, dtype="uint16")[0]
    Image.fromarray(values).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={262: 0})

    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").values[0], 65535 - values)


def test_black_as_the_smallest_value_is_left_alone(tmp_path):
    volume = read_volume(tiff(tmp_path / "a.tif", eye(1, dtype="uint16")[0]))

    np.testing.assert_array_equal(volume.values, eye(1))
    assert volume.notes == ()


def test_floating_point_samples_with_white_as_the_smallest_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match=r"white as the smallest value in samples of type float32; wanted"):
        read_volume(tiff(tmp_path / "a.tif", eye(1, dtype="float32")[0], photometric=0))


def png_of_channels(path, values, channels: int):
    """A PNG of 16-bit channels that all hold the same."""
    rows, columns = values.shape
    lines = b"".join(b"\0" + np.repeat(row[:, None], channels, 1).astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", columns, rows, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_of_sixteen_bits_are_refused_and_not_cut(tmp_path, channels):
    path = png_of_channels(tmp_path / "1.png", eye(1, dtype="uint16")[0] * 257, channels)

    with pytest.raises(VolumeReadError, match="several channels of 16 bits, of which only 8 can be read; wanted grey"):
        read_volume(path)
    png_of_channels(tmp_path / "2.png", eye(1, dtype="uint16")[0] * 257, channels)
    with pytest.raises(VolumeReadError, match=r"1\.png holds several channels of 16 bits"):
        read_volume(tmp_path)


def test_channels_of_sixteen_bits_in_a_tiff_are_refused_and_not_cut(tmp_path):
    values = np.repeat(eye(1, dtype="uint16")[0][..., None] * 257, 3, axis=-1)
    data = values.astype("<u2").tobytes()
    entries = [(256, 4, 1, 16), (257, 4, 1, 12), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, 12), (279, 4, 1, len(data))]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    bits = struct.pack("<3H", 16, 16, 16)
    (tmp_path / "a.tif").write_bytes(
        b"II*\0"
        + struct.pack("<I", 8 + len(data) + len(bits))
        + data
        + bits
        + struct.pack("<H", len(entries))
        + directory
        + bytes(4)
    )

    with pytest.raises(VolumeReadError, match="several channels of 16 bits"):
        read_volume(tmp_path / "a.tif")


def oriented(path, orientation: int):
    exif = Image.Exif()
    exif[274] = orientation
    if path.suffix == ".tif":
        return tiff(path, BSCAN, orientation=orientation)
    Image.fromarray(BSCAN).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("name", ["1.tif", "1.png"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_picture_is_turned_as_it_says_and_that_is_noted(tmp_path, name, orientation, as_folder):
    path = oriented(tmp_path / name, orientation)
    oriented(path.with_stem("2"), orientation)

    volume = read_volume(tmp_path if as_folder else path)

    for bscan in volume.values:
        np.testing.assert_array_equal(bscan, UPRIGHT[orientation])
    assert [note for note in volume.notes if "as the picture says, and turned back" in note] == [volume.notes[-1]]


def test_every_page_of_a_tiff_says_it_for_itself(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "a.tif") as pages:
        for bscan, orientation in zip(eye(2), (1, 4), strict=True):
            Image.fromarray(bscan).save(pages, format="TIFF", tiffinfo={274: orientation})
            pages.newFrame()

    volume = read_volume(tmp_path / "a.tif")

    np.testing.assert_array_equal(volume.values, [eye(2)[0], eye(2)[1][::-1]])
    assert volume.notes == ("stored upside down, as the picture says, and turned back",)


def test_a_jpeg_is_turned_as_it_says(tmp_path):
    smooth = np.add.outer(np.arange(48), np.arange(64) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, exif=exif)

    values = read_volume(tmp_path / "a.jpg").values[0]

    assert np.abs(values.astype(int) - smooth[::-1, ::-1]).max() <= 3


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_a_picture_that_lies_on_its_side_is_refused(tmp_path, name, orientation):
    with pytest.raises(
        VolumeReadError, match=rf"lies on its side \(orientation {orientation}\); wanted rows that are depth"
    ):
        read_volume(oriented(tmp_path / name, orientation))


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_orientation_that_turns_nothing_is_no_note(tmp_path, orientation):
    volume = read_volume(oriented(tmp_path / "a.png", orientation))

    np.testing.assert_array_equal(volume.values[0], BSCAN)
    assert len(volume.notes) == 1


def test_the_left_half_is_that_of_the_picture_as_it_is_shown(tmp_path):
    path = oriented(tmp_path / "a.png", 2)

    np.testing.assert_array_equal(read_volume(path, key="left").values[0], BSCAN[:, ::-1][:, :8])
