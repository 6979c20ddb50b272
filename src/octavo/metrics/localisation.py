"""Whether heat lies on the tissue that is known to matter.

The heat map and the mask of the truth stand on the same grid. A map that knows nothing has an enrichment of 1, and a
precision and a mass inside equal to the mask's share of the volume: compare with these, not with zero.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from octavo.errors import OctavoError
from octavo.metrics.exam_arrays import UndefinedMetricError

HOTTEST_FRACTIONS = (0.01, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well the hottest voxels cover the mask; equally hot voxels share the places that are left among them."""

    fraction: float
    """How much of the volume counts as hottest."""
    precision: float
    """Share of the hottest voxels that lie inside the mask."""
    recall: float
    """Share of the mask that is among the hottest voxels."""


@dataclass(frozen=True, slots=True)
class Localisation:
    """Where the heat of one map lies with respect to one mask."""

    volume_share: float
    """Share of the voxels that lie inside: what chance would give."""
    mass_inside: float
    """Share of the heat that lies inside."""
    enrichment: float
    """`mass_inside` over `volume_share`: 1 for even heat, at most 1 / `volume_share`."""
    mean_heat_inside: float
    mean_heat_outside: float
    pointing_hit: float
    """Whether the hottest voxel lies inside; of several equally hot ones, the share that does."""
    at_mask_size: Overlap
    """With as many hottest voxels as the mask has; precision and recall are then the same number."""
    at_fractions: tuple[Overlap, ...]


def localise(
    heat: Float[np.ndarray, "bscan depth ascan"],
    mask: Bool[np.ndarray, "bscan depth ascan"],
    hottest_fractions: tuple[float, ...] = HOTTEST_FRACTIONS,
) -> Localisation:
    """Measure how much of a heat map lies inside a mask, and how well its hottest voxels cover it.

    Args:
        heat: Not negative; its scale does not matter but for the two means.
        mask: Where the truth is.
        hottest_fractions: Which parts of the volume count as hottest, between 0 and 1.

    Raises:
        UndefinedMetricError: If the mask is empty or fills the volume, or there is no heat at all.
        OctavoError: If the shapes differ, or heat is negative or not finite.

    Example:
        >>> heat = np.zeros((1, 2, 4))
        >>> heat[0, 0] = [3, 1, 0, 0]
        >>> mask = np.zeros((1, 2, 4), dtype=bool)
        >>> mask[0, 0, 0] = mask[0, 1, 0] = True
        >>> found = localise(heat, mask)
        >>> found.mass_inside, found.enrichment, found.pointing_hit, found.at_mask_size.precision
        (0.75, 3.0, 1.0, 0.5)
    """
    heat, mask = _heat_and_mask(heat, mask)
    inside, outside = heat[mask], heat[~mask]
    share = inside.size / heat.size
    mass = float(inside.sum() / (inside.sum() + outside.sum()))
    hottest = heat == heat.max()
    return Localisation(
        volume_share=share,
        mass_inside=mass,
        enrichment=mass / share,
        mean_heat_inside=float(inside.mean()),
        mean_heat_outside=float(outside.mean()),
        pointing_hit=float((hottest & mask).sum() / hottest.sum()),
        at_mask_size=_overlap(heat, mask, inside.size),
        at_fractions=tuple(_overlap(heat, mask, _voxels(fraction, heat.size)) for fraction in hottest_fractions),
    )


def overlap_of_hottest(
    heat: Float[np.ndarray, "bscan depth ascan"], mask: Bool[np.ndarray, "bscan depth ascan"], fraction: float
) -> Overlap:
    """Measure how well the hottest part of the volume covers a mask.

    Args:
        heat: Not negative.
        mask: Where the truth is.
        fraction: How much of the volume counts as hottest; at least one voxel does.

    Raises:
        UndefinedMetricError: If the mask is empty or fills the volume, or there is no heat at all.
        OctavoError: If the shapes differ, heat is negative or not finite, or the fraction is not between 0 and 1.
    """
    heat, mask = _heat_and_mask(heat, mask)
    return _overlap(heat, mask, _voxels(fraction, heat.size))


def _overlap(
    heat: Float[np.ndarray, "bscan depth ascan"], mask: Bool[np.ndarray, "bscan depth ascan"], voxels: int
) -> Overlap:
    coldest_taken = np.partition(heat, heat.size - voxels, axis=None)[heat.size - voxels]
    hotter, equal = heat > coldest_taken, heat == coldest_taken
    places_left = voxels - hotter.sum()
    hits = (hotter & mask).sum() + places_left * (equal & mask).sum() / equal.sum()
    return Overlap(voxels / heat.size, float(hits / voxels), float(hits / mask.sum()))


def _voxels(fraction: float, size: int) -> int:
    if not 0 < fraction <= 1:
        raise OctavoError(f"fraction is {fraction}; wanted a share of the volume above 0 and up to 1, such as 0.05")
    return max(1, round(fraction * size))


def _heat_and_mask(
    heat: np.ndarray, mask: np.ndarray
) -> tuple[Float[np.ndarray, "bscan depth ascan"], Bool[np.ndarray, "bscan depth ascan"]]:
    if heat.shape != mask.shape:
        raise OctavoError(
            f"heat has shape {heat.shape} and mask {mask.shape}; wanted the same grid; resample one first"
        )
    if mask.dtype != np.bool_:
        raise OctavoError(
            f"mask is of type {mask.dtype}; wanted true and false; compare it with the label that is meant"
        )
    if not np.isfinite(heat).all() or (heat < 0).any():
        raise OctavoError("heat holds negative or not finite values; wanted heat of at least 0 everywhere")
    if not mask.any() or mask.all():
        raise UndefinedMetricError(
            f"the mask holds {int(mask.sum())} of {mask.size} voxels, so there is no inside to tell from an outside"
        )
    if not heat.any():
        raise UndefinedMetricError(f"the heat map is zero in all {heat.size} voxels, so it points nowhere")
    return heat.astype(np.float64), mask
