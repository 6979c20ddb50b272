"""What turns a volume into a network's input: orientation, size, intensity; and the way back for maps.

The order matters: an eye is brought to right-eye orientation before anything is resampled, so that the halves the network
compares are the halves of the eye.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt

from octavo.anatomy import (
    Flips,
    flip,
    flips_to_right_eye,
    require_both_ends,
    require_hemiretinas,
    require_raster,
    to_right_eye,
)
from octavo.errors import OctavoError, ScanUnsuitableError
from octavo.transforms import Window, percentile_range, resample_values, resampled_spacing, to_levels
from octavo.volume import Frame, Volume, is_constant

MOST_VOXELS = 2**29
"""The largest network input that is prepared: as many voxels as the largest scan that is read."""


@dataclass(frozen=True)
class Prepared:
    """A scan as the network sees it."""

    volume: Volume
    """On the grid of the network's input, in right-eye orientation, superior first; grey values from 0 to the largest of
    their type, which has 8 or 16 bits."""
    flips: Flips
    """What was turned over on the way."""
    scan_shape: tuple[int, int, int]
    """The shape of the scan it came from."""
    warnings: tuple[str, ...]
    """What was not known and taken as stored."""

    @property
    def values(self) -> UInt[np.ndarray, "bscan depth ascan"]:
        """The voxels alone."""
        return self.volume.values

    def to_scan_grid(
        self,
        heat: Float[np.ndarray, "b d a"],
        window: Window | None = None,
    ) -> Float[np.ndarray, "bscan depth ascan"]:
        """Bring a map that covers the network's input, however coarsely, to the grid and orientation of the scan.

        Args:
            heat: The map.
            window: Which part of it the network's input covers, as edges in its cells; by default all.

        Returns:
            Values between 0 and the map's maximum.
        """
        on_grid = resample_values(heat, self.scan_shape, window)
        return np.ascontiguousarray(flip(np.clip(on_grid, 0.0, float(heat.max())), self.flips))


@dataclass(frozen=True)
class Preparation:
    """How scans become input. Part of the recipe: a model is never fed otherwise than it was trained."""

    size: tuple[int, int, int] | None = (128, 192, 112)
    """B-scans, depth samples and A-scans the network reads; scans are resampled to it. None keeps each scan's own."""
    intensity: Literal["percentile", "stored"] = "percentile"
    """`percentile` spreads the grey values between the 0.5th and 99.5th percentile over the range; `stored` keeps 8-bit
    values as they are (the published input), other types between their smallest and largest value."""
    bits: Literal[8, 16] = 8
    """Of a prepared voxel. 8 are enough for what OCT scanners show; 16 keep the steps of 16-bit scans."""
    hemiretinas: bool = True
    """Refuse scans without a superior and an inferior half."""
    both_ends: bool = False
    """Refuse scans that are not declared to hold both macula and optic nerve head."""
    anatomy: Literal["eye", "as-stored"] = "eye"
    """`eye` brings every scan to right-eye orientation; `as-stored` turns nothing over, for what is no eye."""

    def __post_init__(self) -> None:
        if self.size is None:
            return
        if len(self.size) != 3 or min(self.size) < 1:
            raise OctavoError(
                f"size is {' x '.join(map(str, self.size))}; wanted B-scans, depth samples and A-scans, each at least 1"
            )
        if math.prod(self.size) > MOST_VOXELS:
            raise OctavoError(
                f"size is {' x '.join(map(str, self.size))}, {math.prod(self.size)} voxels; wanted at most {MOST_VOXELS}, "
                "as of a scan that is read; give a smaller one"
            )

    @property
    def of_voxels(self) -> dict[str, object]:
        """What decides the prepared voxels; the rest only decides which scans are taken."""
        decides: dict[str, object] = {
            "size": None if self.size is None else list(self.size),
            "intensity": self.intensity,
            "bits": self.bits,
        }
        # named only where it is not the usual, so that stores of before keep their names
        return decides if self.anatomy == "eye" else {**decides, "anatomy": self.anatomy}

    def require(self, volume: Volume) -> None:
        """Refuse a scan the network was not made for, as read or as prepared.

        Raises:
            ScanUnsuitableError: With the reason.
        """
        require_raster(volume)
        if self.hemiretinas:
            require_hemiretinas(volume)
        if self.both_ends:
            require_both_ends(volume)

    def apply(self, volume: Volume) -> Prepared:
        """Orient, resample and scale one scan.

        Raises:
            ScanUnsuitableError: If the network was not made for such a scan.
        """
        self.require(volume)
        if is_constant(volume.values):
            raise ScanUnsuitableError(
                f"all grey values are {volume.values.flat[0]:g}; wanted a scan with contrast; check the export"
            )
        is_eye = self.anatomy == "eye"
        flips = flips_to_right_eye(volume) if is_eye else Flips(bscan=False, ascan=False)
        oriented = to_right_eye(volume) if is_eye else volume
        warnings = () if volume.frame is Frame.RIGHT_EYE else oriented.notes[len(volume.notes) :]
        limits, size = self._limits(volume), self.size or volume.shape
        values = to_levels(resample_values(oriented.values, size), limits, 255 if self.bits == 8 else 65535)
        spacing = resampled_spacing(oriented, size)
        return Prepared(oriented.with_values(values, spacing), flips, volume.shape, warnings)

    def _limits(self, volume: Volume) -> tuple[float, float]:
        if self.intensity == "stored":
            if volume.values.dtype == np.uint8:
                return 0.0, 255.0
            return float(volume.values.min()), float(volume.values.max())
        limits = percentile_range(volume)
        # a scan that is dark but for a few voxels has no spread between its percentiles, yet is not empty
        return limits if limits[1] > limits[0] else (float(volume.values.min()), float(volume.values.max()))


def white_of(values: UInt[np.ndarray, "*shape"]) -> int:
    """The grey value of the brightest prepared voxel there can be: 255 or 65535."""
    return int(np.iinfo(values.dtype).max)
