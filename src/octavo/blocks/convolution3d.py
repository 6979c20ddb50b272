"""A three-dimensional convolution with batch norm and ReLU, arranged so that nothing is computed or kept twice."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ConvolutionBlock(nn.Module):
    """`relu(batch_norm(convolution(x)))`, same padding.

    In evaluation the batch norm is a fixed affine map per channel, so it is folded into the convolution's weights (exact
    algebra); ReLU works in place. `convolve` and `activate` are the two steps apart, for whoever needs the convolution's
    own output (Grad-CAM does).

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Side of the cubic kernel, odd.
        stride: Step along every axis.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm = nn.BatchNorm3d(outputs)

    def convolve(self, x: Float[Tensor, "batch inputs b d a"]) -> Float[Tensor, "batch outputs b2 d2 a2"]:
        """The convolution alone."""
        return self.convolution(x)

    def activate(self, features: Float[Tensor, "batch outputs b d a"]) -> Float[Tensor, "batch outputs b d a"]:
        """Batch norm and ReLU, given the convolution's output, which is left as it is."""
        return F.relu_(self.norm(features))

    def forward(self, x: Float[Tensor, "batch inputs b d a"]) -> Float[Tensor, "batch outputs b2 d2 a2"]:
        """Convolve, normalise, rectify."""
        if self.norm.training:
            return self.activate(self.convolve(x))
        scale, shift = frozen_affine(self.norm)
        weight = self.convolution.weight * scale.view(-1, 1, 1, 1, 1)
        bias = self.convolution.bias
        bias = shift if bias is None else bias * scale + shift
        return F.relu_(F.conv3d(x, weight, bias, self.convolution.stride, self.convolution.padding))


def frozen_affine(norm: nn.BatchNorm3d) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
    """Scale and shift per channel that a batch norm applies with its running statistics.

    Example:
        >>> scale, shift = frozen_affine(nn.BatchNorm3d(2))
        >>> scale.tolist(), shift.tolist()
        ([0.99999..., 0.99999...], [0.0, 0.0])
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("this batch norm keeps no running statistics; wanted track_running_stats=True")
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
        return scale, norm.bias - norm.running_mean * scale
    return scale, -norm.running_mean * scale
