"""A volume as an ordered set of slices, and slices as the pictures a backbone of photographs reads.

As in DinoAtten3D: the central slices along one axis; each spread between its darkest and brightest sample over 8 bits; the
short side brought to 256 pixels (bilinear, antialiased), the central 224 x 224 cut out; three equal channels with the mean
and the deviation of ImageNet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Num, UInt8
from torch import Tensor
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.volume import AXES

SHORT_SIDE = 256
PICTURE = 224
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)

SliceAxis = Literal["bscan", "depth", "ascan"]


@dataclass(frozen=True)
class SliceChoice:
    """Which slices of a volume are read."""

    axis: SliceAxis = "bscan"
    """Along which axis slices follow one another. B-scans of an eye are `bscan`; the axial slices of a head in NIfTI
    are those along its third stored axis, which is `ascan`."""
    count: int = 50
    """The central so many; 0 takes all. A volume with fewer gives all it has."""

    def __post_init__(self) -> None:
        if self.count < 0:
            raise OctavoError(f"slice count is {self.count}; wanted 0 for all, or how many")

    def indices(self, shape: Sequence[int]) -> range:
        """Which slices of a volume of that shape are read.

        Example:
            >>> SliceChoice("bscan", 3).indices((6, 8, 8)), SliceChoice("depth", 0).indices((6, 8, 8))
            (range(1, 4), range(0, 8))
        """
        size = shape[AXES.index(self.axis)]
        count = min(self.count or size, size)
        first = (size - count) // 2
        return range(first, first + count)

    def slices(self, values: Num[np.ndarray, "bscan depth ascan"]) -> Num[np.ndarray, "slice row column"]:
        """The slices, first axis first; a view."""
        chosen = self.indices(values.shape)
        return np.moveaxis(values, AXES.index(self.axis), 0)[chosen.start : chosen.stop]


class Pictures(NamedTuple):
    """Slices as a backbone reads them."""

    pictures: Float[Tensor, "slice 3 224 224"]
    is_constant: Bool[np.ndarray, " slice"]
    """Slices whose samples are all equal, and which are black therefore: nothing divides by their empty range."""


def to_eight_bits(slices: Num[np.ndarray, "slice row column"]) -> UInt8[np.ndarray, "slice row column"]:
    """Spread each slice between its own smallest and largest sample over 0 to 255; a constant one becomes 0.

    Example:
        >>> to_eight_bits(np.array([[[1, 2], [3, 5]], [[4, 4], [4, 4]]])).tolist()
        [[[0, 64], [128, 255]], [[0, 0], [0, 0]]]
    """
    low = slices.min(axis=(1, 2), keepdims=True).astype(np.float32)
    span = slices.max(axis=(1, 2), keepdims=True).astype(np.float32) - low
    scaled = (slices.astype(np.float32) - low) / np.where(span > 0, span, 1) * 255
    return np.rint(scaled).astype(np.uint8)


def to_pictures(slices: Num[np.ndarray, "slice row column"]) -> Pictures:
    """Bring slices to the size, the channels and the range of the backbone's photographs."""
    constant = slices.min(axis=(1, 2)) == slices.max(axis=(1, 2))
    grey = torch.from_numpy(to_eight_bits(slices)).float().unsqueeze(1) / 255
    rows, columns = grey.shape[2:]
    scale = SHORT_SIDE / min(rows, columns)
    size = (max(SHORT_SIDE, round(rows * scale)), max(SHORT_SIDE, round(columns * scale)))
    resized = F.interpolate(grey, size=size, mode="bilinear", align_corners=False, antialias=True)
    top, left = (size[0] - PICTURE) // 2, (size[1] - PICTURE) // 2
    cut = resized[:, :, top : top + PICTURE, left : left + PICTURE].clamp(0, 1)
    mean, deviation = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (_MEAN, _DEVIATION))
    return Pictures((cut.expand(-1, 3, -1, -1) - mean) / deviation, constant)
