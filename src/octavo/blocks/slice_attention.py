"""Attention over the slices of a volume: which of them the answer rests on.

    e_j = wᵀ tanh(W₁ z_j + b₁) + b₂,    α = softmax(e),    z = Σ_j α_j z_j

Ilse, Tomczak, Welling, "Attention-based Deep Multiple Instance Learning", ICML 2018, in the form without a gate that
DinoAtten3D's program uses (its paper says gated).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class SliceAttention(nn.Module):
    """Weigh slices and average them.

    Args:
        width: Features of a slice.
        hidden: Width of the tanh layer.

    Example:
        >>> mean, weights = SliceAttention(6, 4)(torch.zeros(1, 3, 6), torch.tensor([[True, True, False]]))
        >>> weights
        tensor([[0.5000, 0.5000, 0.0000]], grad_fn=<SoftmaxBackward0>)
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.ask = nn.Linear(width, hidden)
        self.weigh = nn.Linear(hidden, 1)

    def forward(
        self, slices: Float[Tensor, "batch slice width"], is_there: Bool[Tensor, "batch slice"]
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch slice"]]:
        """The weighted mean of the slices that are there, and the weights, which add up to one."""
        energies = self.weigh(torch.tanh(self.ask(slices))).squeeze(-1)
        weights = energies.masked_fill(~is_there, -torch.inf).softmax(dim=-1)
        return torch.einsum("bs,bsw->bw", weights, slices), weights


def attention_entropy(weights: Float[Tensor, "batch slice"]) -> Float[Tensor, " batch"]:
    """How evenly slices are weighed: 1 where all count the same, 0 where one counts alone; over slices with weight.

    Example:
        >>> attention_entropy(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    entropy = -torch.xlogy(weights, weights).sum(dim=-1)
    slices = (weights > 0).sum(dim=-1)
    return torch.where(slices > 1, entropy / slices.clamp(min=2).log(), torch.zeros_like(entropy))
