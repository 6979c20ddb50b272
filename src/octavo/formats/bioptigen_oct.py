"""Bioptigen InVivoVue `.OCT` files: a tree of named fields, then the B-scans.

The file begins with a mark and a version; then come fields, each the length of its name, its name, the length of its
bytes, and these. `FRAMEHEADER` opens the fields about the whole scan, and each `FRAMEDATA` those of one B-scan, down to
`FRAMESAMPLES`; a name of no length closes each. Samples are unsigned, A-scan by A-scan, vitreous first. Everything is
little-endian. `SCANLENGTH`, `AZSCANLENGTH`, `ELSCANLENGTH` and `SCANDEPTH` are millimetres.

This is what the maker's published readers for MATLAB and ImageJ do. What the fields for text and times hold is never
decoded. The probe is held by hand, so the file cannot say which way A-scans and B-scans lie on the retina, nor which eye
it is; the eye may stand in the file's name.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_exactly
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.volume import Origin, ScanPattern, Source, Spacing, Volume

_MAGIC = b"\xa5\xa7\x7d\x0c"
_FIRST_FIELD = 6
_LONGEST_NAME = 64
_MOST_FIELDS = 256
_MOST_BYTES_BEHIND = 8
_COUNTS = ("FRAMECOUNT", "LINECOUNT", "LINELENGTH", "SCANTYPE", "SCANS", "FRAMES", "FRAMESPERVOLUME")
_LENGTHS = ("SCANDEPTH", "SCANLENGTH", "AZSCANLENGTH", "ELSCANLENGTH")
_MIXED_DENSITY = 6
_PATTERNS = {0: ScanPattern.LINE, 1: ScanPattern.RASTER, 3: ScanPattern.RADIAL}
_BY_HAND = "the probe is held by hand: which way A-scans and B-scans lie on the retina is not in the file"


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, int, int]
    scan_type: int
    positions: int
    repeats: int
    lengths_mm: dict[str, float]
    first_bscan: int


def _recognises(_path: Path, beginning: bytes) -> bool:
    return beginning.startswith(_MAGIC)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with path.open("rb") as file:
        header = _read_header(file, path.stat().st_size)
    bscans, depth, ascans = header.shape
    pattern = _PATTERNS.get(header.scan_type, ScanPattern.UNKNOWN)
    return [Scan(f"{bscans} B-scans of {depth} x {ascans}, {pattern}", Kind.OCT, partial(_load, path, header))]


def _read_header(file: BinaryIO, file_bytes: int) -> _Header:
    file.seek(_FIRST_FIELD)
    name, _ = _next_field(file, file_bytes)
    if name != "FRAMEHEADER":
        raise VolumeReadError("does not begin with its header; wanted FRAMEHEADER; copy or export it again")
    counts: dict[str, int] = {}
    lengths: dict[str, float] = {}
    for _ in range(_MOST_FIELDS):
        name, size = _next_field(file, file_bytes)
        if not name:
            break
        content = bytes(read_exactly(file, size, "header"))
        if name in _COUNTS and size == 4:
            counts[name] = struct.unpack("<I", content)[0]
        elif name in _LENGTHS and size == 8:
            lengths[name] = struct.unpack("<d", content)[0]
    else:
        raise VolumeReadError(f"header has more than {_MOST_FIELDS} fields; wanted fewer; copy or export it again")
    missing = [name for name in ("FRAMECOUNT", "LINECOUNT", "LINELENGTH") if name not in counts]
    if missing:
        raise VolumeReadError(f"header lacks {', '.join(missing)}; wanted the size of the scan; export it again")
    if counts.get("SCANTYPE") == _MIXED_DENSITY:
        raise VolumeReadError("is a scan of mixed density, whose B-scans differ; wanted another; export it as pictures")
    shape = (counts["FRAMECOUNT"], counts["LINELENGTH"], counts["LINECOUNT"])
    check_size(shape, 1, file_bytes)
    return _Header(
        shape,
        counts.get("SCANTYPE", -1),
        counts.get("SCANS", counts.get("FRAMESPERVOLUME", 0)),
        counts.get("FRAMES", 1),
        {name: mm for name, mm in lengths.items() if np.isfinite(mm) and mm > 0},
        file.tell(),
    )


def _next_field(file: BinaryIO, file_bytes: int) -> tuple[str, int]:
    """Name and size of the next field; no name closes the fields that belong together."""
    length = struct.unpack("<I", read_exactly(file, 4, "fields"))[0]
    if length == 0:
        return "", 0
    if length > _LONGEST_NAME:
        raise VolumeReadError(
            f"a field's name is {length} bytes long; wanted at most {_LONGEST_NAME}; the file is damaged: copy it again"
        )
    name = bytes(read_exactly(file, length, "fields")).rstrip(b"\0").decode("ascii", errors="replace")
    size = struct.unpack("<I", read_exactly(file, 4, "fields"))[0]
    if file.tell() + size > file_bytes and name not in {"FRAMEHEADER", "FRAMEDATA"}:
        raise VolumeReadError(
            f"a field of {size} bytes goes beyond the end; wanted it inside the file; "
            "the file is cut short: copy or export it again"
        )
    return name, size


def _load(path: Path, header: _Header) -> Volume:
    file_bytes = path.stat().st_size
    with path.open("rb") as file:
        file.seek(header.first_bscan)
        bscans = [_read_bscan(file, file_bytes, header, number) for number in range(1, header.shape[0] + 1)]
        behind = file_bytes - file.tell()
    if behind > _MOST_BYTES_BEHIND:
        raise VolumeReadError(
            f"header promises {header.shape[0]} B-scans, and {behind} bytes follow them; wanted nothing there; "
            "the header is wrong: export the scan again"
        )
    if len({bscan.dtype for bscan in bscans}) > 1:
        raise VolumeReadError("B-scans have samples of different sizes; wanted one; copy or export it again")
    pattern = _PATTERNS.get(header.scan_type, ScanPattern.UNKNOWN)
    notes: tuple[str, ...] = (_BY_HAND,)
    is_repeated = header.repeats > 1 and header.positions > 1
    if is_repeated:
        pattern = ScanPattern.OTHER
        notes += (
            f"each of {header.positions} positions was scanned {header.repeats} times; in which order the B-scans stand "
            "is not known, so that they make no raster",
        )
    return Volume(
        np.stack(bscans),
        _spacing(header, pattern),
        pattern=pattern,
        pattern_origin=Origin.READ,
        source=Source(device="Bioptigen"),
        notes=notes,
    )


def _read_bscan(file: BinaryIO, file_bytes: int, header: _Header, number: int) -> UInt[np.ndarray, "depth ascan"]:
    _, depth, ascans = header.shape
    name, _ = _next_field(file, file_bytes)
    samples: UInt[np.ndarray, "depth ascan"] | None = None
    if name == "FRAMEDATA":
        for _ in range(_MOST_FIELDS):
            name, size = _next_field(file, file_bytes)
            if not name:
                break
            content = read_exactly(file, size, "B-scan")
            if name == "FRAMELINES" and size == 4 and struct.unpack("<I", content)[0] != ascans:
                raise VolumeReadError(
                    f"B-scan {number} has {struct.unpack('<I', content)[0]} A-scans, and the header says {ascans}; "
                    "wanted as many in each; export it as pictures"
                )
            if name == "FRAMESAMPLES":
                samples = _samples(content, depth, ascans, number)
    if samples is None:
        raise VolumeReadError(
            f"header promises {header.shape[0]} B-scans, and number {number} is not there; wanted all of them; "
            "the file is damaged: copy or export it again"
        )
    return samples


def _samples(content: bytearray, depth: int, ascans: int, number: int) -> UInt[np.ndarray, "depth ascan"]:
    bytes_each = len(content) / (depth * ascans)
    if bytes_each not in {1, 2}:
        raise VolumeReadError(
            f"B-scan {number} holds {len(content)} bytes; wanted one or two for each of {depth} x {ascans} samples; "
            "the header is wrong: export the scan again"
        )
    return np.frombuffer(content, "u1" if bytes_each == 1 else "<u2").reshape(ascans, depth).T


def _spacing(header: _Header, pattern: ScanPattern) -> Spacing:
    """Lengths of the scan over the number of samples; the header states no distance itself."""
    bscans, depth, ascans = header.shape
    lengths = header.lengths_mm
    is_raster = pattern is ScanPattern.RASTER
    along = lengths.get("AZSCANLENGTH") if is_raster else None
    along = along or lengths.get("SCANLENGTH")
    across = lengths.get("ELSCANLENGTH") if is_raster and bscans > 1 else None
    deep = lengths.get("SCANDEPTH")
    origins = (Origin.DERIVED, Origin.DERIVED, Origin.DERIVED)
    return Spacing(
        None if across is None else across / bscans,
        None if deep is None else deep / depth,
        None if along is None else along / ascans,
        origins,
    )


READER = Reader(
    name="bioptigen-oct",
    about="a Bioptigen .OCT file",
    suffixes=(),
    recognises=_recognises,
    scans=_scans,
)
