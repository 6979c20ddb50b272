"""Topcon exams, `.fda` and `.fds`: 3D OCT-1000, -2000, Maestro, Triton and their kin.

The format is not published; what is used here is agreed among those who have read it, and was looked at in one real
file. Its parts have a file each: the list of chunks, the header, the B-scans, and what comes with them.

Where a scan of more than one B-scan fills a field from top to bottom (mode 2, "3D"), the distance between B-scans and
between A-scans is the size of the field divided by their number. Other modes: a line, a circle, a star of radial lines,
lines that stand upright, a few parallel lines. How far apart few parallel lines lie is not told reliably, nor is the
length of a circle (some take the size for its radius, others for its diameter): both stay unknown. The superior B-scan
comes first in a raster of `.fda`; for `.fds` nobody has said, so the direction is unknown there.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from octavo.companions import Companions
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.topcon.chunks import MAGIC, ChunkTable, read_chunk_table
from octavo.formats.topcon.companions import count_contour_bscans, read_companions_of
from octavo.formats.topcon.frames import FrameBlock, find_blocks, read_frames
from octavo.formats.topcon.header import ScanFacts, read_facts
from octavo.volume import Origin, ScanPattern, SlowAxis, Source, Spacing, Volume

_RASTER = 2
_UPRIGHT_RASTER = 6
_FIELDS = {_RASTER, _UPRIGHT_RASTER}
"""Modes whose B-scans fill a field evenly."""
_FEW_LINES = {7, 8}
_PATTERNS = {
    0: ScanPattern.LINE,
    1: ScanPattern.CIRCLE,
    _RASTER: ScanPattern.RASTER,
    3: ScanPattern.RADIAL,
    _UPRIGHT_RASTER: ScanPattern.RASTER,
    7: ScanPattern.RASTER,
    8: ScanPattern.RASTER,
}
"""Every other mode is one of crosses, webs and concentric circles."""


def _recognises(_path: Path, beginning: bytes) -> bool:
    return beginning.startswith(MAGIC)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with path.open("rb") as file:
        table = read_chunk_table(file, path.stat().st_size)
        facts = read_facts(file, table)
        blocks = find_blocks(file, table)
    if len(blocks) > 1:
        facts = _only_what_holds_for_all(facts, len(blocks))
    return [_scan(path, table, facts, block, number, len(blocks)) for number, block in enumerate(blocks, 1)]


def _scan(path: Path, table: ChunkTable, facts: ScanFacts, block: FrameBlock, number: int, count: int) -> Scan:
    bscans, depth, ascans = block.shape
    pattern = _PATTERNS.get(block.mode, ScanPattern.OTHER)
    label = f"{bscans} B-scans of {depth} x {ascans}, {pattern}" + (f", block {number}" if count > 1 else "")
    return Scan(
        label,
        Kind.OCT,
        partial(_load, path, table, facts, block),
        laterality=facts.laterality,
        companions=partial(_load_companions, path, table, facts, block, count),
    )


def _only_what_holds_for_all(facts: ScanFacts, count: int) -> ScanFacts:
    """The eye and the device: of the size given once, nothing tells to which of the blocks it belongs."""
    note = (
        f"the file holds {count} blocks of B-scans, and nothing tells to which its millimetres belong; they are unknown"
    )
    return ScanFacts(facts.laterality, facts.device, is_of_the_front=facts.is_of_the_front, notes=(*facts.notes, note))


def _load(path: Path, table: ChunkTable, facts: ScanFacts, block: FrameBlock) -> Volume:
    with path.open("rb") as file:
        values = read_frames(file, block)
        contour_bscans = count_contour_bscans(file, table)
    pattern, pattern_origin, notes = _pattern(block)
    spacing, spacing_notes = _spacing(facts, block)
    slow_axis = _slow_axis(block)
    return Volume(
        values,
        spacing,
        laterality=facts.laterality,
        laterality_origin=Origin.READ,
        pattern=pattern,
        pattern_origin=pattern_origin,
        slow_axis=slow_axis,
        slow_axis_origin=Origin.ASSUMED,
        region=facts.region,
        region_origin=Origin.DERIVED,
        source=Source(device=facts.device),
        notes=(*table.notes, *facts.notes, *notes, *spacing_notes, *_other_notes(facts, block, contour_bscans)),
    )


def _load_companions(path: Path, table: ChunkTable, facts: ScanFacts, block: FrameBlock, count: int) -> Companions:
    if count > 1:
        note = f"the file holds {count} blocks of B-scans, and nothing tells to which its surfaces and pictures belong"
        return Companions(notes=(note,))
    field_mm = None
    if block.mode == _RASTER and facts.height_mm is not None and facts.width_mm is not None:
        field_mm = (facts.height_mm, facts.width_mm)
    with path.open("rb") as file:
        return read_companions_of(file, table, block.shape, field_mm)


def _pattern(block: FrameBlock) -> tuple[ScanPattern, Origin, tuple[str, ...]]:
    pattern = _PATTERNS.get(block.mode, ScanPattern.OTHER)
    if pattern is ScanPattern.RASTER and block.shape[0] == 1:
        return ScanPattern.LINE, Origin.DERIVED, ("one B-scan of what the header calls a raster",)
    if pattern is ScanPattern.OTHER:
        note = f"the scan mode {block.mode} is none of line, circle, radial and raster"
        return pattern, Origin.READ, (note,)
    return pattern, Origin.READ, ()


def _spacing(facts: ScanFacts, block: FrameBlock) -> tuple[Spacing, tuple[str, ...]]:
    bscans, _, ascans = block.shape
    bscan_mm = ascan_mm = None
    notes: tuple[str, ...] = ()
    pattern = _PATTERNS.get(block.mode, ScanPattern.OTHER)
    if facts.width_mm is not None and pattern not in {ScanPattern.CIRCLE, ScanPattern.OTHER}:
        ascan_mm = facts.width_mm / ascans
    if block.mode in _FIELDS and bscans > 1 and not block.is_motion_corrected and facts.height_mm is not None:
        bscan_mm = facts.height_mm / bscans
    if pattern is ScanPattern.CIRCLE:
        notes += ("the file does not tell the length of a circle reliably; the distance between A-scans is unknown",)
    if block.mode in _FEW_LINES and bscans > 1:
        notes += ("the file does not tell how far apart these lines lie; the distance between B-scans is unknown",)
    return Spacing(bscan_mm, facts.depth_mm, ascan_mm, (Origin.DERIVED, Origin.READ, Origin.DERIVED)), notes


def _slow_axis(block: FrameBlock) -> SlowAxis:
    if block.mode == _RASTER and block.bits == 0 and block.shape[0] > 1:
        return SlowAxis.SUPERIOR_TO_INFERIOR
    return SlowAxis.UNKNOWN


def _other_notes(facts: ScanFacts, block: FrameBlock, contour_bscans: set[int]) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    bscans = block.shape[0]
    if any(count > bscans for count in contour_bscans):
        notes += (
            f"the file has layer boundaries for {max(contour_bscans)} B-scans and holds {bscans}; "
            f"the others are missing, and nothing tells which they are",
        )
    if block.is_motion_corrected:
        notes += ("the B-scans are those after correction of motion; the file holds no others",)
    if block.mode == _UPRIGHT_RASTER:
        notes += ("the B-scans stand upright, and the file does not tell whether they run towards the nose",)
    if facts.is_of_the_front:
        notes += ("the scan is of the front of the eye: its depth does not run from vitreous to choroid",)
    return notes


READER = Reader(
    name="topcon",
    about="a Topcon .fda or .fds file",
    suffixes=(".fda", ".fds"),
    recognises=_recognises,
    scans=_scans,
)
