"""The NIfTI-1 and NIfTI-2 header: parsed without repairing anything, and built.

Free text (`descrip`, `aux_file`, `intent_name`) is skipped: it may name a patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import FREE_BYTES, ByteStream, read_exactly

SAMPLE_TYPES: dict[int, np.dtype] = {
    2: np.dtype(np.uint8),
    4: np.dtype(np.int16),
    8: np.dtype(np.int32),
    16: np.dtype(np.float32),
    64: np.dtype(np.float64),
    256: np.dtype(np.int8),
    512: np.dtype(np.uint16),
    768: np.dtype(np.uint32),
    1024: np.dtype(np.int64),
    1280: np.dtype(np.uint64),
}
"""The codes of real sample types."""

FILE_MARKS = (b"n+1", b"n+2")
"""How a header begins its mark that stands in one file with its voxels."""

PAIR_MARKS = (b"ni1", b"ni2")
"""The same of a header whose voxels are a file of their own."""

_UNITS_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_MILLIMETRES = 2

_FIELDS_1 = np.dtype(
    [
        *[("sizeof_hdr", "i4"), ("old", "S35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p", "f4", 3)],
        *[("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8)],
        *[("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1")],
        *[("xyzt_units", "u1"), ("cal", "f4", 2), ("timing", "f4", 2), ("gl", "i4", 2), ("descrip", "S80")],
        *[("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3)],
        *[("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4")],
    ]
)
_FIELDS_2 = np.dtype(
    [
        *[("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8)],
        *[("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8")],
        *[("cal", "f8", 2), ("timing", "f8", 2), ("slice_start", "i8"), ("slice_end", "i8"), ("descrip", "S80")],
        *[("aux_file", "S24"), ("qform_code", "i4"), ("sform_code", "i4"), ("quatern", "f8", 3)],
        *[("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4"), ("xyzt_units", "i4")],
        *[("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"), ("unused", "S15")],
    ]
)
_LAYOUTS = {348: _FIELDS_1, 540: _FIELDS_2}


@dataclass(frozen=True, slots=True)
class Header:
    """What matters of a NIfTI header."""

    shape: tuple[int, ...]
    """Length of the stored axes; trailing axes of one are dropped."""
    dtype: np.dtype
    zooms: tuple[float, ...]
    """Voxel sizes as written, in the order of the stored axes."""
    unit_mm: float | None
    """How many millimetres the unit of length is; None where the header states no unit."""
    slope: float
    intercept: float
    data_offset: int
    size: int
    """Bytes of the header itself."""
    affine: Float[np.ndarray, "3 4"] | None
    """From voxel indices to the stored unit, where the header has one (its `sform`)."""
    has_rotation: bool
    """Whether the header has the other way to say directions (its `qform`)."""

    @property
    def affine_zooms(self) -> tuple[float, ...] | None:
        """Voxel sizes that the affine implies."""
        if self.affine is None:
            return None
        columns = self.affine[:, : min(len(self.shape), 3)]
        return tuple(float(norm) for norm in np.sqrt((columns**2).sum(axis=0)))


def parse_header(stream: ByteStream, *, is_of_pair: bool = False) -> Header:
    """Read the header from the beginning of a stream and check that it can be true.

    Args:
        stream: The file.
        is_of_pair: Whether the voxels lie in a file of their own, as those of a .hdr do.

    Raises:
        VolumeReadError: If it is no NIfTI header of such a file, or contradicts itself.
    """
    beginning = read_exactly(stream, 4, "header")
    size, fields = _layout(bytes(beginning))
    record = np.frombuffer(beginning + read_exactly(stream, size - 4, "header"), fields)[0]
    magic = bytes(record["magic"])[:3]
    if not is_of_pair and magic in PAIR_MARKS:
        raise VolumeReadError(
            "is one half of a .hdr and .img pair; wanted a NIfTI of one file; name both halves .hdr and .img, or merge "
            "the pair into a .nii"
        )
    if magic not in (PAIR_MARKS if is_of_pair else FILE_MARKS):
        raise VolumeReadError("has no NIfTI mark in its header; wanted n+1 or n+2; save it again as .nii")
    shape = stored_shape(record["dim"])
    code = int(record["datatype"])
    if code not in SAMPLE_TYPES or int(record["bitpix"]) != SAMPLE_TYPES[code].itemsize * 8:
        raise VolumeReadError(
            f"header gives sample type {code} with {int(record['bitpix'])} bits; wanted whole or floating-point "
            "numbers of at most 64 bits; save it again as float32"
        )
    dtype = SAMPLE_TYPES[code].newbyteorder(fields["dim"].base.byteorder)
    offset = float(record["vox_offset"])
    if not ((0 if is_of_pair else size) <= offset <= FREE_BYTES and offset == int(offset)):
        raise VolumeReadError(
            f"header says the voxels begin at byte {offset:g}; wanted a whole number behind the header, and at most "
            f"{FREE_BYTES}; save it again"
        )
    return Header(
        shape=shape,
        dtype=dtype,
        zooms=tuple(float(str(zoom)) for zoom in record["pixdim"][1 : 1 + len(shape)]),
        unit_mm=_UNITS_MM.get(int(record["xyzt_units"]) & 7),
        slope=float(record["scl_slope"]),
        intercept=float(record["scl_inter"]),
        data_offset=int(offset),
        size=size,
        affine=record["srow"].astype(np.float64) if int(record["sform_code"]) > 0 else None,
        has_rotation=int(record["qform_code"]) > 0,
    )


def build_header(
    shape: Sequence[int],
    dtype: np.dtype,
    zooms_mm: Sequence[float],
    affine: Float[np.ndarray, "3 4"] | None,
    data_offset: int,
) -> bytes:
    """Make a NIfTI-1 header in millimetres, with an affine or, where directions are unknown, without."""
    record = np.zeros((), _FIELDS_1.newbyteorder("<"))
    record["sizeof_hdr"] = _FIELDS_1.itemsize
    record["dim"] = [len(shape), *shape, *[1] * (7 - len(shape))]
    record["datatype"] = {dtype: code for code, dtype in SAMPLE_TYPES.items()}[dtype]
    record["bitpix"] = dtype.itemsize * 8
    record["pixdim"] = [1, *zooms_mm, *[0] * (7 - len(shape))]
    record["vox_offset"] = data_offset
    record["scl_slope"] = 1
    record["xyzt_units"] = _MILLIMETRES
    record["magic"] = b"n+1"
    if affine is not None:
        record["sform_code"] = 1
        record["srow"] = affine
    return record.tobytes()


def _layout(beginning: bytes) -> tuple[int, np.dtype]:
    for order in ("little", "big"):
        size = int.from_bytes(beginning, "little" if order == "little" else "big")
        if size in _LAYOUTS:
            return size, _LAYOUTS[size].newbyteorder("<" if order == "little" else ">")
    raise VolumeReadError("does not begin with a NIfTI header; wanted a .nii or .nii.gz file; save it again as .nii")


def stored_shape(dimensions: Integer[np.ndarray, "8"]) -> tuple[int, ...]:
    """The lengths of the stored axes from the field `dim`: their number, then each; trailing axes of one are dropped.

    Raises:
        VolumeReadError: If the number of axes cannot be true.
    """
    count = int(dimensions[0])
    if not 1 <= count <= 7:
        raise VolumeReadError(f"header promises {count} axes; wanted two or three; save one scan by itself")
    shape = [int(length) for length in dimensions[1 : 1 + count]]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)
