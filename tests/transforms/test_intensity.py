import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.errors import OctavoError
from octavo.transforms import count_levels, percentile_range, to_levels, to_unit_range
from octavo.volume import Source, Spacing, Volume


def test_percentiles_are_those_of_all_samples():
    values = np.random.default_rng(0).permutation(np.arange(1001)).reshape(7, 11, 13)
    assert percentile_range(Volume(values)) == pytest.approx((5.0, 995.0))
    assert percentile_range(Volume(values), 0, 100) == (0.0, 1000.0)
    assert percentile_range(Volume(values), 25, 50) == pytest.approx((250.0, 500.0))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_limits_become_zero_and_one_and_what_lies_outside_is_cut_off(dtype):
    volume = Volume(np.array([0, 10, 20, 30, 40, 100], dtype=dtype).reshape(1, 2, 3), Spacing(None, 0.004, 0.01))
    got = to_unit_range(volume, (10.0, 40.0))
    assert got.values.dtype == np.float32
    np.testing.assert_allclose(got.values.ravel(), [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)
    assert got.spacing_mm == volume.spacing_mm
    assert volume.values.dtype == dtype


@given(st.integers(0, 100), st.floats(0.1, 50), st.floats(-100, 100))
@settings(max_examples=40)
def test_another_scanner_with_other_gain_and_offset_gives_the_same(seed, gain, offset):
    values = np.random.default_rng(seed).random((3, 5, 7)) * 200
    plain, other = Volume(values), Volume(values * gain + offset)
    got, wanted = (to_unit_range(v, percentile_range(v)).values for v in (other, plain))
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert (np.diff(got.ravel()[np.argsort(values.ravel())]) >= -1e-6).all()


@pytest.mark.parametrize("limits", [(3.0, 3.0), (5.0, 2.0), (float("nan"), 1.0), (0.0, float("nan"))])
def test_limits_without_a_range_are_refused(limits):
    volume = Volume(np.full((2, 2, 2), 3.0), source=Source(path="eye.npy"))
    with pytest.raises(OctavoError, match=r"eye\.npy: grey values do not vary .* wanted a scan with contrast"):
        to_unit_range(volume, limits)
    with pytest.raises(OctavoError, match="the scan: grey values"):
        to_unit_range(Volume(volume.values), limits)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000, 4001])
def test_percentiles_from_counts_are_those_from_an_order(dtype, size):
    values = np.random.default_rng(size).integers(0, np.iinfo(dtype).max, (1, 1, size), dtype=dtype, endpoint=True)

    got = percentile_range(Volume(values), 0.5, 99.5)

    np.testing.assert_allclose(got, np.percentile(values, [0.5, 99.5]), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 4, 6)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_levels_are_counted_as_bincount_counts(dtype, shape):
    values = np.random.default_rng(1).integers(0, 250, shape).astype(dtype)

    np.testing.assert_array_equal(count_levels(values), np.bincount(values.ravel(), minlength=np.iinfo(dtype).max + 1))
    turned = values[::-1, :, ::-1]
    np.testing.assert_array_equal(count_levels(turned), count_levels(values))


@pytest.mark.parametrize("shape", [(64, 256, 128), (40, 885, 97), (200, 30, 640), (1, 2048, 1100), (900, 1, 4001)])
def test_of_a_large_scan_a_million_samples_tell_the_limits(shape):
    # bright at some depths and in some B-scans only, which a stride that shares a factor with them would miss
    layers = 1 + (np.arange(shape[1]) % 5 == 3)[:, None] + 0.5 * (np.arange(shape[0]) % 2)[:, None, None]
    values = (np.random.default_rng(2).gamma(2, 20, shape) * layers).clip(0, 255).astype(np.uint8)

    got = percentile_range(Volume(values))

    np.testing.assert_allclose(got, np.percentile(values, [0.5, 99.5]), atol=1.0)


@pytest.mark.parametrize("white", [255, 65535])
def test_levels_are_the_unit_range_in_whole_numbers(white):
    values = np.random.default_rng(3).normal(100, 60, (4, 5, 6)).astype(np.float32)
    unit = to_unit_range(Volume(values), (20.0, 180.0)).values

    levels = to_levels(values.copy(), (20.0, 180.0), white)

    assert levels.dtype == (np.uint8 if white == 255 else np.uint16)
    np.testing.assert_allclose(levels / white, unit, atol=0.501 / white)
