"""Heidelberg `.E2E` files, as Heyex exports examinations: several scans of one or both eyes in one file.

Grey values are those of the `.vol` export: reflectivity cut to 0..1, its fourth root, times 255, as 32-bit numbers. Samples
that were not measured become 0, and a note counts their A-scans. The eye is that of each scan, never of its neighbour.

The file gives the place of B-scans in degrees of view, and millimetres only along depth: how long a degree is on the retina
depends on the eye, and Heyex works it out from what is not understood here. So the distances between B-scans and between
A-scans are unknown; a note says the degrees. B-scans are as they were taken: the vendor's alignment is not applied to them,
nor to the boundaries, which lie on the same samples.

A damaged chunk costs that chunk. A B-scan that is missing at either end of a scan is named in a note; between two others it
makes a raster a wrong volume, which is refused. Chunks that name the patient are never read.
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
from octavo.formats.heidelberg.e2e_chunks import MAGICS, read_chunk_table
from octavo.formats.heidelberg.e2e_series import (
    BScan,
    E2EScan,
    read_codes,
    read_contours,
    read_picture,
    sort_into_scans,
)
from octavo.formats.heidelberg.layers import depth_or_unknown, known_surfaces, layer_name
from octavo.formats.limits import check_size
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.reflectivity import grey_of_reflectivity, is_no_data, reflectivity_of_codes
from octavo.formats.scan_lines import ScanLines, read_scan_lines
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Source, Spacing, Volume

_POSITION_ROUNDING_DEGREES = 0.005


@dataclass(frozen=True, slots=True)
class _Geometry:
    pattern: ScanPattern
    origin: Origin
    lines: ScanLines
    spacing: Spacing
    notes: tuple[str, ...]


def _recognises(_path: Path, beginning: bytes) -> bool:
    return beginning.startswith(MAGICS)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with path.open("rb") as file:
        table = read_chunk_table(file)
        scans = sort_into_scans(file, table)
    if not scans:
        raise VolumeReadError(
            f"holds {len(table.chunks)} chunks that can be read and no B-scan among them; wanted a Heidelberg .E2E file "
            "with an OCT scan; copy or export it again"
        )
    patients = list(dict.fromkeys(scan.bscans[0].chunk.series.patient for scan in scans))
    return [
        Scan(
            _label(scan, patients),
            Kind.OCT,
            partial(_load, path, scan, len(patients), scan.laterality),
            scan.laterality,
            partial(_companions, path, scan),
            load_as=partial(_load, path, scan, len(patients)),
        )
        for scan in scans
    ]


def _label(scan: E2EScan, patients: Sequence[int]) -> str:
    rows, columns = scan.bscans[0].shape
    of = f" of {scan.of}" if scan.missing else ""
    label = f"{len(scan.bscans)}{of} B-scans of {rows} x {columns}, {scan.laterality}"
    whose = patients.index(scan.bscans[0].chunk.series.patient) + 1
    return label if len(patients) == 1 else f"{label}, of patient {whose} of {len(patients)} in the file"


def _load(path: Path, scan: E2EScan, patients: int, eye: Laterality) -> Volume:
    geometry = _geometry(scan, eye)
    if scan.has_gap and geometry.pattern not in {ScanPattern.RADIAL, ScanPattern.CIRCLE}:
        raise VolumeReadError(
            f"B-scans {_few(scan.missing)} of {scan.of} are missing or damaged; wanted every one between the first and "
            "the last, because a gap makes a wrong volume; copy or export the file again"
        )
    with path.open("rb") as file:
        values, notes = _read_grey_values(file, scan)
    if geometry.lines.runs_leftwards:
        values = np.ascontiguousarray(values[:, :, ::-1])
        notes += ("A-scans ran from right to left and were turned over to run from left to right",)
    if patients > 1:
        notes += (f"the file holds scans of {patients} patients",)
    return Volume(
        values,
        geometry.spacing,
        laterality=scan.laterality,
        laterality_origin=Origin.READ,
        pattern=geometry.pattern,
        pattern_origin=geometry.origin,
        slow_axis=geometry.lines.slow_axis if geometry.pattern is ScanPattern.RASTER else SlowAxis.UNKNOWN,
        slow_axis_origin=Origin.DERIVED,
        source=Source(device="Heidelberg Engineering"),
        notes=_notes_on_scan(scan) + notes + geometry.notes,
    )


def _notes_on_scan(scan: E2EScan) -> tuple[str, ...]:
    notes = scan.notes
    if scan.missing:
        notes += (f"B-scans {_few(scan.missing)} of {scan.of} are missing or damaged",)
    if not scan.is_counted:
        notes += ("the file does not say how many B-scans the scan has, so nobody knows whether all are there",)
    if len(scan.eyes) > 1:
        notes += ("the file names both eyes for this scan, so the eye is unknown",)
    return notes


def _read_grey_values(
    file: BinaryIO, scan: E2EScan
) -> tuple[Float32[np.ndarray, "bscan depth ascan"], tuple[str, ...]]:
    shape = (len(scan.bscans), *scan.bscans[0].shape)
    odd = [bscan for bscan in scan.bscans if bscan.shape != shape[1:]]
    if odd:
        raise VolumeReadError(
            f"B-scan {odd[0].number} is {odd[0].shape[0]} x {odd[0].shape[1]} and B-scan {scan.bscans[0].number} is "
            f"{shape[1]} x {shape[2]}; wanted B-scans of one size; copy or export the file again"
        )
    check_size(shape, 4, sum(bscan.chunk.size for bscan in scan.bscans))
    grey_of_code = grey_of_reflectivity(reflectivity_of_codes(np.arange(2**16, dtype=np.uint16)))
    values = np.empty(shape, np.float32)
    empty, torn = 0, []
    for row, bscan in enumerate(scan.bscans):
        codes, is_intact = read_codes(file, bscan)
        no_data = is_no_data(codes)
        values[row] = np.where(no_data, np.float32(0), grey_of_code[codes])
        empty += int(no_data.any(axis=0).sum())
        torn += [] if is_intact else [bscan.number]
    notes: tuple[str, ...] = ()
    if empty:
        notes += (f"{empty} of {shape[0] * shape[2]} A-scans hold samples without data, set to 0",)
    if torn:
        notes += (f"the samples of B-scans {_few(torn)} do not add up to what was written: they may be damaged",)
    return values, notes


def _geometry(scan: E2EScan, eye: Laterality) -> _Geometry:
    infos = [bscan.info for bscan in scan.bscans if bscan.info is not None]
    depth, notes = _depth_mm(scan.bscans)
    spacing = Spacing(None, depth, None)
    if len(infos) < len(scan.bscans):
        note = "the file does not say of every B-scan where it lies; pattern and direction are unknown"
        return _Geometry(ScanPattern.UNKNOWN, Origin.UNKNOWN, ScanLines(), spacing, (*notes, note))
    notes += ("millimetres across the retina are not in such files: pass --spacing-mm, or export as .vol",)
    if all(info.is_circle for info in infos):
        return _Geometry(ScanPattern.CIRCLE, Origin.READ, ScanLines(), spacing, notes)
    if not all(info.is_line for info in infos):
        note = "the B-scans are neither lines nor circles; they are no raster"
        return _Geometry(ScanPattern.OTHER, Origin.DERIVED, ScanLines(), spacing, (*notes, note))
    starts, ends = (np.array([getattr(info, name) for info in infos], np.float64) for name in ("start", "end"))
    lines = read_scan_lines(starts, ends, eye, _POSITION_ROUNDING_DEGREES)
    if lines.step is not None:
        length = float(np.linalg.norm(ends - starts, axis=1).mean())
        notes += (f"B-scans are {length:.4g} degrees long and {lines.step:.4g} degrees apart",)
    return _Geometry(lines.pattern, Origin.DERIVED, lines, spacing, notes + lines.notes)


def _depth_mm(bscans: Sequence[BScan]) -> tuple[float | None, tuple[str, ...]]:
    """Millimetres per sample along depth, if the B-scans that say agree."""
    stated = {bscan.info.depth_mm for bscan in bscans if bscan.info is not None}
    if len(stated) == 1:
        scale = stated.pop()
        if np.isfinite(scale) and scale > 0:
            # Stored as 32 bits: the shortest number that they stand for is the one that was meant.
            return float(str(np.float32(scale))), ()
    note = "the B-scans state different scales along depth, or none that can be; it is unknown"
    return None, (note,) if stated else ()


def _companions(path: Path, scan: E2EScan) -> Companions:
    turned = _geometry(scan, scan.laterality).lines.runs_leftwards
    pictures: list[EnFace] = []
    with path.open("rb") as file:
        stored, notes = read_contours(file, scan)
        for chunk in scan.pictures:
            found = read_picture(file, chunk)
            if found is not None:
                values, is_intact = found
                pictures.append(EnFace(Picture.INFRARED if scan.is_infrared else Picture.OTHER, values))
                notes += (
                    () if is_intact else (f"the samples of picture {len(pictures)} do not add up to what was written",)
                )
    depth = scan.bscans[0].shape[0]
    depths = {layer_name(number): depth_or_unknown(values, depth) for number, values in stored.items()}
    return Companions(known_surfaces(depths, turned), tuple(pictures), notes)


def _few(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" and more" if len(numbers) > 8 else "")


READER = Reader(
    name="heidelberg-e2e",
    about="a Heidelberg .E2E file",
    suffixes=(".e2e",),
    recognises=_recognises,
    scans=_scans,
)
