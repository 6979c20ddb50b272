"""Topcon files that are cut short, lie, or mean harm."""

import struct
import time
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from formats.written_scans import eye
from formats.written_topcon import BLOCK, chunk, compressed, contour, j2k, plain, read, topcon_bytes, written
from octavo.formats import VolumeReadError, read_companions, read_volume
from octavo.formats.topcon.jpeg2000 import decode_jpeg2000

SHAPE = (4, 12, 16)


def test_unknown_chunks_are_skipped(tmp_path):
    volume = read(tmp_path, topcon_bytes(chunk("@NEWER_THAN_THIS_READER", bytes(300)) + BLOCK))

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.notes == ()


@pytest.mark.parametrize("promised", [3, 140, 2000, 2**31 - 1, 2**32 - 1])
def test_a_chunk_that_lies_about_its_size_costs_that_chunk(tmp_path, promised):
    bad = chunk("@ALIGN_INFO", b"\x05" * 40, promised)
    flat = contour(b"RETINA_1", np.full(SHAPE[::2], 4.0), 12)
    path = written(tmp_path, topcon_bytes(bad + BLOCK, more=[flat]))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert len(read_companions(path).surfaces) == 1
    assert len(volume.notes) == 1
    assert "byte" in volume.notes[0]


@pytest.mark.parametrize("change", [-30, -1, 1, 30])
def test_bscans_whose_chunk_lies_about_its_size_are_whole_or_refused(tmp_path, change):
    flat = contour(b"RETINA_1", np.full(SHAPE[::2], 4.0), 12)
    lying = chunk("@IMG_JPEG", BLOCK[14:], len(BLOCK) - 14 + change)
    path = written(tmp_path, topcon_bytes(lying, more=[flat]))

    if change < 0:
        with pytest.raises(VolumeReadError, match="holds 3 whole B-scans; wanted the 4"):
            read_volume(path)
        return
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values, eye())
    assert "breaks off at byte" in volume.notes[0]


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (compressed(eye(), stated={"bscans": 5}), "holds 4 whole B-scans; wanted the 5 that its header promises"),
        (compressed(eye(), stated={"bscans": 3}), "header promises 3 B-scans and more follow"),
        (compressed(eye(), stated={"bscans": 0}), "header promises no B-scans"),
        (compressed(eye(), stated={"bscans": 900}), "header promises 900 B-scans and .* bytes follow"),
        (compressed(eye(), stated={"bscans": 2**31}), "wanted at most 536870912"),
        (compressed(eye(), stated={"depth": 11}), "B-scan 1 states 12 x 16 pixels .* wanted the 11 x 16"),
        (compressed(eye(), stated={"ascans": 0}), "wanted at least one along every axis"),
        (chunk("@IMG_JPEG", b"\x02"), "holds 1 bytes of B-scans; wanted at least their header"),
        (chunk("@IMG_SCAN_03", b"\x02"), "holds 1 bytes of B-scans; wanted at least their header"),
        (chunk("@IMG_SCAN_03", plain(eye())[17:] + bytes(384)), "promises 4 B-scans and 384 bytes follow them"),
        (plain(eye(), stated={"bscans": 5}), "header promises 1920 bytes of samples, states 1536"),
        (plain(eye(), stated={"bits": 12}), "wanted all three to agree"),
        (plain(eye(), stated={"size": 10**9}), "wanted all three to agree"),
        (plain(eye(), stated={"bscans": 0, "size": 0}), "header promises no B-scans"),
        (chunk("@IMG_FUNDUS", bytes(60)), "holds no B-scans"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, block, sentence):
    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read(tmp_path, topcon_bytes(block))
    assert "; wanted " in str(caught.value)


def test_torn_frames_are_refused(tmp_path):
    frame = j2k(eye()[0])
    header = struct.pack("<B6I", 2, 0, 0, 16, 12, 1, 0xA02)
    torn = {
        frame[:-2]: "B-scan 1 ends without the end mark",
        frame[:120] + b"\xff\xd9": "B-scan 1 cannot be decoded as JPEG 2000",
        b"\xff\xd8\xff\xe0" + bytes(90): "B-scan 1 does not begin as JPEG 2000 does",
        j2k(np.repeat(eye()[0][..., None], 3, 2)): "B-scan 1 states 12 x 16 pixels and 3 channels",
    }
    for content, sentence in torn.items():
        block = chunk("@IMG_JPEG", header + struct.pack("<I", len(content)) + content)
        with pytest.raises(VolumeReadError, match=sentence):
            read(tmp_path, topcon_bytes(block))


def test_no_truncation_gives_fewer_bscans(tmp_path):
    flat = contour(b"RETINA_1", np.full(SHAPE[::2], 4.0), 12)
    whole = topcon_bytes(BLOCK, more=[flat])
    behind_the_bscans = whole.index(BLOCK) + len(BLOCK)
    path, complete = tmp_path / "exam.fda", 0
    for keep in range(1, len(whole), 7):
        path.write_bytes(whole[:keep])
        if keep < behind_the_bscans:
            with pytest.raises(VolumeReadError, match=r"exam\.fda: .*; wanted "):
                read_volume(path)
            continue
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.values, eye())
        assert len(volume.notes) == 1
        complete += 1
    assert complete > 20


@pytest.mark.parametrize("text", [b"FOCT", b"FOCTFDA" + bytes(8), b"FOCTFDA" + bytes(8) + b"Doe, Jane" * 9])
def test_what_has_no_chunks_is_refused(tmp_path, text):
    with pytest.raises(VolumeReadError, match="wanted ") as caught:
        read(tmp_path, text)
    assert "Doe" not in str(caught.value)


def bombs() -> dict[str, bytes]:
    """Small files that promise much."""
    huge = np.zeros((1, 4096, 4096), np.uint8)
    many = b"".join(chunk("@CONTOUR_INFO", b"", 2**31) for _ in range(20_000))
    tiled = bytearray(compressed(eye(1, 2000, 500)))
    at = tiled.index(b"\xff\x4f\xff\x51") + 24
    tiled[at : at + 8] = struct.pack(">2I", 1, 1)
    return {
        "empty frame": topcon_bytes(compressed(huge)),
        "voxels": topcon_bytes(compressed(eye(), stated={"bscans": 1000, "depth": 60_000, "ascans": 8})),
        "chunks": topcon_bytes(many),
        "tiles": topcon_bytes(bytes(tiled)),
        "samples": topcon_bytes(plain(eye(), stated={"bscans": 2**16, "size": 2**30})),
    }


@pytest.mark.parametrize("name", ["empty frame", "voxels", "chunks", "tiles", "samples"])
def test_bombs_are_refused_at_once(tmp_path, name):
    path = written(tmp_path, bombs()[name])
    tracemalloc.start()
    started = time.perf_counter()

    with pytest.raises(VolumeReadError):
        read_volume(path)

    took, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 1
    assert peak < 64 * 2**20


def test_a_picture_of_tiny_precincts_is_refused():
    frame = j2k(eye(1, 64, 64)[0], num_resolutions=2, precinct_size=(8, 8), codeblock_size=(4, 4))
    fine = j2k(eye(1, 64, 64)[0], num_resolutions=2, precinct_size=(32, 32), codeblock_size=(16, 16))

    with pytest.raises(VolumeReadError, match="wanted a picture that an OCT device writes"):
        decode_jpeg2000(frame, (64, 64), 1)
    np.testing.assert_array_equal(decode_jpeg2000(fine, (64, 64), 1), eye(1, 64, 64)[0])


def test_tiny_precincts_are_found_in_the_header_of_a_tile_too():
    frame = j2k(eye(1, 64, 64)[0], num_resolutions=2, tile_size=(32, 32))
    start = frame.index(b"\xff\x52")
    plain_style = frame[start : start + 2 + int.from_bytes(frame[start + 2 : start + 4], "big")]
    fine = (
        plain_style[:2] + (int.from_bytes(plain_style[2:4], "big") + 2).to_bytes(2, "big") + b"\x01" + plain_style[5:]
    )
    fine += b"\x11\x11"
    # The last of four tiles states the style anew.
    tile = frame.rindex(b"\xff\x90\x00\x0a")
    length = int.from_bytes(frame[tile + 6 : tile + 10], "big") + len(fine)
    bad = frame[: tile + 6] + length.to_bytes(4, "big") + frame[tile + 10 : tile + 12] + fine + frame[tile + 12 :]

    np.testing.assert_array_equal(decode_jpeg2000(frame, (64, 64), 1), eye(1, 64, 64)[0])
    with pytest.raises(VolumeReadError, match="wanted a picture that an OCT device writes"):
        decode_jpeg2000(bad, (64, 64), 1)


def test_a_picture_in_boxes_is_read_too(tmp_path):
    stream = BytesIO()
    Image.fromarray(eye()[0]).save(stream, format="JPEG2000")

    np.testing.assert_array_equal(decode_jpeg2000(stream.getvalue() + b"\0\0", (12, 16), 1), eye()[0])
