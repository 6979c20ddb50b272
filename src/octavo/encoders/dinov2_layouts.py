"""The layouts in which DINOv2's weights go round, brought to one: the names of the original program.

Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision", 2023. Three layouts are met: the original
one (`blocks.0.attn.qkv.weight`), that of `transformers` before its fifth version
(`encoder.layer.0.attention.attention.query`) and since (`encoder.layer.0.attention.q_proj`). The original keeps query, key
and value in one matrix, so those of the other two are joined.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from octavo.errors import OctavoError

_TRANSFORMERS = (
    (re.compile(r"^(dinov2|model|backbone)\.(?=embeddings\.|encoder\.|layernorm\.)"), ""),
    (re.compile(r"^embeddings\.position_embeddings$"), "pos_embed"),
    (re.compile(r"^embeddings\.(cls_token|mask_token)$"), r"\1"),
    (re.compile(r"^embeddings\.patch_embeddings\.projection\."), "patch_embed.proj."),
    (re.compile(r"^encoder\.layer\.(\d+)\."), r"blocks.\1."),
    (re.compile(r"^layernorm\."), "norm."),
    (re.compile(r"\.attention\.(output\.dense|o_proj)\."), ".attn.proj."),
    (re.compile(r"\.attention\.(?:attention\.)?(query|key|value|[qkv]_proj)\."), r".attn.\1."),
    (re.compile(r"\.layer_scale([12])\.lambda1$"), r".ls\1.gamma"),
    (re.compile(r"\.mlp\.weights_in\."), ".mlp.w12."),
    (re.compile(r"\.mlp\.weights_out\."), ".mlp.w3."),
)
_ASKING = {"query": 0, "q_proj": 0, "key": 1, "k_proj": 1, "value": 2, "v_proj": 2}
_PART = re.compile(r"\.attn\.(query|key|value|[qkv]_proj)\.(weight|bias)$")
_HEAD_WIDTH = 64
"""Of every published size."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of a backbone, as its weights show them."""

    width: int
    blocks: int
    heads: int
    mlp_width: int
    patch: int
    positions: int
    """Along one side of the grid of patches that the position weights were trained for."""

    @classmethod
    def of(cls, state: Mapping[str, Tensor], where: str) -> "Architecture":
        """Read the sizes off weights in the original layout.

        Raises:
            OctavoError: If they are no DINOv2 backbone, or one of a kind that is not built here.
        """
        for name in ("cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight", "blocks.0.norm1.weight"):
            if name not in state:
                held = ", ".join(sorted(state)[:3]) or "nothing"
                raise OctavoError(
                    f"{where}: has no {name!r} among its {len(state)} weights ({held} ...); wanted a DINOv2 backbone in the "
                    "layout of transformers or of the original program"
                )
        if "register_tokens" in state or any("register_tokens" in name for name in state):
            raise OctavoError(f"{where}: is a DINOv2 with registers; wanted one without; take the plain weights")
        if "blocks.0.mlp.w12.weight" in state:
            raise OctavoError(f"{where}: has gated MLPs, as the giant size; wanted small, base or large")
        width, patch = state["patch_embed.proj.weight"].shape[0], state["patch_embed.proj.weight"].shape[-1]
        blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
        mlp = state.get("blocks.0.mlp.fc1.weight", state["norm.weight"]).shape[0]
        side = round((state["pos_embed"].shape[1] - 1) ** 0.5)
        if side * side + 1 != state["pos_embed"].shape[1] or width % _HEAD_WIDTH:
            raise OctavoError(
                f"{where}: has {state['pos_embed'].shape[1]} positions of width {width}; wanted a square grid and a class "
                f"token, and a width of whole heads of {_HEAD_WIDTH}; these are weights of another architecture"
            )
        return cls(width, blocks, width // _HEAD_WIDTH, mlp, patch, side)


def to_original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of any known layout under the names of the original program.

    Example:
        >>> sorted(to_original({"encoder.layer.0.norm1.weight": torch.ones(2), "layernorm.bias": torch.zeros(2)}))
        ['blocks.0.norm1.weight', 'norm.bias']
    """
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        plain = name
        for pattern, replacement in _TRANSFORMERS:
            plain = pattern.sub(replacement, plain)
        found = _PART.search(plain)
        if found:
            whole = f"{plain[: found.start()]}.attn.qkv.{found[2]}"
            parts.setdefault(whole, {})[_ASKING[found[1]]] = tensor
        else:
            renamed[plain] = tensor
    for whole, three in parts.items():
        if len(three) == 3:
            renamed[whole] = torch.cat([three[number] for number in range(3)])
    return renamed


def describe_mismatch(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str | None:
    """What of some weights does not fit a network, in one sentence; None where everything does.

    Both are in the original layout.
    """
    shared = wanted.keys() & got.keys()
    misshapen = sorted(name for name in shared if wanted[name].shape != got[name].shape)
    missing, foreign = sorted(wanted.keys() - got.keys()), sorted(got.keys() - wanted.keys())
    if not (misshapen or missing or foreign):
        return None
    said = [f"{len(shared) - len(misshapen)} of {len(wanted)} weights match"]
    if misshapen:
        name = misshapen[0]
        said.append(
            f"{len(misshapen)} have another shape ({name} is {tuple(got[name].shape)}, wanted {tuple(wanted[name].shape)})"
        )
    if missing:
        said.append(f"{len(missing)} are missing ({missing[0]})")
    if foreign:
        said.append(f"{len(foreign)} are not known ({foreign[0]})")
    return ", ".join(said)
