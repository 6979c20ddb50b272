import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from encoders.backbones import SMALL, older_layout, original_layout, transformers_network
from octavo.encoders.dinov2 import load_backbone
from octavo.encoders.dinov2_layouts import Architecture
from octavo.errors import OctavoError


@pytest.fixture(scope="module")
def network():
    return transformers_network()


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def written(network, folder, layout):
    if layout == "folder":
        save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"model_type": "dinov2"}))
        return folder
    if layout == "older bin":
        torch.save(older_layout(network), folder / "pytorch_model.bin")
        return folder
    if layout == "older prefixed":
        save_file({f"dinov2.{name}": one for name, one in older_layout(network).items()}, folder / "old.safetensors")
        return folder / "old.safetensors"
    if layout == "teacher":
        torch.save({"teacher": {f"backbone.{n}": t for n, t in original_layout(network).items()}}, folder / "t.pth")
        return folder / "t.pth"
    torch.save(original_layout(network), folder / "dinov2_vits14_pretrain.pth")
    return folder / "dinov2_vits14_pretrain.pth"


@pytest.mark.parametrize("layout", ["folder", "older bin", "older prefixed", "original", "teacher"])
def test_every_layout_gives_the_features_of_the_network_it_came_from(network, pictures, tmp_path, layout):
    backbone = load_backbone(written(network, tmp_path, layout))

    with torch.no_grad():
        wanted = network(pixel_values=pictures).last_hidden_state[:, 0]
    torch.testing.assert_close(backbone.features(pictures), wanted, rtol=0, atol=0)
    assert backbone.is_trained
    assert backbone.width == SMALL.width


def test_layouts_of_the_same_weights_have_one_fingerprint_and_other_weights_another(network, tmp_path):
    prints = set()
    for layout in ("folder", "older prefixed", "original"):
        (tmp_path / layout).mkdir()
        prints.add(load_backbone(written(network, tmp_path / layout, layout)).fingerprint)
    (tmp_path / "other").mkdir()
    other = load_backbone(written(transformers_network(seed=1), tmp_path / "other", "original"))
    assert len(prints) == 1
    assert other.fingerprint not in prints


def test_positions_are_interpolated_bicubically_from_37_to_16(network, tmp_path, pictures):
    backbone = load_backbone(written(network, tmp_path, "original"))
    grid = network.state_dict()["embeddings.position_embeddings"][:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    ours = (
        F.interpolate(grid, size=(16, 16), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).reshape(1, 256, -1)
    )
    theirs = backbone.network.embeddings.interpolate_pos_encoding(torch.zeros(1, 257, SMALL.width), 224, 224)
    torch.testing.assert_close(theirs[:, 1:], ours, rtol=0, atol=1e-5)


def test_the_stand_in_is_the_same_every_time_and_says_that_it_is_none():
    first, second = load_backbone(None), load_backbone(None)
    assert first.fingerprint == second.fingerprint
    assert not first.is_trained
    assert "untrained" in first.name


def test_the_stand_in_tells_pictures_apart(pictures):
    one, other = load_backbone(None).features(pictures)
    assert torch.linalg.norm(one - other) > 0.3 * torch.linalg.norm(one)


def test_building_a_backbone_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    load_backbone(None)
    torch.testing.assert_close(torch.rand(3), wanted, rtol=0, atol=0)


def refusal(path):
    with pytest.raises(OctavoError) as told:
        load_backbone(path)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_weights_of_another_architecture_say_what_matched_and_what_did_not(network, tmp_path):
    state = original_layout(network)
    state["norm.bias"] = torch.zeros(3)
    del state["blocks.1.norm1.weight"]
    state["head.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "other.pth")
    told = refusal(tmp_path / "other.pth")
    assert "32 of 34 weights match" in told
    assert "1 have another shape (norm.bias is (3,), wanted (64,))" in told
    assert "1 are missing (blocks.1.norm1.weight)" in told
    assert "1 are not known (head.weight)" in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {"conv1.weight": torch.zeros(3)}, "has no 'cls_token' among its 1 weights (conv1.weight ...)"),
        (lambda state: {**state, "register_tokens": torch.zeros(1, 4, 64)}, "with registers"),
        (lambda state: {**state, "blocks.0.mlp.w12.weight": torch.zeros(2, 2)}, "gated MLPs"),
        (lambda state: {**state, "pos_embed": torch.zeros(1, 1000, 64)}, "has 1000 positions"),
    ],
)
def test_what_is_no_plain_dinov2_is_refused_by_name(network, tmp_path, change, said):
    torch.save(change(original_layout(network)), tmp_path / "weights.pth")
    assert said in refusal(tmp_path / "weights.pth")


def test_missing_broken_and_empty_places_are_refused(tmp_path):
    assert "there are no weights" in refusal(tmp_path / "nothing.pth")
    assert "holds neither model.safetensors nor pytorch_model.bin" in refusal(tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"x" * 20)
    assert "not readable as safetensors" in refusal(tmp_path / "broken.safetensors")
    (tmp_path / "evil.pth").write_bytes(b"cos\nsystem\n(S'touch /nowhere'\ntR.")
    assert "not a readable torch archive" in refusal(tmp_path / "evil.pth")


def test_the_sizes_are_read_off_the_weights(network):
    assert Architecture.of(original_layout(network), "here") == SMALL


def test_nothing_of_the_vision_package_is_needed():
    code = "import octavo.encoders.dinov2 as d, sys; d.load_backbone(None); print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
