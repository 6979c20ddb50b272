"""Channel-only cross-attention between regions of a feature volume, in Gram form.

For region A asking region B, both layer-normed tokens `(N, C)`, the plain reading is

    q = A Wq, k = B Wk, v = B Wv;  attention = softmax(t · normalise(q)ᵀ normalise(k));  out = (attention · vᵀ)ᵀ Wo + bo

with `q` and `k` normalised along the tokens. Attention here is a small `d x d` matrix per head, so the tokens are never
needed one by one: `qᵀk = Wqᵀ (AᵀB) Wk`, the norms of `q`'s channels are square roots of the diagonal of `Wqᵀ (AᵀA) Wq`, and
the attended result is `B M` with one `C x C` matrix `M = Wv · blockdiag(attentionᵀ) · Wo` per exam. What follows (scale γ,
skip, channel dropout `D`, 1x1x1 convolution `W8`) is linear in the tokens as well and folds into two matrices:

    y = x (I + D W8) + Σ B M diag(γ) (I + D W8) + constants

Source: Kenia, Li, Srivastava, Thakoor, AI-CNet3D, MELBA 2025:018; the regrouping is ours and exact, dropouts included.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from octavo.blocks.precision import full_precision
from octavo.blocks.region_mixing import Mixing, mix_regions
from octavo.blocks.regions import Anatomy


class DirectedAttention(nn.Module):
    """The weights with which one region asks another.

    Args:
        channels: C, a multiple of `heads`.
        heads: Number of heads; each has a learnt temperature.
        dropout: Share of the attention matrix that is dropped in training.
    """

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Linear(channels, channels, bias=False)
        self.k = nn.Linear(channels, channels, bias=False)
        self.v = nn.Linear(channels, channels, bias=False)
        self.out_proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        asking: Float[Tensor, "batch c c"],
        answering: Float[Tensor, "batch c c"],
        crossing: Float[Tensor, "batch c c"],
    ) -> Float[Tensor, "batch c c"]:
        """Turn the Gram matrices of two regions into the matrix `M` that mixes the answering region's channels.

        Args:
            asking: `AᵀA`.
            answering: `BᵀB`.
            crossing: `AᵀB`.
        """
        q, k, v = (linear.weight.view(self.heads, -1, linear.in_features) for linear in (self.q, self.k, self.v))
        products = q @ crossing.unsqueeze(1) @ k.transpose(-2, -1)
        q_norm = _root((q @ asking.unsqueeze(1) * q).sum(-1))
        k_norm = _root((k @ answering.unsqueeze(1) * k).sum(-1))
        similarity = products / (q_norm.unsqueeze(-1) * k_norm.unsqueeze(-2))
        attention = self.dropout(torch.softmax(self.temperature * similarity, dim=-1))
        out = self.out_proj.weight.view(self.out_proj.out_features, self.heads, -1).permute(1, 2, 0)
        return (v.transpose(-2, -1) @ attention.transpose(-2, -1) @ out).sum(dim=1)


class CrossAttention(nn.Module):
    """Regions of a feature volume ask one another, channel by channel; the answer is added where it was asked for.

    Args:
        channels: C.
        anatomy: The regions, and who asks whom.
        heads: Heads of every directed attention.
        order: For the shuffled control, the order in which the feature B-scans are dealt to the halves; kept as a
            buffer. Real anatomy leaves it out.
        dropout: Share of the attention matrices dropped in training.
        channel_dropout: Share of the channels dropped before the 1x1x1 convolution in training.
    """

    order: Tensor | None

    def __init__(
        self,
        channels: int,
        anatomy: Anatomy,
        heads: int = 4,
        order: Tensor | None = None,
        dropout: float = 0.15,
        channel_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.anatomy = anatomy
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(max(anatomy.norm_of) + 1))
        self.directed = nn.ModuleList(DirectedAttention(channels, heads, dropout) for _ in anatomy.pairs)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.channel_dropout = nn.Dropout(channel_dropout)
        self.mix = nn.Conv3d(channels, channels, 1)
        self.register_buffer("order", order)

    def forward(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch c b d a"]:
        """Attend, add, mix; in full precision also where the convolutions around it are not."""
        with full_precision(x):
            tokens = x.to(self.gamma.dtype).permute(0, 2, 3, 4, 1)
            if self.order is not None:
                tokens = tokens[:, self.order]
            parameters = [*self.directed.parameters(), self.gamma, *self.mix.parameters()]
            y = mix_regions(tokens, self.anatomy, [*self.norms], self._mixing, parameters)
            if self.order is not None:
                y = y[:, torch.argsort(self.order)]
            return y.permute(0, 4, 1, 2, 3)

    def _mixing(self, grams: Float[Tensor, "region region batch c c"]) -> Mixing:
        pairs = self.anatomy.pairs
        mixed = [
            attention(grams[asking, asking], grams[answering, answering], grams[asking, answering]) * self.gamma
            for attention, (asking, answering) in zip(self.directed, pairs, strict=True)
        ]
        batch, channels = grams.shape[2:4]
        kept = self.channel_dropout(grams.new_ones(batch, channels, 1))
        skip = torch.eye(channels, dtype=grams.dtype, device=grams.device) + kept * self.mix.weight.view(channels, -1).T
        constants = [self.mix.bias.expand(batch, channels)] * grams.shape[0]
        for attention, (asking, _) in zip(self.directed, pairs, strict=True):
            constants[asking] = constants[asking] + (attention.out_proj.bias * self.gamma) @ skip
        return Mixing(skip, torch.stack(mixed) @ skip, torch.stack(constants))


def _root(squares: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Square root that never divides by zero: the floor is the one that normalising a row would use."""
    return squares.clamp_min(1e-24).sqrt()
