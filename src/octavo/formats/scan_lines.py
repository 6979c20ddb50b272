"""Where the B-scans lie on the fundus: pattern, distance and direction from their end points.

Coordinates are those of the fundus image beside the scan, x to the right and y *downwards*, as one looks at the eye. A
first B-scan with the larger y is therefore the inferior one.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Volume

_PARALLEL_DEGREES = 3.0
_TILT_WORTH_A_NOTE_DEGREES = 15.0
_OTHER_WAY = {
    SlowAxis.TEMPORAL_TO_NASAL: SlowAxis.NASAL_TO_TEMPORAL,
    SlowAxis.NASAL_TO_TEMPORAL: SlowAxis.TEMPORAL_TO_NASAL,
}


@dataclass(frozen=True, slots=True)
class ScanLines:
    """What the end points of the B-scans tell."""

    pattern: ScanPattern = ScanPattern.UNKNOWN
    step: float | None = None
    """Distance between neighbouring B-scans, in the unit of the coordinates; only an even raster has one."""
    slow_axis: SlowAxis = SlowAxis.UNKNOWN
    runs_leftwards: bool = False
    """Whether the A-scans of a raster or a line run from right to left, against what every volume promises."""
    notes: tuple[str, ...] = ()


def read_scan_lines(
    starts: Float[np.ndarray, "bscan 2"],
    ends: Float[np.ndarray, "bscan 2"],
    laterality: Laterality,
    resolution: float,
) -> ScanLines:
    """Tell pattern, distance and direction from where each B-scan begins and ends.

    B-scans that cross, are shuffled, lie twice at one place or run to and fro are no raster (`ScanPattern.OTHER`): nothing
    here puts them in order or mirrors some of them.

    Args:
        starts: x and y of the first A-scan of each B-scan.
        ends: x and y of the last A-scan of each B-scan.
        laterality: Which eye; vertical rasters run towards the nose or away from it, which only the eye tells.
        resolution: To how much the coordinates are rounded, in their own unit.

    Example:
        >>> y = np.array([6.4, 6.3, 6.2])
        >>> starts, ends = np.stack([np.full(3, 1.0), y], 1), np.stack([np.full(3, 7.0), y], 1)
        >>> lines = read_scan_lines(starts, ends, Laterality.OD, resolution=0.001)
        >>> lines.pattern.value, round(lines.step, 3), lines.slow_axis.value
        ('raster', 0.1, 'inferior-to-superior')
    """
    along = ends - starts
    lengths = np.linalg.norm(along, axis=1)
    if not np.isfinite(along).all() or lengths.min() <= 2 * resolution:
        return ScanLines(notes=("the positions of the B-scans in the header make no lines; they are not used",))
    directions = along / lengths[:, None]
    cosines = directions @ directions[0]
    middles = (starts + ends) / 2
    if np.abs(cosines).min() > math.cos(math.radians(_PARALLEL_DEGREES)):
        if cosines.min() < 0:
            against = min(int((cosines < 0).sum()), int((cosines > 0).sum()))
            note = f"{against} of {len(starts)} B-scans run the other way than the others, so that they are mirrored"
            return ScanLines(ScanPattern.OTHER, notes=(note,))
        return _parallel(middles, directions.mean(0), float(lengths.mean()), laterality, resolution)
    spread = np.linalg.norm(middles - middles.mean(0), axis=1).max()
    if spread < 0.1 * lengths.mean():
        return ScanLines(ScanPattern.RADIAL)
    note = "the B-scans lie neither side by side nor like a star; they are no raster"
    return ScanLines(ScanPattern.OTHER, notes=(note,))


def _parallel(
    middles: Float[np.ndarray, "bscan 2"],
    direction: Float[np.ndarray, " 2"],
    length: float,
    laterality: Laterality,
    resolution: float,
) -> ScanLines:
    """What B-scans that all run the same way make: a line, a raster, or neither where their order is none."""
    is_leftwards = bool(abs(direction[0]) > abs(direction[1]) and direction[0] < 0)
    across = np.array([-direction[1], direction[0]])
    offsets = (middles - middles[0]) @ across
    if len(middles) == 1:
        return ScanLines(ScanPattern.LINE, runs_leftwards=is_leftwards)
    if np.abs(offsets).max() < max(1e-4 * length, resolution):
        note = "all B-scans lie on one line: repeats, not a raster"
        return ScanLines(ScanPattern.LINE, runs_leftwards=is_leftwards, notes=(note,))
    furthest = float(offsets[np.abs(offsets).argmax()])
    steps = np.diff(offsets) * np.sign(furthest)
    mean = float(steps.mean())
    # where B-scans lie closer than the rounding, two of them may be written at one place
    is_repeated = mean > 1.5 * resolution and steps.min() < 0.5 * resolution
    if steps.min() < -resolution or mean <= 0 or is_repeated:
        note = "the B-scans do not follow one another on the fundus; their order is unknown"
        return ScanLines(ScanPattern.OTHER, runs_leftwards=is_leftwards, notes=(note,))
    slow_axis, notes = _direction(across * furthest, laterality)
    step: float | None = mean
    if np.abs(steps - mean).max() > 0.25 * mean + 1.5 * resolution:
        notes += (f"the distance between B-scans varies from {steps.min():.4g} to {steps.max():.4g}; it is not used",)
        step = None
    return ScanLines(ScanPattern.RASTER, step, slow_axis, is_leftwards, notes)


def _direction(travel: Float[np.ndarray, " 2"], laterality: Laterality) -> tuple[SlowAxis, tuple[str, ...]]:
    rightwards, downwards = float(travel[0]), float(travel[1])
    tilt = math.degrees(math.atan2(min(abs(rightwards), abs(downwards)), max(abs(rightwards), abs(downwards))))
    notes: tuple[str, ...] = ()
    if tilt > _TILT_WORTH_A_NOTE_DEGREES:
        notes = (f"the raster lies tilted by {tilt:.0f} degrees on the fundus",)
    if abs(downwards) >= abs(rightwards):
        return (SlowAxis.SUPERIOR_TO_INFERIOR if downwards > 0 else SlowAxis.INFERIOR_TO_SUPERIOR), notes
    if laterality is Laterality.UNKNOWN:
        note = "the B-scans stand upright, and whether they run towards the nose is unknown because the eye is"
        return SlowAxis.UNKNOWN, (*notes, note)
    # In a picture of the fundus the nose lies to the right of a right eye and to the left of a left eye.
    nasalwards = (rightwards > 0) == (laterality is Laterality.OD)
    return (SlowAxis.TEMPORAL_TO_NASAL if nasalwards else SlowAxis.NASAL_TO_TEMPORAL), notes


def seen_of_eye(volume: Volume, laterality: Laterality) -> Volume:
    """A scan whose upright B-scans were told from the wrong eye, with its direction told from this one.

    Only what was derived is turned round: what stands in a file, or was said, speaks of the nose itself.
    """
    other = _OTHER_WAY.get(volume.slow_axis)
    is_known = Laterality.UNKNOWN not in {volume.laterality, laterality}
    if (
        other is None
        or volume.slow_axis_origin is not Origin.DERIVED
        or volume.laterality is laterality
        or not is_known
    ):
        return volume
    return dataclasses.replace(volume, slow_axis=other)
