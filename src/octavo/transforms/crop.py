"""Cutting a block out of a volume."""

from octavo.errors import OctavoError
from octavo.volume import AXES, Volume


def crop(
    volume: Volume,
    bscan: tuple[int, int] | None = None,
    depth: tuple[int, int] | None = None,
    ascan: tuple[int, int] | None = None,
) -> Volume:
    """Keep the samples from the first index up to, not including, the second along each axis; None keeps all.

    Raises:
        OctavoError: If a range is empty or reaches outside the volume; nothing is padded in silence.

    Example:
        >>> import numpy as np
        >>> crop(Volume(np.zeros((4, 6, 8))), depth=(1, 4)).shape
        (4, 3, 8)
    """
    ranges = []
    for axis, size, limits in zip(AXES, volume.shape, (bscan, depth, ascan), strict=True):
        start, stop = limits if limits is not None else (0, size)
        if not 0 <= start < stop <= size:
            raise OctavoError(f"cannot keep {axis} {start} to {stop}; wanted 0 <= first < last <= {size}")
        ranges.append(slice(start, stop))
    return volume.with_values(volume.values[tuple(ranges)])
