import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.figures.colours import OUTLINE
from octavo.figures.layers import (
    PAPER_GREY,
    Layers,
    beside,
    compose,
    display_window,
    require_heat,
    require_mask,
    resized_panel,
    to_grey,
)


def panel(height, width, grey=50):
    return Layers(np.full((height, width), grey, np.uint8), np.zeros((height, width)), np.zeros((height, width), bool))


def test_bytes_are_shown_as_they_are():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_grey(values, display_window(values[None])), values)


def test_other_numbers_are_stretched_over_the_window_of_the_whole_scan():
    values = np.linspace(-3, 5, 1000).reshape(10, 10, 10)
    low, high = display_window(values)
    grey = to_grey(values[0], (low, high))
    assert grey.min() == 0
    assert -3 < low < -2.9
    assert 4.9 < high < 5
    assert to_grey(values[9], (low, high)).max() == 255
    assert grey.max() < 40, "a dark slice must stay dark beside the others"


def test_a_large_scan_is_windowed_by_a_part_of_it_alike():
    values = np.random.default_rng(0).normal(size=(30, 200, 300)).astype(np.float32)
    assert display_window(values) == pytest.approx(tuple(np.percentile(values, [0.5, 99.7])), abs=0.02)


def test_a_constant_scan_is_middle_grey_and_not_a_division_by_zero():
    assert np.unique(to_grey(np.full((2, 2), 3.5), (3.5, 3.5))).tolist() == [128]


@pytest.mark.parametrize(
    ("heat", "complaint"),
    [
        (np.zeros((2, 4)), "resample"),
        (np.full((2, 3), -0.1), "divide the map"),
        (np.full((2, 3), 1.1), "divide the map"),
        (np.full((2, 3), np.nan), "not numbers"),
    ],
)
def test_heat_off_the_grid_or_off_the_scale_is_refused(heat, complaint):
    with pytest.raises(OctavoError, match=complaint):
        require_heat(heat, (2, 3))


def test_a_mask_off_the_grid_is_refused():
    with pytest.raises(OctavoError, match="resample it"):
        require_mask(np.zeros((2, 4), bool), (2, 3))


def test_at_its_own_size_a_panel_is_the_slice_itself():
    generator = np.random.default_rng(1)
    tissue = generator.integers(0, 256, (20, 30), dtype=np.uint8)
    heat = generator.random((20, 30)).astype(np.float32)
    shown = resized_panel(tissue, heat, None, (30, 20))
    assert np.array_equal(shown.grey, tissue)
    assert np.allclose(shown.heat, heat)


def test_heat_is_resampled_between_its_neighbours():
    heat = np.random.default_rng(2).random((7, 9))
    shown = resized_panel(np.zeros((7, 9), np.uint8), heat, None, (91, 64)).heat
    assert heat.min() - 1e-6 <= shown.min() <= shown.max() <= heat.max() + 1e-6


def test_the_line_around_a_mask_lies_on_its_inner_edge():
    mask = np.zeros((8, 9), bool)
    mask[2:6, 3:8] = True
    line = resized_panel(np.zeros((8, 9), np.uint8), None, mask, (9, 8)).outline
    hollow = mask.copy()
    hollow[3:5, 4:7] = False
    assert np.array_equal(line, hollow)


def test_a_mask_at_the_border_keeps_its_line():
    line = resized_panel(np.zeros((4, 4), np.uint8), None, np.ones((4, 4), bool), (4, 4)).outline
    assert line.sum() == 12


def test_outline_lies_over_heat():
    layers = Layers(np.zeros((1, 2), np.uint8), np.ones((1, 2)), np.array([[True, False]]))
    picture = compose(layers)
    assert picture.getpixel((0, 0)) == OUTLINE
    assert picture.getpixel((1, 0)) != OUTLINE


def test_panels_stand_side_by_side_on_paper():
    row = beside([panel(4, 5, 10), panel(2, 3, 200)], gap_px=2)
    assert row.size_px == (10, 4)
    assert np.all(row.grey[:, :5] == 10)
    assert np.all(row.grey[:, 5:7] == PAPER_GREY)
    assert np.all(row.grey[:2, 7:] == 200)
    assert np.all(row.grey[2:, 7:] == PAPER_GREY)
