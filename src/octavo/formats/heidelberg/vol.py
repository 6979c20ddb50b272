"""Heidelberg Spectralis raw exports, `.vol`.

The file is one header of 2048 bytes, the fundus image, and then each B-scan: a header of stated length and its samples as
32-bit reflectivity. Everything is little-endian. Names, birth dates and identifiers of the header are never decoded.

Grey values are what the vendor shows: reflectivity cut to 0..1, its fourth root, times 255, kept as float32.
Reflectivity beyond 1e30 marks A-scans without data; they become black, and a note counts them.

The fundus image comes along, 8-bit samples behind the header, and so do the layer boundaries that stand in each B-scan's
header. Layout HSF-OCT-103 says which boundary is which; in others only their numbers are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from octavo.companions import Companions, EnFace, Picture
from octavo.formats.errors import VolumeReadError
from octavo.formats.heidelberg.layers import depth_or_unknown, known_surfaces, layer_name
from octavo.formats.limits import check_size, read_exactly
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.reflectivity import grey_of_reflectivity
from octavo.formats.scan_lines import ScanLines, read_scan_lines
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Source, Spacing, Volume

_MAGIC = b"HSF-OCT-"
_NAMES_LAYERS = "HSF-OCT-103"
_HEADER_BYTES = 2048
_NO_DATA = 1e30
_POSITION_ROUNDING_MM = 0.001
_MOST_SURFACES = 64

_FILE_FIELDS = np.dtype(
    [
        *[("version", "S12"), ("size_x", "<i4"), ("bscans", "<i4"), ("size_z", "<i4")],
        *[("scale_x", "<f8"), ("distance", "<f8"), ("scale_z", "<f8"), ("size_slo", "<i4", 2)],
        *[("scale_slo", "<f8", 2), ("field_degrees", "<i4"), ("focus", "<f8"), ("position", "S4")],
        *[("exam_time", "V8"), ("pattern", "<i4"), ("bscan_header_bytes", "<i4")],
    ]
)
_BSCAN_FIELDS = np.dtype(
    [
        *[("version", "S12"), ("header_bytes", "<i4"), ("start", "<f8", 2), ("end", "<f8", 2)],
        *[("segmentations", "<i4"), ("segmentation_offset", "<i4"), ("quality", "<f4"), ("shift", "<i4")],
    ]
)
_PATTERNS = {
    1: ScanPattern.LINE,
    2: ScanPattern.CIRCLE,
    3: ScanPattern.RASTER,
    4: ScanPattern.RASTER,
    5: ScanPattern.RADIAL,
}


@dataclass(frozen=True, slots=True)
class _Header:
    version: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    laterality: Laterality
    pattern: ScanPattern
    bscan_header_bytes: int
    slo_shape: tuple[int, int]
    slo_mm: tuple[float, float]

    @property
    def first_bscan(self) -> int:
        return _HEADER_BYTES + self.slo_shape[0] * self.slo_shape[1]

    @property
    def stride(self) -> int:
        return self.bscan_header_bytes + self.shape[1] * self.shape[2] * 4


def _recognises(_path: Path, beginning: bytes) -> bool:
    return beginning.startswith(_MAGIC)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _read_header(file, size)
    bscans, depth, ascans = header.shape
    label = f"{bscans} B-scans of {depth} x {ascans}, {header.pattern}"
    return [
        Scan(
            label,
            Kind.OCT,
            partial(_load, path, header, header.laterality),
            header.laterality,
            partial(_companions, path, header),
            load_as=partial(_load, path, header),
        )
    ]


def _read_header(file: BinaryIO, file_bytes: int) -> _Header:
    record = np.frombuffer(read_exactly(file, _HEADER_BYTES, "header")[: _FILE_FIELDS.itemsize], _FILE_FIELDS)[0]
    shape = (int(record["bscans"]), int(record["size_z"]), int(record["size_x"]))
    check_size(shape, 4, file_bytes)
    width, height = (int(length) for length in record["size_slo"])
    bscan_header_bytes = int(record["bscan_header_bytes"])
    if min(width, height) < 0 or bscan_header_bytes < _BSCAN_FIELDS.itemsize:
        raise VolumeReadError(
            f"header promises a fundus image of {width} x {height} and B-scan headers of {bscan_header_bytes} bytes; "
            "wanted sizes that can be; the file is damaged or no .vol export: export it again"
        )
    spacing = tuple(float(record[name]) for name in ("distance", "scale_z", "scale_x"))
    if not (np.isfinite(spacing).all() and spacing[0] >= 0 and spacing[1] > 0 and spacing[2] > 0):
        raise VolumeReadError(
            f"header gives scales of {spacing[0]:g}, {spacing[1]:g} and {spacing[2]:g} mm; wanted positive numbers; "
            "the file is damaged or no .vol export: export it again"
        )
    return _Header(
        version=bytes(record["version"]).decode("ascii", errors="replace").strip(),
        shape=shape,
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        laterality=Laterality.parse(bytes(record["position"]).decode("ascii", errors="replace")),
        pattern=_PATTERNS.get(int(record["pattern"]), ScanPattern.UNKNOWN),
        bscan_header_bytes=bscan_header_bytes,
        slo_shape=(height, width),
        slo_mm=(float(record["scale_slo"][1]), float(record["scale_slo"][0])),
    )


def _read_bscan_headers(file: BinaryIO, header: _Header) -> np.ndarray:
    """The headers of all B-scans, if they lie where the file's header says and agree with it.

    Raises:
        VolumeReadError: If the distance from one to the next is another than promised, or B-scans are left over.
    """
    records: list[np.void] = []
    for number in range(header.shape[0]):
        file.seek(header.first_bscan + number * header.stride)
        record = np.frombuffer(read_exactly(file, _BSCAN_FIELDS.itemsize, "B-scan header"), _BSCAN_FIELDS)[0]
        if int(record["header_bytes"]) != header.bscan_header_bytes:
            raise VolumeReadError(
                f"header says B-scan headers of {header.bscan_header_bytes} bytes, and B-scan {number + 1} says "
                f"{int(record['header_bytes'])}; wanted the same; the header is wrong: export the scan again"
            )
        if records and record["version"] != records[0]["version"]:
            raise VolumeReadError(
                f"B-scan {number + 1} does not begin where the header says; wanted one every {header.stride} bytes; "
                "the header is wrong: export the scan again"
            )
        records.append(record)
    end = header.first_bscan + header.shape[0] * header.stride
    left_over = file.seek(0, 2) - end
    if left_over >= header.stride:
        raise VolumeReadError(
            f"header promises {header.shape[0]} B-scans, and {left_over} bytes follow them; wanted at most a thickness "
            "grid there; the header is wrong: export the scan again"
        )
    return np.array(records)


def _load(path: Path, header: _Header, eye: Laterality) -> Volume:
    with path.open("rb") as file:
        records = _read_bscan_headers(file, header)
        values, empty = _read_grey_values(file, header)
    notes: tuple[str, ...] = ()
    if not header.version.startswith(_MAGIC.decode()):
        notes += ("the version in the header is none of Heidelberg's (HSF-OCT-...); read because the layout fits",)
    if empty:
        notes += (f"{empty} of {header.shape[0] * header.shape[2]} A-scans hold samples without data, set to 0",)
    pattern, origin, lines, line_notes = _pattern(header, records, eye)
    notes += line_notes
    if lines.runs_leftwards:
        values = np.ascontiguousarray(values[:, :, ::-1])
        notes += ("A-scans ran from right to left and were turned over to run from left to right",)
    spacing, spacing_notes = _spacing(header, pattern, lines)
    return Volume(
        values,
        spacing,
        laterality=header.laterality,
        laterality_origin=Origin.READ,
        pattern=pattern,
        pattern_origin=origin,
        slow_axis=lines.slow_axis if pattern is ScanPattern.RASTER else SlowAxis.UNKNOWN,
        slow_axis_origin=Origin.DERIVED,
        source=Source(device="Heidelberg Engineering Spectralis"),
        notes=notes + spacing_notes,
    )


def _pattern(
    header: _Header, records: np.ndarray, eye: Laterality
) -> tuple[ScanPattern, Origin, ScanLines, tuple[str, ...]]:
    """What the header calls the pattern, checked against where the B-scans lie."""
    if header.pattern is ScanPattern.CIRCLE:
        # A circle's "start" is a point on it and its "end" the centre: no line.
        return header.pattern, Origin.READ, ScanLines(), ()
    lines = read_scan_lines(records["start"], records["end"], eye, _POSITION_ROUNDING_MM)
    is_raster = header.pattern is ScanPattern.RASTER
    if header.pattern is ScanPattern.UNKNOWN or (is_raster and lines.pattern is ScanPattern.OTHER):
        return lines.pattern, Origin.DERIVED, lines, lines.notes
    untold = {ScanPattern.UNKNOWN, ScanPattern.OTHER}
    if header.pattern is ScanPattern.LINE or lines.pattern in {header.pattern, *untold}:
        return header.pattern, Origin.READ, lines, lines.notes
    if header.shape[0] == 1:
        return ScanPattern.LINE, Origin.DERIVED, lines, (f"one B-scan of what the header calls a {header.pattern}",)
    note = f"the header calls the pattern {header.pattern}, and the B-scans lie as a {lines.pattern}; taken for neither"
    return ScanPattern.OTHER, Origin.DERIVED, lines, (*lines.notes, note)


def _spacing(header: _Header, pattern: ScanPattern, lines: ScanLines) -> tuple[Spacing, tuple[str, ...]]:
    distance, depth, ascan = header.spacing_mm
    origins = (Origin.READ, Origin.READ, Origin.READ)
    if pattern is not ScanPattern.RASTER or header.shape[0] == 1:
        return Spacing(None, depth, ascan, origins), ()
    if lines.step is None:
        return Spacing(None, depth, ascan, origins), ()
    if distance == 0:
        return Spacing(lines.step, depth, ascan, (Origin.DERIVED, Origin.READ, Origin.READ)), ()
    if abs(distance - lines.step) > 0.1 * distance + _POSITION_ROUNDING_MM:
        note = (
            f"the header puts B-scans {distance * 1000:.6g} um apart and their positions {lines.step * 1000:.6g} um; "
            "neither is used: pass --spacing-mm"
        )
        return Spacing(None, depth, ascan, origins), (note,)
    return Spacing(distance, depth, ascan, origins), ()


def _read_grey_values(file: BinaryIO, header: _Header) -> tuple[Float32[np.ndarray, "bscan depth ascan"], int]:
    """The B-scans as grey values, and how many A-scans hold samples without data."""
    bscans, depth, ascans = header.shape
    values = np.empty(header.shape, np.float32)
    empty = 0
    for number in range(bscans):
        file.seek(header.first_bscan + number * header.stride + header.bscan_header_bytes)
        samples = np.frombuffer(read_exactly(file, depth * ascans * 4), "<f4").reshape(depth, ascans)
        if np.isnan(samples).any():
            raise VolumeReadError(
                f"B-scan {number + 1} holds samples that are not numbers (NaN); wanted reflectivity; export it again"
            )
        no_data = samples > _NO_DATA
        empty += int(no_data.any(axis=0).sum())
        reflectivity = np.where(no_data, np.float32(0), samples)
        values[number] = grey_of_reflectivity(reflectivity)
    return values, empty


def _companions(path: Path, header: _Header) -> Companions:
    with path.open("rb") as file:
        records = _read_bscan_headers(file, header)
        turned = _pattern(header, records, header.laterality)[2].runs_leftwards
        stored, notes = _read_surfaces(file, header, records)
        pictures, notes_on_picture = _read_fundus_image(file, header)
    is_named = header.version == _NAMES_LAYERS
    depths = {
        layer_name(number) if is_named else f"surface {number}": depth_or_unknown(values, header.shape[1])
        for number, values in enumerate(stored)
    }
    return Companions(known_surfaces(depths, turned), pictures, notes + notes_on_picture)


def _read_surfaces(
    file: BinaryIO, header: _Header, records: np.ndarray
) -> tuple[Float32[np.ndarray, "surface bscan ascan"], tuple[str, ...]]:
    """The boundaries as stored; a B-scan that has fewer than others, or says impossible numbers, leaves gaps."""
    bscans, _, ascans = header.shape
    room = header.bscan_header_bytes - records["segmentation_offset"].astype(np.int64)
    counts = records["segmentations"].astype(np.int64)
    fits = (counts >= 0) & (counts <= _MOST_SURFACES) & (counts * ascans * 4 <= room)
    fits &= records["segmentation_offset"] >= _BSCAN_FIELDS.itemsize
    counts[~fits] = 0
    stored = np.full((int(counts.max()), bscans, ascans), np.nan, np.float32)
    for number in np.flatnonzero(counts):
        file.seek(header.first_bscan + int(number) * header.stride + int(records["segmentation_offset"][number]))
        lines = read_exactly(file, int(counts[number]) * ascans * 4, "layer boundaries")
        stored[: counts[number], number] = np.frombuffer(lines, "<f4").reshape(-1, ascans)
    wrong = int((~fits & (records["segmentations"] != 0)).sum())
    notes = (f"the boundaries of {wrong} B-scans do not fit into their headers and were left out",) if wrong else ()
    return stored, notes


def _read_fundus_image(file: BinaryIO, header: _Header) -> tuple[tuple[EnFace, ...], tuple[str, ...]]:
    rows, columns = header.slo_shape
    if rows == 0 or columns == 0:
        return (), ()
    file.seek(_HEADER_BYTES)
    values = np.frombuffer(read_exactly(file, rows * columns, "fundus image"), np.uint8).reshape(rows, columns)
    if values.min() == values.max():
        return (), ("the fundus image is empty and was left out",)
    row_mm, column_mm = header.slo_mm
    is_known = bool(np.isfinite(header.slo_mm).all()) and row_mm > 0 and column_mm > 0
    return (EnFace(Picture.INFRARED, values, (row_mm, column_mm) if is_known else None),), ()


READER = Reader(
    name="heidelberg-vol",
    about="a Heidelberg .vol export",
    suffixes=(".vol",),
    recognises=_recognises,
    scans=_scans,
)
