"""The scans of an `.E2E` file: its chunks sorted into series, B-scans in order, and which of them are missing.

What the payloads hold, little-endian (positions in bytes):

* Images: size, type, number of samples, rows, columns at 0, 4, ... 16, then the samples. The third byte of the type is 0x20
  for B-scans of 16-bit floating-point reflectivity and 1 for pictures of 8 bits.
* B-scan information: rows and columns at 4, start and end in degrees at 12 to 28, millimetres per sample along depth at 36,
  how many B-scans the series has at 64 (0 where it does not say), 1 for a line or 2 for a circle
  at 72, the centre of a circle at 76.
* Boundaries: version, number, one unknown and width at 0, 4, 8, 12; the depths are the last 4 bytes per A-scan, behind a
  header that is longer in newer files.
* Eyes: `R` or `L` at 14 of kind 11; as UTF-16 at 4 of kind 3 and at 2 of kind 5.

Sure, because a real file and two independent public descriptions agree: images, the codes of reflectivity, kind 11. The
rest rests on public descriptions alone.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from octavo.formats.errors import VolumeReadError
from octavo.formats.heidelberg.e2e_chunks import (
    BSCAN_INFO,
    CONTOUR,
    IMAGE,
    IMAGE_EYE,
    PICTURE_MODALITY,
    SCAN_EYE,
    SERIES_EYE,
    Chunk,
    ChunkTable,
    Series,
    is_intact,
    payload_of,
)
from octavo.formats.heidelberg.layers import ask_too_much
from octavo.volume import Laterality

_IMAGE_HEADER_BYTES = 20
_INFO = struct.Struct("<4xII4f8xf24xIII2f")
_CONTOUR_HEADER = struct.Struct("<IiII")
_BSCAN_SAMPLES, _PICTURE_SAMPLES = 0x20, 0x01
_CIRCLE = 2
_EYE_AT = {SERIES_EYE: 14, SCAN_EYE: 4, IMAGE_EYE: 2}
_MOST_SURFACES = 64
_MOST_BSCANS = 4096
_MOST_SERIES = 2048


@dataclass(frozen=True, slots=True)
class BScanInfo:
    """What the file says about one B-scan."""

    start: tuple[float, float]
    """Degrees to the right of and below the centre of the fundus picture."""
    end: tuple[float, float]
    depth_mm: float
    of: int
    """How many B-scans the series has; 0 where the file does not say."""
    is_circle: bool
    is_line: bool


@dataclass(frozen=True, slots=True)
class BScan:
    """One B-scan that is there."""

    number: int
    """Its place in the series, counted from 1."""
    chunk: Chunk
    shape: tuple[int, int]
    info: BScanInfo | None


@dataclass(frozen=True, slots=True)
class E2EScan:
    """B-scans that belong together, and what comes with them."""

    bscans: tuple[BScan, ...]
    of: int
    """How many B-scans there should be: at least those that are there or known to be lost."""
    there: frozenset[int]
    """The numbers of those of the series that are."""
    is_counted: bool
    """Whether the file says how many there should be."""
    eyes: frozenset[Laterality]
    pictures: tuple[Chunk, ...]
    contours: tuple[Chunk, ...]
    is_infrared: bool
    notes: tuple[str, ...]

    @property
    def laterality(self) -> Laterality:
        """The eye, unknown if the file names none or both."""
        return next(iter(self.eyes)) if len(self.eyes) == 1 else Laterality.UNKNOWN

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the B-scans that should be there and are not."""
        return tuple(number for number in range(1, self.of + 1) if number not in self.there)

    @property
    def has_gap(self) -> bool:
        """Whether a B-scan is missing between two that are there."""
        return any(self.bscans[0].number < number < self.bscans[-1].number for number in self.missing)


@dataclass
class _Gathered:
    """The chunks of one series, in the order of the file."""

    images: dict[int, list[Chunk]] = field(default_factory=dict)
    infos: dict[int, BScanInfo] = field(default_factory=dict)
    pictures: list[Chunk] = field(default_factory=list)
    contours: list[Chunk] = field(default_factory=list)
    eyes: set[Laterality] = field(default_factory=set)
    expected: set[int] = field(default_factory=set)
    is_infrared: bool = False
    damaged: int = 0


def sort_into_scans(file: BinaryIO, table: ChunkTable) -> list[E2EScan]:
    """Every scan of a file that has at least one B-scan left, in the order of the file.

    Raises:
        VolumeReadError: If it holds more series than any such file.
    """
    if len({chunk.series for chunk in (*table.chunks, *table.lost)}) > _MOST_SERIES:
        raise VolumeReadError(
            f"holds more than {_MOST_SERIES} series; wanted a Heidelberg .E2E file; the file is damaged or hostile: export "
            "it again"
        )
    series: defaultdict[Series, _Gathered] = defaultdict(_Gathered)
    for chunk in table.chunks:
        _gather(file, chunk, series[chunk.series])
    for chunk in table.lost:
        gathered = series[chunk.series]
        if chunk.kind == IMAGE and chunk.index == 1:
            gathered.expected.add(chunk.slice)
        else:
            gathered.damaged += 1
    return [scan for gathered in series.values() for scan in _scans_of(file, gathered)]


def image_shape(file: BinaryIO, chunk: Chunk) -> tuple[int, tuple[int, int]] | None:
    """Bytes per sample, rows and columns of an image; None if its numbers do not fit its bytes."""
    head = payload_of(file, chunk, _IMAGE_HEADER_BYTES)
    if len(head) < _IMAGE_HEADER_BYTES:
        return None
    _, kind, count, rows, columns = struct.unpack("<5I", head)
    width = {_BSCAN_SAMPLES: 2, _PICTURE_SAMPLES: 1}.get(kind >> 16 & 0xFF, 0)
    if not width or not rows or not columns or rows * columns * width > chunk.size - _IMAGE_HEADER_BYTES:
        return None
    if width == 2 and count != rows * columns:
        return None
    return width, (rows, columns)


def read_codes(file: BinaryIO, bscan: BScan) -> tuple[UInt16[np.ndarray, "depth ascan"], bool]:
    """The stored samples of a B-scan, and whether its bytes add up to what was written."""
    payload = payload_of(file, bscan.chunk)
    rows, columns = bscan.shape
    codes = np.frombuffer(payload, "<u2", rows * columns, _IMAGE_HEADER_BYTES).reshape(rows, columns)
    return codes.astype(np.uint16), is_intact(bscan.chunk, payload)


def read_picture(file: BinaryIO, chunk: Chunk) -> tuple[UInt8[np.ndarray, "row column"], bool] | None:
    """A picture of the fundus, and whether its bytes add up to what was written; None if it is none."""
    found = image_shape(file, chunk)
    if found is None or found[0] != 1:
        return None
    payload = payload_of(file, chunk)
    rows, columns = found[1]
    values = np.frombuffer(payload, np.uint8, rows * columns, _IMAGE_HEADER_BYTES).reshape(rows, columns)
    return values, is_intact(chunk, payload)


def read_contours(
    file: BinaryIO, scan: E2EScan
) -> tuple[dict[int, Float32[np.ndarray, "bscan ascan"]], tuple[str, ...]]:
    """The boundaries of a scan by their numbers, as stored, NaN where a B-scan has none; and what was left out.

    Where a B-scan has several versions of one boundary, the highest version counts.
    """
    rows = {bscan.chunk.slice: row for row, bscan in enumerate(scan.bscans)}
    columns = scan.bscans[0].shape[1]
    newest: dict[tuple[int, int], tuple[int, np.ndarray]] = {}
    unfit = 0
    for chunk in scan.contours:
        payload = payload_of(file, chunk)
        if chunk.slice not in rows or len(payload) < _CONTOUR_HEADER.size:
            continue
        version, number, _, width = _CONTOUR_HEADER.unpack_from(payload)
        begin = len(payload) - 4 * width
        fits = width == columns and begin >= _CONTOUR_HEADER.size and 0 <= number < _MOST_SURFACES
        if not fits or not is_intact(chunk, payload):
            unfit += 1
        elif version >= newest.get((number, rows[chunk.slice]), (0, None))[0]:
            newest[number, rows[chunk.slice]] = version, np.frombuffer(payload, "<f4", width, begin)
    notes = (f"{unfit} boundaries of B-scans are damaged or of another width and were left out",) if unfit else ()
    numbers = sorted({number for number, _ in newest})
    if ask_too_much((len(numbers), len(rows), columns), sum(bscan.chunk.size for bscan in scan.bscans)):
        return {}, (*notes, f"boundaries of {len(rows)} B-scans are more than the file can hold and were left out")
    found = {number: np.full((len(rows), columns), np.nan, np.float32) for number in numbers}
    for (number, row), (_, depths) in newest.items():
        found[number][row] = depths
    return found, notes


def _gather(file: BinaryIO, chunk: Chunk, gathered: _Gathered) -> None:
    if chunk.kind == IMAGE:
        found = image_shape(file, chunk)
        if found is not None and found[0] == 2:
            gathered.images.setdefault(chunk.slice, []).append(chunk)
        elif found is not None:
            gathered.pictures.append(chunk)
        elif chunk.index != 1:
            gathered.damaged += 1
        if chunk.index == 1:
            gathered.expected.add(chunk.slice)
    elif chunk.kind == CONTOUR:
        gathered.contours.append(chunk)
    else:
        payload = payload_of(file, chunk)
        if not is_intact(chunk, payload):
            gathered.damaged += 1
        elif chunk.kind == BSCAN_INFO and len(payload) >= _INFO.size:
            gathered.infos[chunk.slice] = _info_of(payload)
            gathered.expected.add(chunk.slice)
        elif chunk.kind in _EYE_AT:
            eye = _eye_of(payload, _EYE_AT[chunk.kind], is_wide=chunk.kind != SERIES_EYE)
            gathered.eyes |= {eye} - {Laterality.UNKNOWN}
        elif chunk.kind == PICTURE_MODALITY:
            gathered.is_infrared |= payload[8:].decode("utf-16-le", errors="ignore").split("\0").count("IR") > 0


def _eye_of(payload: bytes, at: int, *, is_wide: bool) -> Laterality:
    letter = payload[at : at + 1]
    if letter not in {b"R", b"L"} or (is_wide and payload[at + 1 : at + 2] != b"\0"):
        return Laterality.UNKNOWN
    return Laterality.OD if letter == b"R" else Laterality.OS


def _info_of(payload: bytes) -> BScanInfo:
    _, _, x0, y0, x1, y1, depth_mm, of, _, kind, _, _ = _INFO.unpack_from(payload)
    return BScanInfo((x0, y0), (x1, y1), depth_mm, of, is_circle=kind == _CIRCLE, is_line=kind == 1)


def _scans_of(file: BinaryIO, gathered: _Gathered) -> list[E2EScan]:
    """The scans of one series: usually one; circles and lines apart, and single B-scans that have a picture each."""
    if not gathered.images:
        return []
    stated = max((info.of for info in gathered.infos.values()), default=0)
    own_pictures = {chunk.slice for chunk in gathered.pictures}
    if stated <= 1 < len(gathered.images) and own_pictures >= set(gathered.images):
        singles = [_bscan(file, 1, chunks[-1], gathered) for _, chunks in sorted(gathered.images.items())]
        return [_alone(bscan, gathered, _notes(gathered, [bscan])) for bscan in singles]
    of = stated if len(gathered.images) <= stated <= _MOST_BSCANS else 0
    numbers = _numbers(gathered, of)
    there = {numbers[place]: chunks[-1] for place, chunks in gathered.images.items() if place in numbers}
    if not there:
        return []
    expected = of or max(numbers.values())
    bscans = [_bscan(file, number, chunk, gathered) for number, chunk in sorted(there.items())]
    notes = _notes(gathered, bscans, strays=len(gathered.images) - len(there), stated=stated)
    circles = [bscan for bscan in bscans if bscan.info is not None and bscan.info.is_circle]
    others = [bscan for bscan in bscans if bscan.info is None or not bscan.info.is_circle]
    parts = [part for part in (others, circles) if part]
    return [_scan(part, there, expected, gathered, gathered.pictures, notes, of > 0) for part in parts]


def _alone(bscan: BScan, gathered: _Gathered, notes: tuple[str, ...]) -> E2EScan:
    pictures = [picture for picture in gathered.pictures if picture.slice == bscan.chunk.slice]
    return _scan([bscan], {1}, 1, gathered, pictures, notes, is_counted=True)


def _scan(
    bscans: Sequence[BScan],
    there: Iterable[int],
    of: int,
    gathered: _Gathered,
    pictures: Sequence[Chunk],
    notes: tuple[str, ...],
    is_counted: bool,
) -> E2EScan:
    places = {bscan.chunk.slice for bscan in bscans}
    return E2EScan(
        tuple(bscans),
        of,
        frozenset(there),
        is_counted,
        frozenset(gathered.eyes),
        tuple(pictures),
        tuple(chunk for chunk in gathered.contours if chunk.slice in places),
        gathered.is_infrared,
        notes,
    )


def _numbers(gathered: _Gathered, of: int) -> dict[int, int]:
    """Which B-scan of the series each slice is, counted from 1; slices that can be none of it are left out.

    A slice's number is twice its place, counted from 0; only of a scan that is a single B-scan it may be any.
    """
    slices = sorted(gathered.expected | set(gathered.images))
    if len(slices) == 1 and of <= 1:
        return {slices[0]: 1}
    numbers = {slice_: slice_ // 2 + 1 for slice_ in slices if 0 <= slice_ // 2 < (of or _MOST_BSCANS)}
    is_unique = len(set(numbers.values())) == len(numbers)
    return numbers if is_unique else {slice_: number for number, slice_ in enumerate(numbers, 1)}


def _bscan(file: BinaryIO, number: int, chunk: Chunk, gathered: _Gathered) -> BScan:
    found = image_shape(file, chunk)
    return BScan(number, chunk, (1, 1) if found is None else found[1], gathered.infos.get(chunk.slice))


def _notes(gathered: _Gathered, bscans: Sequence[BScan], strays: int = 0, stated: int = 1) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if 0 < stated < len(bscans):
        notes += (f"the file says that the scan has {stated} B-scans, and holds {len(bscans)}",)
    if strays:
        notes += (f"{strays} B-scans have numbers that the scan does not have, and were left out",)
    doubled = [str(bscan.number) for bscan in bscans if len(gathered.images[bscan.chunk.slice]) > 1]
    if doubled:
        notes += (f"B-scans {', '.join(doubled[:8])} stand several times in the file; the last is used",)
    if gathered.damaged:
        notes += (f"{gathered.damaged} chunks of the scan are damaged or missing and were passed over",)
    return notes
