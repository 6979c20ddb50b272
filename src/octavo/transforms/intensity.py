"""Bringing grey values of different scanners to one range."""

import numpy as np

from octavo.errors import OctavoError
from octavo.volume import Volume

_MOST_SAMPLES = 2**20


def percentile_range(volume: Volume, low: float = 0.5, high: float = 99.5) -> tuple[float, float]:
    """The grey values below which `low` and `high` percent of the samples lie.

    Of a large scan every so many samples are looked at, about a million in all: what is asked for are robust limits, and
    they differ from those of all samples by less than the speckle of a B-scan.
    """
    stride = -(-volume.values.size // _MOST_SAMPLES)
    # an odd stride meets every A-scan in turn, and not the same few again and again
    samples = volume.values.reshape(-1)[:: stride | 1]
    lower, upper = np.percentile(samples, [low, high])
    return float(lower), float(upper)


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
