"""Resampling along each axis on its own, as small matrix products.

Linear interpolation is separable, so a volume is resampled by one weight matrix per axis. Where an axis gets coarser
the triangle widens with it, so that no B-scan and no voxel is skipped over (no aliasing); where it gets finer this is
plain linear interpolation. Samples are cells, so the extent in millimetres stays the same.

A weight matrix is nearly empty: a sample depends on its neighbours alone. So it is applied in bands of a few rows, each
to the few samples they depend on, and B-scan by B-scan, so that what is worked on stays in the processor's cache.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from octavo.errors import OctavoError
from octavo.volume import Spacing, Volume

Window = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""First and last edge of a part of a block along each axis, in its samples; edges may lie beyond the block."""


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
        One row per output sample; every row sums to one.

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
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


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
    slow, down, across = (
        _bands_of(before, after, edge) for before, after, edge in zip(values.shape, shape, edges, strict=True)
    )
    # the axis that shrinks most goes first: what follows has less to do
    across_first = shape[2] * values.shape[1] <= shape[1] * values.shape[2]
    planes = np.empty((values.shape[0], *shape[1:]), np.float32)
    grey = np.empty(values.shape[1:], np.float32)
    for bscan, plane in zip(values, planes, strict=True):
        np.copyto(grey, bscan, casting="same_kind")
        if across_first:
            _along_rows(_along_columns(grey, across), down, out=plane)
        else:
            _along_columns(_along_rows(grey, down), across, out=plane)
    if slow is None:
        return planes
    return _along_rows(planes.reshape(len(planes), -1), slow).reshape(shape)


_BAND = 8
"""Rows of a weight matrix that are applied together: enough for a matrix product to pay, few enough to have few columns."""


class _Band(NamedTuple):
    """Which outputs, from which inputs, by which weights."""

    outputs: slice
    inputs: slice
    weights: np.ndarray
    turned: np.ndarray
    """The weights from inputs to outputs, laid out anew: a product with a turned view is slower."""


_Bands = tuple[_Band, ...]


def _bands_of(size_in: int, size_out: int, edges: tuple[float, float]) -> _Bands | None:
    """How an axis is resampled; None where it stays as it is."""
    if edges != (0.0, float(size_in)):
        # a window is chosen by chance and seldom comes again: keeping it would only fill memory
        return _bands(size_in, size_out, *edges)
    return None if size_in == size_out else _bands_of_whole(size_in, size_out)


@lru_cache(maxsize=64)
def _bands_of_whole(size_in: int, size_out: int) -> _Bands:
    return _bands(size_in, size_out, 0.0, float(size_in))


def _bands(size_in: int, size_out: int, start: float, stop: float) -> _Bands:
    weights = linear_weights(size_in, size_out, start, stop)
    bands = []
    for first in range(0, size_out, _BAND):
        rows = weights[first : first + _BAND]
        used = np.flatnonzero(rows.any(axis=0))
        inputs = slice(int(used[0]), int(used[-1]) + 1)
        block = np.ascontiguousarray(rows[:, inputs])
        bands.append(_Band(slice(first, first + len(rows)), inputs, block, np.ascontiguousarray(block.T)))
    return tuple(bands)


def _along_rows(
    block: Float[np.ndarray, "in column"], bands: _Bands | None, out: Float[np.ndarray, "out column"] | None = None
) -> Float[np.ndarray, "out column"]:
    if bands is None:
        return _kept(block, out)
    result = np.empty((bands[-1].outputs.stop, block.shape[1]), np.float32) if out is None else out
    for band in bands:
        np.matmul(band.weights, block[band.inputs], out=result[band.outputs])
    return result


def _along_columns(
    block: Float[np.ndarray, "row in"], bands: _Bands | None, out: Float[np.ndarray, "row out"] | None = None
) -> Float[np.ndarray, "row out"]:
    if bands is None:
        return _kept(block, out)
    result = np.empty((block.shape[0], bands[-1].outputs.stop), np.float32) if out is None else out
    for band in bands:
        np.matmul(block[:, band.inputs], band.turned, out=result[:, band.outputs])
    return result


def _kept(
    block: Float[np.ndarray, "row column"], out: Float[np.ndarray, "row column"] | None
) -> Float[np.ndarray, "row column"]:
    if out is None:
        return block
    out[...] = block
    return out


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
    return volume.with_values(resample_values(volume.values, shape), resampled_spacing(volume, shape))


def resampled_spacing(volume: Volume, shape: tuple[int, int, int]) -> Spacing:
    """The millimetres between samples when a scan is resampled to a shape."""
    factors = [old / new for old, new in zip(volume.shape, shape, strict=True)]
    return volume.spacing_mm.scaled(*factors)
