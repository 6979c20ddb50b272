"""Whether two blocks are the same picture, and how one must be turned to be the other."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.metrics.likeness import Turning, compare_bscans, find_turning, fit_grey


def speckle(*shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 20.0, shape).clip(0, 255).astype(np.uint8)


@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_the_line_is_found(slope, offset):
    ours = speckle(3, 8, 9)

    fit = fit_grey(ours, ours * slope + offset)

    assert fit.slope == pytest.approx(slope, rel=1e-6)
    assert fit.offset == pytest.approx(offset, rel=1e-6, abs=1e-6 * slope)
    differences = compare_bscans(ours, ours * slope + offset, fit)
    assert max(bscan.share for bscan in differences) < 1e-9


@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_every_way_of_turning_over_is_found(flips):
    ours = speckle(12, 20, 30)
    turned = ours[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]

    found = find_turning(ours, 0.3 * turned + 7, least=0.9)

    if not any(flips):
        assert found is None
    else:
        assert found == Turning((0, 1, 2), flips, 0, found.correlation)
        assert found.correlation == pytest.approx(1.0)


@pytest.mark.parametrize("axes", list(permutations(range(3)))[1:])
def test_every_exchange_of_axes_is_found(axes):
    ours = speckle(12, 20, 30)

    found = find_turning(ours, ours.transpose(axes), least=0.9)

    assert (found.axes, any(found.reversed_axes), found.shift) == (axes, False, 0)


@pytest.mark.parametrize(
    ("cut", "shift"),
    [
        (slice(1, None), 1),
        (slice(0, -1), 0),
        (slice(3, -2), 3),
    ],
)
def test_lost_bscans_are_found(cut, shift):
    ours = speckle(20, 12, 14)

    found = find_turning(ours, ours[cut], least=0.9)

    assert (found.shift, found.correlation) == (shift, pytest.approx(1.0))
    back = find_turning(ours[cut], ours, least=0.9)
    assert back.shift == -shift


def test_another_scan_looks_like_nothing():
    assert find_turning(speckle(12, 20, 30), speckle(12, 20, 30, seed=1), least=0.9) is None
    assert find_turning(speckle(12, 20, 30), speckle(12, 21, 30), least=0.9) is None
    assert find_turning(np.zeros((3, 4, 5)), np.zeros((3, 4, 5)), least=0.9) is None


def test_differences_are_told_by_bscan():
    ours = speckle(4, 16, 16)
    theirs = ours.astype(np.float64)
    theirs[2, 5, 5] += 100

    differences = compare_bscans(ours, theirs, fit_grey(ours, ours))

    assert [bscan.number for bscan in differences if bscan.largest > 0] == [3]
    assert differences[2].mean_absolute == pytest.approx(100 / 256)
    assert differences[2].largest == 100
    assert differences[0].correlation == pytest.approx(1.0)


def test_one_grey_has_no_correlation():
    ours = np.full((2, 4, 4), 3.0)
    ours[1] = speckle(4, 4)

    first, second = compare_bscans(ours, ours, fit_grey(ours, ours))

    assert first.correlation is None
    assert second.correlation == pytest.approx(1.0)


def test_a_dark_picture_is_not_another_dark_picture():
    ours, theirs = np.zeros((2, 40, 50)), np.zeros((2, 40, 50))
    ours[:, 20, 10:30] = 60
    theirs[:, 0, 0] = 255

    differences = compare_bscans(ours, theirs, fit_grey(ours, ours))

    assert all(bscan.share <= 0.02 for bscan in differences)
    assert not any(bscan.is_same(0.02) for bscan in differences)
    assert all(bscan.is_same(0.02) for bscan in compare_bscans(ours, ours, fit_grey(ours, ours)))
