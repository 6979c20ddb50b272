"""MATLAB files, `.mat`: version 5 to 7 and 7.3, read without MATLAB, SciPy or the HDF5 library.

A MATLAB file is a set of named arrays, and nothing in the format says which is a scan, which axis is which, or how large
a sample is. So the array is the only three-dimensional one or the one that `key` names (`scan.images` inside a
structure), and its axes are taken as rows, columns, pages: depth, A-scan, B-scan, as people who cut B-scans out of a
volume with `volume(:, :, k)` store them; a note says so, and `axes` says otherwise.

Three public layouts are known by the names of their arrays, and tell more:

* A Heidelberg export spread over variables (`B0`, `ScaleX`, `ScaleZ`, `ScanPosition`, `ScanPattern`, ...), as common
  `.vol` readers for MATLAB leave it: millimetres, eye and pattern; `B0seg` are layers and `SLO` is the infra-red image.
* `images` with `layerMaps`: three surfaces, B-scan by A-scan, whose rows count from 1.
* `images` with `manualLayers1` and the like: eight surfaces by A-scan and B-scan, whose rows count from 1.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from octavo.companions import Companions
from octavo.errors import unknown_name
from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size
from octavo.formats.matlab import version5, version73
from octavo.formats.matlab.array import MatlabArray
from octavo.formats.matlab.layouts import LAYER_ARRAYS, Export, find_boundaries, layer_companions, read_export
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.stored_axes import axes_of, check_real_type, to_real_numbers, to_volume_axes
from octavo.volume import Laterality, Origin, ScanPattern, Source, Spacing, Volume

AXES_STORED = ("depth", "ascan", "bscan")
"""What rows, columns and pages are taken for."""

_SMALLEST_BSCAN = 16
_BSCAN = re.compile(r"B(\d{1,5})")
_VERSION_5, _VERSION_73 = b"\x00\x01IM", b"\x00\x02IM"
_BIG_ENDIAN_5 = b"\x01\x00MI"


def _recognises(path: Path, beginning: bytes) -> bool:
    if beginning.startswith(b"MATLAB ") and beginning[124:128] in {_VERSION_5, _VERSION_73, _BIG_ENDIAN_5}:
        return True
    return beginning.startswith(version73.SIGNATURE) and path.suffix.lower() == ".mat"


def _arrays(path: Path) -> dict[str, MatlabArray]:
    with path.open("rb") as file:
        beginning = file.read(version5.HEADER_BYTES)
    if beginning[124:128] in {_VERSION_5, _BIG_ENDIAN_5}:
        return version5.list_arrays(path)
    if beginning[124:128] == _VERSION_73 or beginning.startswith(version73.SIGNATURE):
        return version73.list_arrays(path)
    raise VolumeReadError(
        f"holds {path.stat().st_size} bytes that do not begin as MATLAB's files of version 5 or later do; "
        "wanted a .mat file; save it in MATLAB with -v7"
    )


@dataclass(frozen=True)
class _Found:
    """One scan: its name, the array or the B-scans it is made of, and which B-scan of an export is the first."""

    name: str
    stack: tuple[MatlabArray, ...]
    first: int | None = None

    @property
    def prefix(self) -> str:
        """The structure it lies in."""
        return self.name.rpartition("..")[0].rpartition(".")[0] if ".." in self.name else self.name.rpartition(".")[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the array, or of one of the B-scans."""
        return self.stack[0].shape


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    arrays = _arrays(path)
    key = options.key
    numeric = {name: array for name, array in arrays.items() if not array.is_text}
    if key is not None and key not in numeric:
        inside = {name: array for name, array in numeric.items() if name.startswith((f"{key}.", f"{key}{{", f"{key}("))}
        if not inside and options.binds("key"):
            raise VolumeReadError(unknown_name("an array of this file", key, list(numeric)[:20]))
        found = _choose(inside or numeric, arrays)
    elif key is not None:
        bscan = _BSCAN.fullmatch(key.rpartition(".")[2])
        found = [_Found(key, (numeric[key],), None if bscan is None else int(bscan[1]))]
    else:
        found = _choose(numeric, arrays)
    return [_scan(path, one, arrays, options) for one in found]


def _choose(among: dict[str, MatlabArray], arrays: dict[str, MatlabArray]) -> list[_Found]:
    """The scans among some arrays: B-scans of an export, else arrays of three axes, else the only picture."""
    stacks = [stack for name in among for stack in _stack(name, among, arrays)]
    if stacks:
        return stacks
    for dimensions in (3, 2):
        names = [
            name
            for name, array in among.items()
            if len(array.shape) == dimensions
            and name.rpartition(".")[2] not in LAYER_ARRAYS
            and min(array.shape[:2]) >= (_SMALLEST_BSCAN if dimensions == 2 else 1)
        ]
        if len(names) == 1 or (names and dimensions == 3):
            return [_Found(name, (among[name],)) for name in names]
        if names:
            break
    listing = ", ".join(f"{name} ({array.describe()})" for name, array in list(among.items())[:8]) or "no plain array"
    raise VolumeReadError(f"holds {listing}; wanted one array of three axes; name the B-scan or volume with --key")


def _stack(name: str, among: dict[str, MatlabArray], arrays: dict[str, MatlabArray]) -> list[_Found]:
    """The B-scans `B0`, `B1`, ... of the export that `name` begins, if it begins one."""
    prefix, _, last = name.rpartition(".")
    if last != "B0" or len(among[name].shape) != 2:
        return []
    export = read_export(arrays, prefix)
    if export is None:
        return []
    begin = name.removesuffix("0")
    bscans = [other for other in among if other.startswith(begin) and _BSCAN.fullmatch(other[len(begin) - 1 :])]
    if len(bscans) != export.bscans or any(among[other].shape != among[name].shape for other in bscans):
        raise VolumeReadError(
            f"header promises {export.bscans} B-scans, and {len(bscans)} are there, of one size or not; "
            "wanted as many of one size; save the scan again, or name one B-scan with --key"
        )
    if any(f"{begin}{number}" not in among for number in range(export.bscans)):
        raise VolumeReadError("numbers of B-scans are missing; wanted B0 and on without a gap; save the scan again")
    stack = tuple(among[f"{begin}{number}"] for number in range(export.bscans))
    return [_Found(name if len(stack) == 1 else f"{name}..{last[0]}{len(stack) - 1}", stack, 0)]


def _scan(path: Path, found: _Found, arrays: dict[str, MatlabArray], options: ReadOptions) -> Scan:
    first, shape = found.stack[0], found.shape
    check_real_type(first.dtype)
    axes = axes_of(len(shape), options.axes or AXES_STORED)
    check_size((*shape, len(found.stack)), first.dtype.itemsize, sum(array.stored_bytes for array in found.stack))
    export = read_export(arrays, found.prefix)
    notes: tuple[str, ...] = ()
    is_another = export is not None and not export.fits(shape) and options.axes is None
    if is_another:
        export = None
        notes = ("the sizes that stand beside this array are not its own; what is said there is not used",)
    numbers = None if found.first is None or export is None else range(found.first, found.first + len(found.stack))
    layers = layer_companions(arrays, found.prefix, shape, numbers)
    if options.axes is None and layers is None and export is None:
        taken = "rows, columns and pages are taken as depth, A-scans and B-scans"
        if len(shape) < 3:
            taken = "rows are taken as depth and columns as A-scans"
        notes += (f"{taken}, as MATLAB users store them; the file does not say: pass --axes where it is not so",)
    label = f"{found.name}: {first.describe()}" + (f", {len(found.stack)} B-scans" if len(found.stack) > 1 else "")
    is_known = layers is not None or export is not None
    return Scan(
        label,
        Kind.OCT if is_known else Kind.IMAGE,
        partial(_load, found.stack, axes, export, notes),
        laterality=Laterality.UNKNOWN if export is None else export.laterality,
        companions=partial(_companions, path, layers, shape, options.axes is None and not is_another),
    )


def _load(
    stack: tuple[MatlabArray, ...], axes: tuple[str, ...], export: Export | None, notes: tuple[str, ...]
) -> Volume:
    if len(stack) > 1:
        turned = np.concatenate([to_volume_axes(to_real_numbers(array.read()), axes) for array in stack])
    else:
        turned = to_volume_axes(to_real_numbers(stack[0].read()), axes)
    if export is None:
        pattern = ScanPattern.RASTER if len(turned) > 1 else ScanPattern.UNKNOWN
        return Volume(turned, pattern=pattern, pattern_origin=Origin.ASSUMED, notes=notes)
    is_raster = len(turned) > 1 and export.pattern is ScanPattern.RASTER
    return Volume(
        turned,
        Spacing(export.bscan_mm if is_raster else None, export.depth_mm, export.ascan_mm),
        laterality=export.laterality,
        laterality_origin=Origin.READ,
        pattern=export.pattern,
        pattern_origin=Origin.READ,
        source=Source(device="Heidelberg Engineering Spectralis"),
        notes=notes,
    )


def _companions(
    path: Path, layers: Callable[[], Companions] | None, shape: tuple[int, ...], is_default: bool
) -> Companions:
    """Surfaces and pictures; they lie on the axes that the file's layout has, so with other axes there are none."""
    if not is_default:
        return Companions()
    known = Companions() if layers is None else layers()
    drawn = find_boundaries(path, shape, _arrays)
    return Companions(known.surfaces + drawn.surfaces, known.pictures, known.notes + drawn.notes)


READER = Reader(
    name="matlab",
    about="a MATLAB file (.mat)",
    suffixes=(".mat",),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"axes", "key"}),
)
