"""Divided attention over time and space, with the B-scans of a scan as time.

A token is a patch p of one B-scan t; one more, the class token 0, belongs to no place. In one block

    z' = z + attention over time(norm(z));  z'' = z' + attention over space(norm(z'));  z ← z'' + MLP(norm(z''))

where over time the token (p, t) compares itself with the class token and with the patches p of all B-scans, and over space
with the class token and with all patches of its own B-scan t. The class token compares itself with every token both times.

Source: Bertasius, Wang, Torresani, "Is Space-Time Attention All You Need for Video Understanding?", ICML 2021.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class GroupedAttention(nn.Module):
    """Self-attention within groups of tokens, which share one class token.

    Args:
        width: Numbers of a token, a multiple of `heads`.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, first: Float[Tensor, "batch 1 c"], tokens: Float[Tensor, "batch group n c"]
    ) -> tuple[Float[Tensor, "batch 1 c"], Float[Tensor, "batch group n c"]]:
        """Let each token ask its group and the class token, and the class token (`first`) ask everybody."""
        batch, groups, count, width = tokens.shape
        q0, k0, v0 = self._by_head(first)
        everybody = self._by_head(tokens.reshape(batch, groups * count, width))
        q, k, v = (part.unflatten(2, (groups, count)).transpose(1, 2).flatten(0, 1) for part in everybody)
        k_own, v_own = (
            torch.cat((one.repeat_interleave(groups, dim=0), own), dim=2) for one, own in ((k0, k), (v0, v))
        )
        _, k_all, v_all = everybody
        asked = F.scaled_dot_product_attention(q0, torch.cat((k0, k_all), dim=2), torch.cat((v0, v_all), dim=2))
        answers = F.scaled_dot_product_attention(q, k_own, v_own)
        together = answers.transpose(1, 2).reshape(batch, groups, count, width)
        return self.out(asked.transpose(1, 2).reshape(batch, 1, width)), self.out(together)

    def _by_head(self, tokens: Float[Tensor, "batch n c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each `batch head n c/heads`."""
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v


class DividedBlock(nn.Module):
    """One block: over time, over space, then each token by itself.

    Args:
        width: Numbers of a token, a multiple of `heads`.
        heads: Heads of both attentions.
        expansion: How many times wider the hidden part of the MLP is.

    Example:
        >>> first, tokens = DividedBlock(8, 2)(torch.zeros(1, 1, 8), torch.zeros(1, 3, 4, 8))
        >>> first.shape, tokens.shape
        (torch.Size([1, 1, 8]), torch.Size([1, 3, 4, 8]))
    """

    def __init__(self, width: int, heads: int, expansion: int = 4) -> None:
        super().__init__()
        self.norm_time, self.norm_space, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.over_time = GroupedAttention(width, heads)
        self.over_space = GroupedAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))

    def forward(
        self, first: Float[Tensor, "batch 1 c"], tokens: Float[Tensor, "batch time place c"]
    ) -> tuple[Float[Tensor, "batch 1 c"], Float[Tensor, "batch time place c"]]:
        """The class token (`first`) and all others, one block further on."""
        by_place = self.norm_time(tokens).transpose(1, 2)
        first_answer, answers = self.over_time(self.norm_time(first), by_place)
        first, tokens = first + first_answer, tokens + answers.transpose(1, 2)
        first_answer, answers = self.over_space(self.norm_space(first), self.norm_space(tokens))
        first, tokens = first + first_answer, tokens + answers
        return first + self.mlp(self.norm_mlp(first)), tokens + self.mlp(self.norm_mlp(tokens))
