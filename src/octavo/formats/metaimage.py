"""MetaImage: a header of `Key = Value` lines, then voxels in the same file (.mha) or in one beside it (.mhd).

Sure, from the public description of the format: `DimSize`, `ElementSpacing` and `ElementType` name the axes from the
fastest to the slowest; `ElementDataFile` is the last line, and what follows `LOCAL` are the voxels; `HeaderSize` of -1
puts them at the end of their file; compressed voxels are one zlib stream. The format has no word for the eye, and none
for the unit but `DistanceUnits`, which few programs write: without it sizes are taken as millimetres, as ITK does, and
marked `assumed`. Fields that programs add are looked through for an eye and otherwise passed over: they may name a
patient.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

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

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    # what C calls long has four bytes in a file, whatever it has on the machine that wrote it
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_FIRST_LINE = re.compile(rb"\s*(ObjectType|ObjectSubType|Comment|NDims|Name|ID)\s*=")
_END = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*(\n|\Z)", re.MULTILINE)
_DIRECTIONS = ("TransformMatrix", "Rotation", "Orientation")
_USUAL_ORIENTATIONS = {"RAI", "???", ""}


def _recognises(path: Path, beginning: bytes) -> bool:
    return _FIRST_LINE.match(beginning) is not None and b"NDims" in beginning


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
    if not _END.search(content):
        raise VolumeReadError(
            "header does not come to the line ElementDataFile; wanted a MetaImage header; "
            "the file is cut short or is none: copy or export it again"
        )
    fields = _fields(content)
    _refuse_other_samples(fields)
    axes = whole_numbers_in(_field(fields, "NDims"), "numbers of axes", 1)[0]
    if not 1 <= axes <= 10:
        raise VolumeReadError(f"header promises {axes} axes; wanted two or three; save one scan by itself")
    shape = whole_numbers_in(_field(fields, "DimSize"), "lengths of axes", axes)
    sizes, size_notes = _sizes(fields, axes)
    unit = unit_in_mm(fields.get("DistanceUnits", ""))
    laterality, eye_notes = eye_of(fields)
    packing = Packing.ZLIB if _is_true(fields, "CompressedData") else Packing.RAW
    data, offset, at_end = _place(path, fields, end, packing)
    return StoredImage(
        shape=without_trailing_ones(shape),
        dtype=np.dtype(_TYPES[fields["ElementType"]]).newbyteorder(_byte_order(fields)),
        sizes=sizes,
        units_mm=(unit,) * axes,
        data=data,
        offset=offset,
        at_end=at_end,
        packing=packing,
        laterality=laterality,
        notes=size_notes + eye_notes + _direction_notes(fields, axes),
    )


def _fields(content: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals and fields.setdefault(name.strip(), value.strip()) != value.strip():
            raise VolumeReadError(
                "header says one thing twice and differently; wanted every field once; export it again"
            )
    return fields


def _field(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise VolumeReadError(f"header has no line {name}; wanted it in a MetaImage; export it again")
    return fields[name]


def _is_true(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "").lower() in {"true", "t", "1", "yes"}


def _byte_order(fields: Mapping[str, str]) -> Literal["<", ">"]:
    return ">" if any(_is_true(fields, f"{what}ByteOrderMSB") for what in ("Element", "BinaryData")) else "<"


def _refuse_other_samples(fields: Mapping[str, str]) -> None:
    """Refuse text, several channels, and types of sample that are no real numbers."""
    if fields.get("ObjectType", "Image") != "Image":
        raise VolumeReadError("is a MetaIO object and no image; wanted ObjectType = Image; choose the image")
    if "BinaryData" in fields and not _is_true(fields, "BinaryData"):
        raise VolumeReadError("stores its voxels as text; wanted binary ones; save it again with BinaryData = True")
    channels = whole_numbers_in(fields.get("ElementNumberOfChannels", "1"), "numbers of channels", 1)[0]
    if channels != 1:
        raise VolumeReadError(f"stores {channels} channels per voxel; wanted one; save one channel by itself")
    if _field(fields, "ElementType") not in _TYPES:
        raise VolumeReadError(
            f"header gives a type of sample that is not known; wanted one of {', '.join(_TYPES)}; "
            "save it again as MET_FLOAT"
        )


def _sizes(fields: Mapping[str, str], axes: int) -> tuple[tuple[float | None, ...], tuple[str, ...]]:
    if "ElementSpacing" in fields:
        return numbers_in(fields["ElementSpacing"], "voxel sizes", axes), ()
    if "ElementSize" in fields:
        note = "the header gives no distance between voxels and only their size; taken to be the same"
        return numbers_in(fields["ElementSize"], "voxel sizes", axes), (note,)
    return (None,) * axes, ()


def _direction_notes(fields: Mapping[str, str], axes: int) -> tuple[str, ...]:
    """Whether the header turns its axes in the room; the scan itself is taken as it is stored."""
    notes: tuple[str, ...] = ()
    words = next((fields[name] for name in _DIRECTIONS if name in fields), "")
    if words:
        numbers = numbers_in(words, "numbers of its direction matrix", axes * axes)
        if turns_axes([numbers[row * axes : (row + 1) * axes] for row in range(axes)]):
            notes = ("the header turns its axes in the room (TransformMatrix); the scan is taken as it is stored",)
    orientation = fields.get("AnatomicalOrientation", "")
    if orientation not in _USUAL_ORIENTATIONS and re.fullmatch("[RLAPSI]{3}", orientation):
        notes += (
            f"the header calls its axes {orientation} (AnatomicalOrientation); the scan is taken as it is stored",
        )
    if any(name.startswith("ElementToIntensityFunction") for name in fields):
        notes += ("the header scales its samples to intensities, which is not applied",)
    return notes


def _place(path: Path, fields: Mapping[str, str], end: int, packing: Packing) -> tuple[Path, int, bool]:
    """Which file holds the voxels, from where on, and whether they are its last bytes."""
    name = fields["ElementDataFile"]
    if name.upper() in {"LOCAL", "<LOCAL>"}:
        data, offset = path, end
    elif name.upper().startswith("LIST") or "%" in name:
        raise VolumeReadError("keeps its voxels in several files; wanted one; save it again as one .mha")
    else:
        data, offset = file_beside(path, name), 0
    skipped = whole_numbers_in(fields.get("HeaderSize", "0"), "bytes to be skipped", 1)[0]
    at_end = skipped == -1
    if skipped < -1 or (data == path and 0 < skipped < end) or (at_end and packing is not Packing.RAW):
        raise VolumeReadError(
            f"header says to skip {skipped} bytes before the voxels; wanted a place behind the header, and for "
            "compressed voxels the place where they begin; save it again"
        )
    offset = max(offset, skipped)
    _check_compressed_size(fields, data, offset, packing)
    return data, offset, at_end


def _check_compressed_size(fields: Mapping[str, str], data: Path, offset: int, packing: Packing) -> None:
    if packing is Packing.RAW or "CompressedDataSize" not in fields:
        return
    stated = whole_numbers_in(fields["CompressedDataSize"], "sizes of compressed voxels", 1)[0]
    held = max(data.stat().st_size - offset, 0)
    if stated not in {0, held}:
        raise VolumeReadError(
            f"holds {held} bytes of compressed voxels; wanted the {stated} that its header promises; "
            "the file is cut short or its header is wrong: copy or export it again"
        )


READER = Reader(
    name="metaimage",
    about="a MetaImage (.mha, or .mhd with its file of voxels)",
    suffixes=(".mha", ".mhd"),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes"}),
    beside=_beside,
)
