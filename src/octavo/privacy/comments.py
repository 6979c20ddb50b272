"""Where a name may hide beside compressed pixels: in comments, between the parts of a frame, behind its end."""

import itertools
import struct
from collections.abc import Iterator

from octavo.formats.errors import VolumeReadError

_ITEM = (0xFFFE, 0xE000)
_JPEG, _JPEG_2000, _JP2 = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
# comments, and what cameras and editing programs say; colour profiles and what decoders need stay
_JPEG_TEXT = {0xFE, 0xE1, *range(0xE3, 0xE8), *range(0xE9, 0xEE), 0xEF}
# the others are kept where they are what decoders know them as: by how they begin, and how many bytes of them
_JPEG_KEPT = {
    0xE0: {b"JFIF\0": 12},
    0xE2: {b"ICC_PROFILE\0": 0xFFFF},
    0xE8: {b"SPIFF\0": 30, b"\0\0\0\1\xff\xd8": 6, b"mrfx": 5},
    0xEE: {b"Adobe": 12},
}
_JPEG_2000_TEXT = 0x64
_WITHOUT_LENGTH = {0x01, *range(0x30, 0x40), *range(0xD0, 0xD8)}
_FILL, _END = 0xFF, 0xD9
# behind these come samples: of a scan of JPEG, of a part of a tile of JPEG 2000
_SAMPLES_BEGIN = {_JPEG: {0xDA}, _JPEG_2000: {0x93}}
# what samples may hold although it looks like the mark of a new part: bytes that were stuffed, restarts, packets
_AMONG_SAMPLES = {_JPEG: {*range(0x80), *range(0xD0, 0xD8)}, _JPEG_2000: {*range(0x90), 0x92}}
_PACKET, _PACKET_BYTES = 0x91, 6
_JP2_KEPT = {b"jP  ", b"ftyp", b"jp2h", b"jp2c"}
_JP2_HEADERS = {b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "}


def blank_comments(pixels: bytes) -> bytes:
    r"""Overwrite with zeros what is no part of the picture: comments, camera notes, what lies between parts and behind.

    Lengths stay, but for what is no item, which is cut off. A frame that lies in several fragments is followed through all
    of them.

    Raises:
        VolumeReadError: If a frame is wrapped in a file (JP2) whose boxes cannot be followed.

    Example:
        >>> frame = b"\xff\xd8\xff\xfe\x00\x06Jane\xff\xda"
        >>> items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in (b"", frame))
        >>> blank_comments(items)[16:]
        b'\xff\xd8\xff\xfe\x00\x06\x00\x00\x00\x00\xff\xda'
    """
    content = bytearray(whole_items(pixels))
    frames: list[list[tuple[int, int]]] = [[]]
    for begin, end in items_of(content):
        if content.startswith((_JPEG, _JPEG_2000, _JP2), begin, end):
            frames.append([])
        frames[-1].append((begin, end))
    for fragments in frames:
        _blank_frame(content, fragments)
    return bytes(content)


def whole_items(pixels: bytes) -> bytes:
    """Encapsulated pixel data without what is no item of it, and with a table of offsets that says where items begin.

    A table that says anything else is emptied, as every writer may leave it.
    """
    content = bytearray(pixels)
    places = list(items_of(content))
    if not places:
        return pixels
    (begin, end), *fragments = places
    del content[places[-1][1] :]
    # offsets count from the first fragment's own beginning
    known = {start - 8 - end for start, _ in fragments}
    told = struct.unpack_from(f"<{(end - begin) // 4}L", content, begin)
    sound = (end - begin) % 4 == 0 and (not told or told[0] == 0)
    if not (sound and set(told) <= known and all(one < other for one, other in itertools.pairwise(told))):
        content[begin - 4 : end] = bytes(4)
    return bytes(content)


def items_of(content: bytearray) -> Iterator[tuple[int, int]]:
    """Begin and end of what each item of encapsulated pixel data holds."""
    position = 0
    while position + 8 <= len(content):
        group, element, length = struct.unpack_from("<HHL", content, position)
        if (group, element) != _ITEM:
            return
        position += 8
        yield position, min(position + length, len(content))
        position += length


def _blank_frame(content: bytearray, fragments: list[tuple[int, int]]) -> None:
    """Blank one frame, put together from its fragments and taken apart again."""
    frame = bytearray().join(content[begin:end] for begin, end in fragments)
    if frame.startswith(_JP2):
        _blank_boxes(frame, 0, len(frame), _JP2_KEPT)
    else:
        _blank_stream(frame, 0, len(frame))
    taken = 0
    for begin, end in fragments:
        content[begin:end] = frame[taken : taken + end - begin]
        taken += end - begin


def _blank_boxes(frame: bytearray, begin: int, end: int, kept: set[bytes]) -> None:
    position = begin
    while position + 8 <= end:
        length, kind = struct.unpack_from(">L4s", frame, position)
        head = 8
        if length == 1 and position + 16 <= end:
            (length,), head = struct.unpack_from(">Q", frame, position + 8), 16
        after = end if length == 0 else position + length
        if after < position + head or after > end:
            raise VolumeReadError(
                "its compressed pixels are wrapped in a file whose boxes cannot be followed; wanted plain JPEG 2000; "
                "export it again"
            )
        if kind not in kept:
            zero(frame, position + head, after)
        elif kind == b"jp2h":
            _blank_boxes(frame, position + head, after, _JP2_HEADERS)
        elif kind == b"jp2c":
            _blank_stream(frame, position + head, after)
        position = after
    # too short for a box: what makes the number of bytes even
    zero(frame, position, end)


def _blank_stream(frame: bytearray, begin: int, end: int) -> None:
    """Blank a stream of JPEG or JPEG 2000; any other is left as it is."""
    kind = next((kind for kind in _SAMPLES_BEGIN if frame.startswith(kind, begin, end)), None)
    if kind is None:
        return
    position = begin + 2
    while position + 2 <= end:
        marker = frame[position + 1]
        if frame[position] != 0xFF:
            # no part begins here: decoders pass over such bytes
            position = _blank_up_to_part(frame, position, end)
        elif marker == _FILL:
            position += 1
        elif marker == _END:
            zero(frame, position + 2, end)
            return
        elif marker in _SAMPLES_BEGIN[kind]:
            position = _next_part(frame, _behind(frame, position) if kind == _JPEG else position + 2, end, kind)
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            position = _blank_part(frame, position, end, kind)


def _blank_part(frame: bytearray, position: int, end: int, kind: bytes) -> int:
    """Blank a part if it is text; where the next begins."""
    marker, after = frame[position + 1], _behind(frame, position)
    if kind == _JPEG and marker in _JPEG_TEXT:
        zero(frame, position + 4, min(after, end))
    elif kind == _JPEG and marker in _JPEG_KEPT:
        known = [size for start, size in _JPEG_KEPT[marker].items() if frame.startswith(start, position + 4, after)]
        zero(frame, position + 4 + sum(known), min(after, end))
    elif kind == _JPEG_2000 and marker == _JPEG_2000_TEXT:
        # two bytes say whether text or bytes follow
        zero(frame, position + 6, min(after, end))
    return after


def _behind(frame: bytearray, position: int) -> int:
    """Where a part ends that says how long it is."""
    return position + 2 + max(int.from_bytes(frame[position + 2 : position + 4], "big"), 2)


def _blank_up_to_part(frame: bytearray, position: int, end: int) -> int:
    after = frame.find(b"\xff", position, end)
    after = end if after < 0 else after
    zero(frame, position, after)
    return after


def _next_part(frame: bytearray, position: int, end: int, kind: bytes) -> int:
    """Where the samples end that begin here."""
    while 0 <= (position := frame.find(b"\xff", position, end)) < end - 1:
        marker = frame[position + 1]
        if kind == _JPEG_2000 and marker == _PACKET:
            position += _PACKET_BYTES
        elif marker in _AMONG_SAMPLES[kind]:
            position += 2
        elif marker == _FILL:
            position += 1
        else:
            return position
    return end


def zero(frame: bytearray, begin: int, end: int) -> None:
    """Overwrite bytes with zeros."""
    if end > begin:
        frame[begin:end] = bytes(end - begin)
