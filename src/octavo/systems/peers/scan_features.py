"""Fixed features of a prepared scan: how bright it is, and how thick its retina, in all and by quadrant.

Nothing is learnt here. Quadrants are those of the eye from the front, in right-eye orientation: superior B-scans come first,
temporal A-scans come first. Of each, and of the whole,

* grey values: mean, standard deviation and the percentiles 5, 25, 50, 75, 95;
* thickness: mean and standard deviation over A-scans of the way from the first strong rise of intensity, where the vitreous
  ends, to the last strong fall, in shares of the scan's depth. An edge is strong if it is at least half as steep as the
  A-scan's steepest of its kind, after smoothing along depth and over neighbouring A-scans.

The thickness is crude: no layer is segmented, and where a vessel hides what is below it is short.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

REGIONS = ("whole", "superior temporal", "superior nasal", "inferior temporal", "inferior nasal")
PERCENTILES = (5, 25, 50, 75, 95)
FEATURES = tuple(
    f"{region}: {name}"
    for region in REGIONS
    for name in (
        "mean",
        "standard deviation",
        *(f"percentile {percent}" for percent in PERCENTILES),
        "thickness",
        "standard deviation of thickness",
    )
)
"""What each number means, in order."""

STRONG = 0.5
"""How steep a strong edge is, as a share of the steepest."""


def scan_features(x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch feature"]:
    """Everything that `FEATURES` names.

    Example:
        >>> scan_features(torch.zeros(2, 1, 4, 8, 6)).shape == (2, len(FEATURES))
        True
    """
    grey, thick = x[:, 0], thickness(x)
    numbers = []
    for bscans, ascans in _places(grey.shape[1], grey.shape[3]):
        numbers += _of_grey_values(grey[:, bscans, :, ascans].flatten(1))
        numbers += _mean_and_spread(thick[:, bscans, ascans].flatten(1))
    return torch.stack(numbers, dim=1)


def thickness(x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch b a"]:
    """From the first strong rise to the last strong fall of each A-scan, in shares of the depth; 0 without edges."""
    rise = _smoothed(x)[:, 0].diff(dim=2)
    depth = x.shape[3]
    index = torch.arange(depth - 1, device=x.device).view(1, 1, -1, 1)
    first = torch.where(_strong(rise), index, depth).amin(dim=2)
    last = torch.where(_strong(-rise), index, -1).amax(dim=2)
    return (last - first).clamp_min(0) / depth


def _strong(edge: Float[Tensor, "batch b d a"]) -> Tensor:
    """Where an edge is steepest: a smooth one begins before its place and ends behind it."""
    beside = F.max_pool3d(edge[:, None], (1, 3, 1), stride=1, padding=(0, 1, 0))[:, 0]
    return (edge > 0) & (edge >= beside) & (edge >= STRONG * edge.amax(dim=2, keepdim=True))


def _smoothed(x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch 1 b d a"]:
    """Mean over neighbouring B-scans and A-scans, then a Gaussian along depth."""
    sigma = max(1.0, x.shape[3] / 64)
    reach = round(3 * sigma)
    x = F.avg_pool3d(F.pad(x, (1, 1, reach, reach, 1, 1), mode="replicate"), (3, 1, 3), stride=1)
    steps = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1, 1)
    return F.conv3d(x, kernel)


def _of_grey_values(values: Float[Tensor, "batch n"]) -> list[Float[Tensor, " batch"]]:
    ordered, last = values.sort(dim=1).values, values.shape[1] - 1
    percentiles = [ordered[:, round(percent / 100 * last)] for percent in PERCENTILES]
    return [*_mean_and_spread(values), *percentiles]


def _mean_and_spread(values: Float[Tensor, "batch n"]) -> list[Float[Tensor, " batch"]]:
    return [values.mean(dim=1), values.std(dim=1, correction=0)]


def _places(bscans: int, ascans: int) -> Sequence[tuple[slice, slice]]:
    superior, inferior = slice(0, bscans // 2), slice(bscans // 2, None)
    temporal, nasal = slice(0, ascans // 2), slice(ascans // 2, None)
    quadrants = [(rows, columns) for rows in (superior, inferior) for columns in (temporal, nasal)]
    return [(slice(None), slice(None)), *quadrants]
