import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from octavo.figures.colours import OUTLINE, SERIES, blend_heat, heat_ramp


def luminance(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB bytes, as WCAG defines it."""
    unit = colours / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def cielab_lightness(colours: np.ndarray) -> np.ndarray:
    return 116 * np.cbrt(np.maximum(luminance(colours), 0.008856)) - 16


def test_ramp_rises_in_lightness_nearly_evenly():
    lightness = cielab_lightness(heat_ramp())
    assert np.all(np.diff(lightness) > -0.2)
    assert lightness[-1] - lightness[0] > 60
    straight = np.linspace(lightness[0], lightness[-1], 256)
    assert np.abs(lightness - straight).max() < 5


def test_ramp_is_ordered_for_readers_without_red_or_green_cones():
    # Without red cones lightness comes from green and blue, without green cones from red and blue.
    ramp = heat_ramp().astype(float)
    for weights in ([0.1, 0.8, 0.1], [0.85, 0.05, 0.1]):
        seen = (ramp @ np.array(weights))[::32]
        assert np.all(np.diff(seen) > -2)
        assert seen[-1] - seen[0] > 100


def test_ramp_cannot_be_changed_by_accident():
    assert not heat_ramp().flags.writeable


@given(st.integers(0, 255), st.floats(0, 1))
def test_no_heat_leaves_grey_exactly_and_no_opacity_hides_all_heat(grey, heat):
    tissue = np.array([[grey]], dtype=np.uint8)
    assert blend_heat(tissue, np.zeros((1, 1))).tolist() == [[[grey] * 3]]
    assert blend_heat(tissue, np.array([[heat]]), opacity=0.0).tolist() == [[[grey] * 3]]


def test_full_heat_at_full_opacity_is_the_ramp_itself():
    heat = np.linspace(0, 1, 256)[None]
    full = blend_heat(np.full((1, 256), 77, np.uint8), heat, opacity=1.0)
    assert full[0, -1].tolist() == heat_ramp()[-1].tolist()
    assert full[0, 0].tolist() == [77, 77, 77]


def test_more_heat_is_further_from_grey():
    heat = np.linspace(0, 1, 50)[None]
    colours = blend_heat(np.full((1, 50), 60, np.uint8), heat)[0].astype(int)
    away = np.linalg.norm(colours - 60, axis=1)
    assert away[0] == 0
    assert away[-1] > 100
    assert np.all(np.diff(away[::7]) > 0)


def test_outline_is_far_from_every_heat_and_every_grey():
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    everything = np.concatenate([heat_ramp().astype(int), greys])
    assert np.linalg.norm(everything - np.array(OUTLINE), axis=1).min() > 80


def test_series_differ_in_lightness_or_hue_and_stand_out_from_white():
    colours = np.array([[int(code[start : start + 2], 16) for start in (1, 3, 5)] for code in SERIES])
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert distances[~np.eye(len(SERIES), dtype=bool)].min() > 60
    assert np.all((1.05 / (luminance(colours[:3]) + 0.05)) > 3)
