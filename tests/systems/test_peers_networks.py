"""The peers' networks: what they read and give back, how large they are, and what they refuse."""

import importlib.util
import subprocess
import sys
import warnings

import pytest
import torch
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.systems.peers import ARCHITECTURES, PeerRecipe
from octavo.systems.peers.monai_networks import PACKAGES

SMALLEST = {name: kind.smallest for name, kind in ARCHITECTURES.items()}
CONVOLUTIONAL = ("resnet3d", "densenet3d", "bscan-cnn")


def built(architecture, size=None, device="cpu", **settings):
    torch.manual_seed(0)
    with torch.device(device):
        return PeerRecipe(architecture=architecture, size=size or SMALLEST[architecture], **settings).build_network()


def count(network):
    return sum(weights.numel() for weights in network.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_peer_gives_two_logits_at_its_smallest_size_and_none_depends_on_its_company(architecture):
    size = SMALLEST[architecture]
    network = built(architecture).eval()
    volumes = torch.rand(3, 1, *size)
    with torch.no_grad():
        together, alone = network(volumes), network(volumes[1:2])
    assert together.logits.shape == (3, 2)
    torch.testing.assert_close(together.logits[1:2], alone.logits, rtol=1e-4, atol=1e-5)
    assert (together.features is not None) == (architecture in CONVOLUTIONAL)
    assert network.explained_by == (("grad-cam",) if architecture in CONVOLUTIONAL else ())


@pytest.mark.parametrize("architecture", CONVOLUTIONAL)
def test_the_head_makes_the_logits_of_the_features(architecture):
    network = built(architecture, (32, 48, 32)).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 1, 32, 48, 32))
        assert torch.equal(network.classify(output.features), output.logits)


@pytest.mark.parametrize(("architecture", "published"), [("resnet3d", (512, 4, 6, 4)), ("densenet3d", (1024, 4, 6, 3))])
def test_the_published_convolutional_networks_end_as_in_their_papers(architecture, published):
    network = built(architecture, (128, 192, 112), device="meta", scale="published")
    features = network(torch.zeros(2, 1, 128, 192, 112, device="meta")).features
    assert tuple(features.shape[1:]) == published


def test_bscans_are_read_one_by_one_and_averaged():
    network = built("bscan-cnn", (3, 32, 32)).eval()
    volume = torch.rand(1, 1, 3, 32, 32)
    with torch.no_grad():
        each = [network(volume[:, :, number : number + 1]).logits for number in range(3)]
        torch.testing.assert_close(network(volume).logits, torch.stack(each).mean(dim=0), rtol=1e-4, atol=1e-6)
        assert torch.allclose(network(volume.flip(2)).logits, network(volume).logits, atol=1e-6)


@pytest.mark.parametrize("architecture", ["vit3d", "timesformer"])
def test_transformers_know_where_a_patch_lies(architecture):
    size = (16, 32, 16)
    network = built(architecture, size).eval()
    volume = torch.rand(1, 1, *size)
    with torch.no_grad():
        turned = [network(volume.flip(axis)).logits for axis in (2, 3)]
        assert not any(torch.allclose(network(volume).logits, other, atol=1e-5) for other in turned)


def test_a_logit_of_the_transformer_is_not_squeezed():
    network = built("vit3d")
    with torch.no_grad():
        network.whole.classification_head.weight.mul_(1000)
        assert network(torch.rand(1, 1, *SMALLEST["vit3d"])).logits.abs().max() > 1


def vit_by_hand(width, blocks, size):
    tokens = (size[0] // 8) * (size[1] // 16) * (size[2] // 16)
    # query, key, value and MLP with biases, two norms
    block = 3 * (width + 1) * width + (width + 1) * width + (8 * width + 5) * width + 4 * width
    return 2048 * width + width + tokens * width + width + blocks * block + 2 * width + 2 * width + 2


def timesformer_by_hand(width, blocks, size):
    places = (size[1] // 16) * (size[2] // 16)
    block = 2 * (4 * width**2 + 4 * width) + (8 * width + 5) * width + 6 * width
    return 256 * width + width + (places + size[0] + 2) * width + blocks * block + 2 * width + 2 * width + 2


BY_HAND = {"vit3d": (vit_by_hand, 768, 12), "timesformer": (timesformer_by_hand, 768, 8)}


@pytest.mark.parametrize("architecture", BY_HAND)
def test_the_published_transformers_have_63_to_88_million_parameters(architecture):
    formula, width, blocks = BY_HAND[architecture]
    size = (128, 192, 112)
    got = count(built(architecture, size, device="meta", scale="published"))
    assert got == formula(width, blocks, size)
    assert 63e6 <= got <= 88e6


@pytest.mark.parametrize("architecture", BY_HAND)
def test_the_published_transformers_take_a_step(architecture):
    """At a size of few patches: only their positions are fewer then, and all other parameters are there."""
    formula, width, blocks = BY_HAND[architecture]
    size = (16, 32, 16)
    network = built(architecture, size, scale="published").train()
    assert count(network) == formula(width, blocks, size)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-4)
    volumes, labels = torch.rand(2, 1, *size), torch.tensor([0, 1])
    before = F.cross_entropy(network(volumes).logits, labels)
    before.backward()
    assert all(weights.grad is not None and bool(weights.grad.any()) for weights in network.parameters())
    optimiser.step()
    with torch.no_grad():
        assert F.cross_entropy(network(volumes).logits, labels) < before


@pytest.mark.parametrize(
    ("architecture", "size", "says"),
    [
        ("vit3d", (60, 64, 64), r"vit3d takes .* multiples of 8 x 16 x 16; nearest: \(64, 64, 64\)"),
        ("timesformer", (5, 39, 8), r"timesformer takes .* multiples of 1 x 16 x 16; nearest: \(5, 32, 16\)"),
        ("densenet3d", (64, 64, 31), r"densenet3d takes sizes of at least 32 x 32 x 32; nearest: \(64, 64, 32\)"),
        ("features-logistic", (1, 64, 64), r"nearest: \(2, 64, 64\)"),
    ],
)
def test_sizes_that_cannot_be_read_are_refused_with_the_nearest(architecture, size, says):
    with pytest.raises(OctavoError, match=says):
        built(architecture, size)


@pytest.mark.parametrize("architecture", ["resnet3d", "densenet3d"])
def test_a_batch_that_batch_norm_cannot_learn_from_is_refused_before_training(architecture):
    small = {"resnet3d": (32, 8, 8), "densenet3d": (32, 32, 32)}[architecture]
    with pytest.raises(OctavoError, match=r"in batches of 1, .* a single voxel; wanted two .*; take larger volumes"):
        built(architecture, small, batch_size=1)
    built(architecture, small, batch_size=2).train()(torch.rand(2, 1, *small))


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("architecture", ["resnet3d", "densenet3d", "vit3d"])
def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch, architecture, package):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else there(name))
    with pytest.raises(OctavoError) as refusal:
        built(architecture)
    assert str(refusal.value) == (
        f"{architecture} is built with MONAI, and {package} is not installed; wanted monai and einops; "
        "pip install octavo[peers]"
    )


def test_building_with_monai_leaves_pythons_warnings_as_they_were():
    shown, filters = warnings.showwarning, list(warnings.filters)
    built("resnet3d")
    assert warnings.showwarning is shown
    assert warnings.filters == filters


def test_recipes_and_networks_of_our_own_need_no_monai():
    code = (
        "import sys, octavo.systems.peers.recipe as r; made = r.PeerRecipe(architecture='timesformer', size=(2, 16, 16));"
        "assert 'torch' not in sys.modules; made.build_network(); sys.exit('monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
