"""Heidelberg `.E2E` files, written byte by byte with planted pixels, eyes, positions and boundaries."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from formats.written_scans import bscan_lines, eye

IMAGE, INFO, CONTOUR = 0x40000000, 10004, 10019
PATIENT, SERIES_EYE, SCAN_EYE, IMAGE_EYE, MODALITY = 9, 11, 3, 5, 9007
BSCAN_TYPE, PICTURE_TYPE = 0x02200201, 0x02010201
NO_DATA = 0xFFFF
HALF_A_CODE = 0.04
"""How far the grey of the nearest code can lie from the grey that was meant."""


@dataclass(frozen=True)
class Block:
    """One chunk before it has a place in the file."""

    kind: int
    payload: bytes
    ids: tuple[int, int, int] = (7, 8, 9)
    slice: int = -1
    index: int = -1


@dataclass(frozen=True)
class PlantedScan:
    """One series.

    Args:
        codes: The stored samples.
        lines: Start and end of each B-scan in degrees; None leaves the information out.
        letter: The eye as the file writes it; None leaves it out.
        surfaces: Boundaries by their numbers.
        of: How many B-scans the file says there are.
        scan_type: 1 for lines, 2 for circles.
    """

    codes: np.ndarray
    lines: np.ndarray | None = None
    letter: str | None = "R"
    surfaces: Mapping[int, np.ndarray] = field(default_factory=dict)
    picture: np.ndarray | None = None
    own_pictures: bool = False
    ids: tuple[int, int, int] = (7, 8, 9)
    of: int | None = None
    scan_type: int | Sequence[int] = 1
    depth_mm: float = 0.0039
    first_slice: int = 0
    contour_header: int = 36


def codes_of(grey: np.ndarray) -> np.ndarray:
    """The nearest stored number for each grey value of 0 to 255."""
    reflectivity = (grey.astype(np.float64) / 255) ** 4
    mantissa, exponent = np.frexp(reflectivity)
    codes = ((exponent.astype(np.int64) + 62) << 10) + np.round((2 * mantissa - 1) * 1024).astype(np.int64)
    return np.where(reflectivity > 0, codes, 0).astype(np.uint16)


def image_payload(samples: np.ndarray, kind: int) -> bytes:
    rows, columns = samples.shape
    content = samples.tobytes()
    return struct.pack("<5I", 20 + len(content), kind, rows * columns, rows, columns) + content


def info_payload(
    shape: tuple[int, int], line: Sequence[float], of: int, place: int, scan_type: int, depth_mm: float
) -> bytes:
    centre = line[2:] if scan_type == 2 else [(line[0] + line[2]) / 2, (line[1] + line[3]) / 2]
    ends = [*line[:2], *line[:2]] if scan_type == 2 else line
    head = struct.pack("<III4fIff6IIII2f", 1, *shape, *ends, 0, 1e9, depth_mm, *[0] * 6, of, place, scan_type, *centre)
    return head.ljust(428, b"\0")


def contour_payload(number: int, depths: np.ndarray, header: int = 36, version: int = 0) -> bytes:
    return struct.pack("<4I", version, number, 0, len(depths)).ljust(header, b"\0") + depths.astype("<f4").tobytes()


def blocks_of(scan: PlantedScan) -> list[Block]:
    """The chunks of a series, as they usually follow one another."""
    made = [Block(PATIENT, b"Jane\0".ljust(31, b"\0") + b"Doe".ljust(66, b"\0") + b"ID-4711 1950", scan.ids)]
    if scan.letter is not None:
        made.append(Block(SERIES_EYE, bytes(14) + scan.letter.encode() + b"\1" + bytes(11), scan.ids))
        made.append(Block(SCAN_EYE, bytes(4) + scan.letter.encode("utf-16-le") + bytes(90), scan.ids, 0))
    words = "Infra-Red".ljust(128, "\0") + "IR".ljust(128, "\0")
    made.append(Block(MODALITY, struct.pack("<II", 2, 256) + words.encode("utf-16-le"), scan.ids))
    if scan.picture is not None and not scan.own_pictures:
        made.append(Block(IMAGE, image_payload(scan.picture, PICTURE_TYPE), scan.ids, -1, 0))
    of = len(scan.codes) if scan.of is None else scan.of
    for place, codes in enumerate(scan.codes):
        slice_ = scan.first_slice + 2 * place
        if scan.own_pictures:
            made.append(Block(IMAGE, image_payload(scan.picture, PICTURE_TYPE), scan.ids, slice_, 0))
        if scan.lines is not None:
            kinds = scan.scan_type if isinstance(scan.scan_type, Sequence) else [scan.scan_type] * len(scan.codes)
            info = info_payload(codes.shape, scan.lines[place], of, place, kinds[place], scan.depth_mm)
            made.append(Block(INFO, info, scan.ids, slice_, 1))
        for number, depths in scan.surfaces.items():
            payload = contour_payload(number, depths[place], scan.contour_header)
            made.append(Block(CONTOUR, payload, scan.ids, slice_, 1))
        made.append(Block(IMAGE, image_payload(codes, BSCAN_TYPE), scan.ids, slice_, 1))
    return made


def e2e_bytes(blocks: Sequence[Block], *, per_directory: int = 512, prefix: bytes = b"", loops: bool = False) -> bytes:
    """A file of chunks behind their directories, with every sum right.

    Args:
        blocks: The chunks, in order.
        per_directory: How many chunks a directory lists.
        prefix: Bytes before the file, which no position counts.
        loops: Whether the first directory points at the last, so that the chain never ends.
    """
    content = bytearray(b"CMDb".ljust(12, b"\0") + struct.pack("<I", 100) + b"\xff" * 18 + b"\0\0")
    main_at = len(content)
    content += _directory(b"MDbMDir", 512, 0, 0)
    groups = [blocks[begin : begin + per_directory] for begin in range(0, len(blocks), per_directory)]
    previous, first = 0, 0
    for group in groups:
        at = len(content)
        first = first or at
        entries, chunks = _entries(group, at)
        content += _directory(b"MDbDir", len(group), at, previous) + entries + chunks
        previous = at
    content[main_at + 36 : main_at + 48] = struct.pack("<III", 512, previous, 0)
    if loops:
        content[first + 44 : first + 48] = struct.pack("<I", previous)
    return prefix + bytes(content)


def _directory(mark: bytes, count: int, current: int, previous: int) -> bytes:
    return (
        mark.ljust(12, b"\0") + struct.pack("<I", 100) + b"\xff" * 20 + struct.pack("<4I", count, current, previous, 0)
    )


def _entries(group: Sequence[Block], directory_at: int) -> tuple[bytes, bytes]:
    entries, chunks = b"", b""
    begin = directory_at + 52 + 44 * len(group)
    for place, block in enumerate(group):
        own_at, at = directory_at + 52 + 44 * place, begin + len(chunks)
        numbers = (own_at, at, len(block.payload), 0, *block.ids, block.slice)
        whose = struct.pack("<3iihHI", *block.ids, block.slice, block.index, 0, block.kind)
        sum_ = (0x87654321 + sum(numbers) + block.index + block.kind) & 0xFFFFFFFF
        entries += struct.pack("<4I", *numbers[:4]) + whose + struct.pack("<I", sum_)
        payload_sum = (0x12435687 + sum(block.payload)) & 0xFFFFFFFF
        head = b"MDbData".ljust(12, b"\0") + struct.pack("<5I", payload_sum, own_at, at, len(block.payload), 0)
        chunks += head + whose + struct.pack("<I", (0x8765431C + own_at) & 0xFFFFFFFF) + block.payload
    return entries, chunks


def planted_raster(bscans: int = 4, **changes: object) -> PlantedScan:
    """A right eye: parallel B-scans of 20 degrees, a quarter of a degree apart, the inferior first."""
    settings = {
        "codes": codes_of(eye(bscans)),
        "lines": bscan_lines(bscans, first=(-10.0, 3.0), step=(0.0, -0.25), length=20.0),
        **changes,
    }
    return PlantedScan(**settings)


def write_e2e(folder: Path, *scans: PlantedScan, **how: object) -> Path:
    """A file of whole series."""
    return write_blocks(folder, [block for scan in scans for block in blocks_of(scan)], **how)


def write_blocks(folder: Path, blocks: Sequence[Block], **how: object) -> Path:
    """A file of these chunks."""
    path = folder / "exam.E2E"
    path.write_bytes(e2e_bytes(blocks, **how))
    return path


def without(blocks: Sequence[Block], *places: int) -> list[Block]:
    """All chunks but the B-scans at these places, counted from 0."""
    lost = {2 * place for place in places}
    return [block for block in blocks if not (block.kind == IMAGE and block.index == 1 and block.slice in lost)]
