"""What a DICOM image says about millimetres, eye and direction, frame by frame.

Rows are depth and columns A-scans, so the first pixel spacing is that along depth. How far apart the B-scans lie is
worked out from the positions of the frames; where there are none, the header's own distance is taken, and last the
slice thickness. Which way they follow one another is told by the lines that the frames draw on the fundus image they
refer to (row and column, rows growing downwards). A frame that draws a curve there is none of a raster, whatever else
the header says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from octavo.formats.scan_lines import ScanLines, read_scan_lines
from octavo.volume import Laterality, Origin, ScanPattern, Spacing

if TYPE_CHECKING:
    from pydicom import Dataset

_FRAME_LOCATION_PIXELS = 1.0
_TILT_COSINE = 0.999
_SIDEWAYS = 0.1
_FEWEST_OF_CIRCLE = 4


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where one frame lies, as far as the header says; None where it does not."""

    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    fundus_path: tuple[float, ...] | None
    """Row and column on the fundus image, of the first and the last A-scan, or of every point of a curve."""
    is_curved: bool
    """Whether the header calls that path nonlinear."""
    pixel_spacing_mm: tuple[float, ...] | None
    distance_mm: float | None
    thickness_mm: float | None


def frame_places(header: "Dataset", frames: int) -> list[FramePlace]:
    """Collect what the functional groups, or the plain elements of a single-frame image, say about each frame."""
    shared = _first(header, "SharedFunctionalGroupsSequence")
    each = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    places = []
    for number in range(frames):
        homes = [home for home in (each[number] if number < len(each) else None, shared, header) if home is not None]
        places.append(
            FramePlace(
                _numbers(homes, "PlanePositionSequence", "ImagePositionPatient", 3),
                _numbers(homes, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
                _path(homes),
                _is_curved(homes),
                _numbers(homes, "PixelMeasuresSequence", "PixelSpacing", 2),
                _number(homes, "SpacingBetweenSlices"),
                _number(homes, "SliceThickness"),
            )
        )
    return places


def laterality_of(header: "Dataset") -> tuple[Laterality, tuple[str, ...]]:
    """The eye, if everything in the header that names one agrees.

    Returns:
        The eye, and a sentence where the header contradicts itself; the eye is then unknown.
    """
    homes = [header]
    groups = [_first(header, "SharedFunctionalGroupsSequence")]
    groups += list(header.get("PerFrameFunctionalGroupsSequence") or [])
    homes += [anatomy for group in groups if group is not None for anatomy in group.get("FrameAnatomySequence") or []]
    homes += list(header.get("AnatomicRegionSequence") or [])
    words = (home.get(name) for home in homes for name in ("ImageLaterality", "FrameLaterality", "Laterality"))
    eyes = {Laterality.parse(str(word)) for word in words if word} - {Laterality.UNKNOWN}
    if len(eyes) == 1:
        return eyes.pop(), ()
    notes = ("the header names both eyes, OD and OS; the eye is unknown: say which",) if eyes else ()
    return Laterality.UNKNOWN, notes


def spacing_of(places: Sequence[FramePlace], side_by_side: bool) -> tuple[Spacing, tuple[str, ...]]:
    """Millimetres between samples, and sentences about how sure they are.

    Args:
        places: Where each frame lies.
        side_by_side: Whether the frames may lie beside one another; repeats and stars have no distance between them.
    """
    in_plane = {place.pixel_spacing_mm for place in places}
    if len(in_plane) > 1:
        return Spacing(), ("pixel spacing differs from frame to frame; spacing is unknown",)
    measured = in_plane.pop()
    depth, ascan = measured if measured is not None and min(measured) > 0 else (None, None)
    if len(places) == 1 or not side_by_side:
        return Spacing(None, depth, ascan), ()
    bscan, origin, notes = _distance(places)
    return Spacing(bscan, depth, ascan, (origin, Origin.READ, Origin.READ)), notes


def in_order(places: Sequence[FramePlace]) -> np.ndarray | None:
    """The order in which frames lie side by side, where their positions tell another than that of the file."""
    offsets = offsets_mm(places)
    if offsets is None or (np.diff(offsets) > 0).all() or len(set(offsets.tolist())) < len(offsets):
        return None
    positions = np.array([place.position_mm for place in places], dtype=np.float64)
    away = np.linalg.norm(positions - positions[0], axis=1)
    # the frames of a star begin on a circle, and their positions are no row
    sideways = np.sqrt(np.maximum(away**2 - offsets**2, 0))
    return np.argsort(offsets) if sideways.max() < _SIDEWAYS * away.max() and _may_be_parallel(places) else None


def pattern_of(places: Sequence[FramePlace], laterality: Laterality) -> tuple[ScanPattern, Origin, ScanLines]:
    """How the B-scans lie on the retina, from their lines on the fundus or else from their positions."""
    paths = [place.fundus_path for place in places]
    told = [_is_line(place) for place in places if place.fundus_path is not None]
    if len(told) == len(places) and all(told):
        table = np.array([(path[0], path[1], path[-2], path[-1]) for path in paths if path], dtype=np.float64)
        drawn = read_scan_lines(table[:, [1, 0]], table[:, [3, 2]], laterality, _FRAME_LOCATION_PIXELS)
        return drawn.pattern, Origin.DERIVED, drawn
    if not all(told):
        return _pattern_of_curves(places)
    if len(places) == 1:
        return ScanPattern.UNKNOWN, Origin.UNKNOWN, ScanLines()
    offsets = offsets_mm(places)
    if offsets is not None and (np.diff(offsets) < 0).any():
        note = "the frames do not follow one another by their positions; they are no raster"
        return ScanPattern.OTHER, Origin.DERIVED, ScanLines(notes=(note,))
    if offsets is not None and (np.diff(offsets) > 0).all() and _are_parallel(places):
        return ScanPattern.RASTER, Origin.DERIVED, ScanLines()
    if told:
        note = f"only {len(told)} of {len(places)} frames say where they lie on the fundus; the pattern is unknown"
        return ScanPattern.UNKNOWN, Origin.UNKNOWN, ScanLines(notes=(note,))
    if _may_be_parallel(places):
        return ScanPattern.RASTER, Origin.ASSUMED, ScanLines()
    note = "the frames lie at different angles; they are no raster"
    return ScanPattern.OTHER, Origin.DERIVED, ScanLines(notes=(note,))


def _pattern_of_curves(places: Sequence[FramePlace]) -> tuple[ScanPattern, Origin, ScanLines]:
    """The pattern of frames of which some at least are curves on the fundus."""
    if all(_is_circle(place) for place in places):
        return ScanPattern.CIRCLE, Origin.DERIVED, ScanLines()
    curves = sum(place.fundus_path is not None and not _is_line(place) for place in places)
    note = f"{curves} of {len(places)} frames are curves on the fundus and the others are none; they are no raster"
    if curves == len(places):
        note = "the frames are curves on the fundus that do not all come back to their beginning; they are no raster"
    return ScanPattern.OTHER, Origin.DERIVED, ScanLines(notes=(note,))


def _points(place: FramePlace) -> np.ndarray:
    return np.array(place.fundus_path, dtype=np.float64).reshape(-1, 2)


def _is_line(place: FramePlace) -> bool:
    """Whether a path is one straight line: it is not called nonlinear, and no point lies off it."""
    if place.is_curved:
        return False
    points = _points(place)
    along = points[-1] - points[0]
    length = np.linalg.norm(along)
    if len(points) == 2 or length == 0:
        return len(points) == 2
    away = points - points[0]
    off = (away[:, 0] * along[1] - away[:, 1] * along[0]) / length
    return bool(np.abs(off).max() <= _FRAME_LOCATION_PIXELS)


def _is_circle(place: FramePlace) -> bool:
    """Whether a path of several points comes back to where it began."""
    if place.fundus_path is None or _is_line(place):
        return False
    points = _points(place)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    gap = np.linalg.norm(points[-1] - points[0])
    # the last point is the first one, or its neighbour
    return bool(len(points) >= _FEWEST_OF_CIRCLE and gap <= 1.5 * steps.max() and steps.max() < 0.5 * steps.sum())


def offsets_mm(places: Sequence[FramePlace]) -> np.ndarray | None:
    """How far each frame lies from the first, across the frames; None where the header does not say."""
    if any(place.position_mm is None for place in places):
        return None
    positions = np.array([place.position_mm for place in places], dtype=np.float64)
    away = positions - positions[0]
    if not np.isfinite(away).all() or np.linalg.norm(away, axis=1).max() == 0:
        return None
    normal = away[np.linalg.norm(away, axis=1).argmax()]
    orientation = places[0].orientation
    if orientation is not None and _are_parallel(places):
        across = np.cross(orientation[:3], orientation[3:])
        # A writer that leaves the orientation at its default would make the distance zero; then the path counts.
        if np.linalg.norm(across) > 0 and abs(away[-1] @ across) > 0.1 * np.linalg.norm(away[-1]):
            normal = across
    offsets = away @ (normal / np.linalg.norm(normal))
    return offsets * (np.sign(offsets[-1]) or 1.0)


def _distance(places: Sequence[FramePlace]) -> tuple[float | None, Origin, tuple[str, ...]]:
    stated = places[0].distance_mm
    offsets = offsets_mm(places)
    if offsets is not None:
        steps = np.diff(offsets)
        mean = float(steps.mean())
        if mean <= 0 or np.abs(steps - mean).max() > 0.25 * mean:
            note = "the frames do not lie at even distances; the distance between B-scans is unknown"
            return None, Origin.UNKNOWN, (note,)
        notes: tuple[str, ...] = ()
        if stated is not None and abs(stated - mean) > 0.1 * mean:
            notes = (
                f"the header puts B-scans {stated * 1000:.6g} um apart and their positions {mean * 1000:.6g} um; "
                "the positions count",
            )
        return mean, Origin.DERIVED, notes
    if stated is not None and stated > 0:
        return stated, Origin.READ, ()
    thickness = places[0].thickness_mm
    if thickness is not None and thickness > 0:
        return thickness, Origin.ASSUMED, ("the distance between B-scans is taken from the slice thickness",)
    return None, Origin.UNKNOWN, ()


def _may_be_parallel(places: Sequence[FramePlace]) -> bool:
    """Whether the header says that all frames lie at one angle, or nothing of it at all."""
    return all(place.orientation is None for place in places) or _are_parallel(places)


def _are_parallel(places: Sequence[FramePlace]) -> bool:
    if any(place.orientation is None for place in places):
        return False
    table = np.array([place.orientation for place in places], dtype=np.float64)
    return bool(
        np.isfinite(table).all()
        and (table[:, :3] @ table[0, :3]).min() > _TILT_COSINE
        and (table[:, 3:] @ table[0, 3:]).min() > _TILT_COSINE
    )


def _first(header: "Dataset", name: str) -> "Dataset | None":
    sequence = header.get(name)
    return sequence[0] if sequence else None


def _numbers(homes: Sequence["Dataset"], sequence: str, name: str, count: int) -> tuple[float, ...] | None:
    for home in homes:
        for place in (_first(home, sequence), home):
            value = place.get(name) if place is not None else None
            if value is not None and value != "" and len(value) == count:
                return tuple(float(number) for number in value)
    return None


def _path(homes: Sequence["Dataset"]) -> tuple[float, ...] | None:
    """Where a frame lies on the fundus image: rows and columns of two points or more."""
    for home in homes:
        place = _first(home, "OphthalmicFrameLocationSequence")
        value = None if place is None else place.get("ReferenceCoordinates")
        if value is not None and value != "" and len(value) >= 4 and len(value) % 2 == 0:
            return tuple(float(number) for number in value)
    return None


def _is_curved(homes: Sequence["Dataset"]) -> bool:
    places = (_first(home, "OphthalmicFrameLocationSequence") for home in homes)
    words = (place.get("OphthalmicImageOrientation") for place in places if place is not None)
    return next((str(word) == "NONLINEAR" for word in words if word), False)


def _number(homes: Sequence["Dataset"], name: str) -> float | None:
    for home in homes:
        for place in (_first(home, "PixelMeasuresSequence"), home):
            value = place.get(name) if place is not None else None
            if value is not None and value != "":
                return float(value)
    return None
