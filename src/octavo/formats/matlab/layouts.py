"""What the names of arrays in a MATLAB file tell: exports spread over variables, and layers that come with a volume."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num

from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.formats.errors import VolumeReadError
from octavo.formats.eye_in_name import eye_in_name
from octavo.formats.matlab.array import MatlabArray
from octavo.volume import Laterality, ScanPattern

_LINES = {
    "manualLayers1": "manual 1",
    "manualLayers2": "manual 2",
    "automaticLayersDME": "automatic",
    "automaticLayersNormal": "automatic normal",
}
_REGIONS = ("manualFluid1", "manualFluid2", "automaticFluidDME")

LAYER_ARRAYS = frozenset({"layerMaps", "interpolation", *_LINES, *_REGIONS})
"""Arrays that come with a volume and are none."""

_OF_LAYER_MAPS = ("ILM", "inner RPEDC", "BM")
_OF_LINES = ("ILM", "NFL/GCL", "IPL/INL", "INL/OPL", "OPL/ONL", "ISM/ISE", "OS/RPE", "BM")
_OF_EXPORT = ("ILM", "BM", "RNFL")
_COUNTED_FROM_ONE = "rows of the surfaces are taken to count from 1, as MATLAB does, and 1 was taken off"
_NO_DATA = 1e30
_MOST_LINES = 64
_PATTERNS = {
    1: ScanPattern.LINE,
    2: ScanPattern.CIRCLE,
    3: ScanPattern.RASTER,
    4: ScanPattern.RASTER,
    5: ScanPattern.RADIAL,
}


@dataclass(frozen=True, slots=True)
class Export:
    """What the variables of a Heidelberg export say."""

    bscans: int = 1
    depth: int = 0
    ascans: int = 0
    bscan_mm: float | None = None
    depth_mm: float | None = None
    ascan_mm: float | None = None
    laterality: Laterality = Laterality.UNKNOWN
    pattern: ScanPattern = ScanPattern.UNKNOWN

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether rows and columns (and pages) of an array are depth and A-scans (and B-scans) as stated."""
        return shape[:2] == (self.depth, self.ascans) and (len(shape) < 3 or shape[2] == self.bscans)


def read_export(arrays: dict[str, MatlabArray], prefix: str) -> Export | None:
    """What an export says about the arrays of one structure, where it is one.

    Its variables lie beside the voxels, or in a structure `header` beside them.
    """
    for inner in ("", "header"):
        begin = ".".join(part for part in (prefix, inner) if part)
        begin = f"{begin}." if begin else ""
        numbers = {name: _number(arrays, begin + name) for name in ("ScaleX", "ScaleZ", "Distance", "NumBScans")}
        sizes = {name: _number(arrays, begin + name) for name in ("SizeX", "SizeZ", "ScanPattern")}
        scale_x, scale_z, distance = numbers["ScaleX"], numbers["ScaleZ"], numbers["Distance"]
        if not scale_x or not scale_z or not sizes["SizeX"] or not sizes["SizeZ"]:
            continue
        if min(scale_x, scale_z) <= 0 or (distance is not None and distance < 0):
            continue
        return Export(
            bscans=max(int(numbers["NumBScans"] or 1), 1),
            depth=int(sizes["SizeZ"]),
            ascans=int(sizes["SizeX"]),
            bscan_mm=distance or None,
            depth_mm=scale_z,
            ascan_mm=scale_x,
            laterality=_eye(arrays.get(f"{begin}ScanPosition")),
            pattern=_PATTERNS.get(int(sizes["ScanPattern"] or 0), ScanPattern.UNKNOWN),
        )
    return None


def layer_companions(
    arrays: dict[str, MatlabArray], prefix: str, shape: tuple[int, ...], numbers: range | None
) -> Callable[[], Companions] | None:
    """How to read the layers that come with a volume, where names and sizes say that they do.

    Args:
        arrays: Everything the file holds.
        prefix: The structure that the volume lies in.
        shape: Its lengths in MATLAB's order.
        numbers: Which B-scans of an export it is made of, where it is.
    """
    begin = f"{prefix}." if prefix else ""
    if numbers is not None:
        return partial(_from_export, arrays, begin, shape, numbers)
    if len(shape) != 3:
        return None
    maps = arrays.get(f"{begin}layerMaps")
    if maps is not None and maps.shape[:2] == (shape[2], shape[1]) and _is_small(maps, 2):
        return partial(_from_layer_maps, maps)
    lines = {known: arrays[begin + known] for known in _LINES if begin + known in arrays}
    fitting = {
        known: array
        for known, array in lines.items()
        if array.shape[1:] == (shape[1], shape[2]) and _is_small(array, 0)
    }
    return partial(_from_lines, fitting) if fitting else None


def find_boundaries(path: Path, shape: tuple[int, ...], read: Callable[[Path], dict[str, MatlabArray]]) -> Companions:
    """Surfaces of one B-scan from the file of boundaries beside it that is called alike.

    `scan_OD.mat` goes with `scan_OD_boundaries.mat`. `circular_scan.mat` goes with `circular_boundaries.mat`, the same word
    up to the first underscore, only where no third file begins so and their names do not say two eyes.
    """
    if len(shape) != 2:
        return Companions()
    word = path.stem.partition("_")[0]
    alike = [other for other in path.parent.glob("*.mat") if other != path and other.stem.partition("_")[0] == word]
    own = path.with_name(f"{path.stem}_boundaries.mat")
    drawn = [own] if own in alike else [other for other in alike if other.stem.endswith("_boundaries")]
    if not drawn:
        return Companions()
    eyes = {eye_in_name(file.name) for file in (path, drawn[0])} - {Laterality.UNKNOWN}
    if drawn != [own] and (len(alike) > 1 or len(eyes) > 1):
        return Companions(notes=("a file of boundaries beside the scan may be of another scan and is left out",))
    try:
        lines = read(drawn[0]).get("interpolation")
    except (VolumeReadError, OSError):
        return Companions(notes=("a file of boundaries beside the scan cannot be read and is left out",))
    if lines is None or len(lines.shape) != 2 or lines.shape[1] != shape[1] or lines.shape[0] > _MOST_LINES:
        return Companions(notes=("a file of boundaries beside the scan does not fit it and is left out",))
    depth = _rows(lines.read()) - 1
    surfaces = tuple(Surface(f"surface {number}", line[None]) for number, line in enumerate(depth, 1))
    return Companions(surfaces, notes=(_COUNTED_FROM_ONE,))


def _from_layer_maps(maps: MatlabArray) -> Companions:
    depth = _rows(maps.read()) - 1
    names = _OF_LAYER_MAPS if depth.shape[2] == len(_OF_LAYER_MAPS) else _unnamed(depth.shape[2])
    surfaces = tuple(Surface(name, depth[:, :, number]) for number, name in enumerate(names))
    return Companions(surfaces, notes=(_COUNTED_FROM_ONE,))


def _from_lines(lines: dict[str, MatlabArray]) -> Companions:
    surfaces = []
    for known, array in lines.items():
        depth = _rows(array.read()) - 1
        names = _OF_LINES if len(depth) == len(_OF_LINES) else _unnamed(len(depth))
        surfaces += [Surface(f"{name} ({_LINES[known]})", line.T) for name, line in zip(names, depth, strict=True)]
    return Companions(tuple(surfaces), notes=(_COUNTED_FROM_ONE,))


def _from_export(arrays: dict[str, MatlabArray], begin: str, shape: tuple[int, ...], numbers: range) -> Companions:
    found = [arrays.get(f"{begin}B{number}seg") for number in numbers]
    surfaces: tuple[Surface, ...] = ()
    notes: tuple[str, ...] = ()
    lines = [array for array in found if array is not None and len(array.shape) == 2]
    if lines and len(lines) == len(numbers) and {array.shape for array in lines} == {(lines[0].shape[0], shape[1])}:
        if lines[0].shape[0] <= _MOST_LINES:
            depth = np.stack([_rows(array.read()) for array in lines])
            depth[np.abs(depth) > _NO_DATA] = np.nan
            names = _OF_EXPORT if depth.shape[1] == len(_OF_EXPORT) else _unnamed(depth.shape[1])
            surfaces = tuple(Surface(called, depth[:, number]) for number, called in enumerate(names))
    elif lines:
        notes = ("the layers of the export do not fit its B-scans and are left out",)
    picture = arrays.get(f"{begin}SLO")
    pictures: tuple[EnFace, ...] = ()
    if picture is not None and len(picture.shape) == 2 and picture.dtype.kind == "u":
        rows, columns = (_number(arrays, f"{begin}Scale{axis}Slo") for axis in "YX")
        spacing = (rows, columns) if rows and columns and min(rows, columns) > 0 else None
        pictures = (EnFace(Picture.INFRARED, np.ascontiguousarray(picture.read()), spacing),)
    return Companions(surfaces, pictures, notes)


def _rows(values: Num[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Positions as numbers, unknown where the file has none."""
    depth = np.array(values, np.float64)
    depth[np.isinf(depth)] = np.nan
    return depth


def _unnamed(count: int) -> tuple[str, ...]:
    return tuple(f"surface {number}" for number in range(1, count + 1))


def _is_small(array: MatlabArray, axis: int) -> bool:
    """Whether an array of three axes has so few lines that they can be layers."""
    return len(array.shape) == 3 and array.shape[axis] <= _MOST_LINES


def _number(arrays: dict[str, MatlabArray], name: str) -> float | None:
    array = arrays.get(name)
    if array is None or array.size != 1 or array.is_text:
        return None
    value = float(array.read().flat[0])
    return value if np.isfinite(value) and abs(value) < 2**31 else None


def _eye(array: MatlabArray | None) -> Laterality:
    """The eye, from the few characters that name it and nothing longer."""
    if array is None or array.size > 8 or array.dtype.kind != "u":
        return Laterality.UNKNOWN
    return Laterality.parse("".join(chr(int(code)) for code in array.read().ravel(order="F") if code))
