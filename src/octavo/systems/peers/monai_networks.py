"""Peers that MONAI has. It takes seconds to import, and only these need it."""

import importlib.util
import warnings
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from octavo.errors import OctavoError
from octavo.systems.peers.architectures import PATCH
from octavo.systems.peers.network import ConvolutionalPeer, Output

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe

PACKAGES = ("monai", "einops")
"""What the extra `peers` installs."""

DENSENETS: dict[str, dict[str, Any]] = {
    "small": {"init_features": 16, "growth_rate": 8, "block_config": (4, 4, 4, 4)},
    "published": {"init_features": 64, "growth_rate": 32, "block_config": (6, 12, 24, 16)},
}
"""Features of the first convolution, features that each layer adds, and layers of each block; published is DenseNet-121."""

TRANSFORMERS: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 192, "mlp_dim": 768, "num_layers": 6, "num_heads": 3},
    "published": {"hidden_size": 768, "mlp_dim": 3072, "num_layers": 12, "num_heads": 12},
}
"""Width, hidden width of the MLP, blocks and heads; published is ViT-Base."""


def resnet3d(recipe: "PeerRecipe") -> ConvolutionalPeer:
    """ResNet-10 or ResNet-18 in three dimensions; the first convolution halves each axis, as in two dimensions."""
    nets = monai_nets("resnet3d")
    make = nets.resnet10 if recipe.scale == "small" else nets.resnet18
    whole = make(spatial_dims=3, n_input_channels=1, conv1_t_stride=2, feed_forward=False)
    stem = (whole.conv1, whole.bn1, whole.act, whole.maxpool)
    trunk = nn.Sequential(*stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4)
    return ConvolutionalPeer(trunk, 512, recipe.classes)


def densenet3d(recipe: "PeerRecipe") -> ConvolutionalPeer:
    """DenseNet-121 in three dimensions, or a small one with the same number of blocks."""
    whole = monai_nets("densenet3d").DenseNet(
        spatial_dims=3, in_channels=1, out_channels=recipe.classes, **DENSENETS[recipe.scale]
    )
    return ConvolutionalPeer(
        nn.Sequential(*whole.features, nn.ReLU()), whole.class_layers.out.in_features, recipe.classes
    )


def vit3d(recipe: "PeerRecipe") -> nn.Module:
    """A vision transformer over three-dimensional patches."""
    whole = monai_nets("vit3d").ViT(
        in_channels=1,
        img_size=recipe.size,
        patch_size=PATCH,
        classification=True,
        num_classes=recipe.classes,
        # by default the logits are squeezed between -1 and 1, and no answer could be sure
        post_activation="none",
        qkv_bias=True,
        **TRANSFORMERS[recipe.scale],
    )
    for block in whole.blocks:
        block.norm_cross_attn = nn.Identity()  # of an attention that is not there: nothing would ever reach it
    return VisionTransformer(whole)


class VisionTransformer(nn.Module):
    """MONAI's vision transformer, which gives back more than logits.

    Args:
        whole: The transformer.
    """

    explained_by = ()

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """Read volumes."""
        logits, _ = self.whole(x)
        return Output(logits)


def monai_nets(architecture: str) -> Any:
    """MONAI's networks.

    Raises:
        OctavoError: If it, or what its transformers need, is not installed.
    """
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise OctavoError(
                f"{architecture} is built with MONAI, and {package} is not installed; wanted {' and '.join(PACKAGES)}; "
                "pip install octavo[peers]"
            )
    with warnings.catch_warnings():  # it puts a handler of its own in the place of Python's
        warnings.simplefilter("ignore")
        return importlib.import_module("monai.networks.nets")
