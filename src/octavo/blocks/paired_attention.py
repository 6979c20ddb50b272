"""Efficient paired attention, the peer that AI-CNet3D is compared with.

One linear map gives queries, keys and two kinds of values. A channel branch weighs channels by a `d x d` matrix per head; a
spatial branch compares every token with 64 learnt summaries of all tokens. The summaries are a linear map over tokens, so
the block is tied to one input size.

Source: the paired attention of UNETR++ (Shaker et al.), as the AI-CNet3D paper uses it. The heads of the spatial branch are
put back token by token; the published program interleaves heads and tokens there.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from octavo.blocks.precision import full_precision
from octavo.blocks.summary_attention import attend_summaries
from octavo.errors import OctavoError


class PairedAttention(nn.Module):
    """Channel and spatial attention that share queries and keys.

    Args:
        channels: C, a multiple of `heads` and even.
        size: Feature volume (bscan, depth, ascan) it will be given; no other is accepted.
        heads: Number of heads.
        projected: Number of learnt summaries of the tokens.
        dropout: Share of both attention matrices dropped in training.
        channel_dropout: Share of the channels dropped before the 1x1x1 convolution in training.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        heads: int = 4,
        projected: int = 64,
        dropout: float = 0.15,
        channel_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.size = size
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkvv = nn.Linear(channels, 4 * channels, bias=False)
        self.project = nn.Linear(size[0] * size[1] * size[2], projected)
        self.channel_temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.spatial_temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.spatial_out = nn.Linear(channels, channels // 2)
        self.channel_out = nn.Linear(channels, channels // 2)
        self.dropout = nn.Dropout(dropout)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.channel_dropout = nn.Dropout3d(channel_dropout)
        self.mix = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch c b d a"]:
        """Attend in both ways, add, mix.

        Raises:
            OctavoError: If the feature volume is not of the size the block was built for.
        """
        if tuple(x.shape[2:]) != self.size:
            raise OctavoError(f"paired attention was built for features of {self.size}, got {tuple(x.shape[2:])}")
        with full_precision(x):
            x = x.to(self.gamma.dtype)
            tokens = self.norm(x.permute(0, 2, 3, 4, 1).flatten(1, 3))
            attended = self._attend(tokens) * self.gamma
            skip = x + attended.transpose(1, 2).reshape(x.shape)
            return skip + self.mix(self.channel_dropout(skip))

    def _attend(self, tokens: Float[Tensor, "batch n c"]) -> Float[Tensor, "batch n c"]:
        batch, count, channels = tokens.shape
        mapped = self.qkvv(tokens).view(batch, count, 4, self.heads, channels // self.heads)
        q, k, v_channel, v_spatial = mapped.permute(2, 0, 3, 4, 1)
        k_projected, v_projected = self.project(k), self.project(v_spatial)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)

        by_channel = torch.softmax(self.channel_temperature * (q @ k.transpose(-2, -1)), dim=-1)
        channel = (self.dropout(by_channel) @ v_channel).permute(0, 3, 1, 2).reshape(batch, count, channels)
        dropout = self.dropout.p if self.training else 0.0
        spatial = attend_summaries(q, k_projected, v_projected, self.spatial_temperature, dropout)
        spatial = spatial.permute(0, 2, 1, 3).reshape(batch, count, channels)
        return torch.cat((self.spatial_out(spatial), self.channel_out(channel)), dim=-1)
