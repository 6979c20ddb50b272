"""Bringing every eye to the orientation of a right eye, superior first.

A left eye is the mirror image of a right one, and scanners store rasters from either end. A network that is told which
half is superior, or which half holds the macula, must see every eye the same way round.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from octavo.volume import Frame, Laterality, ScanPattern, SlowAxis, Volume


class Flips(NamedTuple):
    """Which axes are turned over. Turning over twice is not turning at all, so the same flips lead back."""

    bscan: bool
    ascan: bool


def flip(values: Shaped[np.ndarray, "bscan depth ascan"], flips: Flips) -> Shaped[np.ndarray, "bscan depth ascan"]:
    """Turn over the axes that `flips` names; a view, not a copy."""
    return values[:: -1 if flips.bscan else 1, :, :: -1 if flips.ascan else 1]


def flips_to_right_eye(volume: Volume) -> Flips:
    """Say which axes must be turned over for right-eye orientation, superior first.

    In a horizontal raster the A-scans of a left eye are mirrored and B-scans that start inferior are turned over. In a
    vertical raster the B-scans follow one another from temporal to nasal, which already speaks of the eye itself, and
    their own direction is left alone. What is unknown is not turned.
    """
    if volume.frame is Frame.RIGHT_EYE:
        return Flips(bscan=False, ascan=False)
    is_left = volume.laterality is Laterality.OS
    if volume.slow_axis.is_vertical:
        return Flips(bscan=volume.slow_axis is SlowAxis.NASAL_TO_TEMPORAL, ascan=False)
    return Flips(bscan=volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR, ascan=is_left)


def to_right_eye(volume: Volume) -> Volume:
    """Bring a scan to right-eye orientation, superior first, as far as eye and direction are known.

    What is not known is left as stored, and a note says so: a macula taken for a nerve is not a rounding error.

    Returns:
        The same scan in `Frame.RIGHT_EYE`; its slow axis runs superior to inferior (or temporal to nasal) where known.

    Example:
        >>> from octavo.volume import Laterality, Volume
        >>> left = Volume(np.arange(3.0).reshape(1, 1, 3), laterality=Laterality.OS)
        >>> to_right_eye(left).values.ravel().tolist()
        [2.0, 1.0, 0.0]
    """
    if volume.frame is Frame.RIGHT_EYE:
        return volume
    slow_axis = volume.slow_axis
    if slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR:
        slow_axis = SlowAxis.SUPERIOR_TO_INFERIOR
    if slow_axis is SlowAxis.NASAL_TO_TEMPORAL:
        slow_axis = SlowAxis.TEMPORAL_TO_NASAL
    return dataclasses.replace(
        volume,
        values=flip(volume.values, flips_to_right_eye(volume)),
        slow_axis=slow_axis,
        frame=Frame.RIGHT_EYE,
        notes=(*volume.notes, *orientation_warnings(volume)),
    )


def orientation_warnings(volume: Volume) -> tuple[str, ...]:
    """What is not known about a scan's pattern and orientation and was therefore taken as stored."""
    warnings = []
    if volume.laterality is Laterality.UNKNOWN:
        warnings.append("eye unknown: taken as a right eye, so macula and nerve may be exchanged")
    is_raster = volume.pattern in {ScanPattern.RASTER, ScanPattern.UNKNOWN}
    if volume.pattern is ScanPattern.UNKNOWN and volume.shape[0] > 1:
        warnings.append("pattern unknown: the B-scans are taken for a raster")
    if is_raster and volume.slow_axis is SlowAxis.UNKNOWN and volume.shape[0] > 1:
        warnings.append("direction of the B-scans unknown: the first is taken as superior")
    return tuple(warnings)
