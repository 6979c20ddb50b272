"""Where the frames of one file lie: lines and curves on the fundus image, and positions that are not in the file's order."""

import numpy as np
import pytest
from pydicom import Dataset

from formats.written_scans import bscan_lines, eye, opt_dataset, write_dicom
from octavo.anatomy import require_raster
from octavo.errors import ScanUnsuitableError
from octavo.formats import read_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis

CENTRE = 384.0


def spokes(count: int) -> list[np.ndarray]:
    """Rows and columns of the ends of the lines of a star."""
    angles = np.arange(count) * np.pi / count
    return [
        np.array(
            [CENTRE - 200 * np.sin(a), CENTRE - 200 * np.cos(a), CENTRE + 200 * np.sin(a), CENTRE + 200 * np.cos(a)]
        )
        for a in angles
    ]


def circle(radius: float, points: int = 16, part: float = 1.0, closed: bool = True) -> np.ndarray:
    """Rows and columns of points on a circle, or on a part of it."""
    angles = np.linspace(0, 2 * np.pi * part, points, endpoint=closed)
    return np.stack([CENTRE + radius * np.sin(angles), CENTRE + radius * np.cos(angles)], axis=1).ravel()


def drawn(tmp_path, paths, word: str | None = None, **settings):
    """A file whose frames draw these paths on the fundus image; a path of more than two points is called nonlinear."""
    dataset = opt_dataset(eye(len(paths)), positions=settings.pop("positions", False), **settings)
    for groups, path in zip(dataset.PerFrameFunctionalGroupsSequence, paths, strict=True):
        if path is None:
            continue
        location = Dataset()
        location.ReferenceCoordinates = [float(number) for number in path]
        location.OphthalmicImageOrientation = word or ("LINEAR" if len(path) == 4 else "NONLINEAR")
        groups.OphthalmicFrameLocationSequence = [location]
    return read_volume(write_dicom(tmp_path / "eye.dcm", dataset))


def test_a_star_alone_is_radial(tmp_path):
    assert drawn(tmp_path, spokes(6)).pattern is ScanPattern.RADIAL


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("frames", [1, 3])
def test_closed_curves_are_circles(tmp_path, frames, closed):
    volume = drawn(tmp_path, [circle(100 + 20 * number, closed=closed) for number in range(frames)])

    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.CIRCLE, Origin.DERIVED)
    assert volume.spacing_mm.bscan is None
    with pytest.raises(ScanUnsuitableError):
        require_raster(volume)


@pytest.mark.parametrize(
    ("paths", "note"),
    [
        pytest.param([*spokes(6), circle(100), circle(120)], "2 of 8 frames are curves", id="a star and circles"),
        pytest.param([circle(100), circle(120, part=0.5)], "do not all come back to their beginning", id="an arc"),
        pytest.param([circle(100), None, circle(120)], "2 of 3 frames are curves", id="one says nothing"),
        pytest.param([circle(100), *spokes(1)], "1 of 2 frames are curves", id="a circle and a line"),
    ],
)
def test_frames_of_which_some_are_curves_are_no_raster(tmp_path, paths, note):
    # the thickness of a slice stands in the header, and is no distance between such frames
    volume = drawn(tmp_path, paths)

    assert (volume.pattern, volume.pattern_origin, volume.spacing_mm.bscan) == (ScanPattern.OTHER, Origin.DERIVED, None)
    assert note in volume.notes[0]
    with pytest.raises(ScanUnsuitableError, match="wanted a raster"):
        require_raster(volume)


def test_two_points_that_are_called_nonlinear_are_no_line(tmp_path):
    paths = [np.array([CENTRE, CENTRE, CENTRE + radius, CENTRE]) for radius in (100, 120, 140)]

    assert drawn(tmp_path, paths, word="NONLINEAR").pattern is ScanPattern.OTHER


def test_a_line_of_many_points_is_a_line(tmp_path):
    rows = 300 - 9.0 * np.arange(4)
    paths = [np.stack([np.full(7, row), np.linspace(100, 600, 7)], axis=1).ravel() for row in rows]

    volume = drawn(tmp_path, paths, word="LINEAR", positions=True)

    assert (volume.pattern, volume.slow_axis) == (ScanPattern.RASTER, SlowAxis.INFERIOR_TO_SUPERIOR)


def test_where_only_some_frames_say_where_they_lie_nothing_is_assumed(tmp_path):
    first, *rest = bscan_lines(4, first=(100, 300), step=(0, -9), length=500)[:, [1, 0, 3, 2]]

    volume = drawn(tmp_path, [first, *rest[:-1], None])

    assert (volume.pattern, volume.spacing_mm.bscan) == (ScanPattern.UNKNOWN, None)
    assert "only 3 of 4 frames say where they lie" in volume.notes[0]


SHUFFLED = [1, 3, 0, 4, 2]


@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("with_lines", [True, False])
def test_frames_are_put_in_the_order_of_their_positions(tmp_path, oriented, with_lines):
    lines = bscan_lines(5, first=(100, 300), step=(0, -9), length=500) if with_lines else None
    dataset = opt_dataset(eye(5)[SHUFFLED], fundus_lines=None if lines is None else lines[SHUFFLED])
    for number, groups in zip(SHUFFLED, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        groups.PlanePositionSequence[0].ImagePositionPatient = [0, 0, round(0.12 * number, 6)]
    if not oriented:
        del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    np.testing.assert_array_equal(volume.values, eye(5))
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.slow_axis is (SlowAxis.INFERIOR_TO_SUPERIOR if with_lines else SlowAxis.UNKNOWN)
    assert (volume.pattern, volume.notes) == (
        ScanPattern.RASTER,
        ("the frames of the file do not lie in its order; they were put in that of their positions",),
    )


def test_frames_of_a_star_are_not_sorted_by_where_they_begin(tmp_path):
    dataset = opt_dataset(eye(6))
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for angle, groups in zip(
        np.array([2, 3, 4, 5, 0, 1]) * np.pi / 6, dataset.PerFrameFunctionalGroupsSequence, strict=True
    ):
        groups.PlanePositionSequence[0].ImagePositionPatient = [round(np.cos(angle), 6), 0, round(np.sin(angle), 6)]

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    np.testing.assert_array_equal(volume.values, eye(6))
    assert volume.pattern is ScanPattern.OTHER
    assert "do not follow one another by their positions" in volume.notes[0]


def test_frames_that_two_places_share_by_turns_are_no_raster(tmp_path):
    dataset = opt_dataset(eye(4))
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0.12 * (number % 2)]

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    assert (volume.pattern, volume.spacing_mm.bscan) == (ScanPattern.OTHER, None)
    assert "do not follow one another by their positions" in volume.notes[0]


@pytest.mark.parametrize(("word", "said"), [("R", Laterality.OS), (None, Laterality.OS)])
def test_upright_lines_follow_the_nose_of_the_eye_that_the_user_says(tmp_path, word, said):
    x = 100 + 9.0 * np.arange(4)
    lines = np.stack([x, np.full(4, 50.0), x, np.full(4, 500.0)], axis=1)
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), fundus_lines=lines, laterality=word))

    assert read_volume(path, laterality=said).slow_axis is SlowAxis.NASAL_TO_TEMPORAL
