import dataclasses

import numpy as np
import pytest

from octavo.phantom import DIFFICULTIES, LAYERS, make_eye
from octavo.phantom.fibres import fibre_course
from octavo.phantom.imaging import draw_recording, grey_values, reflected_light, vessel_cover, window_um
from octavo.phantom.layers import OUTER_LAYERS
from octavo.phantom.person import Vessel, draw_anatomy
from octavo.phantom.surfaces import Stack

X_MM, Y_MM = (np.arange(48) + 0.5) / 4, (np.arange(36) + 0.5) / 4
DEPTH, DEPTH_UM = 100, 10.0

STILL = dataclasses.replace(
    DIFFICULTIES["easy"],
    **{field.name: 0.0 for field in dataclasses.fields(DIFFICULTIES["easy"]) if field.name.endswith(("_sd", "_um"))},
    noise=0.0,
)
"""A recording without chance: nothing varies but speckle."""


def anatomy_of(seed=1):
    return draw_anatomy(seed, "OD", STILL, len(OUTER_LAYERS), len(LAYERS) + 1)


def slab(starts_um, vitreous_um=200.0):
    """Flat layers without a disc: the inner surface, then every layer as thick as said."""
    flat = np.zeros((len(Y_MM), len(X_MM)))
    boundaries = [flat + vitreous_um]
    for thickness in starts_um:
        boundaries.append(boundaries[-1] + thickness)
    return Stack(tuple(boundaries), boundaries[-2], flat > 0, flat)


def light_of(stack, vessels=None, loss=None):
    flat = np.zeros((len(Y_MM), len(X_MM)))
    recording = draw_recording(1, "OD", STILL, X_MM, Y_MM)
    vessels, loss = (flat if given is None else given for given in (vessels, loss))
    return reflected_light(stack, anatomy_of(), recording, vessels, loss, DEPTH, DEPTH_UM)


FLAT = slab([50.0, 50.0, *[30.0] * 8, 200.0])


def test_the_window_is_twenty_micrometres_a_sample_between_its_ends():
    assert [window_um(n) for n in (32, 64, 80, 100, 192, 500)] == pytest.approx([1280, 1280, 1600, 2000, 2000, 2000])


def test_a_voxel_holds_its_share_of_the_layers_it_cuts():
    vitreous, fibres = 0.003, 1.0
    column = light_of(FLAT)[10, :, 10]
    assert column[19] == pytest.approx(vitreous)
    assert column[20] == pytest.approx(fibres, rel=0.02)
    lowered = light_of(slab([50.0, 50.0, *[30.0] * 8, 200.0], vitreous_um=204.0))[10, :, 10]
    assert lowered[20] == pytest.approx(0.6 * fibres + 0.4 * vitreous, rel=0.02)


def test_layers_have_the_brightness_of_their_tissue_and_light_fades_with_depth():
    column = light_of(FLAT)[10, :, 10]
    fibres, ganglion, nuclei = column[22], column[27], column[31]
    assert fibres > 3 * ganglion > 3 * nuclei
    pigment = column[(200 + 100 + 6 * 30) // 10 + 1]
    # the pigment epithelium sends back more than the nerve fibres, of the light that reaches it
    assert 0.6 * fibres < pigment < 1.2 * fibres
    deep = column[60:]
    assert deep[-1] < 0.4 * deep[0]
    assert np.all(np.diff(column[23:25]) < 0)


def test_vessels_shade_what_lies_below_them_and_nothing_above():
    covered = np.zeros((len(Y_MM), len(X_MM)))
    covered[:, 20] = 0.5
    bare, shaded = light_of(FLAT), light_of(FLAT, vessels=covered)
    ratio = shaded[:, :, 20] / bare[:, :, 20]
    assert ratio[:, :27] == pytest.approx(np.ones((36, 27)))
    assert ratio[:, 28:] == pytest.approx(np.full((36, DEPTH - 28), 1 - 0.85 * 0.5), rel=1e-4)
    assert np.array_equal(np.delete(shaded, 20, axis=2), np.delete(bare, 20, axis=2))


def test_what_is_left_of_thinned_fibres_reflects_less():
    lost = np.full((len(Y_MM), len(X_MM)), 0.5)
    ratio = light_of(FLAT, loss=lost)[0, 22, 0] / light_of(FLAT)[0, 22, 0]
    assert ratio == pytest.approx(0.85)


def test_a_vessel_lies_along_its_fibres_and_ends_where_it_ends():
    vessel = Vessel(angle_deg=60.0, calibre_um=160.0, reach_mm=4.0, waver_deg=0.0, waver_phase=0.0)
    anatomy = dataclasses.replace(anatomy_of(), vessels=(vessel,))
    x_mm, y_mm = (np.arange(480) + 0.5) / 40, (np.arange(360) + 0.5) / 40
    course = fibre_course(x_mm, y_mm, anatomy.disc_mm, anatomy.fovea_mm)
    cover = vessel_cover(anatomy, course, 0.025)
    dark = cover > 0.5
    assert dark.any()
    assert np.abs(course.angle_deg[dark & (course.disc_distance_mm > 1)] - 60).max() < 5
    assert course.disc_distance_mm[dark].max() < 4
    # its width across the fibres is its calibre
    across = (np.abs(course.disc_distance_mm - 2.0) < 0.0125) * cover
    width_mm = across.sum() * 0.025**2 / 0.025
    assert width_mm == pytest.approx(0.16, rel=0.4)
    # a coarser scan sees the same vessel fainter and wider
    coarse = vessel_cover(anatomy, course, 0.3)
    assert coarse.max() < 0.7 * cover.max()
    assert coarse.sum() == pytest.approx(cover.sum(), rel=0.35)


@pytest.mark.parametrize("looks", [2.0, 8.0])
def test_speckle_multiplies_light_by_one_on_average_and_averages_as_many_looks(looks):
    recording = dataclasses.replace(draw_recording(1, "OD", STILL, X_MM, Y_MM), contrast=1.0)
    light = np.full((36, 200, 48), 0.2, np.float32)
    setting = dataclasses.replace(STILL, speckle_looks=looks)
    grey = grey_values(light, recording, setting, np.random.default_rng(0)).astype(float)
    assert grey.mean() == pytest.approx(0.2 * 205, rel=0.02)
    assert (grey.mean() / grey.std()) ** 2 == pytest.approx(looks, rel=0.25)
    neighbours = np.corrcoef(grey[:, :, 1:].ravel(), grey[:, :, :-1].ravel())[0, 1]
    apart = np.corrcoef(grey[:, :, 3:].ravel(), grey[:, :, :-3].ravel())[0, 1]
    assert 0.1 < neighbours < 0.5
    assert abs(apart) < 0.02


def test_recordings_of_one_eye_differ_from_those_of_the_other():
    right, left = (draw_recording(1, eye, DIFFICULTIES["hard"], X_MM, Y_MM) for eye in ("OD", "OS"))
    assert right.gain != left.gain
    assert right.signal != left.signal


def test_every_bscan_jumps_on_its_own():
    moved = draw_recording(1, "OD", dataclasses.replace(STILL, motion_um=8.0), X_MM, Y_MM).offset_um
    assert np.ptp(moved, axis=1).max() == 0
    assert 4 < moved[:, 0].std() < 12


def test_no_setting_loses_the_picture_in_black_or_white():
    for name in DIFFICULTIES:
        for seed in range(10):
            values = make_eye(seed, difficulty=name, shape=(16, 64, 24)).volume.values
            assert (values == 255).mean() < 0.15
            assert 40 < values.mean() < 150
            assert np.percentile(values, 99) > 2 * np.percentile(values, 10)
