"""MATLAB files written by other libraries than ours: SciPy for version 5, HDF5's own for 7.3, and lies byte by byte."""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

MARK_73 = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"


def export_variables(
    values: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] = (0.12, 0.0039, 0.0113),
    eye: str = "OD",
    pattern: int = 3,
) -> dict[str, object]:
    """A Heidelberg export spread over variables, one for each B-scan."""
    bscans, depth, ascans = values.shape
    numbers = {"Distance": spacing_mm[0], "ScaleZ": spacing_mm[1], "ScaleX": spacing_mm[2]}
    sizes = {"NumBScans": bscans, "SizeZ": depth, "SizeX": ascans, "ScanPattern": pattern}
    return {
        "PatientName": "Doe^Jane 4711",
        **{f"B{number}": bscan for number, bscan in enumerate(values)},
        **{name: np.float64(number) for name, number in numbers.items()},
        **{name: np.int32(number) for name, number in sizes.items()},
        "ScanPosition": eye.ljust(4),
    }


def write_mat5(path: Path, variables: dict[str, object], *, packed: bool = True) -> Path:
    """A file of version 7, or of version 6 where nothing is packed."""
    savemat(path, variables, do_compression=packed)
    return path


def write_mat73(path: Path, variables: dict[str, object], *, packed: bool = True, chunks: object = True) -> Path:
    """A file of version 7.3: axes the other way round, text as numbers, behind MATLAB's header."""
    how = {"compression": "gzip", "shuffle": True} if packed else {}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                value = np.array([[ord(letter)] for letter in value], np.uint16)
            stored = np.atleast_2d(np.asarray(value)).T if not isinstance(value, np.ndarray) else value.T
            file.create_dataset(name.replace(".", "/"), data=stored, chunks=chunks if packed else None, **how)
    with path.open("r+b") as file:
        file.write(MARK_73)
    return path


HEADER_5 = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def matrix(body: bytes) -> bytes:
    """A variable around its parts."""
    return struct.pack("<II", 14, len(body)) + body


def array(name: bytes, shape: tuple[int, ...], content: bytes, *, family: int = 9, kind: int = 2) -> bytes:
    """A variable of version 5, byte by byte, so that it may lie."""

    def padded(number: int, data: bytes) -> bytes:
        return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)

    flags = struct.pack("<IIII", 6, 8, family, 0)
    lengths = padded(5, struct.pack(f"<{len(shape)}i", *shape))
    return matrix(flags + lengths + padded(1, name) + padded(kind, content))


def packed(content: bytes, *, trailer: bool = True) -> bytes:
    """A variable squeezed as version 7 does, or without the checksum at its end."""
    squeezed = zlib.compress(content, 9)
    squeezed = squeezed if trailer else squeezed[:-4]
    return struct.pack("<II", 15, len(squeezed)) + squeezed


def nested(depth: int) -> bytes:
    """Structures in one another; `s.a.a.a...`."""
    inner = array(b"", (12, 16, 4), bytes(768))
    for level in range(depth):
        flags = struct.pack("<IIII", 6, 8, 2, 0)
        lengths = struct.pack("<IIii", 5, 8, 1, 1)
        name = struct.pack("<HH", 1, 1) + b"s\0\0\0" if level == depth - 1 else struct.pack("<II", 1, 0)
        width = struct.pack("<HHI", 5, 4, 8)
        inner = matrix(flags + lengths + name + width + struct.pack("<II", 1, 8) + b"a".ljust(8, b"\0") + inner)
    return inner
