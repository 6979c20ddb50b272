"""A head-like volume with a change in a few slices, and in no other: what attention over slices should find.

An ellipsoid of tissue with a folded surface, brighter inside than at its rim, two dark ventricles, noise. A healthy and
a diseased head differ in one thing: in a run of neighbouring axial slices, somewhere in the middle half, a dark patch
takes the place of tissue. Where it lies is known. It is no model of any disease: a test object, for a method that weighs
slices.

Axes are those of a NIfTI volume of a head as it is stored, left to right, back to front, bottom to top, which are
`bscan depth ascan` here; the axial slices are those along the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import gaussian_filter

from octavo.errors import OctavoError
from octavo.phantom.streams import stream
from octavo.volume import Origin, Source, Spacing, Volume

_SMALLEST = 16
_SEMI_AXES = (0.40, 0.44, 0.42)
_CHANGED_SHARE = 0.12
"""How many of the slices are changed, as a share of all."""


@dataclass(frozen=True, eq=False)
class PhantomHead:
    """A head and what was changed in it.

    Args:
        volume: The scan.
        changed: The voxels that were darkened.
        slices: The axial slices that hold them; empty for a healthy head.
    """

    volume: Volume
    changed: Bool[np.ndarray, "bscan depth ascan"]
    slices: range


def make_head(
    seed: int, is_changed: bool, shape: tuple[int, int, int] = (48, 56, 48), strength: float = 0.6
) -> PhantomHead:
    """Make one head.

    Args:
        seed: Names the head; the same seed makes the same head, changed or not.
        is_changed: Whether a dark patch takes the place of tissue in a few slices.
        shape: Samples along the three axes.
        strength: How much darker the patch is, from 0 (not at all) to 1 (black).

    Raises:
        OctavoError: If the shape is too small or the strength out of range.

    Example:
        >>> head = make_head(1, is_changed=True)
        >>> head.volume.shape, len(head.slices), bool(head.changed.any())
        ((48, 56, 48), 6, True)
    """
    if min(shape) < _SMALLEST:
        raise OctavoError(
            f"a head of {' x '.join(map(str, shape))} samples; wanted at least {_SMALLEST} along each axis"
        )
    if not 0 <= strength <= 1:
        raise OctavoError(f"strength is {strength:g}; wanted 0 (nothing changes) to 1 (black)")
    places = np.meshgrid(*((np.arange(size) + 0.5) / size - 0.5 for size in shape), indexing="ij", sparse=True)
    tissue = _tissue(seed, places, shape)
    changed, slices = _patch(seed, places, shape) if is_changed else (np.zeros(shape, bool), range(0))
    tissue = np.where(changed, tissue * (1 - strength), tissue)
    noisy = tissue + stream(seed, "head noise").normal(0.0, 0.03, shape)
    across, back, up = (180.0 / size for size in shape)
    spacing = Spacing(across, back, up, (Origin.READ, Origin.READ, Origin.READ))
    volume = Volume(_grey(noisy), spacing, source=Source(device="octavo phantom"))
    return PhantomHead(volume, changed, slices)


def _tissue(
    seed: int, places: Sequence[np.ndarray], shape: tuple[int, int, int]
) -> Float[np.ndarray, "bscan depth ascan"]:
    rng = stream(seed, "head")
    widths = [semi * rng.uniform(0.93, 1.07) for semi in _SEMI_AXES]
    folds = gaussian_filter(stream(seed, "folds").normal(size=shape), [size / 24 for size in shape])
    distance = sum((place / width) ** 2 for place, width in zip(places, widths, strict=True)) ** 0.5
    distance = distance + 0.06 * folds / folds.std()
    texture = gaussian_filter(stream(seed, "texture").normal(size=shape), [size / 16 for size in shape])
    inside = np.clip((1.0 - distance) / 0.06, 0, 1)
    bright = 0.75 - 0.25 * np.clip(distance, 0, 1) ** 4 + 0.04 * texture / texture.std()
    for side in (-1, 1):
        centre = (side * 0.07 * rng.uniform(0.9, 1.1), 0.02, 0.03)
        hollow = sum(((p - c) / w) ** 2 for p, c, w in zip(places, centre, (0.035, 0.12, 0.07), strict=True))
        bright = np.where(hollow < 1, 0.2, bright)
    return inside * bright


def _patch(
    seed: int, places: Sequence[np.ndarray], shape: tuple[int, int, int]
) -> tuple[Bool[np.ndarray, "bscan depth ascan"], range]:
    rng = stream(seed, "patch")
    count = max(2, round(_CHANGED_SHARE * shape[2]))
    first = int(rng.integers(shape[2] // 4, 3 * shape[2] // 4 - count + 1))
    angle, reach = rng.uniform(0, 2 * np.pi), 0.22
    centre = (reach * np.cos(angle), reach * np.sin(angle))
    disc = ((places[0] - centre[0]) / 0.11) ** 2 + ((places[1] - centre[1]) / 0.11) ** 2 < 1
    along = np.zeros(shape[2], bool)
    along[first : first + count] = True
    return np.broadcast_to(disc & along[None, None, :], shape).copy(), range(first, first + count)


def _grey(tissue: Float[np.ndarray, "bscan depth ascan"]) -> UInt8[np.ndarray, "bscan depth ascan"]:
    return np.rint(np.clip(tissue, 0, 1) * 255).astype(np.uint8)
