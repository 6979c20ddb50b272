"""TimeSformer: a transformer that attends over time and space in turn, with B-scans as time.

Paper: Bertasius, Wang, Torresani, "Is Space-Time Attention All You Need for Video Understanding?", ICML 2021. Each B-scan is
cut into patches; a patch first compares itself with the same place of all B-scans, then with its own B-scan. A class token
that belongs to no place gathers what the answer needs.

Shapes at 128 x 192 x 112: `(batch, 1, 128, 192, 112)`, tokens `(batch, 128, 84, width)`, two logits.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from octavo.blocks.divided_attention import DividedBlock
from octavo.systems.peers.architectures import PATCH
from octavo.systems.peers.network import Output

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe

SCALES: dict[str, tuple[int, int, int]] = {"small": (192, 4, 3), "published": (768, 8, 12)}
"""Width, blocks and heads. Twelve blocks of the paper's width would be more parameters than any that were published for
OCT; eight are among them."""


class TimeSformer(nn.Module):
    """Patches of B-scans, divided attention, and a linear map from the class token to logits.

    Args:
        size: Input (bscan, depth, ascan); depth and ascan are multiples of the patch's.
        width: Numbers of a token.
        blocks: How many.
        heads: Of each attention.
        classes: Number of logits.

    Example:
        >>> TimeSformer((3, 32, 16), width=8, blocks=1, heads=2)(torch.zeros(2, 1, 3, 32, 16)).logits.shape
        torch.Size([2, 2])
    """

    explained_by = ()

    def __init__(self, size: tuple[int, int, int], width: int, blocks: int, heads: int, classes: int = 2) -> None:
        super().__init__()
        patch = (1, *PATCH[1:])
        places = (size[1] // PATCH[1]) * (size[2] // PATCH[2])
        self.patches = nn.Conv3d(1, width, patch, stride=patch)
        self.class_token = nn.Parameter(_drawn(1, 1, width))
        self.place_of_class = nn.Parameter(_drawn(1, 1, width))
        self.places = nn.Parameter(_drawn(1, 1, places, width))
        self.times = nn.Parameter(_drawn(1, size[0], 1, width))
        self.blocks = nn.ModuleList(DividedBlock(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.dense = nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """Read volumes."""
        tokens = self.patches(x).flatten(3).permute(0, 2, 3, 1) + self.places + self.times
        first = (self.class_token + self.place_of_class).expand(len(x), -1, -1)
        for block in self.blocks:
            first, tokens = block(first, tokens)
        return Output(self.dense(self.norm(first[:, 0])))


def timesformer(recipe: "PeerRecipe") -> TimeSformer:
    """The network that a recipe asks for."""
    return TimeSformer(recipe.size, *SCALES[recipe.scale], recipe.classes)


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape) * 0.02
