import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.transforms import crop, linear_weights, resample, resample_values
from octavo.volume import Spacing, Volume

bands_room = sys.modules["octavo.transforms.resample"]
SIZES = st.integers(1, 12)
SHAPES = st.tuples(SIZES, SIZES, SIZES)


def noise(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def along_each_axis(values, shape):
    """The same by PyTorch's antialiased interpolation, one axis after the other."""
    block = torch.from_numpy(values.astype(np.float64))
    for axis, size in enumerate(shape):
        rows = block.movedim(axis, -1)
        flat = rows.reshape(1, 1, -1, rows.shape[-1])
        flat = F.interpolate(flat, size=(flat.shape[2], size), mode="bilinear", antialias=True, align_corners=False)
        block = flat.reshape(*rows.shape[:-1], size).movedim(-1, axis)
    return block.numpy()


@given(SHAPES, SHAPES)
@settings(max_examples=60)
def test_it_is_antialiased_linear_interpolation_along_each_axis(shape_in, shape_out):
    values = noise(shape_in)
    got = resample_values(values, shape_out)
    assert got.shape == shape_out
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, along_each_axis(values, shape_out), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", [(8, 9, 10), (16, 12, 7), (5, 24, 30)])
def test_finer_is_plain_trilinear_interpolation(shape):
    values = noise((5, 6, 7))
    wanted = F.interpolate(torch.from_numpy(values)[None, None], size=shape, mode="trilinear", align_corners=False)
    np.testing.assert_allclose(resample_values(values, shape), wanted[0, 0].numpy(), atol=1e-6)


@given(SIZES, SIZES)
def test_every_row_of_weights_is_a_mean(size_in, size_out):
    weights = linear_weights(size_in, size_out)
    assert weights.shape == (size_out, size_in)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_bands_of_a_whole_axis_are_kept_and_those_of_windows_are_not():
    # windows are drawn by chance in every epoch: keeping them let a long training grow
    before = bands_room._bands_of_whole.cache_info().currsize
    for number in range(20):
        resample_values(np.zeros((9, 9, 9)), (9, 9, 9), ((0.0, 8.5 - number / 50),) * 3)

    assert bands_room._bands_of_whole.cache_info().currsize == before
    resample_values(np.zeros((9, 9, 9)), (5, 9, 9))
    assert bands_room._bands_of(9, 5, (0.0, 9.0)) is bands_room._bands_of(9, 5, (0.0, 9.0))


@pytest.mark.parametrize("shape", [(7, 50, 41), (3, 17, 90), (64, 16, 33)])
def test_bands_give_what_the_whole_matrices_give(shape):
    values = np.random.default_rng(4).normal(size=(7, 33, 41)).astype(np.float32)
    slow, down, across = (linear_weights(old, new) for old, new in zip(values.shape, shape, strict=True))

    wanted = np.einsum("bi,dj,ak,ijk->bda", slow, down, across, values.astype(np.float64))

    np.testing.assert_allclose(resample_values(values, shape), wanted, atol=2e-5)


@given(SHAPES, SHAPES, st.floats(-1e3, 1e3, width=32))
@settings(max_examples=30)
def test_a_constant_stays_the_constant(shape_in, shape_out, value):
    got = resample_values(np.full(shape_in, value, dtype=np.float32), shape_out)
    np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("size", [5, 10, 20, 37, 60])
def test_a_ramp_stays_the_ramp_away_from_the_edges(axis, size):
    shape = [4, 4, 4]
    shape[axis] = 20
    values = np.moveaxis(np.broadcast_to(np.arange(20.0) + 0.5, (4, 4, 20)), -1, axis)
    shape[axis] = size
    got = np.moveaxis(resample_values(values, tuple(shape)), axis, -1)
    places = (np.arange(size) + 0.5) * 20 / size  # in input samples, from the outer edge
    inside = (places > 4.1) & (places < 15.9)
    assert inside.any()
    np.testing.assert_allclose(got[0, 0, inside], places[inside], atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_coarser_by_whole_steps_keeps_the_sum_of_what_lies_inside(factor):
    values = np.zeros((24, 24, 24), dtype=np.float32)
    values[9:14, 8:15, 10:16] = noise((5, 7, 6))
    got = resample_values(values, (24 // factor,) * 3)
    assert got.sum() * factor**3 == pytest.approx(values.sum(), rel=1e-5)


def test_nothing_is_skipped_over_when_it_gets_coarser():
    # every second B-scan bright: dropping samples would give black or white, a fair mean gives grey
    values = np.zeros((32, 2, 2), dtype=np.float32)
    values[::2] = 1
    np.testing.assert_allclose(resample_values(values, (8, 2, 2))[1:-1], 0.5, atol=1e-6)
    for place in range(32):
        values = np.zeros((32, 2, 2), dtype=np.float32)
        values[place] = 1
        assert resample_values(values, (5, 2, 2)).max() > 0


@pytest.mark.parametrize("place", [(0, 0, 0), (2, 1, 4), (4, 3, 5), (1, 3, 0)])
def test_the_peak_of_a_finer_map_lies_where_the_coarse_one_had_it(place):
    coarse, fine = (5, 4, 6), (40, 30, 66)
    values = np.zeros(coarse, dtype=np.float32)
    values[place] = 1
    got = resample_values(values, fine)
    peak = np.unravel_index(got.argmax(), fine)
    for at, start, few, many in zip(peak, place, coarse, fine, strict=True):
        middle = (start + 0.5) * many / few - 0.5
        at_edge = start in {0, few - 1}  # there the nearest sample stands in, and the peak becomes a plateau
        assert abs(at - middle) <= (many / few if at_edge else 1)
    mass = [np.average(np.arange(n), weights=got.sum(axis=tuple({0, 1, 2} - {k}))) for k, n in enumerate(fine)]
    for centre, start, few, many in zip(mass, place, coarse, fine, strict=True):
        assert start * many / few <= centre <= (start + 1) * many / few


def test_a_peak_inside_stays_within_a_voxel():
    values = np.zeros((8, 8, 8), dtype=np.float32)
    for place in np.ndindex(6, 6, 6):
        values[:] = 0
        inside = tuple(at + 1 for at in place)
        values[inside] = 1
        peak = np.unravel_index(resample_values(values, (24, 16, 21)).argmax(), (24, 16, 21))
        for at, start, many in zip(peak, inside, (24, 16, 21), strict=True):
            assert abs(at - ((start + 0.5) * many / 8 - 0.5)) <= 1


@given(st.tuples(*[st.tuples(st.integers(0, 5), st.integers(1, 6))] * 3))
@settings(max_examples=40)
def test_a_window_of_whole_samples_is_a_crop(spans):
    values = noise((11, 11, 11))
    ranges = [(first, first + length) for first, length in spans]
    window = tuple((float(first), float(last)) for first, last in ranges)
    shape = tuple(last - first for first, last in ranges)
    wanted = crop(Volume(values), *ranges).values
    np.testing.assert_allclose(resample_values(values, shape, window), wanted, atol=1e-6)


def test_a_window_of_half_samples_lies_between_them():
    values = np.arange(6.0).reshape(1, 1, 6)
    got = resample_values(values, (1, 1, 4), ((0.0, 1.0), (0.0, 1.0), (0.5, 4.5)))
    np.testing.assert_allclose(got.ravel(), [0.5, 1.5, 2.5, 3.5], atol=1e-6)


@given(SHAPES, SHAPES)
@settings(max_examples=30)
def test_the_extent_in_millimetres_stays(shape_in, shape_out):
    volume = Volume(noise(shape_in), Spacing(0.12, 0.0039, None))
    got = resample(volume, shape_out)
    for axis in range(2):
        before, after = volume.spacing_mm.values_mm[axis], got.spacing_mm.values_mm[axis]
        assert after * shape_out[axis] == pytest.approx(before * shape_in[axis], rel=1e-9)
    assert got.spacing_mm.ascan is None
    assert got.spacing_mm.origins == volume.spacing_mm.origins


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float64", "float32"])
def test_number_types_become_float32_and_the_scan_stays_as_it_was(dtype):
    values = (noise((4, 5, 6)) * 200).astype(dtype)
    before = values.copy()
    got = resample_values(values, (4, 5, 6))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, values.astype(np.float32))
    resample_values(values, (2, 9, 3))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, -1, 4), (4, 4, 0)])
def test_sizes_that_are_not_positive_are_refused(shape):
    with pytest.raises(OctavoError, match="wanted three positive sizes"):
        resample(Volume(noise((4, 4, 4))), shape)
