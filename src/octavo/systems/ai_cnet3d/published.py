"""Loading the checkpoints that the published program writes.

A published checkpoint is a torch archive of `model_state_dict` and bookkeeping. Hemiretinal and neuron-axon files bear the
same names, so which of the two it is has to be said.
"""

import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from octavo.errors import OctavoError, unknown_name
from octavo.systems.ai_cnet3d.network import PUBLISHED_SIZE, AICNet3D
from octavo.training.archives import load_archive

_log = logging.getLogger("octavo.systems")

_LAYERS = {
    "0": "convolutions.0",
    "1": "convolutions.1",
    "3": "convolutions.2",
    "4": "convolutions.3",
    "6": "convolutions.4",
}
_STAGES = {"2": "attentions.0", "5": "attentions.1"}
_EPA_PARTS = {
    "norm": "norm",
    "epa_block.temperature": "channel_temperature",
    "epa_block.temperature2": "spatial_temperature",
    "epa_block.qkvv": "qkvv",
    "epa_block.E": "project",
    "epa_block.out_proj": "spatial_out",
    "epa_block.out_proj2": "channel_out",
}
_PLACED = "attended tokens are put back in their own places; the published program added them to other voxels"
_DIFFERENCES = {
    "neuron-axon": _PLACED,
    "hemiretinal-neuron-axon": _PLACED,
    "epa": "spatial attention is put back token by token; the published program interleaves heads and tokens there",
}
_UNUSED = re.compile(r"(^|\.)(CARE_layer\.|norm3\.|norm4\.|epa_block\.F\.|num_batches_tracked$)")


def load_published_checkpoint(
    path: str | Path, attention: str = "hemiretinal", size: tuple[int, int, int] = PUBLISHED_SIZE
) -> AICNet3D:
    """Build an AI-CNet3D with the weights of a published checkpoint (attention after convolutions 2 and 4).

    The network pools as the published program does and wants grey values 0 to 255 (`grey_range=255`, `intensity="stored"`).
    For hemiretinal files it gives the same probabilities and CARE. For neuron-axon, hemiretinal-neuron-axon and epa files
    the attended tokens are put back where they came from, which the published program does not do; a warning says so.

    Args:
        path: A file by `torch.save`; read with `weights_only=True`.
        attention: The variant the file was trained as; its names do not tell hemiretinal from neuron-axon.
        size: Input size, which matters to `epa`.

    Returns:
        The network, in evaluation mode.

    Raises:
        OctavoError: If the file is not readable, its names or shapes are not those of the variant, or a weight is not a
            number.
    """
    variants = ("hemiretinal", "neuron-axon", "hemiretinal-neuron-axon", "epa", "none")
    if attention not in variants:
        raise OctavoError(unknown_name("a published variant", attention, variants))
    path = Path(path)
    archive = load_archive(path)
    state = {}
    for name, tensor in _weights(archive, path).items():
        plain = name.removeprefix("module.")
        if not _UNUSED.search(plain):
            state[_renamed(plain, attention, path)] = tensor
    network = AICNet3D(attention, size=size, pooling="published")
    _check(state, network, path, attention)
    with torch.no_grad():
        own = network.state_dict()
        for name, tensor in state.items():
            own[name].copy_(tensor.reshape(own[name].shape))
    if attention in _DIFFERENCES:
        _log.warning("%s: %s, so probabilities differ from its own", path.name, _DIFFERENCES[attention])
    return network.eval()


def _weights(archive: dict[str, Any], path: Path) -> dict[str, Tensor]:
    weights = archive.get("model_state_dict", archive)
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights):
        raise OctavoError(
            f"{path.name}: holds no named weights; wanted `model_state_dict`, as the published program saves"
        )
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor):
            raise OctavoError(f"{path.name}: {name!r} is a {type(tensor).__name__}; wanted a tensor")
        if not bool(torch.isfinite(tensor).all()):
            raise OctavoError(
                f"{path.name}: weight {name!r} is not finite; wanted the file of a training that went well"
            )
    return weights


def _renamed(name: str, attention: str, path: Path) -> str:
    if name.startswith("dense."):
        return name
    match = re.fullmatch(r"layers\.(\d)\.(\d)\.(.+)", name)
    if match:
        layer, part, rest = match.groups()
        if layer in _LAYERS and part in "01":
            return f"{_LAYERS[layer]}.{('convolution', 'norm')[int(part)]}.{rest}"
        if layer in _STAGES and part == "0":
            return f"{_STAGES[layer]}.{_attention_part(rest, attention)}"
    raise OctavoError(f"{path.name}: weight {name!r} is none of a published AI-CNet3D with attention after (2, 4)")


def _attention_part(name: str, attention: str) -> str:
    if name.startswith("conv8.1."):
        return f"mix.{name.removeprefix('conv8.1.')}"
    if attention == "epa":
        stem = max((part for part in _EPA_PARTS if name == part or name.startswith(f"{part}.")), key=len, default=None)
        return name if stem is None else _EPA_PARTS[stem] + name.removeprefix(stem)
    name = re.sub(r"^norm([12])\.", lambda m: f"norms.{int(m[1]) - 1}.", name)
    return re.sub(r"^cross_block(\d)\.", lambda m: f"directed.{int(m[1]) - 1}.", name)


def _check(state: dict[str, Tensor], network: AICNet3D, path: Path, attention: str) -> None:
    own = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    missing, strange = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or strange:
        what = f"weight {missing[0]!r} is missing" if missing else f"weight {strange[0]!r} has no place"
        raise OctavoError(
            f"{path.name}: {what} ({len(missing)} missing, {len(strange)} without a place) for attention {attention!r}; "
            "wanted a file of that variant; name the variant it was trained as"
        )
    for name, tensor in state.items():
        # temperatures and the 1x1x1 convolution come with or without axes of length one
        if [n for n in tensor.shape if n > 1] != [n for n in own[name].shape if n > 1]:
            raise OctavoError(
                f"{path.name}: weight {name!r} has shape {tuple(tensor.shape)}; wanted {tuple(own[name].shape)}"
            )
