import struct
from pathlib import Path

import numpy as np
import pytest

from formats.written_scans import bscan_lines, eye, vol_bytes
from octavo.companions import Picture
from octavo.formats import READERS, VolumeReadError, read_companions, read_volume
from octavo.formats.reader import ReadOptions
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

REFLECTIVITY = (eye().astype(np.float32) / 255) ** 4


def read(tmp_path, content: bytes, name: str = "exam.vol"):
    (tmp_path / name).write_bytes(content)
    return read_volume(tmp_path / name)


def test_grey_is_the_fourth_root_of_reflectivity(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY))

    np.testing.assert_allclose(volume.values, eye(), atol=0.01)
    assert volume.values.dtype == np.float32


def test_what_the_header_says_is_read(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, eye_code=b"OS\0\0"))

    assert volume.spacing_mm == Spacing(0.12, 0.0039, 0.0113)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.READ)
    assert (volume.slow_axis, volume.slow_axis_origin) == (SlowAxis.INFERIOR_TO_SUPERIOR, Origin.DERIVED)
    assert volume.notes == ()


def test_nothing_that_names_the_patient_comes_out(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY))

    assert "Doe" not in repr(volume)
    assert "4711" not in repr(volume)


@pytest.mark.parametrize("bscans", [1, 2, 4])
@pytest.mark.parametrize("header_bytes", [256, 6400])
@pytest.mark.parametrize("slo", [(0, 0), (768, 3)])
def test_bscans_are_found_behind_headers_of_any_length(tmp_path, bscans, header_bytes, slo):
    content = vol_bytes(REFLECTIVITY[:bscans], header_bytes=header_bytes, slo=slo, pattern=1 if bscans == 1 else 3)

    np.testing.assert_allclose(read(tmp_path, content).values, eye()[:bscans], atol=0.01)


def test_reflectivity_is_cut_off_and_missing_samples_are_counted(tmp_path):
    samples = REFLECTIVITY.copy()
    samples[0, 0, 0], samples[0, 1, 0] = 7.0, -0.5
    samples[1, 3:5, 2], samples[2, 0, 9] = 3.4e38, 3.4e38

    volume = read(tmp_path, vol_bytes(samples))

    assert volume.values[0, 0, 0] == 255
    assert volume.values[0, 1, 0] == volume.values[1, 3, 2] == volume.values[2, 0, 9] == 0
    assert volume.notes == ("2 of 64 A-scans hold samples without data, set to 0",)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    samples = REFLECTIVITY.copy()
    samples[2, 0, 0] = np.nan

    with pytest.raises(VolumeReadError, match="B-scan 3 holds samples that are not numbers"):
        read(tmp_path, vol_bytes(samples))


@pytest.mark.parametrize(
    ("step", "expected"),
    [((0, 0.12), SlowAxis.SUPERIOR_TO_INFERIOR), ((0, -0.12), SlowAxis.INFERIOR_TO_SUPERIOR)],
)
def test_the_larger_y_first_is_inferior_first(tmp_path, step, expected):
    assert read(tmp_path, vol_bytes(REFLECTIVITY, lines=bscan_lines(4, step=step))).slow_axis is expected


def upright(rightwards: bool) -> np.ndarray:
    x = 3 + 0.12 * np.arange(4) * (1 if rightwards else -1)
    return np.stack([x, np.full(4, 1.0), x, np.full(4, 7.0)], axis=1)


@pytest.mark.parametrize(
    ("eye_code", "rightwards", "expected"),
    [
        (b"OD\0\0", True, SlowAxis.TEMPORAL_TO_NASAL),
        (b"OS\0\0", True, SlowAxis.NASAL_TO_TEMPORAL),
        (b"OS\0\0", False, SlowAxis.TEMPORAL_TO_NASAL),
        (b"\0\0\0\0", True, SlowAxis.UNKNOWN),
    ],
)
def test_vertical_rasters_follow_the_nose(tmp_path, eye_code, rightwards, expected):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, lines=upright(rightwards), eye_code=eye_code))

    assert volume.slow_axis is expected
    assert volume.spacing_mm.bscan == 0.12


def test_a_line_and_a_circle_have_no_distance_between_bscans(tmp_path):
    circle = np.array([[3.8, 4.0, 5.6, 4.0]])

    for pattern, lines in ((ScanPattern.LINE, bscan_lines(1)), (ScanPattern.CIRCLE, circle)):
        code = 1 if pattern is ScanPattern.LINE else 2
        volume = read(tmp_path, vol_bytes(REFLECTIVITY[:1], lines=lines, pattern=code))
        assert volume.pattern is pattern
        assert volume.spacing_mm == Spacing(None, 0.0039, 0.0113)
        assert volume.slow_axis is SlowAxis.UNKNOWN


def test_a_star_is_radial(tmp_path):
    angles = np.arange(4) * np.pi / 4
    spokes = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lines = np.hstack([4 - spokes, 4 + spokes])

    told = read(tmp_path, vol_bytes(REFLECTIVITY, lines=lines, pattern=5))
    untold = read(tmp_path, vol_bytes(REFLECTIVITY, lines=lines, pattern=0))
    wrong = read(tmp_path, vol_bytes(REFLECTIVITY, lines=lines, pattern=3))

    assert (told.pattern, told.pattern_origin) == (ScanPattern.RADIAL, Origin.READ)
    assert (untold.pattern, untold.pattern_origin) == (ScanPattern.RADIAL, Origin.DERIVED)
    assert (wrong.pattern, wrong.pattern_origin) == (ScanPattern.OTHER, Origin.DERIVED)
    assert "the header calls the pattern raster, and the B-scans lie as a radial" in wrong.notes[-1]
    assert told.spacing_mm.bscan is untold.spacing_mm.bscan is wrong.spacing_mm.bscan is None


def test_bscans_that_come_back_are_no_raster_whatever_the_header_calls_them(tmp_path):
    for distance_mm in (0.12, 0.0):
        content = vol_bytes(REFLECTIVITY, lines=bscan_lines(4)[[0, 1, 2, 0]], spacing_mm=(distance_mm, 0.0039, 0.0113))
        volume = read(tmp_path, content)

        assert (volume.pattern, volume.pattern_origin) == (ScanPattern.OTHER, Origin.DERIVED)
        assert (volume.slow_axis, volume.spacing_mm.bscan) == (SlowAxis.UNKNOWN, None)
        assert "do not follow one another" in volume.notes[0]


def test_a_line_from_right_to_left_is_turned_over(tmp_path):
    leftwards = bscan_lines(1)[:, [2, 3, 0, 1]]
    volume = read(tmp_path, vol_bytes(REFLECTIVITY[:1], lines=leftwards, pattern=1))

    assert volume.pattern is ScanPattern.LINE
    np.testing.assert_allclose(volume.values, eye()[:1, :, ::-1], atol=0.01)
    assert "turned over" in volume.notes[-1]


def test_a_distance_that_the_positions_deny_is_not_used(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, spacing_mm=(0.24, 0.0039, 0.0113)))

    assert volume.spacing_mm.bscan is None
    assert "apart and their positions 120 um; neither is used" in volume.notes[0]


def test_a_distance_that_is_missing_is_derived_from_the_positions(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, spacing_mm=(0.0, 0.0039, 0.0113)))

    assert volume.spacing_mm.bscan == pytest.approx(0.12)
    assert volume.spacing_mm.origins[0] is Origin.DERIVED


def test_bscans_stored_right_to_left_are_turned_over(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, lines=bscan_lines(4)[:, [2, 3, 0, 1]]))

    np.testing.assert_allclose(volume.values, eye()[:, :, ::-1], atol=0.01)
    assert "turned over" in volume.notes[0]


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ({"header_bytes": 61440}, "B-scan headers of 61440 bytes, and B-scan 1 says 300; wanted the same"),
        ({"bscans": 5}, "bytes of B-scan header; wanted the"),
        ({"bscans": 3}, "header promises 3 B-scans, and 1068 bytes follow them"),
        ({"ascans": 17}, "B-scan 2 says"),
        ({"depth": 11}, "B-scan 2 says"),
        ({"bscans": 0}, "at least one along every axis"),
        ({"bscans": 2**30}, "wanted at most 536870912"),
        ({"header_bytes": -1}, "B-scan headers of -1 bytes"),
    ],
)
def test_a_header_that_lies_about_sizes_is_refused(tmp_path, lie, sentence):
    with pytest.raises(VolumeReadError, match=sentence):
        read(tmp_path, vol_bytes(REFLECTIVITY, stated=lie))


def test_a_thickness_grid_behind_the_bscans_is_no_bscan(tmp_path):
    assert read(tmp_path, vol_bytes(REFLECTIVITY) + bytes(132)).shape == (4, 12, 16)


@pytest.mark.parametrize("keep", [1, 8, 100, 2047, 2048, 2100, 2400, 3000])
def test_a_truncated_file_is_refused(tmp_path, keep):
    with pytest.raises(VolumeReadError, match=r"exam\.vol: .*; wanted "):
        read(tmp_path, vol_bytes(REFLECTIVITY)[:keep])


@pytest.mark.parametrize("scale", [0.0, -0.01, float("nan")])
def test_scales_that_are_no_distance_are_refused(tmp_path, scale):
    content = bytearray(vol_bytes(REFLECTIVITY))
    struct.pack_into("<d", content, 24, scale)

    with pytest.raises(VolumeReadError, match="wanted positive numbers"):
        read(tmp_path, bytes(content))


def test_scales_that_no_eye_has_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match=r"spacing along depth cannot be true: 120 x 3900 x 11\.3 um"):
        read(tmp_path, vol_bytes(REFLECTIVITY, spacing_mm=(0.12, 3.9, 0.0113)))


def test_a_version_of_another_program_is_read_by_its_name_and_noted(tmp_path):
    volume = read(tmp_path, vol_bytes(REFLECTIVITY, version=b"ep-v0.6.8   "))

    assert volume.shape == (4, 12, 16)
    assert "none of Heidelberg's" in volume.notes[0]


REAL = Path(__file__).parents[4] / "shared" / "data" / "heidelberg_vol"
HEADER_BYTES = 256 + 4 * 16 * 4


def with_layers(
    depths: np.ndarray, fundus: np.ndarray | None = None, *, stated: tuple[int, int] | None = None, **how: object
) -> bytes:
    """An export with boundaries (boundary, B-scan, A-scan) and a fundus image of 6 x 5; `stated` lies about both."""
    content = bytearray(vol_bytes(REFLECTIVITY, header_bytes=HEADER_BYTES, slo=(5, 6), **how))
    content[2048:2078] = bytes(30) if fundus is None else fundus.tobytes()
    for number in range(4):
        at = 2078 + number * (HEADER_BYTES + 12 * 16 * 4)
        struct.pack_into("<ii", content, at + 48, *(stated or (len(depths), 256)))
        lines = depths[:, number].astype("<f4").tobytes()
        content[at + 256 : at + 256 + len(lines)] = lines
    return bytes(content)


def companions_of(tmp_path, content: bytes):
    (tmp_path / "exam.vol").write_bytes(content)
    return read_companions(tmp_path / "exam.vol")


PLANTED_DEPTHS = np.linspace(0.5, 11.5, 4 * 4 * 16).reshape(4, 4, 16)


def test_the_headers_tell_the_eye_before_any_sample_is_read(tmp_path):
    for code, eye_of_scan in ((b"OD\0\0", Laterality.OD), (b"OS\0\0", Laterality.OS), (b"", Laterality.UNKNOWN)):
        (tmp_path / "exam.vol").write_bytes(vol_bytes(REFLECTIVITY, eye_code=code))
        assert READERS["heidelberg-vol"].scans(tmp_path / "exam.vol", ReadOptions())[0].laterality is eye_of_scan


def test_boundaries_and_fundus_image_come_along(tmp_path):
    fundus = eye(1, 6, 5)[0]
    depths = PLANTED_DEPTHS.copy()
    depths[1, 0, 3], depths[1, 2, 5], depths[1, 3, 7], depths[1, 3, 8] = 3.4e38, 12.0, -0.5, np.nan
    depths[2] = 3.4028235e38

    companions = companions_of(tmp_path, with_layers(depths, fundus))

    assert [surface.name for surface in companions.surfaces] == ["ILM", "BM", "GCL"]
    np.testing.assert_allclose(companions.surfaces[0].depth, PLANTED_DEPTHS[0], rtol=1e-6)
    assert np.argwhere(np.isnan(companions.surfaces[1].depth)).tolist() == [[0, 3], [2, 5], [3, 7], [3, 8]]
    picture = companions.pictures[0]
    np.testing.assert_array_equal(picture.values, fundus)
    assert (picture.kind, picture.spacing_mm) == (Picture.INFRARED, (0.0113, 0.0113))
    assert companions.notes == ()


def test_layouts_that_do_not_say_which_boundary_is_which_have_numbers(tmp_path):
    companions = companions_of(tmp_path, with_layers(PLANTED_DEPTHS, version=b"HSF-OCT-101"))

    assert [surface.name for surface in companions.surfaces] == [f"surface {number}" for number in range(4)]
    assert companions.notes == ("the fundus image is empty and was left out",)


def test_boundaries_are_turned_over_as_the_volume_is(tmp_path):
    companions = companions_of(tmp_path, with_layers(PLANTED_DEPTHS, lines=bscan_lines(4)[:, [2, 3, 0, 1]]))

    np.testing.assert_allclose(companions.surfaces[0].depth, PLANTED_DEPTHS[0, :, ::-1], rtol=1e-6)


@pytest.mark.parametrize("stated", [(5, 256), (-1, 256), (4, 260), (2**31 - 1, 256), (4, -8), (4, 2**31 - 1), (65, 56)])
def test_boundaries_that_do_not_fit_are_left_out_with_a_note(tmp_path, stated):
    companions = companions_of(tmp_path, with_layers(PLANTED_DEPTHS, eye(1, 6, 5)[0], stated=stated))

    assert companions.surfaces == ()
    assert companions.notes == ("the boundaries of 4 B-scans do not fit into their headers and were left out",)
    assert len(companions.pictures) == 1


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason=f"the sample scans are not in {REAL}")
@pytest.mark.parametrize(
    ("name", "surfaces", "pictures"),
    [
        ("macula_line_OD.vol", ["ILM", "BM"], [(768, 768)]),
        ("peripapillary_circle_OD.vol", ["ILM", "BM", "RNFL"], [(768, 768)]),
        ("derived_raster_19x256x512.vol", ["BM"], []),
        ("tiny_raster_10x40x50_fixedhdr.vol", [], [(50, 50)]),
    ],
)
def test_the_samples_bring_their_boundaries(name, surfaces, pictures):
    companions = read_companions(REAL / name)

    assert [surface.name for surface in companions.surfaces] == surfaces
    assert [picture.values.shape for picture in companions.pictures] == pictures


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason=f"the sample scans are not in {REAL}")
@pytest.mark.parametrize("name", ["macula_line_OD.vol", "peripapillary_circle_OD.vol"])
def test_the_first_boundary_lies_between_dark_vitreous_and_bright_retina(name):
    values = read_volume(REAL / name).values[0]
    surfaces = {surface.name: surface.depth[0] for surface in read_companions(REAL / name).surfaces}
    ilm = surfaces["ILM"]
    known = np.flatnonzero(np.isfinite(ilm) & (ilm > 20))
    rows = np.round(ilm[known]).astype(int)

    above = np.mean([values[rows - step, known] for step in range(5, 16)])
    below = np.mean([values[rows + step, known] for step in range(3, 14)])

    assert below > 2 * above
    assert (surfaces["BM"] > ilm)[np.isfinite(surfaces["BM"]) & np.isfinite(ilm)].all()
