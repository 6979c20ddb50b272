import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from formats.written_e2e import (
    CONTOUR,
    HALF_A_CODE,
    INFO,
    NO_DATA,
    SCAN_EYE,
    Block,
    blocks_of,
    codes_of,
    contour_payload,
    planted_raster,
    without,
    write_blocks,
    write_e2e,
)
from formats.written_scans import bscan_lines, eye
from octavo.companions import Picture
from octavo.formats import VolumeReadError, list_scans, read_companions, read_volume
from octavo.formats.reader import ReadOptions
from octavo.formats.reading import find_reader
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

REAL = Path(__file__).parents[4] / "shared" / "data" / "heidelberg_e2e" / "e2e_minimized.E2E"


def scans_of(path: Path):
    return find_reader(path, str(path)).scans(path, ReadOptions())


def test_grey_is_the_fourth_root_of_the_stored_number(tmp_path):
    volume = read_volume(write_e2e(tmp_path, planted_raster()))

    assert volume.values.dtype == np.float32
    np.testing.assert_allclose(volume.values, eye(), atol=HALF_A_CODE)


@pytest.mark.parametrize(
    ("code", "grey"),
    [(0, 0.0), (63 << 10, 255.0), ((63 << 10) + 1022, 255.0), (59 << 10, 127.5), ((59 << 10) + 512, 127.5 * 1.5**0.25)],
)
def test_codes_are_six_bits_of_exponent_and_ten_of_mantissa(tmp_path, code, grey):
    codes = codes_of(eye())
    codes[1, 2, 3] = code

    volume = read_volume(write_e2e(tmp_path, planted_raster(codes=codes)))

    assert volume.values[1, 2, 3] == pytest.approx(grey, abs=1e-4)
    assert not any("without data" in note for note in volume.notes)


def test_samples_without_data_are_black_and_counted(tmp_path):
    codes = codes_of(eye())
    codes[1, 3:5, 2] = codes[2, 0, 9] = NO_DATA

    volume = read_volume(write_e2e(tmp_path, planted_raster(codes=codes)))

    assert volume.values[1, 3, 2] == volume.values[2, 0, 9] == 0
    assert "2 of 64 A-scans hold samples without data, set to 0" in volume.notes


@pytest.mark.parametrize(
    ("letter", "laterality"), [("R", Laterality.OD), ("L", Laterality.OS), (None, Laterality.UNKNOWN)]
)
def test_what_the_file_says_is_read(tmp_path, letter, laterality):
    path = write_e2e(tmp_path, planted_raster(letter=letter))
    volume = read_volume(path)

    assert volume.laterality is laterality
    assert scans_of(path)[0].laterality is laterality
    assert volume.spacing_mm == Spacing(None, 0.0039, None)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.DERIVED)
    assert (volume.slow_axis, volume.slow_axis_origin) == (SlowAxis.INFERIOR_TO_SUPERIOR, Origin.DERIVED)
    assert volume.notes == (
        "millimetres across the retina are not in such files: pass --spacing-mm, or export as .vol",
        "B-scans are 20 degrees long and 0.25 degrees apart",
    )


def test_each_scan_has_its_own_eye_and_none_its_neighbours(tmp_path):
    path = write_e2e(
        tmp_path,
        planted_raster(letter="L", ids=(7, 8, 9)),
        planted_raster(3, letter="R", ids=(7, 8, 10)),
        planted_raster(2, letter=None, ids=(7, 8, 11)),
        planted_raster(5, letter="R", ids=(7, 8, 12)),
    )

    assert [read_volume(f"{path}#{scan}").laterality.value for scan in (1, 2, 3, 4)] == ["OS", "OD", "unknown", "OD"]
    assert [scan.laterality.value for scan in scans_of(path)] == ["OS", "OD", "unknown", "OD"]
    assert list_scans(path) == [
        "4 B-scans of 12 x 16, OS",
        "3 B-scans of 12 x 16, OD",
        "2 B-scans of 12 x 16, unknown",
        "5 B-scans of 12 x 16, OD",
    ]


def test_a_scan_of_both_eyes_has_none_and_says_so(tmp_path):
    blocks = blocks_of(planted_raster(letter="L"))
    blocks.append(Block(SCAN_EYE, bytes(4) + "R".encode("utf-16-le") + bytes(90), slice=2))

    volume = read_volume(write_blocks(tmp_path, blocks))

    assert volume.laterality is Laterality.UNKNOWN
    assert "the file names both eyes for this scan, so the eye is unknown" in volume.notes


def test_scans_of_several_patients_are_told_apart_without_naming_them(tmp_path):
    path = write_e2e(tmp_path, planted_raster(ids=(70, 8, 9)), planted_raster(ids=(71, 8, 9)))

    assert [label[-32:] for label in list_scans(path)] == [
        f"D, of patient {place} of 2 in the file" for place in (1, 2)
    ]
    assert "the file holds scans of 2 patients" in read_volume(f"{path}#2").notes


def test_nothing_that_names_the_patient_comes_out(tmp_path):
    path = write_e2e(tmp_path, planted_raster(picture=eye(1)[0]))
    said = repr(read_volume(path)) + repr(list_scans(path)) + repr(read_companions(path))

    assert not any(word in said for word in ("Doe", "Jane", "4711", "1950"))


@pytest.mark.parametrize(
    ("step", "expected"),
    [((0, 0.25), SlowAxis.SUPERIOR_TO_INFERIOR), ((0, -0.25), SlowAxis.INFERIOR_TO_SUPERIOR)],
)
def test_the_larger_y_first_is_inferior_first(tmp_path, step, expected):
    lines = bscan_lines(4, first=(-10.0, 0.0), step=step, length=20.0)

    assert read_volume(write_e2e(tmp_path, planted_raster(lines=lines))).slow_axis is expected


@pytest.mark.parametrize("letter", ["R", None])
def test_upright_bscans_follow_the_nose_of_the_eye_that_the_user_says(tmp_path, letter):
    x = -5 + 0.25 * np.arange(4)
    lines = np.stack([x, np.full(4, 8.0), x, np.full(4, -8.0)], axis=1)
    path = write_e2e(tmp_path, planted_raster(lines=lines, letter=letter))

    assert read_volume(path, laterality=Laterality.OD).slow_axis is SlowAxis.TEMPORAL_TO_NASAL
    assert read_volume(path, laterality=Laterality.OS).slow_axis is SlowAxis.NASAL_TO_TEMPORAL


def test_bscans_stored_right_to_left_are_turned_over_with_their_boundaries(tmp_path):
    depths = eye(4, 1, 16)[:, 0].astype(np.float32) % 11
    path = write_e2e(
        tmp_path, planted_raster(lines=planted_raster().lines[:, [2, 3, 0, 1]], surfaces={0: depths + 0.5})
    )
    volume = read_volume(path)

    np.testing.assert_allclose(volume.values, eye()[:, :, ::-1], atol=HALF_A_CODE)
    assert any("turned over" in note for note in volume.notes)
    np.testing.assert_array_equal(read_companions(path).surfaces[0].depth, depths[:, ::-1] + 0.5)


def test_circles_and_lines_of_one_series_are_two_scans(tmp_path):
    lines = np.vstack([bscan_lines(3, first=(-10.0, 3.0), step=(0.0, -0.25), length=20.0), [[2.0, 3.0, 5.0, 3.0]]])
    path = write_e2e(tmp_path, planted_raster(lines=lines, scan_type=(1, 1, 1, 2)))

    raster, circle = (read_volume(f"{path}#{scan}") for scan in (1, 2))

    assert (raster.pattern, circle.pattern) == (ScanPattern.RASTER, ScanPattern.CIRCLE)
    assert circle.pattern_origin is Origin.READ
    np.testing.assert_allclose(raster.values, eye()[:3], atol=HALF_A_CODE)
    np.testing.assert_allclose(circle.values, eye()[3:], atol=HALF_A_CODE)


def test_single_bscans_with_a_picture_each_are_scans_of_their_own(tmp_path):
    path = write_e2e(tmp_path, planted_raster(3, of=1, own_pictures=True, picture=eye(1)[0]))

    assert len(list_scans(path)) == 3
    for scan in (1, 2, 3):
        volume = read_volume(f"{path}#{scan}")
        np.testing.assert_allclose(volume.values, eye(3)[scan - 1 : scan], atol=HALF_A_CODE)
        assert volume.pattern is ScanPattern.LINE
        assert len(read_companions(f"{path}#{scan}").pictures) == 1


def test_a_single_bscan_may_have_any_number(tmp_path):
    volume = read_volume(write_e2e(tmp_path, planted_raster(1, first_slice=2)))

    assert (volume.shape, volume.pattern) == ((1, 12, 16), ScanPattern.LINE)
    assert not any("missing" in note for note in volume.notes)


def test_a_star_is_radial_and_a_missing_spoke_is_a_note(tmp_path):
    angles = np.arange(4) * np.pi / 4
    spokes = 10 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    blocks = blocks_of(planted_raster(lines=np.hstack([-spokes, spokes])))

    volume = read_volume(write_blocks(tmp_path, without(blocks, 1)))

    assert (volume.pattern, volume.shape[0]) == (ScanPattern.RADIAL, 3)
    assert "B-scans 2 of 4 are missing or damaged" in volume.notes


def test_scales_are_believed_only_where_they_agree_and_can_be(tmp_path):
    blocks = blocks_of(planted_raster())
    first = next(block for block in blocks if block.kind == INFO)
    other = replace(first, payload=first.payload[:36] + struct.pack("<f", 0.004) + first.payload[40:])
    volume = read_volume(write_blocks(tmp_path, [other if block is first else block for block in blocks]))

    assert volume.spacing_mm == Spacing()
    assert any("different scales along depth" in note for note in volume.notes)
    assert read_volume(write_e2e(tmp_path, planted_raster(depth_mm=float("nan")))).spacing_mm.depth is None
    with pytest.raises(VolumeReadError, match="spacing along depth cannot be true"):
        read_volume(write_e2e(tmp_path, planted_raster(depth_mm=3.9)))


@pytest.mark.parametrize("header", [16, 36, 40])
def test_boundaries_lie_where_they_were_drawn(tmp_path, header):
    depths = np.linspace(1, 9, 64).reshape(4, 16)
    unknown = depths.copy()
    unknown[1, 3], unknown[2, 4], unknown[3, 5] = 3.4028235e38, 12.0, -1.0
    path = write_e2e(tmp_path, planted_raster(surfaces={0: depths, 7: depths, 16: unknown}, contour_header=header))

    ilm, odd, rpe = read_companions(path).surfaces

    assert [surface.name for surface in (ilm, odd, rpe)] == ["ILM", "surface 7", "RPE"]
    np.testing.assert_allclose(ilm.depth, depths, rtol=1e-6)
    assert np.argwhere(np.isnan(rpe.depth)).tolist() == [[1, 3], [2, 4], [3, 5]]


def test_the_newest_version_of_a_boundary_counts(tmp_path):
    blocks = blocks_of(planted_raster(1))
    for version, depth in ((1, 4.0), (3, 6.0), (2, 5.0)):
        blocks.append(Block(CONTOUR, contour_payload(0, np.full(16, depth), version=version), slice=0, index=1))

    assert read_companions(write_blocks(tmp_path, blocks)).surfaces[0].depth[0, 0] == 6.0


def test_boundaries_of_another_width_are_left_out_and_said(tmp_path):
    companions = read_companions(write_e2e(tmp_path, planted_raster(surfaces={1: np.ones((4, 15))})))

    assert companions.surfaces == ()
    assert companions.notes == ("4 boundaries of B-scans are damaged or of another width and were left out",)


def test_the_picture_of_the_fundus_comes_along(tmp_path):
    fundus = eye(1, 9, 7)[0]

    picture = read_companions(write_e2e(tmp_path, planted_raster(picture=fundus))).pictures[0]

    np.testing.assert_array_equal(picture.values, fundus)
    assert (picture.kind, picture.spacing_mm) == (Picture.INFRARED, None)


def test_a_blank_bscan_is_no_scan(tmp_path):
    with pytest.raises(VolumeReadError, match="all 192 samples are 0"):
        read_volume(write_e2e(tmp_path, planted_raster(1, codes=np.zeros((1, 12, 16), np.uint16))))


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason=f"the sample scan is not at {REAL}")
def test_the_sample_is_one_bscan_of_a_left_eye():
    volume, companions = read_volume(REAL), read_companions(REAL)

    assert (volume.shape, volume.laterality) == ((1, 496, 512), Laterality.OS)
    assert volume.spacing_mm == Spacing()
    assert not any("add up" in note for note in volume.notes)
    # vitreous and choroid are dark, and the retina between them is bright
    rows = volume.values[0].mean(axis=1)
    assert 180 < rows.argmax() < 260
    assert rows[:150].mean() < rows.max() / 5
    # speckle grows rarer the brighter it is: within a power of two too, if the ten bits are read in the right order
    reflectivity = (volume.values.astype(np.float64) / 255) ** 4
    for power in (-16, -15, -14):
        counts, _ = np.histogram(reflectivity, np.linspace(2.0**power, 2.0 ** (power + 1), 9))
        assert (np.diff(counts) < 0).all()
    assert companions.pictures[0].values.shape == (2, 3)
    assert companions.notes == ("the samples of picture 1 do not add up to what was written",)
