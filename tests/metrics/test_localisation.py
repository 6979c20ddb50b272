import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.errors import OctavoError
from octavo.metrics import localisation
from octavo.metrics.exam_arrays import UndefinedMetricError


@st.composite
def maps(draw, levels: int):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5)))
    seed = draw(st.integers(0, 10_000))
    generator = np.random.default_rng(seed)
    heat = generator.integers(0, levels, shape).astype(np.float64)
    heat.flat[generator.integers(heat.size)] = levels
    mask = generator.random(shape) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    mask.flat[0], mask.flat[-1] = True, False
    return heat, mask


@given(maps(levels=10_000), st.floats(0.01, 1.0))
@settings(max_examples=100, deadline=None)
def test_overlap_without_ties_is_that_of_the_sorted_voxels(case, fraction):
    heat, mask = case
    heat = heat + np.arange(heat.size).reshape(heat.shape) / (heat.size + 1)
    voxels = max(1, round(fraction * heat.size))
    hits = mask.ravel()[np.argsort(heat.ravel())[::-1][:voxels]].sum()
    found = localisation.overlap_of_hottest(heat, mask, fraction)
    assert found.precision == pytest.approx(hits / voxels)
    assert found.recall == pytest.approx(hits / mask.sum())
    assert found.fraction == voxels / heat.size


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("voxels", [1, 4, 7])
def test_overlap_with_ties_is_the_mean_over_all_ways_to_break_them(seed, voxels):
    generator = np.random.default_rng(seed)
    heat, mask = generator.integers(1, 4, (2, 2, 3)).astype(np.float64), generator.random((2, 2, 3)) < 0.5
    mask.flat[0], mask.flat[-1] = True, False
    ordered = np.sort(heat.ravel())[::-1]
    hotter = np.flatnonzero(heat.ravel() > ordered[voxels - 1])
    equal = np.flatnonzero(heat.ravel() == ordered[voxels - 1])
    ways = [mask.ravel()[[*hotter, *chosen]].mean() for chosen in itertools.combinations(equal, voxels - len(hotter))]
    found = localisation.overlap_of_hottest(heat, mask, voxels / heat.size)
    assert found.precision == pytest.approx(np.mean(ways))


@given(maps(levels=7))
@settings(max_examples=100, deadline=None)
def test_shares_and_means_fit_together(case):
    heat, mask = case
    found = localisation.localise(heat, mask)
    inside, outside = found.mean_heat_inside * mask.sum(), found.mean_heat_outside * (~mask).sum()
    assert found.volume_share == mask.mean()
    assert found.mass_inside == pytest.approx(inside / (inside + outside))
    assert found.mass_inside == pytest.approx(heat[mask].sum() / heat.sum())
    assert found.enrichment == pytest.approx(found.mean_heat_inside / heat.mean())
    assert found.at_mask_size.precision == pytest.approx(found.at_mask_size.recall)
    louder = localisation.localise(heat * 1000, mask)
    assert louder.enrichment == pytest.approx(found.enrichment)
    assert louder.pointing_hit == found.pointing_hit


def test_heat_on_the_mask_alone_is_perfect():
    mask = np.zeros((4, 10, 10), dtype=bool)
    mask[1:3, 2:7, 2:6] = True
    found = localisation.localise(mask.astype(np.float64), mask, (0.05, 0.1, 0.2))
    assert (found.mass_inside, found.enrichment, found.pointing_hit) == (1.0, 10.0, 1.0)
    assert (found.mean_heat_inside, found.mean_heat_outside) == (1.0, 0.0)
    assert found.at_mask_size.precision == found.at_mask_size.recall == 1.0
    assert [overlap.precision for overlap in found.at_fractions] == [1.0, 1.0, 0.5]
    assert [overlap.recall for overlap in found.at_fractions] == [0.5, 1.0, 1.0]


def test_even_heat_is_chance():
    mask = np.zeros((2, 5, 10), dtype=bool)
    mask[0, :3] = True
    found = localisation.localise(np.full(mask.shape, 0.3), mask)
    assert found.enrichment == pytest.approx(1.0)
    assert found.mass_inside == found.pointing_hit == found.volume_share == pytest.approx(0.3)
    assert [overlap.precision for overlap in found.at_fractions] == pytest.approx([0.3, 0.3, 0.3])


def test_heat_beside_the_mask_misses():
    heat, mask = np.zeros((1, 4, 4)), np.zeros((1, 4, 4), dtype=bool)
    mask[0, 0], heat[0, 3] = True, 1.0
    found = localisation.localise(heat, mask)
    assert found.mass_inside == found.enrichment == found.pointing_hit == found.at_mask_size.precision == 0.0


GRID = (2, 3, 4)
SOME = np.zeros(GRID, dtype=bool)
SOME[0] = True


@pytest.mark.parametrize(
    ("heat", "mask", "reason"),
    [
        (np.ones(GRID), np.zeros(GRID, dtype=bool), "0 of 24 voxels"),
        (np.ones(GRID), np.ones(GRID, dtype=bool), "24 of 24 voxels"),
        (np.zeros(GRID), SOME, "zero in all 24 voxels"),
    ],
)
def test_nothing_to_find_says_why(heat, mask, reason):
    with pytest.raises(UndefinedMetricError, match=reason):
        localisation.localise(heat, mask)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_heat_is_finite_and_not_negative(bad):
    heat = np.ones(GRID)
    heat[1, 2, 3] = bad
    with pytest.raises(OctavoError, match="negative or not finite"):
        localisation.localise(heat, SOME)


def test_other_grids_types_and_fractions_are_refused():
    localise = inspect.unwrap(localisation.localise)
    checked = inspect.unwrap(localisation._heat_and_mask)
    with pytest.raises(OctavoError, match="wanted the same grid"):
        checked(np.ones((2, 3, 5)), SOME)
    with pytest.raises(OctavoError, match="type int64; wanted true and false"):
        checked(np.ones(GRID), SOME.astype(np.int64))
    for fraction in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(OctavoError, match="above 0 and up to 1"):
            localise(np.ones(GRID), SOME, (fraction,))
