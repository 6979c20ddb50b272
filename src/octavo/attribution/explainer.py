"""Explainers: which voxels of a scan a network's answer rests on.

An explainer keeps four promises, which the tests hold every member of `EXPLAINERS` to:

* its map lies on the grid of the volume that was explained;
* the network is the same on return: weights, statistics, mode of every module, no gradients left behind;
* the same input gives the same map;
* it says whether it reads the score. One that does gives no heat for a constant score; one that does not (a readout of
  attention) is labelled so, for it would show the same map whatever the network answered.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from octavo.attribution.grad_cam import grad_cam
from octavo.attribution.score import Score, predicted_margin
from octavo.errors import OctavoError, unknown_name
from octavo.transforms import Window, resample_values


@runtime_checkable
class WithCare(Protocol):
    """What a network gives back that CARE is read from."""

    @property
    def care(self) -> Tensor: ...  # noqa: D102


@runtime_checkable
class WithFeatures(Protocol):
    """What a network gives back that Grad-CAM is read from."""

    @property
    def features(self) -> Tensor: ...  # noqa: D102


@runtime_checkable
class Explainable(Protocol):
    """What an explainer asks of a network."""

    def __call__(self, x: Tensor) -> Any:
        """Read volumes."""

    def classify(self, features: Tensor) -> Tensor:
        """From the last convolution's output to logits."""

    def frozen_head(self) -> AbstractContextManager[None]:
        """Within the block, `classify` works as in evaluation."""

    def modules(self) -> Iterator[torch.nn.Module]:
        """All parts of the network."""


class Attribution(NamedTuple):
    """One map and what is known of it."""

    heat: Float[np.ndarray, "bscan depth ascan"]
    """Non-negative, at most 1, on the grid of the volume that went in."""
    coarse: Float[np.ndarray, "b d a"]
    """The same on the network's own grid."""
    explainer: str
    reads_score: bool
    is_zero: bool
    """Whether the map has no heat at all."""


@dataclass(frozen=True)
class Explainer:
    """A named way to make maps on the network's own grid."""

    name: str
    title: str
    reads_score: bool
    maps: Callable[[Explainable, Any, Score], Float[Tensor, "batch b d a"]]

    def __call__(
        self, network: Explainable, volume: Float[Tensor, "1 1 b d a"], score: Score = predicted_margin
    ) -> Attribution:
        """Explain one prepared volume."""
        with evaluation(network), torch.no_grad():
            coarse = self.maps(network, network(volume), score)[0].float().cpu().numpy()
        shape = (volume.shape[2], volume.shape[3], volume.shape[4])
        heat = np.clip(resample_values(coarse, shape, covering(coarse.shape, shape)), 0.0, 1.0)
        return Attribution(heat, coarse, self.name, self.reads_score, bool(coarse.max() <= 0))


def covering(coarse: tuple[int, ...], shape: tuple[int, ...]) -> Window:
    """The part of a network's own grid, in its cells, that the whole input covers.

    Pooling drops what does not fill a cell, so that the cells, each a power of two of samples wide, may end before the
    input does. Stretched over all of it a map would lie too deep.

    Example:
        >>> covering((16, 12, 14), (128, 100, 112))
        ((0.0, 16.0), (0.0, 12.5), (0.0, 14.0))
    """
    edges = []
    for cells, samples in zip(coarse, shape, strict=True):
        width = min((1, 2, 4, 8, 16, 32), key=lambda width: abs(width * cells - samples))
        edges.append((0.0, samples / width))
    return (edges[0], edges[1], edges[2])


@contextmanager
def evaluation(network: Explainable) -> Iterator[None]:
    """Within the block every part of the network is in evaluation mode; afterwards each is as it was."""
    modes = [(module, module.training) for module in network.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def care_maps(network: Explainable, readings: WithCare, score: Score) -> Float[Tensor, "batch b d a"]:
    """CARE: read out of the second attention, whatever the score."""
    return readings.care


def grad_cam_maps(network: Explainable, readings: WithFeatures, score: Score) -> Float[Tensor, "batch b d a"]:
    """Grad-CAM in its sound form."""
    with network.frozen_head():
        return grad_cam(readings.features, network.classify, score)


EXPLAINERS: dict[str, Explainer] = {
    "care": Explainer("care", "CARE", reads_score=False, maps=care_maps),
    "grad-cam": Explainer("grad-cam", "Grad-CAM", reads_score=True, maps=grad_cam_maps),
}
"""Every explainer by name."""


def require_explained_by(network: object, names: Iterable[str]) -> None:
    """Refuse maps that are read from what a network does not have; one that says nothing in `explained_by` has it all.

    Raises:
        OctavoError: If there is one, with the maps that there are.

    Example:
        >>> require_explained_by(torch.nn.Identity(), ["care", "grad-cam"])
    """
    possible = getattr(network, "explained_by", EXPLAINERS)
    for name in names:
        if name not in possible:
            wanted = f"{', '.join(possible)}; choose it with --by"
            if not possible:
                wanted = "a network that ends in convolutions; explain another model"
            raise OctavoError(f"{name} cannot be read from this model's network; wanted {wanted}")


def find_explainer(name: str) -> Explainer:
    """The explainer of that name.

    Raises:
        OctavoError: If there is none, naming the nearest.
    """
    if name not in EXPLAINERS:
        raise OctavoError(unknown_name("an explainer", name, EXPLAINERS))
    return EXPLAINERS[name]
