"""Pairs of files, written byte by byte: a header of 348 bytes and the voxels beside it, the first axis fastest."""

import struct
from pathlib import Path

import numpy as np

CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "int8": 130, "uint16": 132, "uint32": 136}
NAMED = b"Doe^Jane 4711"


def analyze_header(
    shape: tuple[int, ...],
    dtype: str = "uint8",
    sizes: tuple[float, ...] = (0.12, 0.0039, 0.0113),
    *,
    order: str = "<",
    unit: bytes = b"mm",
    offset: float = 0,
    factor: float = 0,
    added: float = 0,
) -> bytearray:
    """A header as the description of ANALYZE 7.5 lays it out, with somebody's name wherever one fits."""
    header = bytearray(348)
    struct.pack_into(f"{order}i", header, 0, 348)
    header[4:14], header[14:32] = b"dsr".ljust(10, b"\0"), NAMED.ljust(18, b"\0")
    struct.pack_into(f"{order}i", header, 32, 16384)
    header[38:39] = b"r"
    struct.pack_into(f"{order}8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    header[56:60] = unit.ljust(4, b"\0")
    bits = np.dtype(dtype).itemsize * 8
    struct.pack_into(f"{order}2h", header, 70, CODES[dtype], bits)
    struct.pack_into(f"{order}8f", header, 76, 0, *sizes, *[1] * (7 - len(sizes)))
    struct.pack_into(f"{order}3f", header, 108, offset, factor, added)
    header[148:228], header[228:252] = NAMED.ljust(80, b"\0"), NAMED.ljust(24, b"\0")
    header[283:293], header[293:303] = b"ID-4711".ljust(10, b"\0"), b"1950-01-02"
    return header


def voxel_bytes(values: np.ndarray, order: str = "<") -> bytes:
    return values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")


def write_analyze(
    path: Path, values: np.ndarray, sizes: tuple[float, ...] = (0.12, 0.0039, 0.0113), **said: object
) -> Path:
    """A pair whose axes are stored in the order of the array; the path of the header comes back."""
    order = str(said.get("order", "<"))
    before = bytes(int(said.get("offset", 0)))
    path.write_bytes(analyze_header(values.shape, values.dtype.name, sizes, **said))
    path.with_suffix(".IMG" if path.suffix == ".HDR" else ".img").write_bytes(before + voxel_bytes(values, order))
    return path


def write_nifti_pair(path: Path, values: np.ndarray, sizes: tuple[float, ...], version: int = 1) -> Path:
    """The halves of a NIfTI, as another library writes them."""
    import nibabel

    kind = nibabel.Nifti1Pair if version == 1 else nibabel.Nifti2Pair
    image = kind(values, np.diag([*sizes, 1.0]))
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = NAMED
    image.to_filename(str(path.with_suffix(".img")))
    return path
