"""NRRD: a header of `field: value` lines, then voxels in the same file (.nrrd) or in one beside it (.nhdr).

Sure, from the public definition of the format: `sizes`, `spacings`, `units`, `kinds` and `space directions` name the
axes from the fastest to the slowest; a blank line ends the header; `key:=value` lines are a program's own. The length
of a space direction is the voxel size along its axis, and `space units` its unit. The format has no word for the eye; a
program's own lines are looked through for one and otherwise passed over, as are `content` and `labels`: they may name a
patient.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from octavo.formats.errors import VolumeReadError
from octavo.formats.reader import Reader, ReadOptions, Scan
from octavo.formats.stored_image import (
    Packing,
    StoredImage,
    eye_of,
    file_beside,
    numbers_in,
    read_header_lines,
    scan_of,
    turns_axes,
    unit_in_mm,
    whole_numbers_in,
    without_trailing_ones,
)

_MAGIC = re.compile(rb"NRRD000[1-5]\r?\n")
_END = re.compile(rb"\n\r?\n")
_MOST_AXES = 16
_MOST_SKIPPED_LINES = 1000
_TYPES = {
    name: code
    for code, names in {
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}
_PACKINGS = {"raw": Packing.RAW, "gzip": Packing.GZIP, "gz": Packing.GZIP, "bzip2": Packing.BZIP2, "bz2": Packing.BZIP2}
_ALONG = {"domain", "space", "none", "???"}
"""Kinds of axis along which samples lie in space; every other holds the channels of a voxel."""
_SAME_FIELD = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}


def _recognises(path: Path, beginning: bytes) -> bool:
    return _MAGIC.match(beginning) is not None


def _beside(path: Path) -> Collection[Path]:
    """The file of voxels, where it is another than the header."""
    if path.is_dir():
        return ()
    try:
        data = _read_header(path).data
    except VolumeReadError:
        # Whoever reads it gets the sentence.
        return ()
    return () if data == path else (data,)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    return [scan_of(_read_header(path), options.axes)]


def _read_header(path: Path) -> StoredImage:
    content, end = read_header_lines(path, _END)
    if not _MAGIC.match(content):
        raise VolumeReadError(
            "does not begin with a line NRRD0001 to NRRD0005; wanted an NRRD header; check what the file is"
        )
    fields, added = _fields(content)
    if "data file" not in fields and not _END.search(content):
        raise VolumeReadError(
            "header ends without the blank line before the voxels; wanted all of it; the file is cut short: copy it again"
        )
    axes = whole_numbers_in(_field(fields, "dimension"), "numbers of axes", 1)[0]
    if not 1 <= axes <= _MOST_AXES:
        raise VolumeReadError(f"header promises {axes} axes; wanted two or three; save one scan by itself")
    shape = whole_numbers_in(_field(fields, "sizes"), "lengths of axes", axes)
    _refuse_channels(fields, shape)
    packing = _packing(fields)
    data, offset, at_end = _place(path, fields, end, packing)
    sizes, units, notes = _sizes(fields, axes)
    laterality, eye_notes = eye_of(added)
    return StoredImage(
        shape=without_trailing_ones(shape),
        dtype=_sample_type(fields),
        sizes=sizes,
        units_mm=units,
        data=data,
        offset=offset,
        at_end=at_end,
        packing=packing,
        laterality=laterality,
        notes=notes + eye_notes,
    )


def _fields(content: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """The fields of the format, and the lines that programs add."""
    fields: dict[str, str] = {}
    added: dict[str, str] = {}
    for line in content.decode("utf-8", errors="replace").split("\n")[1:]:
        key, colon, value = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        if value.startswith("="):
            added[key.strip()] = value[1:].strip()
            continue
        name = _SAME_FIELD.get(key.strip().lower(), key.strip().lower())
        if fields.setdefault(name, value.strip()) != value.strip():
            raise VolumeReadError(
                "header says one thing twice and differently; wanted every field once; export it again"
            )
        # what follows names further files, one a line
        if name == "data file" and value.strip().upper().startswith("LIST"):
            break
    return fields, added


def _field(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise VolumeReadError(f"header has no field {name}; wanted it in an NRRD; export it again")
    return fields[name]


def _sample_type(fields: Mapping[str, str]) -> np.dtype:
    code = _TYPES.get(" ".join(_field(fields, "type").lower().split()))
    if code is None:
        raise VolumeReadError(
            "header gives a type of sample that is not known; wanted whole or floating-point numbers of at most "
            "64 bits; save it again as float"
        )
    dtype = np.dtype(code)
    if dtype.itemsize == 1:
        return dtype
    order = _field(fields, "endian").lower()
    if order not in {"little", "big"}:
        raise VolumeReadError(
            "header gives an endian that is neither little nor big; wanted one of them; save it again"
        )
    return dtype.newbyteorder(">") if order == "big" else dtype.newbyteorder("<")


def _refuse_channels(fields: Mapping[str, str], shape: tuple[int, ...]) -> None:
    kinds = fields.get("kinds", "").lower().split()
    if kinds and len(kinds) != len(shape):
        raise VolumeReadError(f"header gives {len(kinds)} kinds of axes; wanted {len(shape)}; export it again")
    # trailing axes of one voxel are dropped anyway
    if any(kind not in _ALONG for kind in kinds[: max(len(without_trailing_ones(shape)), 1)]):
        raise VolumeReadError(
            "stores several channels per voxel, or time points; wanted axes in space alone; save one channel by itself"
        )


def _packing(fields: Mapping[str, str]) -> Packing:
    packing = _PACKINGS.get(_field(fields, "encoding").lower())
    if packing is None:
        raise VolumeReadError(
            f"stores its voxels as text or in a way that is not known; wanted one of {', '.join(_PACKINGS)}; "
            "save it again with encoding raw or gzip"
        )
    return packing


def _sizes(
    fields: Mapping[str, str], axes: int
) -> tuple[tuple[float | None, ...], tuple[float | None, ...], tuple[str, ...]]:
    """Voxel sizes and their units along each axis, and whether the axes are turned in the room."""
    none = (None,) * axes
    if "space directions" in fields:
        directions = _directions(fields["space directions"], axes)
        lengths = tuple(None if one is None else float(np.sqrt(np.square(one).sum())) for one in directions)
        stated = [unit_in_mm(word) for word in _quoted(fields.get("space units", ""))]
        # a length mixes the units of its coordinates; it has one where they all agree
        unit = stated[0] if stated and len(set(stated)) == 1 else None
        known = [direction for direction in directions if direction is not None]
        turned = bool(known) and (len({len(one) for one in known}) != 1 or turns_axes(known))
        note = "the header turns its axes in the room (space directions); the scan is taken as it is stored"
        return lengths, (unit,) * axes, (note,) if turned else ()
    if "spacings" in fields:
        sizes = numbers_in(fields["spacings"], "voxel sizes", axes)
        units = [unit_in_mm(word) for word in _quoted(fields.get("units", ""))]
        known_sizes = tuple(None if np.isnan(size) else size for size in sizes)
        return known_sizes, tuple(units) if len(units) == axes else none, ()
    return none, none, ()


def _directions(text: str, axes: int) -> list[tuple[float, ...] | None]:
    words = re.findall(r"\(([^()]*)\)|(none)", text)
    if len(words) != axes:
        raise VolumeReadError(f"header gives {len(words)} directions of axes; wanted {axes}; export it again")
    return [None if none else numbers_in(inside.replace(",", " "), "coordinates") for inside, none in words]


def _quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text) or text.split()


def _place(path: Path, fields: Mapping[str, str], end: int, packing: Packing) -> tuple[Path, int, bool]:
    """Which file holds the voxels, from where on, and whether they are its last bytes."""
    data, offset = path, end
    if "data file" in fields:
        name = fields["data file"]
        if name.upper().startswith("LIST") or "%" in name:
            raise VolumeReadError("keeps its voxels in several files; wanted one; save it again as one .nrrd")
        data, offset = file_beside(path, name), 0
    lines = whole_numbers_in(fields.get("line skip", "0"), "lines to be skipped", 1)[0]
    skipped = whole_numbers_in(fields.get("byte skip", "0"), "bytes to be skipped", 1)[0]
    if not 0 <= lines <= _MOST_SKIPPED_LINES or skipped < -1 or (packing is not Packing.RAW and (lines or skipped)):
        raise VolumeReadError(
            f"header skips {lines} lines and {skipped} bytes before the voxels; wanted none, or some before raw "
            "voxels; save it again"
        )
    return data, _behind_lines(data, offset, lines) + max(skipped, 0), skipped == -1


def _behind_lines(data: Path, offset: int, lines: int) -> int:
    """Where so many lines end that stand before the voxels."""
    with data.open("rb") as file:
        file.seek(offset)
        for _ in range(lines):
            file.readline(2**16)
        return file.tell()


READER = Reader(
    name="nrrd",
    about="an NRRD file (.nrrd, or .nhdr with its file of voxels)",
    suffixes=(".nrrd", ".nhdr"),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes"}),
    beside=_beside,
)
