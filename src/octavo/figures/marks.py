"""Which side of a picture is temporal, nasal, superior or inferior, and what is not known about it."""

from dataclasses import dataclass

from octavo.errors import OctavoError
from octavo.volume import Frame, Laterality, Origin, ScanPattern, SlowAxis, Volume

TEMPORAL, NASAL, SUPERIOR, INFERIOR = "T", "N", "S", "I"

_SLOW_AXIS_MARKS = {
    SlowAxis.SUPERIOR_TO_INFERIOR: (SUPERIOR, INFERIOR),
    SlowAxis.INFERIOR_TO_SUPERIOR: (INFERIOR, SUPERIOR),
    SlowAxis.TEMPORAL_TO_NASAL: (TEMPORAL, NASAL),
    SlowAxis.NASAL_TO_TEMPORAL: (NASAL, TEMPORAL),
    SlowAxis.UNKNOWN: ("first B-scan", "last B-scan"),
}
_EYES = {Laterality.OD: "Right eye (OD", Laterality.OS: "Left eye (OS"}
_KNOWN_HOW = {
    Origin.READ: "from the file",
    Origin.DERIVED: "worked out from the file",
    Origin.ASSUMED: "assumed",
    Origin.USER: "as given",
    Origin.UNKNOWN: "not known how",
}


@dataclass(frozen=True)
class Marks:
    """What stands at the ends of the two axes one sees from the front.

    T and N are temporal and nasal, S and I superior and inferior. A question mark behind a letter says that the eye or
    the direction was assumed. Where the eye is not known the ends are left and right, as one looks at the fundus.
    """

    ascan_first: str = "first A-scan"
    ascan_last: str = "last A-scan"
    bscan_first: str = "first B-scan"
    bscan_last: str = "last B-scan"


def marks_of(volume: Volume) -> Marks:
    """Work out the marks of a scan from its eye, frame, pattern and direction.

    A right eye has its temporal side on the left as one looks at the fundus, a left eye on the right, and an eye
    brought to right-eye orientation on the left whichever it is. A circle, a line and a radial scan run at angles that
    the volume does not state, so their ends are only first and last; so are the A-scans of a vertical raster.

    Raises:
        OctavoError: If the volume contradicts itself: superior first by its frame, inferior first by its direction.

    Example:
        >>> import numpy as np
        >>> left_eye = Volume(np.zeros((2, 3, 4)), laterality=Laterality.OS, laterality_origin=Origin.READ)
        >>> marks = marks_of(left_eye)
        >>> marks.ascan_first, marks.ascan_last, marks.bscan_first
        ('N', 'T', 'first B-scan')
    """
    if volume.frame is Frame.RIGHT_EYE and volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR:
        raise OctavoError(
            "the scan says it is in right-eye orientation (superior first) and that its B-scans run "
            f"{volume.slow_axis}; wanted one of the two; orient it again from the file"
        )
    first, last = _SLOW_AXIS_MARKS[volume.slow_axis]
    doubt = "?" if volume.slow_axis_origin is Origin.ASSUMED else ""
    return Marks(*_ascan_marks(volume), first + doubt, last + doubt)


def _ascan_marks(volume: Volume) -> tuple[str, str]:
    if volume.slow_axis.is_vertical or volume.pattern not in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        return "first A-scan", "last A-scan"
    if volume.laterality is Laterality.UNKNOWN:
        return "left", "right"
    doubt = "?" if volume.laterality_origin is Origin.ASSUMED else ""
    temporal_first = volume.frame is Frame.RIGHT_EYE or volume.laterality is Laterality.OD
    first, last = (TEMPORAL, NASAL) if temporal_first else (NASAL, TEMPORAL)
    return first + doubt, last + doubt


def is_shown_turned_over(volume: Volume) -> bool:
    """Whether an en-face picture is turned over along the B-scans, so that superior is at the top."""
    return volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR


def describe_eye(volume: Volume) -> str:
    """Say which eye is seen and how that is known, as a sentence for a caption.

    Example:
        >>> import numpy as np
        >>> describe_eye(Volume(np.zeros((2, 3, 4)), laterality=Laterality.OS, laterality_origin=Origin.USER))
        'Left eye (OS, as given).'
    """
    if volume.laterality is Laterality.UNKNOWN:
        return "Eye unknown."
    mirrored = volume.frame is Frame.RIGHT_EYE and volume.laterality is Laterality.OS
    shown = ", shown as a right eye" if mirrored and not volume.slow_axis.is_vertical else ""
    return f"{_EYES[volume.laterality]}, {_KNOWN_HOW[volume.laterality_origin]}){shown}."


def describe_direction(volume: Volume) -> str:
    """Say which way the B-scans follow one another and how that is known; nothing for a single B-scan.

    Example:
        >>> import numpy as np
        >>> describe_direction(Volume(np.zeros((2, 3, 4))))
        'Direction of the B-scans unknown.'
    """
    if volume.shape[0] == 1:
        return ""
    if volume.slow_axis is SlowAxis.UNKNOWN:
        return "Direction of the B-scans unknown."
    way = volume.slow_axis.replace("-", " ")
    return f"B-scans from {way} ({_KNOWN_HOW[volume.slow_axis_origin]})."
