"""Small DINOv2 weights in every layout that goes round."""

import torch

from octavo.encoders.dinov2_layouts import Architecture

SMALL = Architecture(width=64, blocks=2, heads=1, mlp_width=256, patch=14, positions=37)


def transformers_network(architecture=SMALL, seed=0):
    """As `transformers` builds it, with weights drawn wide enough that every one of them matters."""
    from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Model

    torch.manual_seed(seed)
    network = Dinov2Model(
        Dinov2Config(
            hidden_size=architecture.width,
            num_hidden_layers=architecture.blocks,
            num_attention_heads=architecture.heads,
            mlp_ratio=architecture.mlp_width // architecture.width,
            image_size=architecture.positions * architecture.patch,
            patch_size=architecture.patch,
        )
    ).eval()
    for parameter in network.parameters():
        parameter.data.normal_(std=0.2)
    return network


def original_layout(network):
    """The names of the original program, written out here by hand."""
    own = network.state_dict()
    state = {
        "cls_token": own["embeddings.cls_token"],
        "mask_token": own["embeddings.mask_token"],
        "pos_embed": own["embeddings.position_embeddings"],
        "patch_embed.proj.weight": own["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": own["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": own["layernorm.weight"],
        "norm.bias": own["layernorm.bias"],
    }
    for number in range(network.config.num_hidden_layers):
        here, there = f"blocks.{number}", f"encoder.layer.{number}"
        for kind in ("weight", "bias"):
            three = [own[f"{there}.attention.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{here}.attn.qkv.{kind}"] = torch.cat(three)
            state[f"{here}.attn.proj.{kind}"] = own[f"{there}.attention.o_proj.{kind}"]
            for norm in ("norm1", "norm2"):
                state[f"{here}.{norm}.{kind}"] = own[f"{there}.{norm}.{kind}"]
            for layer in ("fc1", "fc2"):
                state[f"{here}.mlp.{layer}.{kind}"] = own[f"{there}.mlp.{layer}.{kind}"]
        for scale in ("1", "2"):
            state[f"{here}.ls{scale}.gamma"] = own[f"{there}.layer_scale{scale}.lambda1"]
    return {name: tensor.clone() for name, tensor in state.items()}


def older_layout(network):
    """The names of `transformers` before its fifth version."""
    renamed = {}
    for name, tensor in network.state_dict().items():
        for new, old in (
            ("attention.q_proj", "attention.attention.query"),
            ("attention.k_proj", "attention.attention.key"),
            ("attention.v_proj", "attention.attention.value"),
            ("attention.o_proj", "attention.output.dense"),
        ):
            name = name.replace(new, old)
        renamed[name] = tensor.clone()
    return renamed
