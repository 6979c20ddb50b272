import numpy as np
import pytest

from octavo.phantom import DIFFICULTIES, LAYERS
from octavo.phantom.fibres import fibre_course
from octavo.phantom.layers import OUTER_LAYERS, inner_thickness_um, outer_thickness_um
from octavo.phantom.person import draw_anatomy
from octavo.phantom.surfaces import EDGE_SHARE, shift_into_window, smoothstep, stack_layers

X_MM, Y_MM = (np.arange(160) + 0.5) * 0.075, (np.arange(120) + 0.5) * 0.075


def eye_of(seed):
    anatomy = draw_anatomy(seed, "OD", DIFFICULTIES["hard"], len(OUTER_LAYERS), len(LAYERS) + 1)
    course = fibre_course(X_MM, Y_MM, anatomy.disc_mm, anatomy.fovea_mm)
    return anatomy, inner_thickness_um(anatomy, course, X_MM, Y_MM) | outer_thickness_um(anatomy, X_MM, Y_MM)


@pytest.mark.parametrize("seed", range(6))
def test_layers_never_cross_and_have_their_thickness_everywhere_off_the_disc(seed):
    anatomy, thickness = eye_of(seed)
    stack = stack_layers(anatomy, thickness, X_MM, Y_MM, 0.5)
    for inner, outer, layer in zip(stack.boundaries_um, stack.boundaries_um[1:], LAYERS, strict=False):
        assert (outer - inner).min() > -1e-9, layer
        assert (outer - inner)[~stack.disc] == pytest.approx(thickness[layer][~stack.disc]), layer


@pytest.mark.parametrize("cup_ratio", [0.2, 0.45, 0.75])
def test_the_cup_is_as_wide_as_said_where_the_surface_passes_bruchs_plane(cup_ratio):
    anatomy, thickness = eye_of(4)
    stack = stack_layers(anatomy, thickness, X_MM, Y_MM, cup_ratio)
    column = int(np.abs(X_MM - anatomy.disc_mm[0]).argmin())
    height = anatomy.disc_radius_mm[1]
    # Bruch's plane bends by a few micrometres over the disc: taken from beside it
    beside = np.abs(np.abs(Y_MM - anatomy.disc_mm[1]) - 1.4 * height) < 0.05
    plane = stack.boundaries_um[LAYERS.index("bruch") + 1][beside, column].mean()
    below = stack.boundaries_um[0][:, column] > plane
    near = np.abs(Y_MM - anatomy.disc_mm[1]) < height
    assert (below & near).sum() * 0.075 / (2 * height) == pytest.approx(cup_ratio, abs=0.07)


def test_the_vitreous_surface_passes_the_discs_edge_without_a_step():
    anatomy, thickness = eye_of(2)
    surface = stack_layers(anatomy, thickness, X_MM, Y_MM, 0.4).boundaries_um[0]
    radius = np.hypot(
        (X_MM[None] - anatomy.disc_mm[0]) / anatomy.disc_radius_mm[0],
        (Y_MM[:, None] - anatomy.disc_mm[1]) / anatomy.disc_radius_mm[1],
    )
    edge = (radius > 0.95) & (radius < 1.5)
    # 75 micrometres between samples: the rim's slope is below 45 degrees there
    assert np.abs(np.diff(surface, axis=0))[edge[1:]].max() < 75
    assert np.abs(np.diff(surface, axis=1))[edge[:, 1:]].max() < 75


def test_nerve_tissue_fills_the_disc_down_to_the_lamina():
    anatomy, thickness = eye_of(5)
    stack = stack_layers(anatomy, thickness, X_MM, Y_MM, 0.4)
    middle = np.unravel_index(stack.boundaries_um[0].argmax(), stack.disc.shape)
    assert stack.disc[middle]
    fibres_end, choroid_end = stack.boundaries_um[1][middle], stack.boundaries_um[-1][middle]
    assert 50 < fibres_end - stack.boundaries_um[0][middle] < 400
    assert choroid_end == pytest.approx(fibres_end)


@pytest.mark.parametrize("wanted_um", [-500.0, 200.0, 790.0, 1200.0, 5000.0])
def test_the_retina_stays_in_the_window_wherever_it_is_wanted(wanted_um):
    anatomy, thickness = eye_of(3)
    stack = stack_layers(anatomy, thickness, X_MM, Y_MM, 0.4)
    tilt = np.linspace(-60, 60, len(X_MM))[None, :] + np.zeros((len(Y_MM), 1))
    moved = stack.moved(shift_into_window(stack, wanted_um, tilt, 1280.0) + tilt)
    edge = EDGE_SHARE * 1280
    assert moved.boundaries_um[0].min() >= edge - 1e-6
    assert moved.boundaries_um[LAYERS.index("bruch") + 1][~moved.disc].max() <= 1280 - edge + 1e-6
    if wanted_um == 790.0:
        assert shift_into_window(stack, wanted_um, tilt, 1280.0) == wanted_um


def test_smoothstep_is_flat_outside_and_half_in_the_middle():
    assert smoothstep(2.0, 4.0, np.array([[1.0, 2.0, 3.0, 4.0, 9.0]])).tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]
