"""The course of the nerve fibres: which way round the disc each point of the retina sends its axons.

Temporal of the disc the fibres arch over and under the fovea and meet at the horizontal raphe. Circles through the disc
and one point far out on the raphe draw that course: on each circle both ends are seen under one angle, so the angle at
which a fibre enters the disc can be read off anywhere without following it. Arcs that leave the disc at 66 degrees
then pass three and a half millimetres above the line from disc to fovea, as the arcuate bundles do.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RAPHE_MM = 10.6
"""Distance from the disc, past the fovea, of the point where upper and lower fibres meet."""


@dataclass(frozen=True, eq=False)
class FibreCourse:
    """Where every A-scan lies on the map of fibres.

    Args:
        angle_deg: Angle at which the fibres of this A-scan enter the disc: 0 from the fovea, 90 from straight above,
            -90 from straight below, 180 nasal.
        disc_distance_mm: Distance from the disc's centre.
        crowding: How densely fibres run, relative to 1.73 mm from the disc's centre on the way to the fovea.
        travelled: How far along from the disc (0) to the raphe (1).
        across_mm_per_deg: Distance across the fibres that one degree of `angle_deg` takes.
    """

    angle_deg: Float[np.ndarray, "bscan ascan"]
    disc_distance_mm: Float[np.ndarray, "bscan ascan"]
    crowding: Float[np.ndarray, "bscan ascan"]
    travelled: Float[np.ndarray, "bscan ascan"]
    across_mm_per_deg: Float[np.ndarray, "bscan ascan"]


def fibre_course(
    x_mm: Float[np.ndarray, " ascan"],
    y_mm: Float[np.ndarray, " bscan"],
    disc_mm: tuple[float, float],
    fovea_mm: tuple[float, float],
    *,
    closest_mm: float = 1.0,
) -> FibreCourse:
    """Trace the fibres of a right eye, superior first.

    Args:
        x_mm: Position of every A-scan, growing from temporal to nasal.
        y_mm: Position of every B-scan, growing from superior to inferior.
        disc_mm: Centre of the disc, along A-scans and along B-scans.
        fovea_mm: The fovea likewise.
        closest_mm: Inside this distance of the disc's centre fibres crowd no further: they dive.

    Example:
        >>> course = fibre_course(np.array([3.5]), np.array([1.0, 7.0]), (8.0, 4.0), (3.5, 4.0))
        >>> course.angle_deg.round().ravel()
        array([ 60., -60.])
    """
    disc, fovea = np.array(disc_mm), np.array(fovea_mm)
    raphe = disc + (fovea - disc) / np.linalg.norm(fovea - disc) * RAPHE_MM
    to_disc = np.stack(np.broadcast_arrays(disc[0] - x_mm[None, :], disc[1] - y_mm[:, None]))
    to_raphe = np.stack(np.broadcast_arrays(raphe[0] - x_mm[None, :], raphe[1] - y_mm[:, None]))
    cross = to_disc[0] * to_raphe[1] - to_disc[1] * to_raphe[0]
    seen = np.arctan2(np.abs(cross), (to_disc * to_raphe).sum(axis=0))
    # a point above the line turns clockwise from the disc to the raphe on a picture whose rows grow downwards
    angle_deg = np.degrees(np.pi - seen) * np.where(cross >= 0, 1.0, -1.0)
    disc_distance = np.linalg.norm(to_disc, axis=0)
    raphe_distance = np.maximum(np.linalg.norm(to_raphe, axis=0), 1.0)
    outside = np.maximum(disc_distance, closest_mm)
    reference = RAPHE_MM / (1.73 * (RAPHE_MM - 1.73))
    return FibreCourse(
        angle_deg=angle_deg,
        disc_distance_mm=disc_distance,
        crowding=RAPHE_MM / (outside * raphe_distance) / reference,
        travelled=disc_distance / (disc_distance + raphe_distance),
        across_mm_per_deg=np.radians(outside * raphe_distance / RAPHE_MM),
    )
