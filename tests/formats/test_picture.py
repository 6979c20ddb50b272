import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from formats.mutants import attack, mutants_asked
from formats.written_scans import eye, write_pictures
from octavo.cli import main
from octavo.formats import VolumeReadError, find_scans, list_scans, read_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

TAKEN_FOR_BSCAN = "a picture does not say what it shows; taken for a single B-scan"


def side_by_side(grey: np.ndarray) -> np.ndarray:
    """A B-scan and its segmentation in colours, as wide."""
    colours = np.array([[0, 0, 0], [0, 255, 0], [255, 255, 0], [255, 0, 0]], np.uint8)
    return np.concatenate([np.repeat(grey[..., None], 3, axis=-1), colours[grey % 4]], axis=1)


@pytest.mark.parametrize("name", ["scan_OD.png", "scan_OD.bmp", "scan_OD.PNG", "scan_OD"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_a_picture_is_one_bscan(tmp_path, name, mode):
    path = tmp_path / name
    with path.open("wb") as file:
        Image.fromarray(eye()[0]).convert(mode).save(file, format="BMP" if name.endswith("bmp") else "PNG")

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye()[:1])
    assert volume.spacing_mm == Spacing()
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, Origin.DERIVED)
    assert (volume.pattern, volume.slow_axis) == (ScanPattern.UNKNOWN, SlowAxis.UNKNOWN)
    assert volume.notes == (TAKEN_FOR_BSCAN,)
    assert volume.source.format == "picture"
    assert list_scans(path) == ["a picture of 12 x 16"]


def test_samples_of_sixteen_bits_are_kept(tmp_path):
    values = eye(1, dtype="uint16")[0] * 257
    Image.fromarray(values).save(tmp_path / "a.png")

    volume = read_volume(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.values[0], values)
    assert volume.values.dtype == np.uint16


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPEG"])
def test_jpegs_are_read_whatever_exif_they_bring(tmp_path, suffix):
    smooth = np.add.outer(np.arange(48), np.arange(64) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[274], exif[315], exif[306] = 1, "Doe^Jane 4711", "1950:01:02 00:00:00"
    Image.fromarray(smooth).save(tmp_path / f"a{suffix}", format="JPEG", quality=95, exif=exif, dpi=(72, 72))

    volume = read_volume(tmp_path / f"a{suffix}")

    assert volume.shape == (1, 48, 64)
    assert np.abs(volume.values[0].astype(int) - smooth).max() <= 3
    assert volume.spacing_mm == Spacing()
    assert not any(word in repr(volume) for word in ("Doe", "4711", "1950"))


def test_a_tiff_of_one_page_is_one_bscan(tmp_path):
    Image.fromarray(eye()[0]).save(tmp_path / "a.tif")

    volume = read_volume(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.values, eye()[:1])
    assert (volume.source.format, volume.pattern) == ("tiff", ScanPattern.UNKNOWN)


def test_a_photograph_is_no_scan(tmp_path):
    Image.fromarray(side_by_side(eye()[0])).save(tmp_path / "fundus.png")

    with pytest.raises(VolumeReadError, match=r"shows colour .* a fundus photograph .* is no scan"):
        read_volume(tmp_path / "fundus.png")


def test_other_pictures_that_are_no_bscan_are_refused(tmp_path):
    Image.new("CMYK", (9, 9), (1, 2, 3, 4)).save(tmp_path / "cmyk.jpg")
    pages = [Image.fromarray(page) for page in eye(3)]
    pages[0].save(tmp_path / "moving.png", save_all=True, append_images=pages[1:])
    clear = np.dstack([eye()[0]] * 4)
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    Image.new("L", (9, 9), 7).save(tmp_path / "empty.png")

    for name, sentence in {
        "cmyk.jpg": "holds pictures of mode CMYK; wanted grey values",
        "moving.png": "holds 3 pictures; wanted one B-scan",
        "clear.png": "is partly transparent",
        "empty.png": "all 81 samples are 7",
    }.items():
        with pytest.raises(VolumeReadError, match=sentence):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_what_only_is_called_a_picture_is_refused(tmp_path, name):
    for content in (b"BM", b"BMP is what this text is about", b"\xff\xd8", bytes(200)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VolumeReadError, match="; wanted a picture of one B-scan"):
            read_volume(tmp_path / name)


def png_of(width: int, height: int, content: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "sentence"),
    [
        (12000, 12000, "promise 144000000 bytes of voxels; wanted at most 200 times as many"),
        (60000, 60000, "DecompressionBombError"),
        (16, 12, "cannot be parsed"),
    ],
)
def test_sizes_that_lie_are_refused(tmp_path, width, height, sentence):
    (tmp_path / "a.png").write_bytes(png_of(width, height, zlib.compress(bytes(100))))

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(tmp_path / "a.png")


# --- what a folder gives


def test_a_picture_that_stands_alone_is_no_scan_of_a_folder(tmp_path):
    Image.fromarray(eye()[0]).save(tmp_path / "preview.png")
    Image.fromarray(eye()[0]).save(tmp_path / "photograph.jpg")

    with pytest.raises(
        VolumeReadError, match=r"folder holds no scan; .*; name each picture that is a B-scan by itself"
    ):
        find_scans(tmp_path)
    np.save(tmp_path / "a.npy", eye())
    with (tmp_path / "thumb").open("wb") as file:
        Image.fromarray(eye()[0]).save(file, format="PNG")
    assert find_scans(tmp_path) == [str(tmp_path / "a.npy")]
    assert find_scans(tmp_path / "preview.png") == [str(tmp_path / "preview.png")]


def test_numbered_pictures_stay_one_scan_and_each_may_be_named(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(), "{}.png")

    assert find_scans(tmp_path) == [str(folder)]
    np.testing.assert_array_equal(read_volume(folder / "3.png").values, eye()[2:3])


# --- the left half


def test_the_left_half_of_a_picture_is_read_where_it_is_asked_for(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(side_by_side(eye()[0])).save(path)

    volume = read_volume(path, key="left")

    np.testing.assert_array_equal(volume.values, eye()[:1])
    assert volume.notes == (TAKEN_FOR_BSCAN, "only the left half of each picture is read, as the key 'left' says")
    assert list_scans(path, key="left") == ["the left half of a picture of 12 x 32"]


def test_the_left_halves_of_a_folder_are_read_where_they_are_asked_for(tmp_path):
    for number, bscan in enumerate(eye(), 1):
        Image.fromarray(side_by_side(bscan)).save(tmp_path / f"{number}.png")

    volume = read_volume(tmp_path, key="left", said_of_all=frozenset({"key"}))

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.notes == ("only the left half of each picture is read, as the key 'left' says",)
    with pytest.raises(VolumeReadError, match=r"1\.png shows colour"):
        read_volume(tmp_path)


def test_halves_that_are_none_and_other_keys_are_refused(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(3, 12, 15), "{}.png")
    one = tmp_path / "one.png"
    Image.fromarray(side_by_side(eye()[0])[:, ::-1]).save(one)

    for path in (folder, folder / "1.png"):
        with pytest.raises(VolumeReadError, match="is 15 columns wide, and its left half was asked for"):
            read_volume(path, key="left")
        with pytest.raises(VolumeReadError, match="key 'values' was given; wanted 'left'"):
            read_volume(path, key="values")
        # said of many files, it is for those that hold arrays
        assert read_volume(path, key="values", said_of_all=frozenset({"key"})).shape[2] == 15
    with pytest.raises(VolumeReadError, match="shows colour"):
        read_volume(one, key="left")


def test_the_command_takes_the_key(tmp_path, capsys):
    Image.fromarray(side_by_side(eye()[0])).save(tmp_path / "a.png")

    assert main(["inspect", str(tmp_path / "a.png")]) != 0
    assert "shows colour" in "".join(capsys.readouterr())
    assert main(["inspect", str(tmp_path / "a.png"), "--key", "left"]) == 0
    assert "only the left half" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_picture_cut_anywhere_is_refused_or_whole(tmp_path, kind):
    stream = io.BytesIO()
    Image.fromarray(eye(1, 40, 48)[0]).save(stream, format=kind)
    whole, path = stream.getvalue(), tmp_path / f"a.{kind.lower()}"
    path.write_bytes(whole)
    values = read_volume(path).values
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        path.write_bytes(whole[:length])
        try:
            cut = read_volume(path).values
        except VolumeReadError:
            continue
        # what follows the samples may be lost: sums, and the mark of the end
        assert length >= len(whole) - 20
        np.testing.assert_array_equal(cut, values)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(eye(1, 40, 48)[0]).save(path, format=kind)
    count = mutants_asked(60)

    outcome = attack(path, count)

    assert (outcome.died, outcome.wrong) == ("", ())
    assert outcome.read + outcome.refused == count
