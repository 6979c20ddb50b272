"""The convolutional block attention module: which channels matter, then which places.

    channels = σ(W2 relu(W1 mean(x)) + W2 relu(W1 max(x)));  x' = channels · x
    places = σ(convolution([mean over channels of x'; maximum over channels of x']));  y = places · x'

Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, here over three-dimensional features:
its 7x7 convolution becomes one of 7x7x7.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ConvolutionalBlockAttention(nn.Module):
    """Channels are weighed by their mean and their maximum, then places by those over channels.

    Args:
        channels: C.
        reduction: How many times fewer numbers the channels are squeezed into; at least one is left.
        kernel: Side of the cubic kernel that weighs places, odd.

    Example:
        >>> block = ConvolutionalBlockAttention(8)
        >>> block(torch.zeros(1, 8, 2, 3, 4)).shape, sum(weights.numel() for weights in block.parameters())
        (torch.Size([1, 8, 2, 3, 4]), 718)
    """

    def __init__(self, channels: int, reduction: int = 4, kernel: int = 7) -> None:
        super().__init__()
        # the paper's 16 would squeeze the 32 channels of AI-CNet3D into two numbers
        squeezed = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, channels, bias=False)
        self.convolution = nn.Conv3d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch c b d a"]:
        """Weigh channels, then places."""
        x = x * self.channel_weights(x)
        return x * self.place_weights(x)

    def channel_weights(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch c 1 1 1"]:
        """What each channel is multiplied by."""
        mean, highest = x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))
        summed = self.excite(F.relu(self.squeeze(mean))) + self.excite(F.relu(self.squeeze(highest)))
        return torch.sigmoid(summed)[:, :, None, None, None]

    def place_weights(self, x: Float[Tensor, "batch c b d a"]) -> Float[Tensor, "batch 1 b d a"]:
        """What each voxel is multiplied by."""
        seen = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return torch.sigmoid(self.convolution(seen))
