"""Squeeze-and-excitation: every channel is scaled by a number that follows from the means of all channels.

    s = σ(W2 relu(W1 mean(x)));  y = s · x

Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, here over three-dimensional features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class SqueezeExcitation(nn.Module):
    """Channels are weighed by what all channels are on average.

    Args:
        channels: C.
        reduction: How many times fewer numbers the means are squeezed into; at least one is left.

    Example:
        >>> block = SqueezeExcitation(8)
        >>> block(torch.zeros(1, 8, 2, 3, 4)).shape, sum(weights.numel() for weights in block.parameters())
        (torch.Size([1, 8, 2, 3, 4]), 32)
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        # the paper's 16 would squeeze the 32 channels of AI-CNet3D into two numbers
        squeezed = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, channels, bias=False)

    def forward(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch c b d a"]:
        """Weigh the channels."""
        scale = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3, 4))))))
        return x * scale[:, :, None, None, None]
