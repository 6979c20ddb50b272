import dataclasses

import numpy as np
import pytest

from octavo.errors import OctavoError, ScanUnsuitableError
from octavo.figures import en_face as module
from octavo.figures.colours import OUTLINE
from octavo.figures.en_face import en_face, picture_en_face
from octavo.figures.framing import PictureStyle
from octavo.volume import Laterality, ScanPattern, SlowAxis, Spacing

BARE = PictureStyle(width_px=240, height_px=240, annotated=False)


def hottest_share(picture, width, height):
    """Where in the last panel the colour is, as shares of its width and height."""
    pixels = np.asarray(picture).astype(int)[:height, -width:]
    colourful = np.ptp(pixels, axis=2)
    rows, columns = np.nonzero(colourful > 0.9 * colourful.max())
    return columns.mean() / width, rows.mean() / height


def turned(scan):
    volume = dataclasses.replace(scan.volume, values=scan.volume.values[::-1], slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR)
    return dataclasses.replace(scan, volume=volume, heat=scan.heat[::-1].copy(), mask=scan.mask[::-1].copy())


@pytest.fixture
def captions(monkeypatch):
    said = []
    original = module.with_caption
    monkeypatch.setattr(
        module, "with_caption", lambda *args: said.append(" ".join([args[1], *args[3]])) or original(*args)
    )
    return said


@pytest.fixture
def edges(monkeypatch):
    seen = []
    original = module.with_edges

    def listening(panel, words, scale, **options):
        seen.append((words, options["heat_top"]))
        return original(panel, words, scale, **options)

    monkeypatch.setattr(module, "with_edges", listening)
    return seen


def test_reductions_agree_with_numpy(scan):
    assert np.allclose(en_face(scan.volume.values), scan.volume.values.astype(float).mean(axis=1))
    assert np.array_equal(en_face(scan.heat, "max"), scan.heat.max(axis=1).astype(float))
    with pytest.raises(OctavoError, match="did you mean 'mean'"):
        en_face(scan.heat, "means")


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_heat_is_where_it_is_in_the_eye(scan, reduction):
    picture = picture_en_face(scan.volume, scan.heat, reductions=(reduction,), style=BARE)
    across, down = hottest_share(picture, 240, 240)
    assert across == pytest.approx(45.5 / 60, abs=0.02)
    assert down == pytest.approx(3.5 / 12, abs=0.03)


def test_a_raster_that_starts_inferior_looks_the_same(scan):
    style = dataclasses.replace(BARE, opacity=0.5)
    upright = picture_en_face(scan.volume, scan.heat, mask=scan.mask, style=style, marked_bscans=(3,))
    flipped = turned(scan)
    again = picture_en_face(flipped.volume, flipped.heat, mask=flipped.mask, style=style, marked_bscans=(8,))
    difference = np.asarray(upright).astype(int) - np.asarray(again).astype(int)
    assert np.mean(np.abs(difference) > 1) < 0.01, "only a tick may lie a pixel apart"


def test_superior_is_at_the_top_and_bscan_numbers_say_how_it_is_stored(scan, edges, captions):
    picture_en_face(scan.volume)
    picture_en_face(turned(scan).volume)
    assert [(words.top, words.bottom) for words, _ in edges] == [
        ("S · B-scan 1", "I · B-scan 12"),
        ("S · B-scan 12", "I · B-scan 1"),
    ]
    assert "Turned over here" not in captions[0]
    assert "Turned over here so that superior is at the top." in captions[1]


def test_sides_follow_the_eye(scan, edges):
    for laterality in Laterality:
        picture_en_face(dataclasses.replace(scan.volume, laterality=laterality))
    assert [(words.left, words.right) for words, _ in edges] == [("T", "N"), ("N", "T"), ("left", "right")]


def test_an_unknown_direction_is_not_called_superior(scan, edges, captions):
    picture_en_face(dataclasses.replace(scan.volume, slow_axis=SlowAxis.UNKNOWN))
    assert (edges[0][0].top, edges[0][0].bottom) == ("B-scan 1", "B-scan 12")
    assert "Direction of the B-scans unknown." in captions[0]


def test_the_colour_bar_bears_the_largest_value_of_its_panel(scan, edges):
    picture_en_face(scan.volume, scan.heat)
    largest = scan.heat.mean(axis=1).max()
    assert [top for _, top in edges] == ["", f"{largest:.2g}", "1"]


def test_aspect_is_that_of_millimetres_or_a_square(scan, captions):
    wide = dataclasses.replace(scan.volume, spacing_mm=Spacing(0.25, 0.05, 0.1))
    assert picture_en_face(wide, style=BARE).size == (240, 120)
    unknown = dataclasses.replace(scan.volume, spacing_mm=Spacing(ascan=0.1))
    assert picture_en_face(unknown, style=BARE).size == (240, 240)
    picture_en_face(unknown)
    picture_en_face(wide)
    assert "Not to scale" in captions[0]
    assert "To scale." in captions[1]


def test_the_line_encloses_the_mask_at_any_depth(scan):
    picture = np.asarray(picture_en_face(scan.volume, mask=scan.mask, style=BARE))
    rows, columns = np.nonzero(np.all(picture == OUTLINE, axis=2))
    assert (rows.min() / 20, (rows.max() + 1) / 20) == pytest.approx((2, 5), abs=0.1)
    assert (columns.min() / 4, (columns.max() + 1) / 4) == pytest.approx((39, 52), abs=0.3)


def test_ticks_and_halves_are_drawn_and_said(scan, captions):
    bare = picture_en_face(scan.volume, style=BARE, marked_bscans=(0, 11), divided=("bscan", "ascan"))
    pixels = np.asarray(bare)
    ticks = np.nonzero(np.all(pixels[:, 0] == OUTLINE, axis=1))[0]
    assert ticks.tolist() == [10, 11, 230, 231]
    assert set(np.unique(pixels[120, 20:])) == {16, 235}
    assert set(np.unique(pixels[20:100, 120])) == {16, 235}
    picture_en_face(scan.volume, marked_bscans=(0, 11), divided=("bscan",), map_name="care")
    assert captions[0].startswith("En face · care")
    assert "Blue ticks: B-scans 1, 12." in captions[0]
    assert "Dashed" in captions[0]


def test_a_map_that_is_zero_everywhere_is_drawn_and_said(scan, captions):
    picture_en_face(scan.volume, np.zeros_like(scan.heat))
    assert "This map is zero everywhere." in captions[0]


def test_what_has_no_front_is_refused(scan):
    with pytest.raises(ScanUnsuitableError, match="wanted a raster"):
        picture_en_face(dataclasses.replace(scan.volume, values=scan.volume.values[:1]))
    with pytest.raises(ScanUnsuitableError, match="circle"):
        picture_en_face(dataclasses.replace(scan.volume, pattern=ScanPattern.CIRCLE))
    with pytest.raises(OctavoError, match="the scan has 1 to 12"):
        picture_en_face(scan.volume, marked_bscans=(12,))
