"""Resampling along each axis on its own, as three small matrix products.

Linear interpolation is separable, so a volume is resampled by one weight matrix per axis. Where an axis gets coarser
the triangle widens with it, so that no B-scan and no voxel is skipped over (no aliasing); where it gets finer this is
plain linear interpolation. Samples are cells, so the extent in millimetres stays the same.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Num

from octavo.errors import OctavoError
from octavo.volume import Volume

Window = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""First and last edge of a part of a block along each axis, in its samples; edges may lie beyond the block."""


@lru_cache(maxsize=64)
def linear_weights(
    size_in: int, size_out: int, start: float = 0.0, stop: float | None = None
) -> Float[np.ndarray, "out in"]:
    """Weights that resample one axis, or a window of it, linearly and without aliasing.

    Args:
        size_in: Number of samples there are.
        size_out: Number of samples wanted.
        start: Where the window begins, in samples of the input, 0 being the outer edge of the first.
        stop: Where it ends; by default the outer edge of the last.

    Returns:
        One row per output sample; every row sums to one. Treat it as read-only.

    Example:
        >>> linear_weights(4, 2).round(3)
        array([[0.429, 0.429, 0.143, 0.   ],
               [0.   , 0.143, 0.429, 0.429]], dtype=float32)
    """
    stop = float(size_in) if stop is None else stop
    step = (stop - start) / size_out
    centres = start + (np.arange(size_out) + 0.5) * step
    # beyond the outermost sample there is nothing to interpolate with: the nearest sample stands in
    centres = np.clip(centres, 0.5, size_in - 0.5)
    distance = np.abs(centres[:, None] - (np.arange(size_in) + 0.5)[None, :])
    weights = np.clip(1.0 - distance / max(step, 1.0), 0.0, None)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False  # shared by all callers through the cache
    return weights


def resample_values(
    values: Num[np.ndarray, "bscan depth ascan"],
    shape: tuple[int, int, int],
    window: Window | None = None,
) -> Float[np.ndarray, "bscan_out depth_out ascan_out"]:
    """Resample a block of numbers, or a window of it, to a shape.

    Args:
        values: The block.
        shape: Wanted number of B-scans, depth samples and A-scans.
        window: First and last edge along each axis, in input samples; by default everything.

    Returns:
        float32.

    Raises:
        OctavoError: If a wanted size is not positive.
    """
    if min(shape) < 1:
        raise OctavoError(f"cannot resample to {shape}; wanted three positive sizes")
    edges = window or tuple((0.0, float(size)) for size in values.shape)
    block = values.astype(np.float32, copy=False)
    # the axis that shrinks most goes first: what follows has less to do
    for axis in sorted(range(3), key=lambda axis: shape[axis] / values.shape[axis]):
        whole = edges[axis] == (0.0, float(block.shape[axis]))
        if whole and shape[axis] == block.shape[axis]:
            continue
        weights = linear_weights(block.shape[axis], shape[axis], *edges[axis])
        if axis == 2:
            block = block @ weights.T
        elif axis == 1:
            block = weights @ block
        else:
            block = (weights @ block.reshape(block.shape[0], -1)).reshape(shape[0], *block.shape[1:])
    return np.ascontiguousarray(block)


def resample(volume: Volume, shape: tuple[int, int, int]) -> Volume:
    """Resample a scan to a shape; its extent in millimetres stays what it was.

    Raises:
        OctavoError: If a wanted size is not positive.

    Example:
        >>> from octavo.volume import Spacing
        >>> coarse = resample(Volume(np.ones((4, 6, 8)), Spacing(0.1, 0.1, 0.1)), (2, 6, 4))
        >>> coarse.shape, coarse.spacing_mm.bscan
        ((2, 6, 4), 0.2)
    """
    values = resample_values(volume.values, shape)
    factors = [old / new for old, new in zip(volume.shape, shape, strict=True)]
    return volume.with_values(values, volume.spacing_mm.scaled(*factors))
