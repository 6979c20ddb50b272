import numpy as np
import pytest
from PIL import Image

from formats.nifti.test_nifti import FULL
from formats.test_numpy_file import same
from formats.written_scans import eye
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, read_volume, write_volume
from octavo.volume import Origin, ScanPattern, Spacing, Volume


def save_pages(path, pages, **settings):
    images = [Image.fromarray(page) for page in pages]
    images[0].save(path, save_all=True, append_images=images[1:], **settings)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_a_page_is_a_bscan(tmp_path, dtype, compression):
    path = save_pages(tmp_path / "eye.tif", eye(dtype=dtype), compression=compression)

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.spacing_mm == Spacing()
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.ASSUMED)


def test_big_endian_samples_come_back(tmp_path):
    row = (np.arange(256) * 200).astype(">u2")
    header = b"MM\0*" + (8).to_bytes(4, "big")
    entries = [(256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 146), (277, 3, 1)]
    entries += [(278, 3, 16), (279, 4, 512)]
    ifd = len(entries).to_bytes(2, "big")
    for tag, kind, value in entries:
        stored = (value << 16 if kind == 3 else value).to_bytes(4, "big")
        ifd += tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + (1).to_bytes(4, "big") + stored
    content = (header + ifd + bytes(4)).ljust(146, b"\0") + row.tobytes()
    (tmp_path / "eye.tif").write_bytes(content)

    values = read_volume(tmp_path / "eye.tif").values

    np.testing.assert_array_equal(values[0], row.reshape(16, 16))
    assert values.dtype == np.uint16
    assert values.dtype.isnative


def test_equal_channels_are_grey_and_others_are_refused(tmp_path):
    grey = np.repeat(eye()[..., None], 3, axis=-1)
    coloured = grey.copy()
    coloured[2, 3, 4, 0] ^= 1

    np.testing.assert_array_equal(read_volume(save_pages(tmp_path / "grey.tif", grey)).values, eye())
    with pytest.raises(VolumeReadError, match="red, green and blue differ"):
        read_volume(save_pages(tmp_path / "colour.tif", coloured))


def test_a_grey_palette_is_looked_up_and_a_coloured_one_refused(tmp_path):
    indices = eye(1)[0] % 4
    for name, palette in (("grey", [9, 9, 9, 80, 80, 80, 7, 7, 7, 200, 200, 200]), ("colour", [9, 9, 9, 80, 0, 0] * 2)):
        image = Image.fromarray(indices, "P")
        image.putpalette(palette)
        image.save(tmp_path / f"{name}.tif")

    np.testing.assert_array_equal(read_volume(tmp_path / "grey.tif").values[0], np.array([9, 80, 7, 200])[indices])
    with pytest.raises(VolumeReadError, match="shows colour"):
        read_volume(tmp_path / "colour.tif")


def test_transparency_is_refused_unless_it_is_none(tmp_path):
    opaque = np.repeat(eye(1)[..., None], 4, axis=-1)
    opaque[..., 3] = 255
    part = opaque.copy()
    part[0, 0, 0, 3] = 100

    np.testing.assert_array_equal(read_volume(save_pages(tmp_path / "opaque.tif", opaque)).values, eye(1))
    with pytest.raises(VolumeReadError, match="partly transparent"):
        read_volume(save_pages(tmp_path / "part.tif", part))


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ([eye(1)[0], eye(1)[0][:, :5]], "page 1 is 12 x 16 and page 2 is 12 x 5"),
        ([eye(1)[0], eye(1, dtype="uint16")[0]], "samples of different types"),
        ([np.zeros((4, 4, 4), np.uint8)], "of mode CMYK"),
    ],
)
def test_pages_that_are_no_stack_are_refused(tmp_path, pages, sentence):
    images = [Image.fromarray(page, "CMYK") if page.ndim == 3 else Image.fromarray(page) for page in pages]
    images[0].save(tmp_path / "eye.tif", save_all=True, append_images=images[1:])

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(tmp_path / "eye.tif")


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_file_cut_short_anywhere_is_refused_or_whole(tmp_path, compression):
    whole = save_pages(tmp_path / "eye.tif", eye(2), compression=compression).read_bytes()

    for keep in range(1, len(whole), 7):
        (tmp_path / "short.tif").write_bytes(whole[:keep])
        try:
            volume = read_volume(tmp_path / "short.tif")
        except VolumeReadError:
            continue
        # Only padding was lost.
        assert keep > len(whole) - 16
        np.testing.assert_array_equal(volume.values, eye(2))


def test_pages_in_circles_are_refused(tmp_path):
    content = bytearray(save_pages(tmp_path / "eye.tif", eye(2)).read_bytes())
    first = int.from_bytes(content[4:8], "little")
    following = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[following : following + 4] = first.to_bytes(4, "little")
    (tmp_path / "circle.tif").write_bytes(content)

    with pytest.raises(VolumeReadError, match="pages go in circles"):
        read_volume(tmp_path / "circle.tif")


def test_big_tiff_is_read(tmp_path):
    save_pages(tmp_path / "big.tif", eye(), big_tiff=True)

    assert (tmp_path / "big.tif").read_bytes()[:4] == b"II+\0"
    np.testing.assert_array_equal(read_volume(tmp_path / "big.tif").values, eye())


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    save_pages(tmp_path / "bomb.tif", np.zeros((1, 9000, 9000), np.uint8), compression="tiff_adobe_deflate")

    assert (tmp_path / "bomb.tif").stat().st_size < 2**18
    with pytest.raises(VolumeReadError, match="wanted at most 200 times as many"):
        read_volume(tmp_path / "bomb.tif")


def test_octavos_own_file_brings_everything_back(tmp_path):
    path = write_volume(FULL, tmp_path / "eye.tif")

    assert same(read_volume(path), FULL)
    with Image.open(path) as image:
        assert image.n_frames == 4
        image.seek(2)
        np.testing.assert_array_equal(np.asarray(image), FULL.values[2])


def test_a_page_taken_away_from_octavos_own_file_is_noticed(tmp_path):
    write_volume(FULL, tmp_path / "eye.tif")
    with Image.open(tmp_path / "eye.tif") as image:
        description = image.tag_v2[270]
    save_pages(tmp_path / "short.tif", FULL.values[:3], description=description)

    with pytest.raises(VolumeReadError, match=r"voxels have shape \(3, 12, 16\), and octavo's own geometry"):
        read_volume(tmp_path / "short.tif")


def test_samples_that_pages_cannot_hold_are_refused(tmp_path):
    with pytest.raises(OctavoError, match=r"holds float64 samples; TIFF wants one of uint8, uint16, int32, float32"):
        write_volume(Volume(eye(dtype="float64")), tmp_path / "eye.tif")


def test_resolution_tags_of_a_screen_are_no_millimetres(tmp_path):
    path = save_pages(tmp_path / "eye.tif", eye(), dpi=(72, 72))

    assert read_volume(path).spacing_mm == Spacing()


def test_an_image_that_only_begins_as_tiff_is_refused(tmp_path):
    (tmp_path / "eye.tif").write_bytes(b"II*\0" + bytes(200))

    with pytest.raises(VolumeReadError, match="holds no page; wanted at least one"):
        read_volume(tmp_path / "eye.tif")
