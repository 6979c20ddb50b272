"""What all peers give back, and the form of those that end in convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Output(NamedTuple):
    """What a peer gives back."""

    logits: Float[Tensor, "batch classes"]
    features: Float[Tensor, "batch channels b d a"] | None = None
    """What Grad-CAM reads, of peers that end in convolutions."""


class ConvolutionalPeer(nn.Module):
    """Convolutions, the mean over all places, and a linear map to logits.

    Args:
        trunk: From volumes to features.
        channels: Of the features.
        classes: Number of logits.

    Example:
        >>> import torch
        >>> output = ConvolutionalPeer(nn.Conv3d(1, 4, 3), 4)(torch.zeros(2, 1, 5, 5, 5))
        >>> output.logits.shape, output.features.shape
        (torch.Size([2, 2]), torch.Size([2, 4, 3, 3, 3]))
    """

    explained_by = ("grad-cam",)

    def __init__(self, trunk: nn.Module, channels: int, classes: int = 2) -> None:
        super().__init__()
        self.trunk = trunk
        self.dense = nn.Linear(channels, classes)

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """Read volumes."""
        features = self.trunk(x)
        return Output(self.classify(features), features)

    def classify(self, features: Float[Tensor, "batch channels b d a"]) -> Float[Tensor, "batch classes"]:
        """From the features to logits: the part of the network that Grad-CAM differentiates."""
        return self.dense(features.mean(dim=(2, 3, 4)))

    @contextmanager
    def frozen_head(self) -> Iterator[None]:
        """Nothing that follows the features works otherwise in training than in evaluation."""
        yield
