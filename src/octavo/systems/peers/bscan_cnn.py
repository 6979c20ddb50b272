"""A two-dimensional CNN that reads B-scan by B-scan, and the mean over all of them.

What a laboratory with B-scans and no budget does: no B-scan knows of its neighbours, and the answer is linear in the mean of
what was found in each. What a three-dimensional network gains over it is owed to the third dimension.

Shapes at 128 x 192 x 112: features `(batch, 128, 128, 12, 7)`, of which the first 128 are channels; two logits.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

from octavo.systems.peers.network import ConvolutionalPeer

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe

CHANNELS = (1, 16, 32, 64, 128)
"""Of the volume and after each convolution, which halves depth and A-scans; a last one leaves them as they are."""


def bscan_cnn(recipe: "PeerRecipe") -> ConvolutionalPeer:
    """The network: about as many parameters as AI-CNet3D."""
    steps = [_step(inputs, outputs, 2) for inputs, outputs in pairwise(CHANNELS)]
    return ConvolutionalPeer(nn.Sequential(*steps, _step(CHANNELS[-1], CHANNELS[-1], 1)), CHANNELS[-1], recipe.classes)


def _step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    # a kernel that is one B-scan thick reads every B-scan alone
    convolution = nn.Conv3d(inputs, outputs, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(outputs), nn.ReLU())
