"""Loading the checkpoints that the published program writes.

A published checkpoint is a bare state dict: `backbone.*` under the names of the original DINOv2, `attn.attn.{0,2}` the
attention, `embedding_head.{0,2}`, and `classifier`.
"""

import re
from pathlib import Path

from torch import Tensor

from octavo.encoders.dinov2 import Backbone, build
from octavo.encoders.dinov2_layouts import Architecture, describe_mismatch, to_original
from octavo.errors import OctavoError
from octavo.systems.dino_atten3d.network import DinoAtten3D
from octavo.training.archives import load_archive

_HEAD = (
    (re.compile(r"^attn\.attn\.0\."), "attention.ask."),
    (re.compile(r"^attn\.attn\.2\."), "attention.weigh."),
    (re.compile(r"^embedding_head\."), "embed."),
)
_BACKBONE = "backbone."


def load_published_checkpoint(path: str | Path) -> tuple[DinoAtten3D, Backbone]:
    """Build the head and the backbone of a published checkpoint.

    Args:
        path: A file by `torch.save`; read with `weights_only=True`.

    Returns:
        The head in evaluation mode, and the backbone its features must come from.

    Raises:
        OctavoError: If the file is not readable, or its names or shapes are not those of DinoAtten3D (saying what matched
            and what did not).
    """
    archive = load_archive(Path(path))
    state = {str(name).removeprefix("module."): one for name, one in archive.items() if isinstance(one, Tensor)}
    inner = to_original({n.removeprefix(_BACKBONE): t for n, t in state.items() if n.startswith(_BACKBONE)})
    head = {_renamed(name): one for name, one in state.items() if not name.startswith(_BACKBONE)}
    if not inner or "classifier.weight" not in head:
        held = ", ".join(sorted(state)[:3]) or "nothing"
        raise OctavoError(
            f"{path}: holds {held} ...; wanted the backbone, attention, embedding and classifier of DinoAtten3D"
        )
    backbone = build(Architecture.of(inner, str(path)), inner, str(path))
    layers = [
        head[name].shape[0] for name in ("attention.ask.weight", "embed.0.weight", "embed.2.weight") if name in head
    ]
    if len(layers) < 3:
        raise OctavoError(f"{path}: lacks the attention or the embedding; wanted attn.attn.0, embedding_head.0 and .2")
    hidden, first, second = layers
    network = DinoAtten3D(backbone.width, hidden, (first, second), head["classifier.weight"].shape[0])
    mismatch = describe_mismatch(network.state_dict(), head)
    if mismatch:
        raise OctavoError(f"{path}: {mismatch}; wanted the head of DinoAtten3D over features {backbone.width} wide")
    network.load_state_dict(head)
    return network.eval(), backbone


def _renamed(name: str) -> str:
    for pattern, replacement in _HEAD:
        name = pattern.sub(replacement, name)
    return name
