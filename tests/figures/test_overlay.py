import dataclasses
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from octavo.anatomy import hemiretinas, to_right_eye
from octavo.errors import OctavoError
from octavo.figures import overlay
from octavo.figures.colours import OUTLINE
from octavo.figures.framing import PictureStyle
from octavo.figures.overlay import (
    middle,
    most_salient_bscans,
    overlay_bscan,
    picture_bscan,
    readable_depth_magnification,
    scale_sentence,
)
from octavo.volume import Laterality, SlowAxis, Spacing, Volume

BARE = PictureStyle(width_px=300, height_px=300, annotated=False)
BONN = Path(__file__).parents[2].parent / "shared" / "data" / "oct_spectralis_drusen_bonn" / "OCT-Volume-Scan"


@pytest.fixture
def said(monkeypatch):
    """What captions say, instead of only drawing it."""
    heard = {}
    original = overlay.with_caption

    def listening(picture, title, exam_id="", lines=()):
        heard.update(title=title, exam_id=exam_id, text=" ".join(lines))
        return original(picture, title, exam_id, lines)

    monkeypatch.setattr(overlay, "with_caption", listening)
    return heard


def test_zero_heat_leaves_the_grey_scan_untouched():
    tissue = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    style = dataclasses.replace(BARE, width_px=40, height_px=30)
    picture = overlay_bscan(tissue, np.zeros((30, 40)), Spacing(depth=0.1, ascan=0.1), style=style)
    assert np.array_equal(np.asarray(picture), np.repeat(tissue[..., None], 3, axis=2))


def test_the_hottest_voxel_is_where_the_colour_is(scan):
    picture = np.asarray(picture_bscan(scan.volume, 3, scan.heat, style=BARE)).astype(int)
    colourful = np.ptp(picture, axis=2)
    row, column = (int(np.mean(place)) for place in np.nonzero(colourful > 0.9 * colourful.max()))
    height, width = colourful.shape
    assert row / height * 40 == pytest.approx(15.5, abs=1.5)
    assert column / width * 60 == pytest.approx(45.5, abs=1.5)
    assert not colourful[:, : width // 3].any(), "no colour where there is no heat"


@settings(max_examples=20, deadline=None)
@given(st.floats(0.002, 0.05), st.floats(0.002, 0.05), st.integers(10, 60), st.integers(10, 60))
def test_aspect_is_that_of_millimetres(depth_mm, ascan_mm, depth, ascan):
    picture = overlay_bscan(
        np.zeros((depth, ascan), np.uint8), None, Spacing(depth=depth_mm, ascan=ascan_mm), style=BARE
    )
    across_mm, down_mm = ascan * ascan_mm, depth * depth_mm
    width, height = picture.size
    factor = min(300 / across_mm, 300 / down_mm)
    assert abs(width - across_mm * factor) <= 0.51
    assert abs(height - down_mm * factor) <= 0.51


def test_magnified_depth_is_that_many_times_higher_and_is_said(scan, said):
    plain = picture_bscan(scan.volume, 0, style=BARE)
    magnified = picture_bscan(scan.volume, 0, style=dataclasses.replace(BARE, depth_magnification=2.0))
    assert plain.size == (300, 100)
    assert magnified.size == (300, 200)
    picture_bscan(scan.volume, 0, style=PictureStyle(depth_magnification=2.0))
    assert "depth is drawn 2 times larger" in said["text"]


def test_a_scan_without_millimetres_says_not_to_scale(scan, said):
    picture_bscan(dataclasses.replace(scan.volume, spacing_mm=Spacing()), 0)
    assert "Not to scale" in said["text"]
    picture_bscan(scan.volume, 0)
    assert "To scale." in said["text"]
    assert scale_sentence(Spacing(depth=0.1), PictureStyle()).startswith("Not to scale")


def test_captions_count_from_one_and_name_exam_map_eye_and_notes(scan, said):
    picture_bscan(
        scan.volume, 4, scan.heat, mask=scan.mask, mask_name="planted truth", map_name="grad-cam", exam_id="exam_7",
        notes=("This model learnt from phantoms.",),
    )  # fmt: skip
    assert said["title"] == "B-scan 5 of 12 · grad-cam"
    assert said["exam_id"] == "exam_7"
    for sentence in ("Right eye (OD, from the file).", "Blue line: planted truth.", "This model learnt from phantoms."):
        assert sentence in said["text"]


def test_a_map_that_is_zero_everywhere_says_so(scan, said):
    picture_bscan(scan.volume, 4, np.zeros_like(scan.heat))
    assert "This map is zero everywhere." in said["text"]


def test_marks_change_sides_with_the_eye(scan):
    right = picture_bscan(scan.volume, 0)
    left = picture_bscan(dataclasses.replace(scan.volume, laterality=Laterality.OS), 0)
    again = picture_bscan(to_right_eye(dataclasses.replace(scan.volume, laterality=Laterality.OS)), 0)
    margin = (slice(0, 200), slice(0, 20))
    assert not np.array_equal(np.asarray(right)[margin], np.asarray(left)[margin])
    assert np.array_equal(np.asarray(right)[margin], np.asarray(again)[margin])


def test_the_line_around_the_mask_is_only_where_the_mask_is(scan):
    for index in range(12):
        picture = np.asarray(picture_bscan(scan.volume, index, mask=scan.mask, style=BARE))
        line = np.all(picture == OUTLINE, axis=2)
        assert line.any() == scan.mask[index].any()
    rows, columns = np.nonzero(
        np.all(np.asarray(picture_bscan(scan.volume, 3, mask=scan.mask, style=BARE)) == OUTLINE, 2)
    )
    assert (rows.min() / 100 * 40, (rows.max() + 1) / 100 * 40) == pytest.approx((12, 19), abs=0.5)
    assert (columns.min() / 5, (columns.max() + 1) / 5) == pytest.approx((39, 52), abs=0.3)


def test_one_window_serves_all_bscans_of_a_scan():
    values = np.zeros((2, 4, 4), dtype=np.float32)
    values[1] = np.arange(16).reshape(4, 4)
    dark = np.asarray(picture_bscan(Volume(values), 0, style=BARE))
    assert dark.max() == 0


def test_the_picture_is_the_same_when_drawn_again(scan):
    first, second = (picture_bscan(scan.volume, 3, scan.heat, mask=scan.mask) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_heat_beyond_one_and_missing_bscans_are_refused(scan):
    with pytest.raises(OctavoError, match="divide the map by its maximum"):
        picture_bscan(scan.volume, 0, scan.heat * 2)
    with pytest.raises(OctavoError, match="B-scan 13 was asked for; the scan has 1 to 12"):
        picture_bscan(scan.volume, 12)
    with pytest.raises(OctavoError, match="did you mean 'ascan'"):
        picture_bscan(scan.volume, 0, divided=("ascans",))


@pytest.mark.parametrize("bscans", [6, 7])
@pytest.mark.parametrize("slow_axis", [SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR])
def test_the_middle_is_where_the_hemiretinas_meet(bscans, slow_axis):
    values = np.arange(bscans, dtype=float)[:, None, None] * np.ones((1, 2, 4))
    volume = Volume(values, slow_axis=slow_axis, laterality=Laterality.OD)
    superior, inferior = hemiretinas(volume)
    first = min((superior, inferior), key=lambda half: half.values.min())
    assert middle(volume, "bscan") == first.shape[0]


def test_magnification_makes_strips_readable_and_leaves_the_rest():
    assert readable_depth_magnification(Spacing(0.1, 0.02, 0.25), (32, 60, 48)) == 3
    assert readable_depth_magnification(Spacing(0.03, 0.0039, 0.0112), (145, 496, 512)) == 1
    assert readable_depth_magnification(Spacing(), (32, 60, 48)) == 1


def test_salient_bscans_are_the_hottest_that_are_well_apart(scan):
    assert most_salient_bscans(scan.heat, 1) == (3,)
    heat = np.zeros((20, 2, 2))
    heat[[4, 5, 6, 15], 0, 0] = [0.8, 1.0, 0.9, 0.3]
    assert most_salient_bscans(heat, 2) == (5, 15)
    assert most_salient_bscans(heat, 3, separation=1) == (4, 5, 6)
    assert most_salient_bscans(heat, 9, separation=6) == (5, 15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 10))
def test_salient_bscans_keep_their_distance_and_hold_the_hottest(mass, count, separation):
    heat = np.array(mass)[:, None, None]
    chosen = most_salient_bscans(heat, count, separation)
    assert len(chosen) <= count
    assert all(later - earlier >= separation for earlier, later in pairwise(chosen))
    if max(mass) > 0:
        assert mass.index(max(mass)) in chosen
    else:
        assert chosen == ()


@pytest.mark.parametrize(("count", "separation"), [(0, None), (2, 0), (-1, 3)])
def test_no_bscans_cannot_be_asked_for(count, separation):
    with pytest.raises(OctavoError, match="wanted 1 or more"):
        most_salient_bscans(np.ones((3, 1, 1)), count, separation)


def test_pictures_need_neither_torch_nor_matplotlib():
    program = (
        "import sys, octavo.figures.en_face, octavo.figures.animation, octavo.figures.evaluation_sections;"
        "print(*[name for name in ('torch', 'matplotlib', 'scipy', 'nibabel') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


@pytest.mark.real
@pytest.mark.skipif(not BONN.is_dir(), reason="the sample scans are not beside the checkout")
def test_a_real_bscan_keeps_its_pixels_and_its_millimetres():
    path = sorted(BONN.glob("*-Input.tif"), key=lambda file: int(re.match(r"\d+", file.name)[0]))[70]
    tissue = np.asarray(Image.open(path).convert("L"))
    spacing = Spacing(depth=0.003872, ascan=0.011182)
    picture = overlay_bscan(tissue, np.zeros(tissue.shape), spacing, style=PictureStyle(annotated=False))
    assert picture.width / picture.height == pytest.approx((512 * 0.011182) / (496 * 0.003872), rel=0.005)
    row_of_light = np.asarray(picture)[..., 0].mean(axis=1).argmax() / picture.height
    assert row_of_light == pytest.approx(tissue.mean(axis=1).argmax() / 496, abs=0.02)
