"""The network of AI-CNet3D: five convolutions, two of them followed by anatomically informed attention.

Paper: Kenia, Li, Srivastava, Thakoor, "AI-CNet3D: An Anatomically-Informed Cross-Attention Network with Multi-Task
Consistency Fine-tuning for 3D Glaucoma Classification", MELBA 2025:018. A small three-dimensional CNN lets the parts of the
eye that disease treats unequally (superior and inferior hemiretina; macula and optic nerve) ask each other which channels
matter. The mean of what the second attention puts out is a map of where it looked (CARE), on the same grid as Grad-CAM.

Shapes at the published size: `(batch, 1, 128, 192, 112)`, features `(batch, 32, 64, 96, 56)`, then `(32, 48, 28)` and
`(16, 24, 14)`; two logits.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from octavo.blocks.cbam import ConvolutionalBlockAttention
from octavo.blocks.convolution3d import ConvolutionBlock
from octavo.blocks.cross_attention import CrossAttention
from octavo.blocks.paired_attention import PairedAttention
from octavo.blocks.regions import ANATOMIES
from octavo.blocks.squeeze_excitation import SqueezeExcitation
from octavo.errors import OctavoError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTENTIONS = (
    "none",
    "hemiretinal",
    "neuron-axon",
    "hemiretinal-neuron-axon",
    "shuffled",
    "epa",
    "squeeze-excitation",
    "cbam",
)
POOLINGS = ("global", "published")
PUBLISHED_SIZE = (128, 192, 112)
KERNELS = (7, 5, 3, 3, 3)


class Output(NamedTuple):
    """What the network gives back."""

    logits: Float[Tensor, "batch classes"]
    care: Float[Tensor, "batch b d a"]
    """Where the second attention looked, in [0, 1]; for `none`, `squeeze-excitation` and `cbam` the channel mean there,
    not attention."""
    features: Float[Tensor, "batch channels b2 d2 a2"]
    """The last convolution's output before batch norm and ReLU: what Grad-CAM reads."""


class AICNet3D(nn.Module):
    """AI-CNet3D in any of its variants.

    Args:
        attention: One of `ATTENTIONS`. `shuffled` is the control: the same computation as hemiretinal on halves of the
            B-scans drawn at random. `none` is the plain CNN; `squeeze-excitation` and `cbam` weigh channels, and places, of
            the whole volume.
        size: Input (bscan, depth, ascan). `shuffled` and `epa` are tied to it; the others also take other sizes.
        placement: After which two of the five convolutions attention and pooling stand.
        channels: Width of every convolution.
        heads: Heads of the attention.
        classes: Number of logits.
        pooling: `global` averages over everything; `published` over the cube the published program covers.
        shuffle_seed: Seed of the shuffled control's halves.

    Raises:
        OctavoError: If a name is unknown, the placement impossible, or the size one the network cannot take.

    Example:
        >>> network = AICNet3D(attention="hemiretinal", size=(16, 16, 16))
        >>> output = network(torch.zeros(2, 1, 16, 16, 16))
        >>> output.logits.shape, output.care.shape
        (torch.Size([2, 2]), torch.Size([2, 2, 2, 2]))
    """

    def __init__(
        self,
        attention: str = "hemiretinal",
        size: tuple[int, int, int] = PUBLISHED_SIZE,
        placement: tuple[int, int] = (2, 4),
        channels: int = 32,
        heads: int = 4,
        classes: int = 2,
        pooling: str = "global",
        shuffle_seed: int = 0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise OctavoError(unknown_name("an attention of AI-CNet3D", attention, ATTENTIONS))
        if pooling not in POOLINGS:
            raise OctavoError(unknown_name("a pooling of AI-CNet3D", pooling, POOLINGS))
        if not 1 <= placement[0] < placement[1] <= len(KERNELS):
            raise OctavoError(f"placement is {placement}; wanted two different convolutions of 1 to 5, in order")
        if min(channels, heads) < 1 or channels % heads or channels % 2:
            raise OctavoError(f"{channels} channels cannot be shared by {heads} heads; wanted an even multiple of them")
        self.attention = attention
        self.size = size
        self.placement = placement
        self.pooling = pooling
        check_size(attention, size)
        self.convolutions = nn.ModuleList(
            ConvolutionBlock(1 if index == 0 else channels, channels, kernel, stride=2 if index == 0 else 1)
            for index, kernel in enumerate(KERNELS)
        )
        generator = torch.Generator().manual_seed(shuffle_seed)
        self.attentions = nn.ModuleList(
            _attention(attention, channels, heads, _feature_size(size, stage), generator) for stage in range(2)
        )
        self.dense = nn.Linear(channels, classes)

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """Read volumes, prepared to the network's intensity range and right-eye orientation.

        Raises:
            OctavoError: If the volumes have a size the network cannot take.
        """
        features, care = self._features(x)
        logits, care = self._head(features, care)
        if care is None:
            raise AssertionError("the second attention always stands at or before the last convolution")
        return Output(logits, care, features)

    def last_map(self, x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch channels b2 d2 a2"]:
        """The map whose mean over places is what classes are told by: all of the network but its last layer.

        Raises:
            OctavoError: If the volumes have a size the network cannot take.
        """
        return self._last_map(*self._features(x))[0]

    def classify(self, features: Float[Tensor, "batch channels b d a"]) -> Float[Tensor, "batch classes"]:
        """From the last convolution's output to logits: the part of the network that Grad-CAM differentiates."""
        return self._head(features, None)[0]

    @contextmanager
    def frozen_head(self) -> "Iterator[None]":
        """Within the block, what follows the last convolution works as in evaluation: no dropout, batch norm fixed."""
        head = [module for module in self._head_modules() for module in module.modules()]
        modes = [module.training for module in head]
        for module in head:
            module.training = False
        try:
            yield
        finally:
            for module, mode in zip(head, modes, strict=True):
                module.training = mode

    def _head_modules(self) -> list[nn.Module]:
        after_last = [self.attentions[1]] if self.placement[1] == len(KERNELS) else []
        return [self.convolutions[-1].norm, *after_last, self.dense]

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        self._check_input(x)
        care = None
        x = x.contiguous(memory_format=torch.channels_last_3d)
        for number, block in enumerate(self.convolutions[:-1], start=1):
            x, care = self._attend_after(number, block(x), care)
        return self.convolutions[-1].convolve(x), care

    def _last_map(self, features: Tensor, care: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._attend_after(len(KERNELS), self.convolutions[-1].activate(features), care)

    def _head(self, features: Tensor, care: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, care = self._last_map(features, care)
        return self.dense(_pool(x, self.pooling)), care

    def _attend_after(self, number: int, x: Tensor, care: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if number not in self.placement:
            return x, care
        stage = self.placement.index(number)
        x = F.max_pool3d(self.attentions[stage](x), 2)
        return x, care_map(x) if stage == 1 else care

    def _check_input(self, x: Tensor) -> None:
        got = (x.shape[2], x.shape[3], x.shape[4])
        if got == self.size:
            return
        if self.attention in {"shuffled", "epa"}:
            raise OctavoError(f"volumes are {got}; {self.attention} attention was built for {self.size}: resample them")
        check_size(self.attention, got)


def care_map(x: Float[Tensor, "batch channels b d a"]) -> Float[Tensor, "batch b d a"]:
    """CARE: the mean over channels, rectified and divided by its own maximum (+1e-5, as published)."""
    mean = F.relu(x.mean(dim=1))
    return mean / (mean.amax(dim=(1, 2, 3), keepdim=True) + 1e-5)


def check_size(attention: str, size: tuple[int, int, int]) -> None:
    """Refuse a size that the variant cannot take, and say which it can.

    Raises:
        OctavoError: If an axis is shorter than 8, or one that is halved is not a multiple of 8.
    """
    halves = ANATOMIES[attention].halves if attention in ANATOMIES else ()
    bscan, _, ascan = size
    multiples = [name for name, n in (("bscan", bscan), ("ascan", ascan)) if name in halves and n % 8]
    if multiples or min(size) < 8:
        wanted = " and ".join(halves)
        rule = f", {wanted} a multiple of 8" if halves else ""
        near = tuple(
            max(8, round(n / 8) * 8) if name in halves else max(8, n)
            for name, n in zip(("bscan", "depth", "ascan"), size, strict=True)
        )
        raise OctavoError(
            f"volumes are {size}; {attention} attention takes sizes of at least 8 along each axis{rule}; nearest: {near}"
        )


def _feature_size(size: tuple[int, int, int], stage: int) -> tuple[int, int, int]:
    """Features at an attention stage: halved (rounding up) by the first convolution, then by the pooling before it."""
    halved = [(n + 1) // 2 // (2 if stage == 1 else 1) for n in size]
    return (halved[0], halved[1], halved[2])


def _attention(
    name: str, channels: int, heads: int, size: tuple[int, int, int], generator: torch.Generator
) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "epa":
        return PairedAttention(channels, size, heads)
    if name == "squeeze-excitation":
        return SqueezeExcitation(channels)
    if name == "cbam":
        return ConvolutionalBlockAttention(channels)
    order = torch.randperm(size[0], generator=generator, device="cpu") if name == "shuffled" else None
    return CrossAttention(channels, ANATOMIES[name], heads, order=order)


def _pool(x: Float[Tensor, "batch channels b d a"], pooling: str) -> Float[Tensor, "batch channels"]:
    if pooling == "published":
        # one cube whose side is the shortest axis, at the corner: all that the published program averages
        side = min(x.shape[2:])
        x = x[:, :, :side, :side, :side]
    return x.mean(dim=(2, 3, 4))
