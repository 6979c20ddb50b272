"""The elements of a DICOM file: tags, kinds, lengths and nesting; of values only the sizes of the image."""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from octavo.privacy.skeleton_bytes import fingerprint

_FIRST_ELEMENT = 132
_UNKNOWN_LENGTH = 0xFFFFFFFF
_MOST_VISITED = 50_000
_MOST_LISTED = 2_000
_DEEPEST = 64
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_SHORT = {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM"}
_VRS = _LONG | _SHORT | {"UI", "UL", "US"}
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX = 0x00020010
_PIXELS = 0x7FE00010
_SIZES = {
    0x00280002: "SamplesPerPixel",
    0x00280006: "PlanarConfiguration",
    0x00280008: "NumberOfFrames",
    0x00280010: "Rows",
    0x00280011: "Columns",
    0x00280100: "BitsAllocated",
    0x00280101: "BitsStored",
    0x00280102: "HighBit",
    0x00280103: "PixelRepresentation",
}
_MOST_DIGITS = 6
_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little-endian",
    "1.2.840.10008.1.2.1": "explicit little-endian",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "explicit big-endian",
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
}


@dataclass
class _Walk:
    """How far one has come in a file."""

    file: BinaryIO
    size: int
    position: int = _FIRST_ELEMENT
    syntax: str = ""
    visited: int = 0
    stopped: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    listed: list[dict[str, object]] = field(default_factory=list)
    scopes: list[int | None] = field(default_factory=list)
    """Where the sequences and items end in which one is, None for those that a mark ends."""

    def take(self, layout: str) -> tuple[int, ...]:
        """Read numbers, in the byte order of the file."""
        order = ">" if self.syntax == "explicit big-endian" and not self.is_in_meta else "<"
        self.file.seek(self.position)
        content = self.file.read(struct.calcsize(order + layout))
        self.position += len(content)
        return struct.unpack(order + layout, content)

    @property
    def is_in_meta(self) -> bool:
        """Whether the next element is of the file's own group, which is always written in one way."""
        self.file.seek(self.position)
        return self.file.read(2) == b"\2\0"


def dicom_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """Walk the elements of a DICOM file, as far as they can be followed."""
    walk = _Walk(file, size)
    while walk.position + 8 <= size and not walk.stopped:
        while walk.scopes and walk.scopes[-1] is not None and walk.position >= walk.scopes[-1]:
            walk.scopes.pop()
        if walk.syntax == "deflated" and not walk.is_in_meta:
            walk.stopped = "what follows is deflated"
            break
        try:
            _step(walk)
        except struct.error:
            walk.stopped = "the file ends within an element"
        walk.visited += 1
        if walk.visited >= _MOST_VISITED:
            walk.stopped = "more elements than are followed"
    return {
        "transfer syntax": walk.syntax or "not stated",
        "sizes": walk.sizes,
        "elements": walk.listed,
        "elements in all": walk.visited,
        "stopped": walk.stopped or None,
        "at": walk.position,
        "bytes left": size - walk.position,
        "open sequences": len(walk.scopes),
    }


def _step(walk: _Walk) -> None:
    at, was_in_meta = walk.position, walk.is_in_meta
    group, element = walk.take("HH")
    tag = group << 16 | element
    if tag in {_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE}:
        _step_over_mark(walk, tag)
        return
    vr, length = _kind_and_length(walk, tag, was_in_meta)
    entry: dict[str, object] = {
        "tag": _name_of(tag),
        "vr": vr,
        "length": None if length == _UNKNOWN_LENGTH else length,
        "at": at,
        "depth": len(walk.scopes) // 2,
    }
    if len(walk.listed) < _MOST_LISTED:
        walk.listed.append(entry)
    if vr == "SQ" or (length == _UNKNOWN_LENGTH and tag != _PIXELS):
        _enter(walk, length)
    elif length == _UNKNOWN_LENGTH:
        entry["fragments"] = _step_over_fragments(walk)
    elif walk.position + length > walk.size:
        walk.stopped = "an element reaches beyond the end of the file"
        # so large a length may be text that is taken for a number
        entry |= {"length": None, "bytes there": walk.size - walk.position}
    else:
        _look_at(walk, tag, vr, length)
        hashed = fingerprint(walk.file, walk.position, length) if vr in {"OB", "OW"} else None
        if hashed:
            entry["sha256"] = hashed
        walk.position += length


def _step_over_mark(walk: _Walk, tag: int) -> None:
    (length,) = walk.take("L")
    if tag == _ITEM:
        _enter(walk, length)
    elif walk.scopes:
        walk.scopes.pop()
    else:
        walk.stopped = "a sequence ends that never began"


def _enter(walk: _Walk, length: int) -> None:
    if len(walk.scopes) >= 2 * _DEEPEST:
        walk.stopped = "sequences are nested deeper than in any such file"
    walk.scopes.append(None if length == _UNKNOWN_LENGTH else walk.position + length)


def _kind_and_length(walk: _Walk, tag: int, is_in_meta: bool) -> tuple[str, int]:
    walk.file.seek(walk.position)
    stated = walk.file.read(2).decode("latin-1")
    if is_in_meta or walk.syntax != "implicit little-endian":
        if stated in _VRS:
            walk.position += 2
            if stated in _LONG:
                return stated, walk.take("HL")[1]
            return stated, walk.take("H")[0]
        if walk.syntax != "implicit little-endian" and walk.scopes == [] and walk.syntax:
            walk.stopped = "the kind of an element is none of DICOM"
    return _known_vr(tag), walk.take("L")[0]


def _name_of(tag: int) -> str:
    """The tag as digits if it is one of the standard's; any other number may be text that is taken for a tag."""
    from pydicom.datadict import dictionary_has_tag

    if dictionary_has_tag(tag):
        return f"{tag >> 16:04X},{tag & 0xFFFF:04X}"
    return "private" if (tag >> 16) % 2 else "unknown"


def _known_vr(tag: int) -> str:
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"


def _look_at(walk: _Walk, tag: int, vr: str, length: int) -> None:
    """Take the sizes of the image, and how the file is written; nothing else is looked at."""
    walk.file.seek(walk.position)
    if tag == _TRANSFER_SYNTAX:
        text = walk.file.read(min(length, 64)).rstrip(b"\0 ").decode("latin-1")
        walk.syntax = _SYNTAXES.get(text, "another")
    elif tag in _SIZES and vr == "US" and length == 2:
        (walk.sizes[_SIZES[tag]],) = walk.take("H")
        walk.position -= 2
    elif tag in _SIZES and vr == "IS" and length <= _MOST_DIGITS:
        digits = walk.file.read(length).strip()
        if digits.isdigit():
            walk.sizes[_SIZES[tag]] = int(digits)


def _step_over_fragments(walk: _Walk) -> dict[str, object]:
    lengths: list[int] = []
    while walk.position + 8 <= walk.size:
        group, element, length = walk.take("HHL")
        if group << 16 | element != _ITEM:
            break
        if walk.position + length > walk.size:
            walk.stopped = "a fragment of the pixels reaches beyond the end of the file"
            break
        lengths.append(length)
        walk.position += length
    return {"count": len(lengths), "bytes": sum(lengths), "first lengths": lengths[:16]}
