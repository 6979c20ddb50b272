import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.written_scans import bscan_lines
from octavo.formats.scan_lines import read_scan_lines
from octavo.volume import Laterality, ScanPattern, SlowAxis


def read(lines: np.ndarray, laterality: Laterality = Laterality.OD):
    return read_scan_lines(lines[:, :2], lines[:, 2:], laterality, resolution=0.001)


def turned(lines: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.hstack([lines[:, :2] @ rotation.T, lines[:, 2:] @ rotation.T])


@given(st.integers(2, 30), st.floats(0.02, 0.4), st.booleans(), st.floats(-10, 10))
def test_a_raster_gives_its_step_and_direction_at_any_small_tilt(bscans, step, upwards, tilt):
    lines = turned(bscan_lines(bscans, step=(0, -step if upwards else step)), tilt)

    found = read(lines)

    assert found.pattern is ScanPattern.RASTER
    assert found.step == pytest.approx(step, rel=1e-6)
    assert found.slow_axis is (SlowAxis.INFERIOR_TO_SUPERIOR if upwards else SlowAxis.SUPERIOR_TO_INFERIOR)
    assert not found.runs_leftwards


@pytest.mark.parametrize(
    ("laterality", "rightwards", "expected"),
    [
        (Laterality.OD, True, SlowAxis.TEMPORAL_TO_NASAL),
        (Laterality.OD, False, SlowAxis.NASAL_TO_TEMPORAL),
        (Laterality.OS, True, SlowAxis.NASAL_TO_TEMPORAL),
        (Laterality.OS, False, SlowAxis.TEMPORAL_TO_NASAL),
        (Laterality.UNKNOWN, True, SlowAxis.UNKNOWN),
    ],
)
def test_upright_bscans_run_towards_the_nose_or_away_as_the_eye_says(laterality, rightwards, expected):
    x = 1 + 0.2 * np.arange(6) * (1 if rightwards else -1)
    lines = np.stack([x, np.full(6, 2.0), x, np.full(6, 8.0)], axis=1)

    found = read(lines, laterality)

    assert (found.pattern, found.slow_axis) == (ScanPattern.RASTER, expected)
    assert bool(found.notes) == (laterality is Laterality.UNKNOWN)


def test_a_star_is_radial_and_has_no_step():
    angles = np.arange(6) * np.pi / 6
    spokes = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    found = read(np.hstack([4 - spokes, 4 + spokes]))

    assert (found.pattern, found.step, found.slow_axis) == (ScanPattern.RADIAL, None, SlowAxis.UNKNOWN)


def test_one_bscan_and_repeats_are_lines():
    assert read(bscan_lines(1)).pattern is ScanPattern.LINE
    repeats = read(bscan_lines(5, step=(0, 0)))
    assert repeats.pattern is ScanPattern.LINE
    assert repeats.step is None


def test_a_lost_bscan_leaves_no_distance():
    lines = np.delete(bscan_lines(10), 4, axis=0)

    found = read(lines)

    assert found.step is None
    assert "varies from 0.12 to 0.24" in found.notes[0]


def test_shuffled_bscans_have_no_direction():
    found = read(bscan_lines(6)[[0, 3, 1, 4, 2, 5]])

    assert (found.pattern, found.slow_axis) == (ScanPattern.OTHER, SlowAxis.UNKNOWN)
    assert "do not follow one another" in found.notes[0]


@pytest.mark.parametrize(
    ("lines", "pattern"),
    [
        (bscan_lines(4), ScanPattern.RASTER),
        (bscan_lines(1), ScanPattern.LINE),
        (bscan_lines(5, step=(0, 0)), ScanPattern.LINE),
        (bscan_lines(6)[[0, 3, 1, 4, 2, 5]], ScanPattern.OTHER),
    ],
)
def test_bscans_that_run_leftwards_are_reported_whatever_they_make(lines, pattern):
    leftwards = read(lines[:, [2, 3, 0, 1]])

    assert (leftwards.pattern, leftwards.runs_leftwards) == (pattern, True)
    assert not read(lines).runs_leftwards


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([0, 1, 2, 3, 4, 0], id="the last at the place of the first"),
        pytest.param([0, 1, 2, 2, 1, 0], id="there and back"),
        pytest.param([0, 0, 1, 1, 2, 2], id="each place twice"),
        pytest.param([0, 1, 2, 2, 3, 4], id="one place twice"),
        pytest.param([0, 1, 0, 1, 0, 1], id="two places by turns"),
    ],
)
def test_bscans_that_come_back_to_a_place_have_no_order(order):
    found = read(bscan_lines(6)[order])

    assert (found.pattern, found.step, found.slow_axis) == (ScanPattern.OTHER, None, SlowAxis.UNKNOWN)
    assert "do not follow one another" in found.notes[0]


def test_bscans_closer_than_the_rounding_are_still_a_raster():
    lines = bscan_lines(200, first=(1, 300), step=(0, -0.4), length=500).round()

    found = read_scan_lines(lines[:, :2], lines[:, 2:], Laterality.OD, resolution=1.0)

    assert (found.pattern, found.slow_axis) == (ScanPattern.RASTER, SlowAxis.INFERIOR_TO_SUPERIOR)
    assert found.step == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("bscans", [4, 19, 60])
def test_bscans_that_run_to_and_fro_are_no_star_and_no_raster(bscans):
    lines = bscan_lines(bscans)
    lines[1::2] = lines[1::2][:, [2, 3, 0, 1]]

    found = read(lines)

    assert (found.pattern, found.step) == (ScanPattern.OTHER, None)
    assert found.notes[0].startswith(f"{bscans // 2} of {bscans} B-scans run the other way")


def test_a_cross_is_known_to_be_no_raster():
    across, down = bscan_lines(1)[0], np.array([1.0, 9.0, 1.0, 20.0])

    assert read(np.stack([across, down])).pattern is ScanPattern.OTHER


def test_positions_that_are_all_zero_are_not_used():
    found = read(np.zeros((4, 4)))

    assert found.pattern is ScanPattern.UNKNOWN
    assert "make no lines" in found.notes[0]


def test_a_tilted_raster_says_so():
    assert "tilted by 20 degrees" in read(turned(bscan_lines(5), 20)).notes[0]
