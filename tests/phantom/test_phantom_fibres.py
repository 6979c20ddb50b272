import numpy as np
import pytest

from octavo.phantom.fibres import RAPHE_MM, fibre_course

DISC, FOVEA = (8.0, 4.0), (3.5, 4.0)


def course_at(x_mm, y_mm, disc=DISC, fovea=FOVEA):
    return fibre_course(np.array([float(x_mm)]), np.array([float(y_mm)]), disc, fovea)


@pytest.mark.parametrize("leaving_deg", [25.0, 50.0, 70.0, -40.0])
def test_a_fibre_is_an_arc_from_the_disc_to_the_raphe(leaving_deg):
    # the circle through disc and raphe whose tangent at the disc makes this angle with the line to the fovea
    radius = RAPHE_MM / 2 / np.sin(np.radians(abs(leaving_deg)))
    side = np.sign(leaving_deg)
    centre_x, centre_y = DISC[0] - RAPHE_MM / 2, DISC[1] + side * radius * np.cos(np.radians(leaving_deg))
    start = np.arctan2(-(DISC[1] - centre_y), DISC[0] - centre_x)
    for step in (0.3, 0.8, 1.2):
        turned = start + side * step * 2 * np.radians(abs(leaving_deg)) / 1.5
        place = centre_x + radius * np.cos(turned), centre_y - radius * np.sin(turned)
        assert course_at(*place).angle_deg.item() == pytest.approx(leaving_deg, abs=0.5)


def test_angles_are_counted_from_the_fovea_with_superior_positive():
    assert course_at(5.5, 4.0).angle_deg.item() == pytest.approx(0, abs=1e-6)
    assert abs(course_at(10.0, 4.0).angle_deg.item()) == pytest.approx(180)
    above, below = course_at(4.0, 1.5).angle_deg.item(), course_at(4.0, 6.5).angle_deg.item()
    assert above == pytest.approx(-below)
    assert above > 30


def test_an_inclined_eye_is_the_same_eye_turned():
    turn = np.radians(12)
    disc = np.array(DISC)

    def turned(place):
        x, y = np.array(place) - disc
        return tuple(disc + np.array([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]))

    straight = course_at(4.5, 2.0)
    inclined = course_at(*turned((4.5, 2.0)), fovea=turned(FOVEA))
    assert inclined.angle_deg.item() == pytest.approx(straight.angle_deg.item())
    assert inclined.crowding.item() == pytest.approx(straight.crowding.item())
    assert inclined.travelled.item() == pytest.approx(straight.travelled.item())


def test_the_width_of_a_degree_is_that_of_the_map():
    step = 1e-4
    x, y = np.array([4.5, 4.5 + step]), np.array([2.0, 2.0 + step])
    course = fibre_course(x, y, DISC, FOVEA)
    slope = np.hypot(*(np.diff(course.angle_deg, axis=axis).ravel()[0] / step for axis in (0, 1)))
    assert course.across_mm_per_deg[0, 0] == pytest.approx(1 / slope, rel=1e-3)


def test_fibres_crowd_towards_the_disc_as_much_as_their_width_shrinks():
    near, far = course_at(7.0, 3.0), course_at(4.5, 2.0)
    shrinks = far.across_mm_per_deg.item() / near.across_mm_per_deg.item()
    assert near.crowding.item() / far.crowding.item() == pytest.approx(shrinks)
    assert course_at(DISC[0] - 1.73, DISC[1]).crowding.item() == pytest.approx(1)
