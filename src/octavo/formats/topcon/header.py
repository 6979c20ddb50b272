"""What the small chunks of a Topcon file say of a scan: eye, device, size, and what the patient looked at.

Two generations of these chunks are about, which differ in where the fields stand: `@PARAM_SCAN_02` begins with five
bytes more than `@PARAM_SCAN_04` and has four more in between. Sure are the eye, the model, and the three sizes: width
and height of the scanned field in millimetres, and micrometres per sample along depth. The meaning of the fixation
codes is agreed among readers of the format. Names, numbers, birth dates and labels are not decoded.
"""

import math
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from octavo.formats.topcon.chunks import ChunkTable, read_start
from octavo.volume import Laterality, Region

_SIZES = {"@PARAM_SCAN_04": struct.Struct("<3xB8x3d"), "@PARAM_SCAN_02": struct.Struct("<8xB12x3d")}
"""Fixation, width and height in mm, micrometres per sample along depth."""
_CAPTURES = ("@CAPTURE_INFO_02", "@CAPTURE_INFO")
_EYES = {0: Laterality.OD, 1: Laterality.OS}
_HARDWARE = ("@HW_INFO_03", "@HW_INFO_02", "@HW_INFO_01")
_MODEL = re.compile(r"(?=.*OCT)[A-Za-z0-9][A-Za-z0-9 +-]*")
_REGIONS = {1: Region.DISC, 2: Region.MACULA, 3: Region.MACULA_AND_DISC}
_OUTSIDE_THE_FUNDUS = {4, 15, 16}
_WIDE_MM = (12.0, 9.0)
"""The field that takes in macula and disc, whichever of them the patient looks at."""
_SAME_MM = 0.05


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What is known of a scan before its B-scans are looked at; None or unknown where the file does not say."""

    laterality: Laterality = Laterality.UNKNOWN
    device: str = "Topcon"
    width_mm: float | None = None
    """Along the A-scans."""
    height_mm: float | None = None
    """Across the B-scans."""
    depth_mm: float | None = None
    """Of one sample."""
    region: Region = Region.UNKNOWN
    is_of_the_front: bool = False
    """Whether it shows the front of the eye and not the fundus."""
    notes: tuple[str, ...] = ()


def read_facts(file: BinaryIO, table: ChunkTable) -> ScanFacts:
    """Read everything that stands in the small chunks.

    A chunk that is missing, cut short or contradicted by another costs what stands in it, and a note says so.
    """
    laterality, eye_notes = _read_eye(file, table)
    width, height, depth, fixation, size_notes = _read_size(file, table)
    wide = width is not None and height is not None and math.dist((width, height), _WIDE_MM) < _SAME_MM
    is_of_the_front = table.kind == b"FAA" or fixation in _OUTSIDE_THE_FUNDUS
    region = Region.MACULA_AND_DISC if wide else _REGIONS.get(fixation, Region.UNKNOWN)
    return ScanFacts(
        laterality=laterality,
        device=_read_device(file, table),
        width_mm=width,
        height_mm=height,
        depth_mm=None if depth is None else depth / 1000,
        region=Region.UNKNOWN if is_of_the_front else region,
        is_of_the_front=is_of_the_front,
        notes=eye_notes + size_notes,
    )


def _read_eye(file: BinaryIO, table: ChunkTable) -> tuple[Laterality, tuple[str, ...]]:
    codes = {start[0] for chunk in table.named(*_CAPTURES) if (start := read_start(file, chunk, 1)) is not None}
    if not codes:
        return Laterality.UNKNOWN, ("the file holds no capture record; the eye is unknown",)
    if len(codes) > 1:
        return Laterality.UNKNOWN, ("the capture records name different eyes; the eye is unknown",)
    code = codes.pop()
    if code not in _EYES:
        return Laterality.UNKNOWN, (f"the capture record gives {code} for the eye, which is none; the eye is unknown",)
    return _EYES[code], ()


_Size = tuple[float | None, float | None, float | None, int, tuple[str, ...]]


def _read_size(file: BinaryIO, table: ChunkTable) -> _Size:
    """Width, height and depth as the file gives them, the fixation code (-1 where there is none), and notes."""
    found: set[tuple[int, float, float, float]] = set()
    for name, fields in _SIZES.items():
        for chunk in table.named(name):
            start = read_start(file, chunk, fields.size)
            if start is not None:
                found.add(fields.unpack(start))
    if not found:
        return None, None, None, -1, ("the file holds no scan parameters that are known; its millimetres are unknown",)
    if len(found) > 1:
        return None, None, None, -1, ("the scan parameters contradict each other; none are used",)
    fixation, *sizes = found.pop()
    width, height, depth = (size if math.isfinite(size) and size > 0 else None for size in sizes)
    notes: tuple[str, ...] = ()
    if None in (width, depth):
        notes = ("the scan parameters hold sizes that are no length; they are not used",)
    return width, height, depth, fixation, notes


def _read_device(file: BinaryIO, table: ChunkTable) -> str:
    """The maker and the model, if what stands there can be a model: a free text is not passed on."""
    for chunk in table.named(*_HARDWARE):
        start = read_start(file, chunk, 16)
        model = "" if start is None else start.split(b"\0")[0].decode("ascii", errors="replace").strip()
        if _MODEL.fullmatch(model):
            return f"Topcon {model}"
    return "Topcon"
