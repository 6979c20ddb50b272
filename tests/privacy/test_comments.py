"""What stands beside compressed pixels: comments, boxes, what lies between the parts of a frame and behind its end."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless, JPEGBaseline8Bit, RLELossless

from formats.written_scans import eye, opt_dataset, write_dicom
from octavo.formats import VolumeReadError, read_volume
from octavo.formats.errors import refusing
from octavo.privacy.comments import blank_comments, items_of
from octavo.privacy.deidentification import deidentify_file
from octavo.privacy.profile import Profile
from octavo.privacy.pseudonyms import Pseudonyms
from octavo.privacy.rle_padding import blank_rle_padding

SAID = b"Doe^Jane"
COMMENT = b"\xff\xfe" + struct.pack(">H", len(SAID) + 2) + SAID
PICTURE = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)


def cleaned(path, **options):
    with refusing(str(path), "a DICOM file"):
        found = deidentify_file(path, Pseudonyms(bytes(32)), Profile(), **options)
    target = path.with_name("clean.dcm")
    target.write_bytes(found.content)
    return target


def compressed(kind, **options):
    content = BytesIO()
    Image.fromarray(PICTURE).save(content, kind, **options)
    return content.getvalue()


def items(*fragments):
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in fragments)


def frame_of(blanked):
    """The fragments of blanked pixels, put together again."""
    frame, position = b"", 0
    while position < len(blanked):
        (length,) = struct.unpack_from("<L", blanked, position + 4)
        frame += blanked[position + 8 : position + 8 + length]
        position += 8 + length
    return frame


def pixels(frame):
    return np.asarray(Image.open(BytesIO(frame)))


def test_comments_in_compressed_pixels_are_blanked_and_pixels_stay(tmp_path):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(2, 40, 48)), JPEGBaseline8Bit)
    dataset = dcmread(path)
    before = read_volume(path).values
    said = b"\xff\xfe" + struct.pack(">H", 10) + b"Doe^Jane" + b"\xff\xe1" + struct.pack(">H", 8) + b"ExJane"
    at = dataset.PixelData.index(b"\xff\xd8") + 2
    (length,) = struct.unpack_from("<L", dataset.PixelData, at - 6)
    grown = dataset.PixelData[: at - 6] + struct.pack("<L", length + len(said)) + dataset.PixelData[at - 2 : at]
    dataset.PixelData = grown + said + dataset.PixelData[at:]
    dataset.save_as(path)
    assert b"Doe^Jane" in path.read_bytes()

    clean = cleaned(path)

    assert b"Jane" not in clean.read_bytes()
    assert (read_volume(clean).values == before).all()


def test_torn_compressed_pixels_are_left_as_they_are():
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 400)
    for torn in (
        b"",
        b"abc",
        item,
        items(b"") + item + b"\xff\xd8\xff\xfe\x40",
        items(b"") + item + b"\xff\xd8\xff\xfe\x00\x00\xff",
        b"\xff\xd8",
    ):
        assert len(blank_comments(torn)) == len(torn)


def between_scans(frame, scan):
    """A comment before the start of a later scan of a progressive frame."""
    at = -1
    for _ in range(scan):
        at = frame.index(b"\xff\xda", at + 1)
    return frame[:at] + COMMENT + frame[at:]


def in_a_part_of_a_tile(frame):
    """A comment behind the header of the first tile, which says how long its part is."""
    part, samples = frame.index(b"\xff\x90"), frame.index(b"\xff\x93")
    said = b"\xff\x64\0\x0c\0\1" + SAID
    (length,) = struct.unpack_from(">L", frame, part + 6)
    grown = struct.pack(">L", length + len(said))
    return frame[: part + 6] + grown + frame[part + 10 : samples] + said + frame[samples:]


def in_a_box_of_the_header(frame):
    at = frame.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">L", frame, at)
    box = struct.pack(">L4s", 8 + len(SAID), b"lbl ") + SAID
    return frame[:at] + struct.pack(">L4s", length + len(box), b"jp2h") + box + frame[at + 8 :]


def part(marker, content):
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(content)) + content


def behind_start(frame, *parts):
    return frame[:2] + b"".join(parts) + frame[2:]


def with_thumbnail(frame):
    """The text as the little picture that JFIF may carry: 1 sample wide, so many high that it holds it."""
    at = frame.index(b"JFIF")
    (length,) = struct.unpack_from(">H", frame, at - 2)
    thumbnail = SAID + b"\0"
    head = frame[at : at + 12] + bytes((1, len(thumbnail) // 3)) + thumbnail
    return frame[: at - 4] + part(0xE0, head) + frame[at - 2 + length :]


PLAIN, WRAPPED = compressed("JPEG2000", no_jp2=True), compressed("JPEG2000")
PLANTED = {
    "between the scans": between_scans(compressed("JPEG", progressive=True), 3),
    "behind the end": compressed("JPEG") + SAID,
    "behind bytes that fill": compressed("JPEG").replace(b"\xff\xd8", b"\xff\xd8\xff\xff" + COMMENT, 1),
    "in the thumbnail": with_thumbnail(compressed("JPEG")),
    "in an extension of JFIF": behind_start(compressed("JPEG"), part(0xE0, b"JFXX\0\x13" + SAID)),
    "in what is no colour profile": behind_start(compressed("JPEG"), part(0xE2, b"FPXR\0" + SAID)),
    "in what is no header of SPIFF": behind_start(compressed("JPEG"), part(0xE8, SAID)),
    "behind what Adobe says": behind_start(compressed("JPEG"), part(0xEE, b"Adobe\0d\0\0\0\0\0" + SAID)),
    "behind the end of JPEG 2000": PLAIN + SAID,
    "in a part of a tile": in_a_part_of_a_tile(PLAIN),
    "in a box": WRAPPED + struct.pack(">L4s", 8 + len(SAID), b"xml ") + SAID,
    "in a box of the header": in_a_box_of_the_header(WRAPPED),
}


@pytest.mark.parametrize("cuts", [1, 5], ids=["one fragment", "several"])
@pytest.mark.parametrize("frame", PLANTED.values(), ids=PLANTED)
def test_text_beside_the_picture_goes_and_the_picture_stays(frame, cuts):
    wanted = pixels(frame)
    assert SAID in frame
    frame += b"\0" * (len(frame) % 2)
    step = -(-len(frame) // cuts)
    fragments = [frame[begin : begin + step] for begin in range(0, len(frame), step)]

    blanked = blank_comments(items(b"", *fragments))

    assert len(blanked) == len(items(b"", *fragments))
    left = frame_of(blanked)
    assert not any(SAID[begin : begin + 4] in left for begin in range(len(SAID) - 3))
    assert np.array_equal(pixels(left), wanted)


def test_text_where_no_part_begins_goes():
    frame = compressed("JPEG")
    assert SAID not in blank_comments(items(b"", frame[:2] + SAID + frame[2:]))


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_pixels_without_text_stay_as_they_are(kind):
    frame = compressed(kind)
    content = items(b"", *[frame + b"\0" * (len(frame) % 2)] * 3)
    assert np.array_equal(pixels(frame_of(blank_comments(content))), pixels(frame))
    samples = items(b"", bytes(range(256)) * 4)
    assert blank_comments(samples) == samples


def test_what_decoders_need_of_a_frame_stays():
    """The transform of colours that some JPEG-LS frames name, a colour profile, and whether a frame is YCbCr."""
    needed = (
        part(0xE8, b"mrfx\x01"),
        part(0xE2, b"ICC_PROFILE\0" + bytes(range(40))),
        part(0xEE, b"Adobe\0d" + bytes(5)),
    )
    frame = behind_start(compressed("JPEG"), *needed)
    assert frame_of(blank_comments(items(b"", frame + b"\0" * (len(frame) % 2)))).startswith(frame)


@pytest.mark.parametrize("syntax", ["110", "111", "112"], ids=["lossless", "of a JPEG", "any"])
def test_jpeg_xl_is_refused_as_a_syntax_that_is_not_known(tmp_path, syntax):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(2, 40, 48)), JPEGBaseline8Bit)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(path)
    path.write_bytes(path.read_bytes().replace(HTJ2KLossless.encode(), f"1.2.840.10008.1.2.4.{syntax}".encode()))
    with pytest.raises(VolumeReadError, match=r"its transfer syntax, .*, is none that is known here"):
        cleaned(path)


@pytest.mark.parametrize(
    "table", [SAID, b"\0\0\0\0Jane", b"\0\0\0\0Jan", b"\0\0\0\0\0\0\0\0", struct.pack("<2L", 0, 9)]
)
def test_a_table_of_offsets_that_tells_none_is_emptied(table):
    frame = compressed("JPEG")
    frame += b"\0" * (len(frame) % 2)
    assert blank_comments(items(table, frame, frame)) == items(b"", frame, frame)


def test_a_true_table_of_offsets_stays():
    frame = compressed("JPEG")
    frame += b"\0" * (len(frame) % 2)
    for table in (struct.pack("<2L", 0, 8 + len(frame)), struct.pack("<L", 0)):
        assert blank_comments(items(table, frame, frame)) == items(table, frame, frame)


def test_what_is_no_item_is_cut_off():
    frame = compressed("JPEG")
    frame += b"\0" * (len(frame) % 2)
    assert blank_comments(items(b"", frame) + SAID * 4) == items(b"", frame)
    assert blank_rle_padding(items(b"", rle(b"\x01\x05\x06")) + SAID, 2, 1, 1) == items(b"", rle(b"\x01\x05\x06"))


def test_compressed_pixels_without_an_item_are_refused(tmp_path):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(2, 40, 48)), ExplicitVRLittleEndian)
    plain, other = (f"{syntax}\0".encode() for syntax in (ExplicitVRLittleEndian, RLELossless))
    assert path.read_bytes().count(plain) == 1
    path.write_bytes(path.read_bytes().replace(plain, other))
    with pytest.raises(VolumeReadError, match="its compressed pixels hold no item"):
        cleaned(path)


def test_text_in_a_second_table_of_offsets_goes(tmp_path):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(2, 40, 48)), JPEGBaseline8Bit)
    dataset, before = dcmread(path), read_volume(path).values
    dataset.ExtendedOffsetTable = SAID
    dataset.ExtendedOffsetTableLengths = SAID
    dataset.save_as(path)
    assert b"Jane" not in cleaned(path).read_bytes()
    assert (read_volume(tmp_path / "clean.dcm").values == before).all()


def test_samples_that_look_like_the_start_of_another_coding_are_no_frame():
    """Two bytes by which JPEG XL begins may stand in any samples, and a fragment may begin with them."""
    frame = PLAIN + SAID
    at = next(place for place in range(200, len(PLAIN)) if PLAIN[place] == 0xFF)
    planted = items(b"", frame[:at], b"\xff\x0a" + frame[at + 2 :])
    assert SAID not in blank_comments(planted)


def rle(segment):
    return struct.pack("<16L", 1, 64, *[0] * 14) + segment


def rle_frames(tmp_path, frames=2):
    """A file with run-length coded pixels, and where in its pixel data each frame begins and ends."""
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(frames, 40, 48)), RLELossless)
    return path, list(items_of(bytearray(dcmread(path).PixelData)))[1:]


def test_text_beside_run_length_coded_pixels_goes_and_the_picture_stays(tmp_path):
    path, places = rle_frames(tmp_path)
    dataset, before = dcmread(path), read_volume(path).values
    frames = []
    for begin, end in places:
        frame = bytearray(dataset.PixelData[begin:end])
        frame[64 - len(SAID) : 64] = SAID
        frames.append(bytes(frame) + SAID)
    dataset.PixelData = items(b"", *frames)
    dataset.save_as(path)
    assert dataset.PixelData.count(SAID) == 4

    clean = cleaned(path)

    assert b"Jane" not in clean.read_bytes()
    assert (read_volume(clean).values == before).all()
    assert len(dcmread(clean).PixelData) == len(dataset.PixelData)


def test_segments_of_two_byte_samples_are_each_followed():
    high, low = b"\xff\x02", b"\x01\x05\x06"
    planted = struct.pack("<16L", 2, 64 + 4, 64 + 4 + 2 + 4, *[0] * 13) + b"Jane" + high + b"Jane" + low + b"Jane!"
    blanked = blank_rle_padding(items(b"", planted), 2, 2, 1)[-len(planted) :]
    nothing = bytes(4)
    assert blanked == planted[:64] + nothing + high + nothing + low + nothing + b"\0"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"\0" * 10, "a frame without a header"),
        (struct.pack("<16L", 0, *[0] * 15) + b"\x01\x05\x06", "whose 0 segments"),
        (struct.pack("<16L", 16, *[64] * 15) + b"\x01\x05\x06", "whose 16 segments"),
        (struct.pack("<16L", 2, 64, 67, *[0] * 13) + b"\x01\x05\x06\x01\x05\x06", "whose 2 segments"),
        (struct.pack("<16L", 1, 1000, *[0] * 14) + b"\x01\x05\x06", "do not lie in order"),
        (struct.pack("<16L", 1, 64, *[0] * 14) + b"\x00\x05", "end before the picture is whole"),
    ],
    ids=["no header", "no segment", "too many", "one more than samples", "behind the end", "too short"],
)
def test_run_length_coded_pixels_that_cannot_be_followed_are_refused(frame, said):
    with pytest.raises(VolumeReadError, match=said):
        blank_rle_padding(items(b"", frame), 2, segments=1, frames=1)


def test_segments_that_lie_backwards_are_refused():
    frame = struct.pack("<16L", 2, 67, 64, *[0] * 13) + b"\x01\x05\x06\x01\x05\x06"
    with pytest.raises(VolumeReadError, match="whose 2 segments do not lie in order"):
        blank_rle_padding(items(b"", frame), 2, segments=2, frames=1)


def test_a_frame_more_than_the_file_says_is_refused(tmp_path):
    path, places = rle_frames(tmp_path)
    dataset = dcmread(path)
    frames = [dataset.PixelData[begin:end] for begin, end in places]
    dataset.PixelData = items(b"", *frames, frames[0])
    dataset.save_as(path)
    with pytest.raises(VolumeReadError, match="are 3 frames; wanted 2, as the file says"):
        cleaned(path)


def test_text_in_a_run_that_goes_on_behind_the_picture_goes():
    planted = rle(b"\x09\x05\x06" + SAID)
    assert blank_rle_padding(items(b"", planted), 2, 1, 1) == items(b"", rle(b"\x09\x05\x06" + bytes(8)))


@pytest.mark.parametrize(("name", "value"), [("Rows", None), ("BitsAllocated", 1), ("Columns", 0)])
def test_run_length_coded_pixels_without_a_size_are_refused_as_such(tmp_path, name, value):
    path, _ = rle_frames(tmp_path)
    dataset = dcmread(path)
    setattr(dataset, name, value)
    dataset.save_as(path)
    with pytest.raises(VolumeReadError, match="rows x columns x samples x bits x frames are"):
        cleaned(path)


def test_a_wrapping_that_cannot_be_followed_is_refused():
    frame = compressed("JPEG2000")
    torn = frame[:12] + struct.pack(">L", 2**31) + frame[16:]
    with pytest.raises(VolumeReadError, match="wrapped in a file whose boxes cannot be followed"):
        blank_comments(items(b"", torn))
