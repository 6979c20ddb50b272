"""MetaImage and NRRD files, written byte by byte with planted spacing and eye."""

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np

MET = {
    "int8": "MET_CHAR",
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "uint32": "MET_UINT",
    "int64": "MET_LONG_LONG",
    "uint64": "MET_ULONG_LONG",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}
NRRD_TYPES = {"uint64": "unsigned long long", "float32": "float", "float64": "double"}


def _sizes_fastest_first(values: np.ndarray, spacing_mm: tuple[float, ...] | None) -> tuple[str, str]:
    lengths = " ".join(map(str, values.shape[::-1]))
    return lengths, "" if spacing_mm is None else " ".join(f"{size!r}" for size in spacing_mm[::-1])


def metaimage_header(
    values: np.ndarray,
    spacing_mm: tuple[float, ...] | None,
    data: str,
    *,
    big: bool = False,
    unit: str | None = "mm",
    eye: str | None = "R",
    changes: dict[str, str | None] | None = None,
) -> bytes:
    """The lines of a header; `changes` are lies, and None leaves a line out."""
    lengths, sizes = _sizes_fastest_first(values, spacing_mm)
    lines: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": str(values.ndim),
        "PatientName": "Doe^Jane ID-4711 19500102",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": str(big),
        "CompressedData": None,
        "TransformMatrix": " ".join(str(int(number)) for number in np.eye(values.ndim).ravel()),
        "Offset": " ".join(["0"] * values.ndim),
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": sizes or None,
        "DistanceUnits": unit,
        "ImageLaterality": eye,
        "DimSize": lengths,
        "ElementType": MET[values.dtype.name],
    }
    lines |= changes or {}
    words = [f"{name} = {value}\n" for name, value in lines.items() if value is not None]
    return "".join([*words, f"ElementDataFile = {data}\n"]).encode()


def _bytes_of(values: np.ndarray, big: bool) -> bytes:
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder(">" if big else "<")).tobytes()


def write_mha(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] | None, **said: object) -> Path:
    """Header and voxels in one file; `values` have the slowest axis first, as in memory."""
    packed = bool(said.pop("packed", False))
    content = _bytes_of(values, bool(said.get("big", False)))
    if packed:
        content = zlib.compress(content)
        said["changes"] = {
            "CompressedData": "True",
            "CompressedDataSize": str(len(content)),
            **(said.get("changes") or {}),
        }
    path.write_bytes(metaimage_header(values, spacing_mm, "LOCAL", **said) + content)
    return path


def write_mhd(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] | None, **said: object) -> Path:
    """A header, and its voxels in a file beside it."""
    packed = bool(said.pop("packed", False))
    before = bytes(said.pop("before", b""))
    name = str(said.pop("data", path.with_suffix(".zraw" if packed else ".raw").name))
    content = _bytes_of(values, bool(said.get("big", False)))
    if packed:
        content = zlib.compress(content)
        said["changes"] = {"CompressedData": "True", **(said.get("changes") or {})}
    path.with_suffix(".zraw" if packed else ".raw").write_bytes(before + content)
    path.write_bytes(metaimage_header(values, spacing_mm, name, **said))
    return path


def nrrd_header(
    values: np.ndarray,
    spacing_mm: tuple[float, ...] | None,
    *,
    encoding: str = "raw",
    big: bool = False,
    unit: str | None = "mm",
    eye: str | None = "R",
    data: str | None = None,
    directions: bool = True,
    changes: dict[str, str | None] | None = None,
) -> bytes:
    """The lines of a header, without the blank one that ends it."""
    lengths, sizes = _sizes_fastest_first(values, spacing_mm)
    lines: dict[str, str | None] = {
        "type": NRRD_TYPES.get(values.dtype.name, values.dtype.name),
        "dimension": str(values.ndim),
        "sizes": lengths,
        "content": "Doe^Jane ID-4711 19500102",
        "kinds": " ".join(["domain"] * values.ndim),
        "encoding": encoding,
        "endian": "big" if big else "little",
    }
    if spacing_mm is not None and directions:
        rows = np.diag(spacing_mm[::-1]).tolist()
        lines["space directions"] = " ".join("(" + ",".join(map(repr, row)) + ")" for row in rows)
        lines["space dimension"] = str(values.ndim)
        lines["space units"] = None if unit is None else " ".join([f'"{unit}"'] * values.ndim)
    elif spacing_mm is not None:
        lines["spacings"] = sizes
        lines["units"] = None if unit is None else " ".join([f'"{unit}"'] * values.ndim)
    lines["data file"] = data
    lines |= changes or {}
    words = [f"{name}: {value}\n" for name, value in lines.items() if value is not None]
    added = ["PatientName:=Doe^Jane\n"] + ([f"0020|0062:={eye}\n"] if eye else [])
    return "".join(["NRRD0004\n# a comment\n", *words, *added]).encode()


PACKED = {"raw": bytes, "gzip": gzip.compress, "gz": gzip.compress, "bzip2": bz2.compress, "bz2": bz2.compress}


def write_nrrd(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] | None, **said: object) -> Path:
    """Header and voxels in one file."""
    content = PACKED[str(said.get("encoding", "raw"))](_bytes_of(values, bool(said.get("big", False))))
    path.write_bytes(nrrd_header(values, spacing_mm, **said) + b"\n" + content)
    return path


def write_nhdr(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] | None, **said: object) -> Path:
    """A header, and its voxels in a file beside it."""
    content = PACKED[str(said.get("encoding", "raw"))](_bytes_of(values, bool(said.get("big", False))))
    path.with_suffix(".raw").write_bytes(bytes(said.pop("before", b"")) + content)
    path.write_bytes(nrrd_header(values, spacing_mm, **{"data": path.with_suffix(".raw").name, **said}))
    return path
