"""NIfTI-1 and NIfTI-2 in one file, plain or gzipped.

Foreign files are taken as they are stored: first axis B-scans, second depth, third A-scans, unless `axes` says otherwise;
the voxel sizes of the header become millimetres by the unit the header states. The affine is not used to turn a scan:
for an eye it is rarely true. It tells, though, whether another program has turned a file that octavo wrote.

octavo's own files carry the geometry as JSON in a header extension, so that everything known about a scan comes back.
Their axes are stored as `bscan depth ascan` and their voxel sizes are millimetres; `writing` says where their affine
points.
"""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Num, Shaped, UInt8

from octavo.formats.errors import VolumeReadError
from octavo.formats.geometry_text import MAX_BYTES, geometry_from_text, is_geometry, stated_laterality, stated_shape
from octavo.formats.limits import ByteStream, check_size, expect_end, read_exactly, read_voxel_bytes
from octavo.formats.nifti.header import Header, parse_header
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.stored_axes import axes_of, to_real_numbers, to_volume_axes
from octavo.volume import AXES, Origin, Spacing, Volume

COMMENT_CODE = 6
"""The header extension that holds plain text."""

_GZIP = b"\x1f\x8b"
_LONGEST_EXTENSIONS = 8 * MAX_BYTES
_SAME = 1e-3
_FINER = 0.5
"""B-scans lie further apart than A-scans, or as far; below this share the axes are doubted."""


def _recognises(path: Path, beginning: bytes) -> bool:
    if beginning.startswith(_GZIP):
        try:
            with gzip.open(path) as stream:
                beginning = stream.read(348)
        except (OSError, EOFError):
            return False
    return beginning[344:347] in {b"n+1", b"ni1"} or beginning[4:7] == b"n+2"


@contextmanager
def _opened(path: Path) -> Iterator[ByteStream]:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
        file.seek(0)
        if not zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            yield stream


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    with _opened(path) as stream:
        header = parse_header(stream)
        text = _own_geometry(stream, header)
    if len(header.shape) > 3:
        raise VolumeReadError(
            f"header promises {' x '.join(map(str, header.shape))} voxels; wanted three axes, or two for one B-scan; "
            "save one time point or channel by itself"
        )
    stored_axes = axes_of(len(header.shape), options.axes or AXES)
    check_size(header.shape, header.dtype.itemsize, path.stat().st_size)
    label = f"{' x '.join(map(str, header.shape))} {header.dtype.name}"
    if text is not None and _still_describes(text, header):
        if options.binds("axes") and options.axes != AXES:
            raise VolumeReadError(
                "states its own axes (written by octavo), and others were given; wanted one of the two; drop --axes"
            )
        return [Scan(label, Kind.IMAGE, partial(_load_own, path, header, text), stated_laterality(text))]
    notes: tuple[str, ...] = ()
    if text is not None:
        notes = ("changed by another program since octavo wrote it; what octavo knew about the eye is not used",)
    load = partial(_load_foreign, path, header, stored_axes, notes, is_default=options.axes is None)
    return [Scan(label, Kind.IMAGE, load)]


def _own_geometry(stream: ByteStream, header: Header) -> str | None:
    """Octavo's text among the header's extensions, where there is one."""
    room = header.data_offset - header.size
    if room <= 4 or room > _LONGEST_EXTENSIONS:
        return None
    content = bytes(read_exactly(stream, room, "header extensions"))
    order: Literal["little", "big"] = "big" if header.dtype.byteorder == ">" else "little"
    position = 4
    while content[0] and position + 8 <= room:
        size = int.from_bytes(content[position : position + 4], order)
        code = int.from_bytes(content[position + 4 : position + 8], order)
        if size < 8 or position + size > room:
            return None
        text = content[position + 8 : position + size].rstrip(b"\0").decode("utf-8", errors="replace")
        if code == COMMENT_CODE and is_geometry(text):
            return text
        position += size
    return None


def _still_describes(text: str, header: Header) -> bool:
    """Whether shape and affine are those that octavo wrote; a program that turns the voxels turns the affine too."""
    # the two writers' modules need each other
    from octavo.formats.nifti.writing import affine_of

    if stated_shape(text) != header.shape:
        return False
    written = affine_of(geometry_from_text(text, np.broadcast_to(np.uint8(0), header.shape)))
    if written is None or header.affine is None:
        return written is None and header.affine is None and not header.has_rotation
    # column by column: a depth of a few micrometres is nothing beside the distance between B-scans
    return bool((np.abs(header.affine - written) <= _SAME * np.abs(written).max(axis=0)).all())


def _load_own(path: Path, header: Header, text: str) -> Volume:
    volume = geometry_from_text(text, np.ascontiguousarray(_read_values(path, header)))
    for known, zoom in zip(volume.spacing_mm.values_mm, header.zooms, strict=True):
        if known is None or abs(known - zoom) > _SAME * known:
            return volume.with_note(
                f"voxel sizes in the header ({_sizes(header.zooms)}) differ from octavo's own geometry "
                f"({volume.spacing_mm.describe()}), which is used"
            )
    return volume


def _load_foreign(
    path: Path, header: Header, stored_axes: tuple[str, ...], notes: tuple[str, ...], is_default: bool
) -> Volume:
    return foreign_volume(_read_values(path, header), header, stored_axes, notes, is_default=is_default)


def foreign_volume(
    stored: Num[np.ndarray, "..."],
    header: Header,
    stored_axes: tuple[str, ...],
    notes: tuple[str, ...],
    *,
    is_default: bool,
) -> Volume:
    """Voxels as another program stored them, with the millimetres that the header gives, and nothing about an eye.

    Args:
        stored: The voxels on their stored axes.
        header: What the header says.
        stored_axes: The names of the stored axes.
        notes: What is to be said besides.
        is_default: Whether those names are nobody's word, and a note must say so.
    """
    spacing, spacing_notes = _spacing(header, stored_axes)
    values = to_volume_axes(stored, stored_axes)
    if len(values) == 1:
        spacing = Spacing(None, spacing.depth, spacing.ascan, spacing.origins)
    if is_default:
        spacing_notes += _notes_on_axes(header.shape, spacing)
    return Volume(values, spacing, notes=notes + spacing_notes)


def _notes_on_axes(shape: tuple[int, ...], spacing: Spacing) -> tuple[str, ...]:
    """That nothing said which axis is which, and what speaks against the order they were taken in."""
    if len(shape) < len(AXES):
        return ("axes are taken as depth and A-scans; the file does not say: pass --axes where it is not so",)
    notes: tuple[str, ...] = (
        "axes are taken as B-scans, depth, A-scans; the file does not say: pass --axes where it is not so",
    )
    bscan, ascan = spacing.bscan, spacing.ascan
    is_finer = bscan is not None and ascan is not None and bscan < _FINER * ascan
    if shape[2] == 1 or is_finer:
        why = "the last axis has one sample" if shape[2] == 1 else "the first axis is sampled more finely than the last"
        notes += (f"{why}, as where A-scans come first: probably --axes ascan,depth,bscan is true",)
    return notes


def _spacing(header: Header, stored_axes: tuple[str, ...]) -> tuple[Spacing, tuple[str, ...]]:
    sizes = _sizes(header.zooms)
    if not all(np.isfinite(zoom) and zoom > 0 for zoom in header.zooms):
        return Spacing(), (f"voxel sizes in the header are {sizes}, which is no distance; spacing is unknown",)
    notes: tuple[str, ...] = ()
    origin = Origin.READ
    unit_mm = header.unit_mm
    if unit_mm is None and set(header.zooms) == {1.0}:
        return Spacing(), ("the header gives voxel sizes of 1 and does not state the unit; spacing is unknown",)
    if unit_mm is None:
        unit_mm, origin = 1.0, Origin.ASSUMED
        notes = (f"the header gives voxel sizes of {sizes} and does not state the unit; taken as millimetres",)
    implied = header.affine_zooms
    if implied is not None and any(abs(a - b) > 0.01 * b for a, b in zip(implied, header.zooms, strict=False)):
        notes += (f"voxel sizes in the header are {sizes}, and its affine implies {_sizes(implied)}; the former count",)
    by_axis = {axis: zoom * unit_mm for axis, zoom in zip(stored_axes, header.zooms, strict=True)}
    bscan, depth, ascan = (by_axis.get(axis) for axis in AXES)
    return Spacing(bscan, depth, ascan, (origin, origin, origin)), notes


def _sizes(zooms: Sequence[float]) -> str:
    return " x ".join(f"{zoom:g}" for zoom in zooms)


def _read_values(path: Path, header: Header) -> Num[np.ndarray, "..."]:
    with _opened(path) as stream:
        read_exactly(stream, header.data_offset, "header")
        needed = check_size(header.shape, header.dtype.itemsize, path.stat().st_size)
        content = read_voxel_bytes(stream, needed)
        expect_end(stream, needed)
    return samples_of(content, header)


def samples_of(content: UInt8[np.ndarray, " byte"], header: Header) -> Num[np.ndarray, "..."]:
    """The samples that the bytes of the voxels hold, scaled as the header says, on the stored axes."""
    values = to_real_numbers(content.view(header.dtype).reshape(header.shape, order="F"))
    return _scaled(values, header)


def _scaled(values: Shaped[np.ndarray, "..."], header: Header) -> Num[np.ndarray, "..."]:
    slope, intercept = header.slope, header.intercept
    unscaled = slope == 0 or not (np.isfinite(slope) and np.isfinite(intercept))
    if unscaled or (slope == 1 and intercept == 0):
        return values
    # float32 holds every 16-bit number and no longer every 32-bit one.
    exact = values.dtype == np.float32 or values.dtype.itemsize < 4
    wide: np.ndarray = values.astype(np.float32 if exact else np.float64)
    return wide * slope + intercept


READER = Reader(
    name="nifti",
    about="a NIfTI file (.nii, .nii.gz)",
    suffixes=(".nii", ".nii.gz"),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes"}),
)
