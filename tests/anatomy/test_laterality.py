import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.anatomy import Flips, flip, flips_to_right_eye, to_right_eye
from octavo.anatomy.laterality import orientation_warnings
from octavo.volume import Frame, Laterality, Origin, ScanPattern, SlowAxis, Spacing, Volume

S_TO_I, I_TO_S = SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR
T_TO_N, N_TO_T = SlowAxis.TEMPORAL_TO_NASAL, SlowAxis.NASAL_TO_TEMPORAL
SHAPE = (4, 5, 6)

ALL = list(itertools.product(Laterality, SlowAxis, Frame))


def scan(eye=Laterality.OD, slow_axis=S_TO_I, frame=Frame.SCANNER, values=None):
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE) if values is None else values
    return Volume(
        values,
        Spacing(0.1, 0.004, 0.01),
        laterality=eye,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
        slow_axis=slow_axis,
        slow_axis_origin=Origin.READ,
        frame=frame,
    )


def seen(eye, slow_axis, superior, temporal):
    """Put one bright voxel where a scanner would store a place of the retina.

    One looks at the fundus: the temple is on the left of a right eye and on the right of a left eye. Places count from
    the superior edge and from the temporal edge.
    """
    values = np.zeros(SHAPE, dtype=np.uint8)
    bscan = superior if slow_axis is S_TO_I else SHAPE[0] - 1 - superior
    ascan = temporal if eye is Laterality.OD else SHAPE[2] - 1 - temporal
    values[bscan, 2, ascan] = 255
    return scan(eye, slow_axis, values=values)


@pytest.mark.parametrize(
    ("eye", "slow_axis"), itertools.product((Laterality.OD, Laterality.OS), (S_TO_I, I_TO_S)), ids="-".join
)
def test_every_place_of_the_retina_lands_where_a_right_eye_has_it(eye, slow_axis):
    for superior, temporal in itertools.product(range(SHAPE[0]), range(SHAPE[2])):
        oriented = to_right_eye(seen(eye, slow_axis, superior, temporal))
        assert np.argwhere(oriented.values).tolist() == [[superior, 2, temporal]]
        assert (oriented.slow_axis, oriented.frame, oriented.laterality) == (S_TO_I, Frame.RIGHT_EYE, eye)
        assert oriented.notes == ()


@pytest.mark.parametrize("eye", [Laterality.OD, Laterality.OS])
@pytest.mark.parametrize(("slow_axis", "first"), [(T_TO_N, 0), (N_TO_T, SHAPE[0] - 1)])
def test_a_vertical_raster_begins_temporal_and_its_ascans_stay(eye, slow_axis, first):
    values = np.zeros(SHAPE, dtype=np.uint8)
    values[first, 1, 2] = 255  # the temporal B-scan, which speaks of the eye itself: the same for both eyes
    oriented = to_right_eye(scan(eye, slow_axis, values=values))
    assert np.argwhere(oriented.values).tolist() == [[0, 1, 2]]
    assert oriented.slow_axis is T_TO_N


@pytest.mark.parametrize(("eye", "slow_axis", "frame"), ALL, ids="-".join)
def test_the_flips_are_what_orientation_does_and_lead_back(eye, slow_axis, frame):
    volume = scan(eye, slow_axis, frame)
    flips, oriented = flips_to_right_eye(volume), to_right_eye(volume)
    np.testing.assert_array_equal(flip(volume.values, flips), oriented.values)
    np.testing.assert_array_equal(flip(oriented.values, flips), volume.values)
    assert oriented.frame is Frame.RIGHT_EYE
    # twice is once, and nothing is left to turn over
    again = to_right_eye(oriented)
    assert again is oriented
    assert flips_to_right_eye(oriented) == Flips(bscan=False, ascan=False)


@pytest.mark.parametrize(("eye", "slow_axis", "frame"), ALL, ids="-".join)
def test_what_is_turned_over_and_what_is_said(eye, slow_axis, frame):
    volume = scan(eye, slow_axis, frame)
    flips = flips_to_right_eye(volume)
    if frame is Frame.RIGHT_EYE:
        assert flips == Flips(bscan=False, ascan=False)
        assert to_right_eye(volume).notes == ()
        return
    assert flips.bscan == (slow_axis in {I_TO_S, N_TO_T})
    assert flips.ascan == (eye is Laterality.OS and slow_axis not in {T_TO_N, N_TO_T})
    notes = to_right_eye(volume).notes
    assert any("eye unknown" in note for note in notes) == (eye is Laterality.UNKNOWN)
    assert any("direction of the B-scans unknown" in note for note in notes) == (slow_axis is SlowAxis.UNKNOWN)
    assert len(notes) == (eye is Laterality.UNKNOWN) + (slow_axis is SlowAxis.UNKNOWN)


def test_everything_but_values_direction_and_frame_stays():
    volume = scan(Laterality.OS, I_TO_S).with_note("from the file")
    oriented = to_right_eye(volume)
    for field in dataclasses.fields(Volume):
        if field.name not in {"values", "slow_axis", "frame"}:
            assert getattr(oriented, field.name) == getattr(volume, field.name), field.name


def test_both_eyes_of_a_mirrored_person_become_the_same():
    right = scan(Laterality.OD)
    left = scan(Laterality.OS, values=right.values[:, :, ::-1])
    np.testing.assert_array_equal(to_right_eye(left).values, to_right_eye(right).values)


@pytest.mark.parametrize("pattern", [ScanPattern.LINE, ScanPattern.CIRCLE, ScanPattern.RADIAL, ScanPattern.OTHER])
def test_only_rasters_are_asked_for_their_direction(pattern):
    volume = dataclasses.replace(scan(slow_axis=SlowAxis.UNKNOWN), pattern=pattern)
    assert orientation_warnings(volume) == ()
    one = dataclasses.replace(scan(slow_axis=SlowAxis.UNKNOWN, values=np.ones((1, 5, 6))))
    assert orientation_warnings(one) == ()


def test_several_bscans_of_no_known_pattern_are_taken_for_a_raster_and_that_is_said():
    several = dataclasses.replace(scan(), pattern=ScanPattern.UNKNOWN)
    assert orientation_warnings(several) == ("pattern unknown: the B-scans are taken for a raster",)
    assert orientation_warnings(several.with_values(several.values[:1])) == ()


@given(st.tuples(*[st.integers(1, 5)] * 3), st.booleans(), st.booleans())
def test_turning_over_twice_is_not_turning_at_all(shape, bscan, ascan):
    values = np.arange(np.prod(shape)).reshape(shape)
    flips = Flips(bscan, ascan)
    once = flip(values, flips)
    assert np.shares_memory(once, values)
    np.testing.assert_array_equal(flip(once, flips), values)
    assert once[0, 0, 0] == values[-1 if bscan else 0, 0, -1 if ascan else 0]
    assert once[0, -1, 0] == values[-1 if bscan else 0, -1, -1 if ascan else 0]
