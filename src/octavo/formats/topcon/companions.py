"""What comes with the B-scans of a Topcon file: layer boundaries, the photograph, and pictures from the front.

A chunk `@CONTOUR_INFO` is one boundary: how high above the *bottom* of the B-scan it lies, counted from 0, under every
A-scan. Its rows run from the inferior B-scan to the superior one, as do those of `@IMG_PROJECTION`, while B-scans begin
with the superior one. A real file shows the first (boundaries lie on the steepest change of brightness), and that
boundaries and projection run the same way, upside down to the thumbnail that the device shows. That B-scans run the
other way is what readers of the format agree on, and the record of motion in that file follows the boundaries only when
they are turned over. So surfaces and projection are turned over here, and lie on the volume's grid.

Boundaries have the names of the device's software where these are known, else the file's own.
"""

import re
import struct
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
from jaxtyping import Num, UInt8

from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_exactly
from octavo.formats.topcon.chunks import Chunk, ChunkTable, read_start
from octavo.formats.topcon.jpeg2000 import decode_jpeg2000

_CONTOUR = struct.Struct("<20sH3I")
"""Name; kind of number; A-scans, B-scans, bytes."""
_WHOLE_NUMBERS = 0
_NAMES = {
    "MULTILAYERS_1": "ILM",
    "MULTILAYERS_2": "RNFL/GCL",
    "MULTILAYERS_3": "GCL/IPL",
    "MULTILAYERS_4": "IPL/INL",
    "MULTILAYERS_5": "EZ",
    "MULTILAYERS_6": "RPE",
    "MULTILAYERS_7": "BM",
    "MULTILAYERS_8": "INL/OPL",
    "MULTILAYERS_9": "ELM",
    "MULTILAYERS_10": "CSI",
    "RETINA_1": "ILM",
    "RETINA_2": "EZ",
    "RETINA_3": "RPE",
    "RETINA_4": "BM",
}
_OWN_NAME = re.compile(r"(MULTILAYERS|RETINA|NFL|FLA|CORNEA)_\d{1,2}")
_CODED = struct.Struct("<4I4xI")
_PLAIN = struct.Struct("<4IxI")
_OLD = struct.Struct("<2I4xI")
_PROJECTION = struct.Struct("<2I4x4xI")
_MAX_SIDE = 2**14


def read_companions_of(
    file: BinaryIO, table: ChunkTable, shape: tuple[int, int, int], field_mm: tuple[float, float] | None
) -> Companions:
    """Read everything that comes with the scan; what is damaged or fits no scan is left out with a note.

    Args:
        file: The file.
        table: Its chunks.
        shape: B-scans, rows and A-scans of the volume.
        field_mm: Height and width of the scanned field, where B-scans fill it evenly from top to bottom.
    """
    surfaces, notes = _read_surfaces(file, table, shape)
    pictures: list[EnFace] = []
    for names, about, read in _PICTURES:
        for chunk in table.named(*names)[:1]:
            try:
                pictures.append(read(file, chunk))
            except VolumeReadError as refusal:
                notes += (f"{about} is left out: it {str(refusal).split(';')[0]}",)
    for chunk in table.named("@IMG_PROJECTION")[:1]:
        try:
            pictures.append(_read_projection(file, chunk, field_mm))
        except VolumeReadError as refusal:
            notes += (f"the projection is left out: it {str(refusal).split(';')[0]}",)
    return Companions(tuple(surfaces), tuple(pictures), notes)


def count_contour_bscans(file: BinaryIO, table: ChunkTable) -> set[int]:
    """For how many B-scans whole boundaries are given: one number where the file is whole."""
    counts = set()
    for chunk in table.named("@CONTOUR_INFO"):
        start = read_start(file, chunk, _CONTOUR.size)
        _, _, ascans, bscans, size = (b"", 0, 0, 0, -1) if start is None else _CONTOUR.unpack(start)
        if size in {ascans * bscans * 2, ascans * bscans * 8} and _CONTOUR.size + size <= chunk.size:
            counts.add(int(bscans))
    return counts


def _read_surfaces(
    file: BinaryIO, table: ChunkTable, shape: tuple[int, int, int]
) -> tuple[list[Surface], tuple[str, ...]]:
    surfaces: list[Surface] = []
    notes: tuple[str, ...] = ()
    taken: set[str] = set()
    chunks = table.named("@CONTOUR_INFO")
    # Of two boundaries with one name, the finer segmentation keeps it.
    ids = [_own_name(file, chunk, number) for number, chunk in enumerate(chunks, 1)]
    newer = {_NAMES[name] for name in ids if name.startswith("MULTILAYERS") and name in _NAMES}
    for chunk, own in zip(chunks, ids, strict=True):
        name = _NAMES.get(own, own)
        if name in newer and own.startswith("RETINA"):
            name = own
        while name in taken:
            name += "'"
        try:
            surfaces.append(Surface(name, _read_contour(file, chunk, shape)))
            taken.add(name)
        except VolumeReadError as refusal:
            notes += (f"surface {name} is left out: it {str(refusal).split(';')[0]}",)
    return surfaces, notes


def _own_name(file: BinaryIO, chunk: Chunk, number: int) -> str:
    """The name that the file gives a boundary; anything that is not a name of a boundary is not passed on."""
    start = read_start(file, chunk, 20)
    name = "" if start is None else start.split(b"\0")[0].decode("ascii", errors="replace")
    return name if _OWN_NAME.fullmatch(name) else f"surface {number}"


def _read_contour(file: BinaryIO, chunk: Chunk, shape: tuple[int, int, int]) -> Num[np.ndarray, "bscan ascan"]:
    start = read_start(file, chunk, _CONTOUR.size)
    if start is None:
        raise VolumeReadError("is cut short; wanted its header")
    _, kind, ascans, bscans, size = _CONTOUR.unpack(start)
    if (bscans, ascans) != (shape[0], shape[2]):
        raise VolumeReadError(
            f"is of {bscans} B-scans of {ascans} A-scans and the scan has {shape[0]} of {shape[2]}; wanted the same"
        )
    if kind != _WHOLE_NUMBERS:
        raise VolumeReadError("is stored as fractions, whose zero is not known; wanted whole samples")
    if size != bscans * ascans * 2 or chunk.size < _CONTOUR.size + size:
        raise VolumeReadError(f"promises {size} bytes of {chunk.size}; wanted two for every A-scan")
    file.seek(chunk.start + _CONTOUR.size)
    above_bottom = np.frombuffer(read_exactly(file, size, "contour"), "<u2").reshape(bscans, ascans)[::-1]
    depth = shape[1] - 1 - above_bottom.astype(np.float64)
    # No boundary lies on the very bottom: 0 is written where none was found, as are numbers beyond the B-scan.
    depth[(above_bottom == 0) | (depth < 0)] = np.nan
    return depth


def _read_photograph(file: BinaryIO, chunk: Chunk) -> EnFace:
    fields = _CODED if chunk.name == "@IMG_FUNDUS" else _PLAIN
    columns, rows, bits, _, size = _header(file, chunk, fields)
    values = _read_picture(file, chunk, fields.size, size, (rows, columns), bits)
    # Colours are stored with blue first.
    return EnFace(Picture.COLOUR, values[..., ::-1] if values.ndim == 3 else values)


def _read_infrared(file: BinaryIO, chunk: Chunk) -> EnFace:
    fields = _PLAIN if chunk.name == "@IMG_TRC_02" else _OLD
    columns, rows, *_, size = _header(file, chunk, fields)
    bits = int.from_bytes((read_start(file, chunk, 12) or b"")[8:12], "little")
    values = _read_picture(file, chunk, fields.size, size, (rows, columns), bits)
    is_grey = values.ndim == 3 and (values == values[..., :1]).all()
    return EnFace(Picture.INFRARED, values[..., 0] if is_grey else values)


def _read_projection(file: BinaryIO, chunk: Chunk, field_mm: tuple[float, float] | None) -> EnFace:
    columns, rows, size = _header(file, chunk, _PROJECTION)
    values = _read_picture(file, chunk, _PROJECTION.size, size, (rows, columns), 8)
    spacing = None if field_mm is None else (field_mm[0] / rows, field_mm[1] / columns)
    return EnFace(Picture.SLAB, values[::-1], spacing, "projection")


_PICTURES: Sequence[tuple[tuple[str, ...], str, Callable[[BinaryIO, Chunk], EnFace]]] = (
    (("@IMG_FUNDUS", "@IMG_OBS"), "the photograph", _read_photograph),
    (("@IMG_TRC_02", "@IMG_TRC"), "the infra-red picture", _read_infrared),
)


def _header(file: BinaryIO, chunk: Chunk, fields: struct.Struct) -> tuple[int, ...]:
    start = read_start(file, chunk, fields.size)
    if start is None:
        raise VolumeReadError("is cut short; wanted its header")
    return fields.unpack(start)


def _read_picture(
    file: BinaryIO, chunk: Chunk, first: int, size: int, shape: tuple[int, int], bits: int
) -> UInt8[np.ndarray, "row column *channel"]:
    """A picture behind its header: JPEG 2000, or plain bytes, of which there may be several pictures' worth."""
    if bits not in {8, 24} or not 0 < size <= chunk.size - first or not 0 < max(shape) <= _MAX_SIDE:
        raise VolumeReadError(
            f"promises {shape[0]} x {shape[1]} pixels of {bits} bits in {size} of {chunk.size} bytes; wanted sizes that "
            "can be"
        )
    channels = bits // 8
    needed = check_size((*shape, channels), 1, chunk.size)
    file.seek(chunk.start + first)
    content = bytes(read_exactly(file, size, "picture"))
    if size % needed == 0 and not content.startswith((b"\xff\x4f", b"\0\0\0\x0c")):
        plain = np.frombuffer(content[:needed], np.uint8)
        return plain.reshape(shape if channels == 1 else (*shape, channels))
    values = decode_jpeg2000(content, shape, channels)
    if values.dtype != np.uint8:
        raise VolumeReadError("has samples of 16 bits; wanted 8")
    return values
