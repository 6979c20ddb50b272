"""Opening DICOM: only the elements that an image needs are read, and nothing expands beyond its limits."""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.formats.dicom.own import PRIVATE_TAGS
from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import MAX_RATIO, ByteStream, check_size, is_bomb
from octavo.formats.reader import Kind

if TYPE_CHECKING:
    from pydicom import Dataset

OPHTHALMIC_TOMOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_MARK_AT = 128
_MARK = b"DICM"
_GROUP_LENGTH_BYTES = 12
_CHUNK_BYTES = 2**20
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_MOST_ITEMS = 2**15
_LONGEST_HEADER = 2**22
# What a file of plain little-endian elements begins with: 128 bytes, the mark, and the transfer syntax.
_UNDEFLATED_BEGINNING = bytes(_MARK_AT) + _MARK + b"\x02\x00\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\0"

_NOT_BSCANS = {
    "1.2.840.10008.5.1.4.1.1.77.1.5.1": "a fundus photograph",
    "1.2.840.10008.5.1.4.1.1.77.1.5.2": "a fundus photograph",
    "1.2.840.10008.5.1.4.1.1.77.1.5.5": "a wide-field fundus photograph",
    "1.2.840.10008.5.1.4.1.1.77.1.5.6": "a wide-field fundus photograph",
    "1.2.840.10008.5.1.4.1.1.77.1.5.7": "an en-face OCT image",
    "1.2.840.10008.5.1.4.1.1.77.1.5.8": "an analysis of B-scans",
}
_UNKNOWN_CLASS = "an unknown kind of object"
# Everything else, patient and visit above all, is skipped while reading.
_ELEMENTS = [
    *["SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "SeriesInstanceUID", "SeriesNumber"],
    # compared with that of a photograph beside the image, and never shown
    "StudyInstanceUID",
    *["InstanceNumber", "Laterality", "ImageLaterality", "AnatomicRegionSequence", "SharedFunctionalGroupsSequence"],
    *["PerFrameFunctionalGroupsSequence", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"],
    *["ImagePositionPatient", "ImageOrientationPatient", "OphthalmicFrameLocationSequence", "RescaleSlope"],
    *["RescaleIntercept", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"],
    *["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"],
    *["ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"],
]


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file and the part of its header that says what it is."""

    path: Path
    header: "Dataset"
    kind: Kind
    series: str
    series_number: int
    number: int | None
    shape: tuple[int, int, int]


class NotBScansError(VolumeReadError):
    """A sound DICOM file of something else than slices: a report, a photograph."""


def has_mark(beginning: bytes) -> bool:
    """Whether a file begins as DICOM does: 128 bytes of anything, then `DICM`."""
    return beginning[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content."""
    with path.open("rb") as file:
        return has_mark(file.read(_MARK_AT + len(_MARK)))


def read_dataset(path: Path, pixels: bool) -> "Dataset":
    """Read the elements that matter, with or without the pixels.

    Raises:
        VolumeReadError: If the file is not DICOM, or is deflated and expands beyond the limits.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info
    from pydicom.tag import Tag

    if not is_dicom(path):
        raise VolumeReadError(
            f"holds {path.stat().st_size} bytes without the mark DICM at byte 128; wanted a DICOM file; "
            "a text or another image was named so: check what it is"
        )
    meta = read_file_meta_info(path)
    source: Path | io.BytesIO = path
    if meta.get("TransferSyntaxUID") == _DEFLATED:
        source = io.BytesIO(_UNDEFLATED_BEGINNING + _inflated(path, int(meta.get("FileMetaInformationGroupLength", 0))))
        _refuse_many_items(source)
        source.seek(0)
    else:
        with path.open("rb") as file:
            _refuse_many_items(file)
    tags = [*map(Tag, _ELEMENTS), *map(Tag, PRIVATE_TAGS)]
    return dcmread(source, stop_before_pixels=not pixels, specific_tags=tags)


def _refuse_many_items(file: ByteStream) -> None:
    """Refuse a header of more items than any scan has, before each of them becomes an object.

    Items are counted by their mark in the first four megabytes, which is more than headers take, and on from there as
    long as every further megabyte holds some.
    """
    items = position = 0
    while content := file.read(_CHUNK_BYTES):
        here = max(content.count(mark) for mark in _ITEMS)
        items += here
        position += len(content)
        if items > _MOST_ITEMS:
            raise VolumeReadError(
                f"holds more than {_MOST_ITEMS} items of sequences; wanted an image; the file is damaged or hostile: "
                "export it again"
            )
        if position > _LONGEST_HEADER and not here:
            return


def _inflated(path: Path, meta_bytes: int) -> bytes:
    """The deflated part of a file, unpacked in small steps and no further than the limits."""
    stored = path.stat().st_size
    total = 0
    # counted before anything is kept, so that a bomb takes no memory
    for piece in _inflating(path, meta_bytes):
        total += len(piece)
        if is_bomb(total, stored):
            raise VolumeReadError(
                f"{stored} deflated bytes expand beyond {total}; wanted at most {MAX_RATIO} times as many; "
                "store the file without deflation"
            )
    return b"".join(_inflating(path, meta_bytes))


def _inflating(path: Path, meta_bytes: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(_MARK_AT + len(_MARK) + _GROUP_LENGTH_BYTES + meta_bytes)
        waiting = file.read(_CHUNK_BYTES)
        while waiting and not inflate.eof:
            yield inflate.decompress(waiting, _CHUNK_BYTES)
            waiting = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
    if not inflate.eof:
        raise VolumeReadError("deflated data end too early; wanted all of them; the file is cut short: copy it again")


def read_instance(path: Path) -> Instance:
    """Read what one file is, without its pixels.

    Raises:
        VolumeReadError: If it holds no image, or one that is no stack of B-scans.
    """
    header = read_dataset(path, pixels=False)
    sop_class = str(header.get("SOPClassUID", ""))
    if sop_class in _NOT_BSCANS:
        raise NotBScansError(
            f"is {_NOT_BSCANS[sop_class]}; wanted B-scans; choose the ophthalmic tomography image of the same study"
        )
    if "Rows" not in header or "Columns" not in header:
        name = _name_of(sop_class)
        # Only what is known to be no image may be passed over; anything else may be a frame whose header is torn.
        refusal = VolumeReadError if name == _UNKNOWN_CLASS or "Image" in name else NotBScansError
        raise refusal(
            f"holds no image ({name}); wanted ophthalmic tomography or another slice image; "
            "choose the image of the same study, or copy the file again if it is cut short"
        )
    shape = (_whole(header, "NumberOfFrames", 1), _whole(header, "Rows"), _whole(header, "Columns"))
    check_size(shape, max(_whole(header, "BitsAllocated", 8) // 8, 1), path.stat().st_size)
    is_oct = sop_class == OPHTHALMIC_TOMOGRAPHY or header.get("Modality") == "OPT"
    return Instance(
        path=path,
        header=header,
        kind=Kind.OCT if is_oct else Kind.IMAGE,
        series=str(header.get("SeriesInstanceUID", "")),
        series_number=_whole(header, "SeriesNumber", 0),
        number=_whole(header, "InstanceNumber", -1) if header.get("InstanceNumber") is not None else None,
        shape=shape,
    )


def device_of(header: "Dataset") -> str:
    """Manufacturer and model."""
    words = (str(header.get(name) or "").strip() for name in ("Manufacturer", "ManufacturerModelName"))
    return " ".join(word for word in words if word)


def _whole(header: "Dataset", name: str, absent: int = 0) -> int:
    value = header.get(name)
    return absent if value is None or value == "" else int(value)


def _name_of(sop_class: str) -> str:
    from pydicom.uid import UID

    name = UID(sop_class).name
    return name if name and name != sop_class else _UNKNOWN_CLASS
