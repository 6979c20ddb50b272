"""Images as MetaImage and NRRD store them: a header in plain text, then voxels of which the first axis runs fastest.

The header names its axes from the fastest to the slowest. For B-scans that is along a row of the picture, down the
picture, and from picture to picture, so the axes are `ascan,depth,bscan` unless `axes` says otherwise; as for NIfTI,
`axes` names them in the order of the header. Directions and origins in a scanner's room are not used to turn a scan:
for an eye they are rarely true. Where they turn an axis over, a note says so.
"""

import bz2
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import ByteStream, check_size, expect_end, read_voxel_bytes
from octavo.formats.reader import Kind, Scan
from octavo.formats.stored_axes import axes_of, check_real_type, to_real_numbers, to_volume_axes
from octavo.volume import AXES, Laterality, Origin, Spacing, Volume

FASTEST_FIRST = ("ascan", "depth", "bscan")
"""What the axes of a header are taken for."""

MAX_HEADER_BYTES = 2**18
"""A header in plain text that is longer than this is none."""

_UNITS_MM = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "cm": 10.0, "m": 1e3}
_UNITS_MM |= {"millimeter": 1.0, "millimeters": 1.0, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3}
# ITK keeps what it read from DICOM under these numbers: the eye of the series and the eye of the image.
_EYE_FIELDS = {"laterality", "imagelaterality", "eye", "0020|0060", "0020|0062"}
_ROOT_OR_DRIVE = re.compile(r"[/\\]|[A-Za-z]:")


class Packing(Enum):
    """How the bytes of the voxels are stored."""

    RAW = "raw"
    ZLIB = "zlib"
    """A zlib or gzip stream, whichever its first bytes say."""
    GZIP = "gzip"
    BZIP2 = "bzip2"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What a header says about its voxels."""

    shape: tuple[int, ...]
    """Length of each axis, the fastest first."""
    dtype: np.dtype
    sizes: tuple[float | None, ...]
    """Voxel sizes as written, in the order of the axes; None where the header gives none."""
    units_mm: tuple[float | None, ...]
    """How many millimetres the unit of each size is; None where the header states none."""
    data: Path
    """The file that holds the voxels; the header's own where they follow it."""
    offset: int = 0
    """Where in that file they begin, or where they may begin at the earliest."""
    at_end: bool = False
    """Whether raw voxels are the last bytes of the file, whatever stands before them."""
    packing: Packing = Packing.RAW
    laterality: Laterality = Laterality.UNKNOWN
    notes: tuple[str, ...] = ()


def read_header_lines(path: Path, ends: re.Pattern[bytes]) -> tuple[bytes, int]:
    """Read a header in plain text, up to and with what ends it.

    Args:
        path: The file.
        ends: What the end of the header looks like.

    Returns:
        The header, and where it ends in the file; both of the whole file where nothing ends it.

    Raises:
        VolumeReadError: If the header does not end within `MAX_HEADER_BYTES`.
    """
    with path.open("rb") as file:
        beginning = file.read(MAX_HEADER_BYTES + 1)
    end = ends.search(beginning)
    if end is not None:
        return beginning[: end.end()], end.end()
    if len(beginning) > MAX_HEADER_BYTES:
        raise VolumeReadError(
            f"header does not end within {MAX_HEADER_BYTES} bytes; wanted a few lines of text; "
            "the file is damaged: export it again"
        )
    return beginning, len(beginning)


def file_beside(header: Path, name: str) -> Path:
    """The file of voxels that a header names: in its own folder or below, and nowhere else.

    The name itself is not shown when it is refused: files are called after patients.

    Raises:
        VolumeReadError: If the name leads elsewhere, or to no file.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or _ROOT_OR_DRIVE.match(name) or ".." in parts or "\0" in name:
        raise VolumeReadError(
            "header names a file of voxels outside its own folder; wanted one beside it; "
            "put the file beside the header and change the name in it"
        )
    file = header.parent.joinpath(*parts)
    if not file.is_file() or file.resolve() == header.resolve():
        raise VolumeReadError(
            "header names a file of voxels that is not there; wanted it beside the header; copy it too, "
            "or, if it was given another name, change the name in the header"
        )
    return file


def unit_in_mm(word: str) -> float | None:
    """How many millimetres a unit of length is; None where it is not known.

    Example:
        >>> unit_in_mm('"um"'), unit_in_mm("?")
        (0.001, None)
    """
    return _UNITS_MM.get(word.strip().strip('"').strip().lower())


def eye_of(fields: Mapping[str, str]) -> tuple[Laterality, tuple[str, ...]]:
    """The eye that the fields a user or a program added to a header name, and a sentence where they name both.

    Example:
        >>> eye_of({"0020|0062": "L"})
        (<Laterality.OS: 'OS'>, ())
    """
    words = [word for name, word in fields.items() if name.replace(" ", "").replace("_", "").lower() in _EYE_FIELDS]
    eyes = {Laterality.parse(word) for word in words} - {Laterality.UNKNOWN}
    if len(eyes) > 1:
        return Laterality.UNKNOWN, ("the header names both eyes, OD and OS; the eye is unknown: say which",)
    return (eyes.pop() if eyes else Laterality.UNKNOWN), ()


def without_trailing_ones(shape: tuple[int, ...], most: int = 3) -> tuple[int, ...]:
    """Axes of one sample beyond the third say nothing and are dropped.

    Example:
        >>> without_trailing_ones((512, 496, 19, 1))
        (512, 496, 19)
    """
    while len(shape) > most and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def scan_of(image: StoredImage, axes: tuple[str, str, str] | None) -> Scan:
    """The scan that a header describes, its sizes compared with the bytes that are there.

    Raises:
        VolumeReadError: If the axes are not two or three, or the sizes cannot be true.
    """
    if len(image.shape) > 3:
        raise VolumeReadError(
            f"header promises {' x '.join(map(str, image.shape))} voxels; wanted three axes, or two for one B-scan; "
            "save one time point or channel by itself"
        )
    stored_axes = axes_of(len(image.shape), axes or FASTEST_FIRST)
    check_real_type(image.dtype)
    needed = check_size(image.shape, image.dtype.itemsize, image.data.stat().st_size)
    if image.packing is Packing.RAW:
        _check_raw(image, needed)
    label = f"{' x '.join(map(str, image.shape))} {image.dtype.newbyteorder('=').name}"
    return Scan(label, Kind.IMAGE, partial(_load, image, stored_axes), image.laterality)


def _check_raw(image: StoredImage, needed: int) -> None:
    held = image.data.stat().st_size - image.offset
    if held < needed or (held > needed and not image.at_end):
        raise VolumeReadError(
            f"holds {max(held, 0)} bytes of voxels; wanted the {needed} that its header promises; "
            "the file is cut short or its header is wrong: copy or export it again"
        )


def _load(image: StoredImage, stored_axes: tuple[str, ...]) -> Volume:
    values = to_volume_axes(_read_values(image), stored_axes)
    spacing, notes = _spacing(image, stored_axes)
    if len(values) == 1:
        spacing = Spacing(None, spacing.depth, spacing.ascan, spacing.origins)
    return Volume(
        values,
        spacing,
        laterality=image.laterality,
        laterality_origin=Origin.READ,
        notes=image.notes + notes,
    )


def _read_values(image: StoredImage) -> Num[np.ndarray, "..."]:
    needed = check_size(image.shape, image.dtype.itemsize, image.data.stat().st_size)
    with _opened(image, needed) as stream:
        content = read_voxel_bytes(stream, needed)
        expect_end(stream, needed)
    return to_real_numbers(content.view(image.dtype).reshape(image.shape, order="F"))


@contextmanager
def _opened(image: StoredImage, needed: int) -> Iterator[ByteStream]:
    with image.data.open("rb") as file:
        file.seek(image.data.stat().st_size - needed if image.at_end else image.offset)
        if image.packing is Packing.GZIP:
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                yield stream
        elif image.packing is Packing.BZIP2:
            with bz2.BZ2File(file) as unpacked:
                yield cast(ByteStream, unpacked)
        elif image.packing is Packing.ZLIB:
            yield _Inflating(file)
        else:
            yield file


class _Inflating:
    """A zlib or gzip stream, unpacked no further than is asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # 32 more than the largest window lets zlib tell by itself whether zlib or gzip wraps the stream
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._waiting = b""

    def read(self, size: int, /) -> bytes:
        while not self._inflate.eof:
            self._waiting = self._waiting or self._file.read(2**16)
            if not self._waiting:
                raise VolumeReadError(
                    "compressed voxels end too early; wanted a whole zlib stream; the file is cut short: copy it again"
                )
            content = self._inflate.decompress(self._waiting, size)
            self._waiting = self._inflate.unconsumed_tail
            if content:
                return content
        # what lies behind the stream is given too, so that whoever expects the end finds it
        return self._inflate.unused_data[:size] or self._file.read(size)


def _spacing(image: StoredImage, stored_axes: tuple[str, ...]) -> tuple[Spacing, tuple[str, ...]]:
    sizes = image.sizes[: len(stored_axes)]
    if all(size is None for size in sizes):
        return Spacing(), ()
    written = " x ".join("?" if size is None else f"{size:g}" for size in sizes)
    if not all(size is None or (np.isfinite(size) and size > 0) for size in sizes):
        return Spacing(), (f"voxel sizes in the header are {written}, which is no distance; spacing is unknown",)
    units = image.units_mm[: len(stored_axes)]
    unstated = all(unit is None for unit in units)
    if unstated and set(sizes) == {1.0}:
        return Spacing(), ("the header gives voxel sizes of 1 and does not state the unit; spacing is unknown",)
    notes: tuple[str, ...] = ()
    if unstated:
        notes = (f"the header gives voxel sizes of {written} and does not state the unit; taken as millimetres",)
    by_axis = dict(zip(stored_axes, map(_size_in_mm, sizes, units, [unstated] * len(sizes)), strict=True))
    bscan, depth, ascan = (by_axis.get(axis) for axis in AXES)
    origin = Origin.ASSUMED if unstated else Origin.READ
    return Spacing(bscan, depth, ascan, (origin, origin, origin)), notes


def _size_in_mm(size: float | None, unit_mm: float | None, unstated: bool) -> float | None:
    """A size whose unit alone is missing, or is no length, is no millimetres."""
    if size is None or (unit_mm is None and not unstated):
        return None
    return size * (1.0 if unit_mm is None else unit_mm)


def numbers_in(text: str, wanted: str, count: int | None = None) -> tuple[float, ...]:
    """The numbers in a field of a header.

    Args:
        text: The field, its numbers apart by blanks.
        wanted: What the field gives, for the refusal.
        count: How many there must be.

    Raises:
        VolumeReadError: If it holds anything else, or another count.

    Example:
        >>> numbers_in("0.0117 0.0039 0.12", "voxel sizes", 3)
        (0.0117, 0.0039, 0.12)
    """
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError as error:
        raise VolumeReadError(
            f"header gives {wanted} that are no numbers; wanted numbers apart by blanks; export it again"
        ) from error
    if count is not None and len(numbers) != count:
        raise VolumeReadError(
            f"header gives {len(numbers)} {wanted}; wanted {count}, one along each axis; export it again"
        )
    return numbers


def whole_numbers_in(text: str, wanted: str, count: int | None = None) -> tuple[int, ...]:
    """The whole numbers in a field of a header.

    Raises:
        VolumeReadError: If it holds anything else, or another count.
    """
    numbers = numbers_in(text, wanted, count)
    if not all(np.isfinite(number) and number == int(number) and abs(number) < 2**53 for number in numbers):
        raise VolumeReadError(f"header gives {wanted} that are not whole; wanted whole numbers; export it again")
    return tuple(int(number) for number in numbers)


def turns_axes(directions: Sequence[Sequence[float]]) -> bool:
    """Whether directions do anything but follow the axes of the file, each forwards.

    Example:
        >>> turns_axes([(1, 0, 0), (0, 1, 0), (0, 0, 1)]), turns_axes([(-1, 0, 0), (0, 1, 0), (0, 0, 1)])
        (False, True)
    """
    table = np.array([list(direction) for direction in directions], dtype=np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    if not np.isfinite(table).all() or (lengths == 0).any():
        return True
    return bool(np.abs(table / lengths - np.eye(*table.shape)).max() > 1e-3)
