"""A small eye whose tissue, heat and mask are known to the voxel."""

import dataclasses

import numpy as np
import pytest

from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    volume: Volume
    heat: np.ndarray
    mask: np.ndarray


@pytest.fixture
def scan() -> Scan:
    """A right eye, superior first, 12 x 40 x 60 samples in 6 x 2 x 6 mm; hot and marked at B-scan 3, A-scan 45."""
    bscan, depth, ascan = np.ogrid[:12, :40, :60]
    generator = np.random.default_rng(5)
    bright = np.where((depth > 12) & (depth < 20), 170, np.where((depth > 26) & (depth < 29), 220, 35))
    values = np.clip(bright * generator.gamma(8, 1 / 8, (12, 40, 60)), 0, 255).astype(np.uint8)
    heat = np.exp(-(((bscan - 3) / 1.5) ** 2 + ((depth - 15) / 4) ** 2 + ((ascan - 45) / 5) ** 2)).astype(np.float32)
    mask = (abs(bscan - 3) <= 1) & (abs(depth - 15) <= 3) & (abs(ascan - 45) <= 6)
    volume = Volume(
        values,
        Spacing(0.5, 0.05, 0.1),
        laterality=Laterality.OD,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
        slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR,
        slow_axis_origin=Origin.READ,
        region=Region.MACULA_AND_DISC,
        region_origin=Origin.READ,
    )
    return Scan(volume, heat, mask)
