"""Pairs of files: ANALYZE 7.5, and NIfTI stored in the same way. `NAME.hdr` says what `NAME.img` holds.

Sure, from the public description of the ANALYZE header: 348 bytes in either byte order; eight lengths of axes, eight
voxel sizes, a code and the bits of a sample, where the voxels begin, and a unit of up to four letters. The first axis
runs fastest. The description leaves room for a factor, which SPM writes and others leave at 0: it is applied, with a
note. Which way the axes point was never agreed upon, so that orientation, eye and direction stay unknown. Everything
that may name somebody (`db_name`, `descrip`, `aux_file`, `originator`, `generated`, `scannum`, `patient_id`, dates) is
not even part of the record that is read.

A header with the mark `ni1` or `ni2` is NIfTI, and says more.
"""

import io
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, expect_end, read_voxel_bytes
from octavo.formats.nifti.header import PAIR_MARKS, SAMPLE_TYPES, Header, parse_header, stored_shape
from octavo.formats.nifti.reading import foreign_volume, samples_of
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.stored_axes import axes_of
from octavo.formats.stored_image import unit_in_mm
from octavo.volume import AXES, Volume

HEADER_BYTES = 348

_NIFTI_2_BYTES = 540
_FIELDS = {
    "dim": (40, (np.int16, 8)),
    "unit": (56, "S4"),
    "datatype": (70, np.int16),
    "bitpix": (72, np.int16),
    "pixdim": (76, (np.float32, 8)),
    "offset": (108, np.float32),
    "factor": (112, np.float32),
    "added": (116, np.float32),
}
_RECORD = np.dtype(
    {
        "names": list(_FIELDS),
        "offsets": [offset for offset, _ in _FIELDS.values()],
        "formats": [kind for _, kind in _FIELDS.values()],
        "itemsize": HEADER_BYTES,
    }
)
# the whole numbers and floats of the description, and the three that SPM added
_SAMPLE_TYPES = {code: SAMPLE_TYPES[code] for code in (2, 4, 8, 16, 64)}
_SAMPLE_TYPES |= {130: np.dtype(np.int8), 132: np.dtype(np.uint16), 136: np.dtype(np.uint32)}
_NO_ORIENTATION = "ANALYZE states no orientation: left and right are not known"


def voxels_beside(header: Path) -> Path | None:
    """The `.img` of a `.hdr`, where it is there."""
    return _other_half(header, ".img")


def is_voxels_of_pair(path: Path) -> bool:
    """Whether a file is the `.img` of a pair, and so no scan besides its `.hdr`."""
    if path.suffix.lower() != ".img":
        return False
    header = _other_half(path, ".hdr")
    try:
        return header is not None and _is_header(_beginning(header))
    except OSError:
        # whoever reads the header gets the sentence
        return False


def _other_half(path: Path, suffix: str) -> Path | None:
    """The file of the same name with another ending, in the capitals of this one's ending before others."""
    spellings = (suffix.upper(), suffix) if path.suffix.isupper() else (suffix, suffix.upper())
    return next((half for half in map(path.with_suffix, spellings) if half.is_file()), None)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEADER_BYTES)


def _is_header(beginning: bytes) -> bool:
    size = beginning[:4]
    if HEADER_BYTES in (int.from_bytes(size, "little"), int.from_bytes(size, "big")):
        return beginning[344:346] != b"n+"
    return beginning[4:7] == PAIR_MARKS[1]


def _recognises(path: Path, beginning: bytes) -> bool:
    if path.suffix.lower() == ".hdr":
        return bool(beginning) and _is_header(beginning)
    return bool(beginning) and is_voxels_of_pair(path)


def _halves(path: Path) -> tuple[Path, Path]:
    """Header and voxels of a pair, whichever of the two was named."""
    is_header = path.suffix.lower() != ".img"
    other = _other_half(path, ".img" if is_header else ".hdr")
    if other is None:
        missing = ".img" if is_header else ".hdr"
        raise VolumeReadError(
            f"has no {missing} of its name beside it; wanted both halves of a pair; copy the other one too, unpacked"
        )
    return (path, other) if is_header else (other, path)


def _beside(path: Path) -> Collection[Path]:
    """The half that was not named."""
    if path.is_dir():
        return ()
    other = _other_half(path, ".hdr" if path.suffix.lower() == ".img" else ".img")
    return () if other is None else (other,)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    header_file, voxels = _halves(path)
    header, notes = _read_header(header_file)
    size = " x ".join(map(str, header.shape))
    if len(header.shape) > len(AXES):
        raise VolumeReadError(
            f"header promises {size} voxels; wanted three axes, or two for one B-scan; "
            "save one time point or channel by itself"
        )
    stored_axes = axes_of(len(header.shape), options.axes or AXES)
    check_size(header.shape, header.dtype.itemsize, voxels.stat().st_size)
    load = partial(_load, voxels, header, stored_axes, notes, is_default=options.axes is None)
    return [Scan(f"{size} {header.dtype.newbyteorder('=').name}", Kind.IMAGE, load)]


def _load(
    voxels: Path, header: Header, stored_axes: tuple[str, ...], notes: tuple[str, ...], is_default: bool
) -> Volume:
    needed = check_size(header.shape, header.dtype.itemsize, voxels.stat().st_size)
    with voxels.open("rb") as file:
        file.seek(header.data_offset)
        content = read_voxel_bytes(file, needed)
        expect_end(file, needed)
    return foreign_volume(samples_of(content, header), header, stored_axes, notes, is_default=is_default)


def _read_header(path: Path) -> tuple[Header, tuple[str, ...]]:
    with path.open("rb") as file:
        content = file.read(_NIFTI_2_BYTES)
    if not _is_header(content):
        raise VolumeReadError(
            f"does not begin with an ANALYZE or NIfTI header of {HEADER_BYTES} bytes; wanted the .hdr of such a pair; "
            "copy it again, or name the scan itself"
        )
    if content[344:347] == PAIR_MARKS[0] or content[4:7] == PAIR_MARKS[1]:
        return parse_header(io.BytesIO(content), is_of_pair=True), ()
    if len(content) < HEADER_BYTES:
        raise VolumeReadError(
            f"holds {len(content)} bytes; wanted a header of {HEADER_BYTES}; the file is cut short: copy it again"
        )
    order: Literal["<", ">"] = "<" if int.from_bytes(content[:4], "little") == HEADER_BYTES else ">"
    return _of_analyze(np.frombuffer(content, _RECORD.newbyteorder(order), count=1)[0])


def _of_analyze(record: np.void) -> tuple[Header, tuple[str, ...]]:
    shape = stored_shape(record["dim"])
    code, bits = int(record["datatype"]), int(record["bitpix"])
    if code not in _SAMPLE_TYPES or bits != _SAMPLE_TYPES[code].itemsize * 8:
        raise VolumeReadError(
            f"header gives sample type {code} with {bits} bits; wanted whole or floating-point numbers of at most 64 "
            "bits; save it again as a NIfTI of float32"
        )
    offset = float(record["offset"])
    if not (0 <= offset < 2**31 and offset == int(offset)):
        raise VolumeReadError(
            f"header says the voxels begin at byte {offset:g} of the .img; wanted a whole number; save it again"
        )
    factor, added, notes = _scale(record)
    header = Header(
        shape=shape,
        dtype=_SAMPLE_TYPES[code].newbyteorder(record["dim"].dtype.byteorder),
        zooms=tuple(float(str(zoom)) for zoom in record["pixdim"][1 : 1 + len(shape)]),
        unit_mm=unit_in_mm(bytes(record["unit"]).decode("latin-1")),
        slope=factor,
        intercept=added,
        data_offset=int(offset),
        size=HEADER_BYTES,
        affine=None,
        has_rotation=False,
    )
    return header, (_NO_ORIENTATION, *notes)


def _scale(record: np.void) -> tuple[float, float, tuple[str, ...]]:
    """What the samples are multiplied by and what is added, where SPM's fields can be meant so; 1 and 0 elsewhere."""
    factor, added = float(record["factor"]), float(record["added"])
    if factor == 0 or (factor, added) == (1, 0):
        return 1.0, 0.0, ()
    if not (np.isfinite(factor) and factor > 0 and np.isfinite(added)):
        return 1.0, 0.0, ("the header gives a factor that is none; samples are taken as they are stored",)
    plus = f", and {added:g} is added" if added else ""
    return factor, added, (f"samples are multiplied by {factor:g}{plus}, as SPM keeps it in the header",)


READER = Reader(
    name="analyze",
    about="an ANALYZE or NIfTI pair (.hdr with its .img)",
    suffixes=(".hdr",),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes"}),
    beside=_beside,
)
