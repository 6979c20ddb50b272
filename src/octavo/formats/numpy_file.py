"""NumPy arrays: `.npy`, `.npz`, and octavo's own `.npz`, which keeps what is known about the scan.

Headers are read before voxels, a compressed array is unpacked no further than its header promises, and arrays of Python
objects are never loaded.

octavo's own archive holds two plain arrays: `values`, and `geometry`, a JSON text as bytes
(`json.loads(bytes(archive["geometry"]))`). Where surfaces and pictures come with the scan they stand beside these; see
`numpy_companions`.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Num

from octavo.companions import Companions
from octavo.errors import unknown_name
from octavo.formats.errors import VolumeReadError
from octavo.formats.geometry_text import (
    MAX_BYTES,
    geometry_from_text,
    geometry_to_text,
    is_geometry,
    stated_laterality,
    stated_shape,
)
from octavo.formats.limits import FREE_BYTES, ByteStream, check_size, expect_end, read_exactly, read_voxel_bytes
from octavo.formats.numpy_companions import NO_COMPANIONS, companions_from_arrays, companions_to_arrays
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.stored_axes import axes_of, check_real_type, to_real_numbers, to_volume_axes
from octavo.formats.zip_directory import check_directory
from octavo.volume import AXES, Origin, ScanPattern, Volume

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 2**16
_MOST_ARRAYS = 4096
MOST_HEADER_BYTES = 2**18
"""How much longer than usual the headers of an archive may be together: Python takes long to parse them."""
_SHORT_HEADER = 128


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array as its header describes it.

    Args:
        shape: Length of each axis.
        column_order: Whether the first axis is the fastest.
        dtype: Type of the samples.
        header_bytes: How long the header is.
    """

    shape: tuple[int, ...]
    column_order: bool
    dtype: np.dtype
    header_bytes: int


def _recognises(path: Path, beginning: bytes) -> bool:
    if beginning.startswith(_MAGIC):
        return True
    if not beginning.startswith(b"PK") or not zipfile.is_zipfile(path):
        return False
    check_directory(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic == _MAGIC:
        return [_npy_scan(path, options)]
    if magic.startswith(b"PK"):
        return _npz_scans(path, options)
    size = path.stat().st_size
    raise VolumeReadError(
        f"holds {size} bytes that do not begin as NumPy's files do; wanted a .npy or .npz file; "
        "save the scan again with numpy.save"
    )


def _npy_scan(path: Path, options: ReadOptions) -> Scan:
    if options.binds("key"):
        raise VolumeReadError(f"holds one array, and key {options.key!r} was given; wanted no key; drop --key")
    with path.open("rb") as file:
        stored = read_array_header(file)
    _check_member(stored, path.stat().st_size)
    return Scan(_describe(stored), Kind.IMAGE, partial(_load_npy, path, stored, options))


def _load_npy(path: Path, stored: StoredArray, options: ReadOptions) -> Volume:
    with path.open("rb") as file:
        file.seek(stored.header_bytes)
        values = _read_values(file, stored)
    return _plain_volume(values, options)


def _npz_scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    check_directory(path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(members) > _MOST_ARRAYS:
            raise VolumeReadError(
                f"holds {len(members)} arrays; wanted at most {_MOST_ARRAYS}; save one scan per archive"
            )
        headers: dict[str, StoredArray] = {}
        header_bytes = 0
        for name, info in members.items():
            with archive.open(info) as member:
                headers[name] = read_array_header(member)
            header_bytes += max(headers[name].header_bytes - _SHORT_HEADER, 0)
            if header_bytes > MOST_HEADER_BYTES:
                raise VolumeReadError(
                    f"headers of arrays are longer than {MOST_HEADER_BYTES} bytes together; wanted short ones; "
                    "save one scan per archive"
                )
        text = _read_geometry(archive, headers)
    key = options.key
    if not options.binds("key") and key not in headers and (text is not None or len(headers) == 1):
        key = None
    if text is not None and key in {None, "values"}:
        if options.binds("axes") and options.axes != AXES:
            raise VolumeReadError(
                "states its own axes (written by octavo), and others were given; wanted one of the two; drop --axes"
            )
        _check_member(headers["values"], members["values"].compress_size)
        return [
            Scan(
                _describe(headers["values"]),
                Kind.IMAGE,
                partial(_load_own, path, headers["values"], text),
                laterality=stated_laterality(text),
                companions=partial(_load_companions, path, stated_shape(text)),
            )
        ]
    if key is not None and key not in headers:
        raise VolumeReadError(unknown_name("an array of this archive", key, headers))
    chosen = [key] if key is not None else _likely_scans(headers)
    scans = []
    for name in chosen:
        _check_member(headers[name], members[name].compress_size)
        load = partial(_load_npz, path, name, headers[name], options)
        scans.append(Scan(f"{name}: {_describe(headers[name])}", Kind.IMAGE, load))
    return scans


def _likely_scans(headers: dict[str, StoredArray]) -> list[str]:
    """The arrays of three axes, or, where there is none, of two."""
    for dimensions in (3, 2):
        names = [name for name, stored in headers.items() if len(stored.shape) == dimensions]
        if names:
            return names
    listing = ", ".join(f"{name} {stored.shape}" for name, stored in list(headers.items())[:8]) or "nothing"
    raise VolumeReadError(f"holds {listing}; wanted an array of three axes; save the scan as one array")


def _load_npz(path: Path, name: str, stored: StoredArray, options: ReadOptions) -> Volume:
    return _plain_volume(_member_values(path, name, stored), options)


def _load_own(path: Path, stored: StoredArray, text: str) -> Volume:
    values = _member_values(path, "values", stored)
    if values.ndim != len(AXES):
        raise VolumeReadError(f"array has {values.ndim} axes; wanted three; convert the scan again")
    return geometry_from_text(text, np.ascontiguousarray(values))


def _member_values(path: Path, name: str, stored: StoredArray) -> Num[np.ndarray, "..."]:
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        read_exactly(member, stored.header_bytes, "header")
        return _read_values(member, stored)


def _read_geometry(archive: zipfile.ZipFile, headers: dict[str, StoredArray]) -> str | None:
    stored = headers.get("geometry")
    if stored is None or "values" not in headers or stored.dtype != np.uint8 or len(stored.shape) != 1:
        return None
    if stored.shape[0] > MAX_BYTES:
        return None
    with archive.open("geometry.npy") as member:
        read_exactly(member, stored.header_bytes, "header")
        text = bytes(read_exactly(member, stored.shape[0], "geometry")).decode("utf-8", errors="replace")
    return text if is_geometry(text) else None


def _plain_volume(values: Num[np.ndarray, "..."], options: ReadOptions) -> Volume:
    axes = axes_of(values.ndim, options.axes or AXES)
    turned = to_volume_axes(values, axes)
    if len(turned) == 1:
        return Volume(turned)
    # An array says nothing about its B-scans; that they lie side by side is what a block of them is usually for.
    return Volume(turned, pattern=ScanPattern.RASTER, pattern_origin=Origin.ASSUMED)


def read_array_header(stream: ByteStream) -> StoredArray:
    """Read the header of an array from the beginning of a stream, and nothing behind it.

    Raises:
        VolumeReadError: If it is none, or longer than any.
    """
    beginning = read_exactly(stream, len(_MAGIC) + 2, "header")
    version = (beginning[-2], beginning[-1])
    if not beginning.startswith(_MAGIC) or version not in {(1, 0), (2, 0)}:
        raise VolumeReadError(
            "an array begins in no way that is known; wanted NumPy's format 1.0 or 2.0; save it again with numpy.save"
        )
    length_bytes = read_exactly(stream, 2 if version == (1, 0) else 4, "header")
    length = int.from_bytes(length_bytes, "little")
    if length > _LONGEST_HEADER:
        raise VolumeReadError(
            f"array header is {length} bytes long; wanted at most {_LONGEST_HEADER}; save it again with numpy.save"
        )
    header = read_exactly(stream, length, "header")
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_order, dtype = parse(io.BytesIO(bytes(length_bytes + header)))
    return StoredArray(shape, column_order, dtype, len(beginning) + len(length_bytes) + len(header))


def _check_member(stored: StoredArray, stored_bytes: int) -> None:
    check_real_type(stored.dtype)
    axes_of(len(stored.shape), AXES)
    check_size(stored.shape, stored.dtype.itemsize, stored_bytes)


def _read_values(stream: ByteStream, stored: StoredArray) -> Num[np.ndarray, "..."]:
    needed = check_size(stored.shape, stored.dtype.itemsize, 2**62)
    content = read_voxel_bytes(stream, needed)
    expect_end(stream, needed)
    order: Literal["F", "C"] = "F" if stored.column_order else "C"
    return to_real_numbers(content.view(stored.dtype).reshape(stored.shape, order=order))


def _describe(stored: StoredArray) -> str:
    return f"{' x '.join(map(str, stored.shape))} {stored.dtype.name}"


def _load_companions(path: Path, shape: tuple[int, int, int]) -> Companions:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

        free = FREE_BYTES // 2

        def array(name: str, most_bytes: int | None) -> Num[np.ndarray, "..."]:
            nonlocal free
            with archive.open(members[name]) as member:
                stored = read_array_header(member)
                check_real_type(stored.dtype)
                packed_bytes = members[name].compress_size
                needed = check_size(stored.shape, stored.dtype.itemsize, packed_bytes)
                # what is stored as it is costs what the file costs; what unpacks shares one allowance
                free -= max(needed - packed_bytes, 0)
                if free < 0 or needed > (needed if most_bytes is None else most_bytes):
                    raise VolumeReadError(
                        f"{name} promises {needed} bytes; wanted what belongs to this scan; convert the scan again"
                    )
                return _read_values(member, stored)

        return companions_from_arrays(members, array, shape)


def write_npz(volume: Volume, file: BinaryIO, companions: Companions = NO_COMPANIONS) -> None:
    """Write octavo's own archive: the voxels as they are, all that is known about them, and what comes with them.

    Nothing is compressed: it reads quickly, and a nearly empty volume cannot be mistaken for a decompression bomb.
    """
    geometry = np.frombuffer(geometry_to_text(volume).encode("ascii"), np.uint8)
    beside = companions_to_arrays(companions)
    np.savez(file, allow_pickle=False, values=volume.values, geometry=geometry, **beside)


READER = Reader(
    name="numpy",
    about="a NumPy array (.npy, .npz)",
    suffixes=(".npy", ".npz"),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes", "key"}),
)
