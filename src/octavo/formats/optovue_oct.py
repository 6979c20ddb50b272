"""Optovue `.OCT` exports: samples in one file, and what they are in a text of the same name, `.txt`.

The samples are 32-bit numbers, little-endian, without a header: B-scan by B-scan, A-scan by A-scan, each from the choroid
to the vitreous. The text has lines `name=value` under headings in brackets. Of these are used, and nothing else is looked
at: `OCT Window Height` (samples along depth), `Scan Depth` (mm), `Eye Scanned`, `Frames Per Data Group`, and for each step
of the scan `XY Scan Length` (A-scans), `XY Scan Usage` (B-scans), `XY Scan Size1` (mm along the B-scan) and
`XY Scan Interval1` (mm between B-scans).

The steps must fill the file to the byte: one after another, or the first and then B-scans of the same length for the
others. Each step is a scan of its own. There is no public description by the maker; this is what public readers of such
files agree on. Which way the B-scans follow one another is not among it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_voxel_bytes
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.volume import Laterality, Origin, Region, ScanPattern, Source, Spacing, Volume

_SAMPLE_BYTES = 4
_LONGEST_TEXT = 2**20
_MOST_STEPS = 64
_NUMBER = re.compile(r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*(mm)?\s*")
_HEADING_OF_3D = re.compile(r"\[.{0,40}\b3D .{0,40}Step \d+")
_DIRECTION = "which way the B-scans follow one another is not in the file; pass --slow-axis where it matters"


@dataclass
class _Step:
    """One step of the scan as the text says."""

    ascans: int = 0
    bscans: int = 0
    length_mm: float | None = None
    distance_mm: float | None = None


@dataclass
class _Description:
    """What the text says, as far as it is used."""

    depth: int = 0
    depth_mm: float | None = None
    frames: int = 0
    laterality: Laterality = Laterality.UNKNOWN
    is_3d: bool = False
    steps: list[_Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """B-scans of one step, and where they begin."""

    shape: tuple[int, int, int]
    start: int
    step: _Step
    is_first: bool


def _recognises(_path: Path, _beginning: bytes) -> bool:
    # Nothing in the file tells what it is.
    return False


def _text_of(path: Path) -> Path | None:
    return next((path.with_suffix(end) for end in (".txt", ".TXT") if path.with_suffix(end).is_file()), None)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise VolumeReadError(
                "is a ZIP archive, as ThorImage writes it; wanted a Bioptigen or Optovue file; export it as TIFF"
            )
    text = _text_of(path)
    if text is None:
        raise VolumeReadError(
            "begins as no Bioptigen file does, and the text that Optovue writes with its files is not beside it; "
            "wanted a .txt of the same name; copy both"
        )
    said = _read_text(text)
    parts = _parts(said, path.stat().st_size)
    return [_scan(path, said, part) for part in parts]


def _scan(path: Path, said: _Description, part: _Part) -> Scan:
    label = f"{part.shape[0]} B-scans of {part.shape[1]} x {part.shape[2]}" + (
        "" if part.is_first else ", for alignment"
    )
    return Scan(label, Kind.OCT, partial(_load, path, said, part), laterality=said.laterality)


def _read_text(text: Path) -> _Description:
    with text.open("rb") as file:
        content = file.read(_LONGEST_TEXT + 1)
    if len(content) > _LONGEST_TEXT:
        raise VolumeReadError(
            f"the text beside it is longer than {_LONGEST_TEXT} bytes; wanted Optovue's; copy it again"
        )
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1"
    said = _Description(is_3d="3D" in text.name)
    for line in content.decode(encoding, errors="replace").splitlines():
        name, equals, value = line.partition("=")
        said.is_3d = said.is_3d or _HEADING_OF_3D.match(line) is not None
        if equals:
            _take(said, name.strip().lower(), value)
    steps = [step for step in said.steps if step.ascans > 0 and step.bscans > 0]
    if said.depth < 1 or not steps or len(steps) > _MOST_STEPS:
        raise VolumeReadError(
            "the text beside it does not say how large the scan is; wanted OCT Window Height, XY Scan Length and "
            "XY Scan Usage; copy the .txt that was exported with it"
        )
    said.steps = steps
    return said


def _take(said: _Description, name: str, value: str) -> None:
    """Use one line, if it is one of those that are known."""
    if name == "eye scanned":
        said.laterality = Laterality.parse(value)
        return
    matched = _NUMBER.fullmatch(value)
    if matched is None:
        return
    number = float(matched[1])
    if name == "xy scan length" and len(said.steps) <= _MOST_STEPS:
        said.steps.append(_Step(ascans=int(number)))
    elif name == "oct window height":
        said.depth = int(number)
    elif name == "scan depth":
        said.depth_mm = number if number > 0 else None
    elif name == "frames per data group":
        said.frames = int(number)
    elif said.steps:
        step = said.steps[-1]
        if name == "xy scan usage":
            step.bscans = int(number)
        elif name == "xy scan size1" and number > 0:
            step.length_mm = number
        elif name == "xy scan interval1" and number > 0:
            step.distance_mm = number


def _parts(said: _Description, file_bytes: int) -> list[_Part]:
    """The steps that fill the file, or a refusal."""
    first = said.steps[0]
    one_bscan = first.ascans * said.depth * _SAMPLE_BYTES
    whole = sum(step.ascans * step.bscans for step in said.steps) * said.depth * _SAMPLE_BYTES
    check_size((first.bscans, said.depth, first.ascans), _SAMPLE_BYTES, file_bytes)
    if file_bytes == whole:
        steps = said.steps
    elif file_bytes == first.bscans * one_bscan:
        steps = [first]
    elif file_bytes == said.frames * one_bscan and said.frames > first.bscans:
        steps = [first, _Step(first.ascans, said.frames - first.bscans)]
    else:
        raise VolumeReadError(
            f"the text beside it says {first.bscans} x {said.depth} x {first.ascans} samples and {len(said.steps) - 1} "
            f"further steps, {whole} bytes in all, and it holds {file_bytes}; wanted as many; "
            "copy both files again, or export the scan as DICOM"
        )
    parts, start = [], 0
    for number, step in enumerate(steps):
        shape = (step.bscans, said.depth, step.ascans)
        parts.append(_Part(shape, start, step, number == 0))
        start += step.bscans * step.ascans * said.depth * _SAMPLE_BYTES
    return parts


def _load(path: Path, said: _Description, part: _Part) -> Volume:
    bscans, depth, ascans = part.shape
    with path.open("rb") as file:
        file.seek(part.start)
        content = read_voxel_bytes(file, bscans * depth * ascans * _SAMPLE_BYTES)
    stored = content.view("<f4").reshape(bscans, ascans, depth)
    is_raster = said.is_3d and bscans > 1 and part.is_first
    pattern = ScanPattern.RASTER if is_raster else ScanPattern.LINE if bscans == 1 else ScanPattern.UNKNOWN
    notes: tuple[str, ...] = (_DIRECTION,) if is_raster else ()
    if pattern is ScanPattern.UNKNOWN:
        notes = ("how the B-scans lie is not known, because nothing says that this is a 3D scan",)
    distance = part.step.distance_mm if is_raster else None
    length, deep = part.step.length_mm, said.depth_mm
    return Volume(
        np.ascontiguousarray(stored.transpose(0, 2, 1)[:, ::-1]),
        Spacing(
            distance,
            None if deep is None else deep / depth,
            None if length is None else length / ascans,
            (Origin.READ, Origin.DERIVED, Origin.DERIVED),
        ),
        laterality=said.laterality,
        laterality_origin=Origin.READ,
        pattern=pattern,
        pattern_origin=Origin.DERIVED,
        region=Region.DISC if "3D Disc" in path.name else Region.UNKNOWN,
        region_origin=Origin.DERIVED,
        source=Source(device="Optovue"),
        notes=notes,
    )


def _beside(path: Path) -> list[Path]:
    text = None if path.is_dir() else _text_of(path)
    return [] if text is None else [text]


READER = Reader(
    name="optovue-oct",
    about="an Optovue .OCT export with its .txt",
    suffixes=(".oct",),
    recognises=_recognises,
    scans=_scans,
    beside=_beside,
)
