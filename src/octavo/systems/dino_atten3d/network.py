"""The head of DinoAtten3D: slices that a frozen DINOv2 has read, weighed by attention, to an answer about the volume.

Paper: "DinoAtten3D: Slice-Level Attention Aggregation of DinoV2 for 3D Brain MRI Anomaly Classification", arXiv
2509.12512. A volume is an ordered set of slices. A backbone that is never trained turns each into features; attention
says how much each slice counts; their weighted mean is embedded and classified. Only this head learns.

Shapes: features `(batch, slice, width)`, 50 slices of 384 as published; weights `(batch, slice)`; embedding `(batch, 128)`;
two logits.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from octavo.blocks.slice_attention import SliceAttention


class Output(NamedTuple):
    """What the network gives back."""

    logits: Float[Tensor, "batch classes"]
    slice_weights: Float[Tensor, "batch slice"]
    """How much each slice counts; they add up to one, and a slice that is not there has none."""
    embedding: Float[Tensor, "batch embedding"]
    """Of length one."""


class DinoAtten3D(nn.Module):
    """Attention over slices, an embedding, a linear classifier.

    Args:
        width: Features of a slice.
        hidden: Width of the attention's tanh layer.
        embedding: Widths of the embedding's two layers.
        classes: Number of logits.

    Example:
        >>> output = DinoAtten3D(width=6)(torch.zeros(2, 4, 6))
        >>> output.logits.shape, output.slice_weights[0].tolist()
        (torch.Size([2, 2]), [0.25, 0.25, 0.25, 0.25])
    """

    explained_by = ()
    """Slice weights come with every answer; maps of voxels cannot be read from features of slices."""

    def __init__(self, width: int, hidden: int = 64, embedding: tuple[int, int] = (256, 128), classes: int = 2) -> None:
        super().__init__()
        self.attention = SliceAttention(width, hidden)
        self.embed = nn.Sequential(
            nn.Linear(width, embedding[0]), nn.ReLU(), nn.Linear(embedding[0], embedding[1]), nn.ReLU()
        )
        self.classifier = nn.Linear(embedding[1], classes)

    def forward(self, features: Float[Tensor, "batch slice width"]) -> Output:
        """Read the features of volumes; a slice that a shorter volume does not have is NaN throughout."""
        is_there = ~torch.isnan(features).any(dim=-1)
        volume, weights = self.attention(torch.nan_to_num(features), is_there)
        embedding = self.embed(volume)
        return Output(self.classifier(embedding), weights, F.normalize(embedding, dim=-1))
