import dataclasses

import numpy as np
import pytest

from octavo.anatomy import to_right_eye
from octavo.errors import OctavoError
from octavo.figures.marks import Marks, describe_direction, describe_eye, is_shown_turned_over, marks_of
from octavo.volume import Frame, Laterality, Origin, ScanPattern, SlowAxis, Volume


def eye(laterality, slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR, **changes):
    known = {"laterality_origin": Origin.READ, "slow_axis_origin": Origin.READ, "pattern": ScanPattern.RASTER}
    return Volume(np.zeros((3, 4, 5)), laterality=laterality, slow_axis=slow_axis, **(known | changes))


@pytest.mark.parametrize(
    ("laterality", "frame", "expected"),
    [
        (Laterality.OD, Frame.SCANNER, ("T", "N")),
        (Laterality.OS, Frame.SCANNER, ("N", "T")),
        (Laterality.OD, Frame.RIGHT_EYE, ("T", "N")),
        (Laterality.OS, Frame.RIGHT_EYE, ("T", "N")),
        (Laterality.UNKNOWN, Frame.SCANNER, ("left", "right")),
        (Laterality.UNKNOWN, Frame.RIGHT_EYE, ("left", "right")),
    ],
)
def test_sides_follow_eye_and_frame(laterality, frame, expected):
    marks = marks_of(eye(laterality, frame=frame))
    assert (marks.ascan_first, marks.ascan_last) == expected


@pytest.mark.parametrize(
    ("slow_axis", "expected"),
    [
        (SlowAxis.SUPERIOR_TO_INFERIOR, ("S", "I")),
        (SlowAxis.INFERIOR_TO_SUPERIOR, ("I", "S")),
        (SlowAxis.TEMPORAL_TO_NASAL, ("T", "N")),
        (SlowAxis.NASAL_TO_TEMPORAL, ("N", "T")),
        (SlowAxis.UNKNOWN, ("first B-scan", "last B-scan")),
    ],
)
def test_ends_follow_the_slow_axis(slow_axis, expected):
    marks = marks_of(eye(Laterality.OD, slow_axis))
    assert (marks.bscan_first, marks.bscan_last) == expected


@pytest.mark.parametrize("laterality", [Laterality.OD, Laterality.OS])
@pytest.mark.parametrize("slow_axis", [SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR])
def test_a_mark_stays_with_its_tissue_when_the_eye_is_oriented(laterality, slow_axis):
    values = np.zeros((2, 1, 2))
    values[0, 0, 0] = 1
    stored = dataclasses.replace(eye(laterality, slow_axis), values=values)
    oriented = to_right_eye(stored)
    corners = []
    for volume in (stored, oriented):
        bscan, _, ascan = np.unravel_index(volume.values.argmax(), volume.shape)
        marks = marks_of(volume)
        corners.append(((marks.bscan_first, marks.bscan_last)[bscan], (marks.ascan_first, marks.ascan_last)[ascan]))
    assert corners[0] == corners[1]


@pytest.mark.parametrize("pattern", [ScanPattern.CIRCLE, ScanPattern.LINE, ScanPattern.RADIAL])
def test_a_scan_at_an_angle_has_no_temporal_side(pattern):
    marks = marks_of(eye(Laterality.OD, SlowAxis.UNKNOWN, pattern=pattern))
    assert marks == Marks()


def test_a_vertical_raster_has_no_temporal_ascan():
    marks = marks_of(eye(Laterality.OD, SlowAxis.TEMPORAL_TO_NASAL))
    assert marks.ascan_first == "first A-scan"


def test_what_was_assumed_bears_a_question_mark():
    marks = marks_of(eye(Laterality.OS, laterality_origin=Origin.ASSUMED, slow_axis_origin=Origin.ASSUMED))
    assert marks == Marks("N?", "T?", "S?", "I?")


def test_a_volume_that_contradicts_itself_is_refused():
    with pytest.raises(OctavoError, match="superior first"):
        marks_of(eye(Laterality.OD, SlowAxis.INFERIOR_TO_SUPERIOR, frame=Frame.RIGHT_EYE))


def test_only_what_starts_inferior_is_turned_over():
    assert [axis for axis in SlowAxis if is_shown_turned_over(eye(Laterality.OD, axis))] == [
        SlowAxis.INFERIOR_TO_SUPERIOR
    ]


def test_eye_and_direction_are_said_with_how_they_are_known():
    left = eye(Laterality.OS, SlowAxis.INFERIOR_TO_SUPERIOR, laterality_origin=Origin.USER)
    assert describe_eye(left) == "Left eye (OS, as given)."
    assert describe_eye(to_right_eye(left)) == "Left eye (OS, as given), shown as a right eye."
    assert describe_direction(left) == "B-scans from inferior to superior (from the file)."
    assert describe_eye(eye(Laterality.UNKNOWN)) == "Eye unknown."
    assert describe_direction(Volume(np.zeros((1, 2, 2)))) == ""
