"""DINOv2 as a frozen reader of pictures: weights from a path that the user names, or none and labelled so.

Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision", 2023. The network is that of
`transformers`; the position weights, trained on a grid of 37 x 37 patches, are interpolated bicubically by it to the
16 x 16 of a picture of 224 pixels. What is read off is the class token after the last norm.

Shapes: pictures `(batch, 3, 224, 224)` to features `(batch, width)`; 384 wide for ViT-S/14.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from octavo.encoders.dinov2_layouts import Architecture, describe_mismatch, to_original
from octavo.errors import OctavoError
from octavo.training.archives import load_archive

PICTURE = 224
"""Pixels along each side of what the backbone reads."""

STAND_IN = Architecture(width=192, blocks=2, heads=3, mlp_width=384, patch=14, positions=16)
"""The small stand-in where there are no weights: the way is the same, the features know nothing."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network that turns pictures into features."""

    network: nn.Module
    width: int
    fingerprint: str
    """Of every weight, so that features of one backbone are never taken for those of another."""
    is_trained: bool
    name: str
    """For people: ViT-S/14, or that it is untrained."""

    @torch.inference_mode()
    def features(self, pictures: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch width"]:
        """The class token after the last norm, of each picture."""
        features: Tensor = self.network(pixel_values=pictures).last_hidden_state[:, 0]
        return features


def load_backbone(weights: Path | None) -> Backbone:
    """Fill a DINOv2 with local weights, or build a small untrained one.

    Args:
        weights: A folder in the layout of `transformers` (`model.safetensors`, or `pytorch_model.bin`), or a single file:
            safetensors, or a torch archive of tensors such as the original `dinov2_vits14_pretrain.pth`. None gives the
            untrained stand-in, the same one every time.

    Raises:
        OctavoError: If the file is missing or broken, its weights belong to another architecture (saying what matched and
            what did not), or `transformers` is not installed.
    """
    if weights is None:
        return _untrained()
    state = to_original(_read(weights))
    return build(Architecture.of(state, str(weights)), state, str(weights))


def build(architecture: Architecture, state: dict[str, Tensor], where: str) -> Backbone:
    """A backbone of some sizes with weights in the original layout.

    Raises:
        OctavoError: If the weights do not fill it exactly.
    """
    network = _network(architecture)
    names = _names_of(network)
    wanted = to_original(network.state_dict())
    # trained for hiding patches, and used for nothing else
    got = {name: tensor for name, tensor in state.items() if name != "mask_token"}
    wanted.pop("mask_token", None)
    mismatch = describe_mismatch(wanted, got)
    if mismatch:
        raise OctavoError(
            f"{where}: {mismatch}; wanted the weights of a ViT of width {architecture.width} with {architecture.blocks} "
            "blocks; these are of another architecture"
        )
    for name, parameters in names.items():
        if name == "mask_token":
            continue
        for parameter, part in zip(parameters, got[name].chunk(len(parameters)), strict=True):
            parameter.data.copy_(part)
    sizes = {384: "S", 768: "B", 1024: "L"}
    size = sizes.get(architecture.width, f"{architecture.width} wide")
    return Backbone(
        network,
        architecture.width,
        _fingerprint(got, architecture),
        is_trained=True,
        name=f"DINOv2 ViT-{size}/{architecture.patch}",
    )


def _untrained() -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network(STAND_IN)
        # drawn wider than for training: with weights near zero all pictures would look alike to it
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and "token" not in name and "position" not in name:
                nn.init.normal_(parameter, std=(2.0 / parameter[0].numel()) ** 0.5)
            if "layer_scale" in name:
                nn.init.constant_(parameter, 0.5)
    state = to_original(network.state_dict())
    fingerprint = _fingerprint(state, STAND_IN)
    return Backbone(network, STAND_IN.width, fingerprint, is_trained=False, name="untrained stand-in for DINOv2")


def _network(architecture: Architecture) -> nn.Module:
    try:
        from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
        from transformers.models.dinov2.modeling_dinov2 import Dinov2Model
    except ImportError:
        raise OctavoError(
            "DINOv2 needs the package transformers, which is not installed; pip install 'octavo[encoders]'"
        ) from None
    configuration = Dinov2Config(
        hidden_size=architecture.width,
        num_hidden_layers=architecture.blocks,
        num_attention_heads=architecture.heads,
        mlp_ratio=architecture.mlp_width // architecture.width,
        image_size=architecture.positions * architecture.patch,
        patch_size=architecture.patch,
    )
    network: nn.Module = Dinov2Model(configuration).eval()
    return network.requires_grad_(False)


def _names_of(network: nn.Module) -> dict[str, list[Tensor]]:
    """The network's own parameters under original names; three stand behind each joined one."""
    found: dict[str, list[Tensor]] = {}
    own = network.state_dict()
    marks = {name: torch.full((1,), float(number)) for number, name in enumerate(own)}
    listed = list(own)
    for name, joined in to_original(marks).items():
        found[name] = [own[listed[int(mark)]] for mark in joined]
    return found


def _read(weights: Path) -> dict[str, Tensor]:
    file = weights
    if weights.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        file = next((weights / name for name in names if (weights / name).is_file()), weights)
        if file == weights:
            raise OctavoError(f"{weights}: holds neither {' nor '.join(names)}; wanted a folder of transformers")
    if not file.is_file():
        raise OctavoError(f"{weights}: there are no weights; wanted a folder or file of DINOv2; check the path")
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except Exception as error:  # noqa: BLE001  (the library raises its own kinds for broken files)
            raise OctavoError(f"{file}: not readable as safetensors ({type(error).__name__}); copy it again") from None
    archive: dict[str, Any] = load_archive(file)
    for wrapper in ("teacher", "model", "state_dict"):
        inner = archive.get(wrapper)
        if isinstance(inner, dict):
            archive = inner
    tensors = {str(name): value for name, value in archive.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module.").removeprefix("backbone."): value for name, value in tensors.items()}


def _fingerprint(state: dict[str, Tensor], architecture: Architecture) -> str:
    digest = hashlib.sha256(str(architecture).encode())
    for name in sorted(state):
        if name != "mask_token":
            digest.update(name.encode() + state[name].detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
