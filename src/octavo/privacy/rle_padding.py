"""Where a name may hide in run-length coded pixels: in unused places of the header, and behind a segment's end.

Source: DICOM PS3.5 Annex G. A frame is one item: a header of 16 numbers of four bytes, how many segments there are and where
each begins, and then the segments, each a plane of bytes coded by PackBits.
"""

import struct

from octavo.formats.errors import VolumeReadError
from octavo.privacy.comments import items_of, whole_items, zero

_HEADER_BYTES, _MOST_SEGMENTS = 64, 15
_NOTHING = 128
"""A code that stands for no bytes at all."""


def blank_rle_padding(pixels: bytes, plane_bytes: int, segments: int, frames: int) -> bytes:
    r"""Overwrite with zeros whatever is no part of the picture. Lengths stay, and so does the picture.

    Args:
        pixels: The items of the pixel data, the table of offsets first.
        plane_bytes: How many bytes a segment unpacks to: rows times columns.
        segments: How many a frame has: samples times bytes of each.
        frames: How many there are.

    Raises:
        VolumeReadError: If there are more frames or segments than that, or they cannot be followed.

    Example:
        >>> segment = b"\x01\x07\x08" + b"Jane"
        >>> frame = struct.pack("<16L", 1, 64, *[0] * 14) + segment
        >>> items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in (b"", frame))
        >>> blank_rle_padding(items, 2, segments=1, frames=1)[-7:]
        b'\x01\x07\x08\x00\x00\x00\x00'
    """
    content = bytearray(whole_items(pixels))
    # the first item holds offsets of frames, or nothing
    places = list(items_of(content))[1:]
    if len(places) != frames:
        raise _cannot_be_followed(f"are {len(places)} frames; wanted {frames}, as the file says")
    for begin, end in places:
        _blank_frame(content, begin, end, plane_bytes, segments)
    return bytes(content)


def _blank_frame(content: bytearray, begin: int, end: int, plane_bytes: int, segments: int) -> None:
    if end - begin < _HEADER_BYTES:
        raise _cannot_be_followed("have a frame without a header; wanted frames as in PS3.5 Annex G")
    told, *offsets = struct.unpack_from(f"<{1 + _MOST_SEGMENTS}L", content, begin)
    used = offsets[:segments]
    rising = [_HEADER_BYTES, *used, end - begin]
    if told != segments or rising != sorted(rising):
        raise _cannot_be_followed(f"have a frame whose {told} segments do not lie in order; wanted {segments} that do")
    zero(content, begin + 4 * (1 + segments), begin + _HEADER_BYTES)
    zero(content, begin + _HEADER_BYTES, begin + used[0])
    for first, after in zip(used, [*used[1:], end - begin], strict=True):
        zero(content, _behind_segment(content, begin + first, begin + after, plane_bytes), begin + after)


def _behind_segment(content: bytearray, position: int, end: int, plane_bytes: int) -> int:
    """Where a segment has given all bytes of its plane, be it in the middle of a run."""
    left = plane_bytes
    while left > 0:
        if position >= end:
            raise _cannot_be_followed("end before the picture is whole; wanted all of it")
        code = content[position]
        if code < _NOTHING:
            position += 1 + min(code + 1, left)
            left -= code + 1
        elif code > _NOTHING:
            left, position = left - (257 - code), position + 2
        else:
            position += 1
    return min(position, end)


def _cannot_be_followed(got: str) -> VolumeReadError:
    return VolumeReadError(
        f"its run-length coded pixels {got}: text may stand beside what can be followed; export it again"
    )
