"""Bringing grey values of different scanners to one range."""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt

from octavo.errors import OctavoError
from octavo.volume import Volume

_MOST_SAMPLES = 2**20


def percentile_range(volume: Volume, low: float = 0.5, high: float = 99.5) -> tuple[float, float]:
    """The grey values below which `low` and `high` percent of the samples lie.

    Of a large scan every so many lines of samples at one depth of one B-scan are looked at, about a million samples in
    all: what is asked for are robust limits, and they differ from those of all samples by less than the speckle of a
    B-scan.
    """
    # whole lines: single samples so far apart cost as much as reading all of them
    lines = volume.values.reshape(-1, volume.values.shape[-1])
    samples = lines[:: _stride(-(-volume.values.size // _MOST_SAMPLES), len(lines))].reshape(-1)
    if samples.dtype in (np.uint8, np.uint16):
        below = np.cumsum(count_levels(samples))
        return _percentile(below, low), _percentile(below, high)
    lower, upper = np.percentile(samples, [low, high])
    return float(lower), float(upper)


def _stride(least: int, lines: int) -> int:
    """The smallest stride that shares no factor with the number of lines, or it would meet the same depths again and again.

    Example:
        >>> _stride(1, 49 * 496), _stride(55, 128 * 885)
        (1, 61)
    """
    stride = least
    while math.gcd(stride, lines) != 1:
        stride += 1
    return stride


def count_levels(values: UInt[np.ndarray, "*shape"]) -> Int[np.ndarray, " level"]:
    """How often each grey value of 8 or 16 bits occurs.

    Example:
        >>> count_levels(np.array([3, 0, 3], np.uint8))[:5].tolist()
        [1, 0, 0, 2, 0]
    """
    levels = int(np.iinfo(values.dtype).max) + 1
    flat = np.ascontiguousarray(values).reshape(-1)
    if levels > 256:
        return np.bincount(flat, minlength=levels)
    # counting pairs of bytes is twice as fast as counting bytes
    even = flat[: flat.size // 2 * 2]
    pairs = np.bincount(even.view(np.uint16), minlength=2**16).reshape(256, 256)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1)
    counts[flat[even.size :]] += 1
    return counts


def _percentile(below: Int[np.ndarray, " level"], percent: float) -> float:
    """As `np.percentile`, from how many samples are at or below each level instead of from their order."""
    place = percent / 100 * (int(below[-1]) - 1)
    places = (np.floor(place), np.ceil(place))
    first, second = (int(np.searchsorted(below, at, side="right")) for at in places)
    return first + (second - first) * (place - float(places[0]))


def to_levels(
    values: Float[np.ndarray, "*shape"], limits: tuple[float, float], white: Literal[255, 65535]
) -> UInt[np.ndarray, "*shape"]:
    """Turn grey values into whole levels so that `limits` become black and white, cutting off what lies outside.

    Args:
        values: Single precision; overwritten, because a copy of a whole scan costs more than the arithmetic.
        limits: Grey values that become 0 and `white`.
        white: The largest of 8 or of 16 bits.

    Example:
        >>> to_levels(np.array([0.0, 1.0, 2.0, 9.0], np.float32), (1.0, 5.0), 255).tolist()
        [0, 0, 64, 255]
    """
    lower, upper = limits
    values -= np.float32(lower)
    values *= np.float32(white / (upper - lower))
    np.rint(values, out=values)
    np.clip(values, 0, white, out=values)
    return values.astype(np.uint8 if white == 255 else np.uint16)


def to_unit_range(volume: Volume, limits: tuple[float, float]) -> Volume:
    """Scale grey values so that `limits` become 0 and 1, cutting off what lies outside.

    Args:
        volume: The scan.
        limits: Grey values that become 0 and 1; `percentile_range` gives robust ones.

    Returns:
        The scan as float32 in [0, 1].

    Raises:
        OctavoError: If the limits are equal, as in a constant scan: there is nothing to see in it.
    """
    lower, upper = limits
    if not upper > lower:
        raise OctavoError(
            f"{volume.source.path or 'the scan'}: grey values do not vary between {lower:g} and {upper:g}; "
            "wanted a scan with contrast; check the export"
        )
    scaled = (volume.values.astype(np.float32) - np.float32(lower)) / np.float32(upper - lower)
    return volume.with_values(np.clip(scaled, 0.0, 1.0))
