"""What every explainer must keep."""

import math

import numpy as np
import pytest
import torch

from octavo.attribution import EXPLAINERS, class_margin, predicted_margin, require_explained_by
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3D
from octavo.systems.ai_cnet3d.network import ATTENTIONS
from octavo.systems.peers import ARCHITECTURES, PeerRecipe

RANDOM = np.random.default_rng(7)
SHAPES = [tuple(int(n) for n in (8 * RANDOM.integers(1, 4), *RANDOM.integers(8, 22, 2))) for _ in range(20)]


def network(attention="hemiretinal", size=(16, 8, 16)):
    torch.manual_seed(3)
    made = AICNet3D(attention, size=size, channels=8, heads=2)
    with torch.no_grad():
        for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
            if name.endswith(("gamma", "running_mean")):
                tensor.normal_()  # at the initial gamma of 1e-6 there is no attention to speak of
    return made


def volume(shape=(16, 8, 16), seed=0):
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


everyone = pytest.mark.parametrize("explainer", EXPLAINERS.values(), ids=lambda explainer: explainer.name)


@everyone
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_map_lies_on_the_grid_of_the_image(explainer, shape):
    got = explainer(network(size=shape), volume(shape))
    assert got.heat.shape == shape
    assert got.heat.dtype == np.float32
    assert np.isfinite(got.heat).all()
    assert got.heat.min() >= 0
    assert got.heat.max() <= 1
    assert got.is_zero == (got.coarse.max() <= 0)
    assert got.is_zero == (got.heat.max() <= 0)


@everyone
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_the_same_on_return(explainer, attention, training):
    net = network(attention).train(training)
    net.convolutions[2].train(not training)
    net.dense.weight.requires_grad_(False)
    net.convolutions[0].convolution.weight.grad = torch.ones_like(net.convolutions[0].convolution.weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = {name: module.training for name, module in net.named_modules()}
    image = volume()
    random_state = torch.get_rng_state()
    explainer(net, image)
    after = net.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name: module.training for name, module in net.named_modules()} == modes
    for name, parameter in net.named_parameters():
        if name == "convolutions.0.convolution.weight":
            assert torch.equal(parameter.grad, torch.ones_like(parameter))
        else:
            assert parameter.grad is None, name
        assert parameter.requires_grad == (name != "dense.weight")
    assert torch.equal(image, volume())
    assert image.grad is None
    assert torch.equal(torch.get_rng_state(), random_state)


@everyone
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_same_image_gives_the_same_map_whatever_happened_between(explainer, attention):
    net = network(attention).train()
    first = explainer(net, volume())
    torch.manual_seed(99)
    explainer(net, volume(seed=5))
    again = explainer(net.eval(), volume())
    np.testing.assert_array_equal(first.heat, again.heat)
    np.testing.assert_array_equal(first.coarse, again.coarse)


@everyone
def test_another_image_gives_another_map(explainer):
    net = network()
    one, other = explainer(net, volume(seed=0)), explainer(net, volume(seed=1))
    assert not np.allclose(one.heat, other.heat, atol=1e-3)


@everyone
def test_what_reads_the_score_gives_no_heat_for_a_constant_and_the_others_say_that_they_do_not(explainer):
    net = network()
    usual = explainer(net, volume())
    assert usual.reads_score == explainer.reads_score
    for constant in (lambda logits: torch.ones(len(logits)), lambda logits: logits.sum(dim=1) * 0):
        got = explainer(net, volume(), constant)
        if explainer.reads_score:
            assert got.is_zero
            assert got.heat.max() == 0
        else:
            np.testing.assert_array_equal(got.heat, usual.heat)
            assert not got.is_zero


@everyone
def test_what_reads_the_score_tells_the_classes_apart_and_the_others_do_not(explainer):
    net = network()
    maps = [explainer(net, volume(), score).heat for score in (class_margin(0), class_margin(1))]
    assert np.array_equal(*maps) == (not explainer.reads_score)
    with torch.no_grad():
        predicted = int(net.eval()(volume()).logits.argmax())
    np.testing.assert_array_equal(explainer(net, volume(), predicted_margin).heat, maps[predicted])


@everyone
def test_explaining_works_where_gradients_are_off(explainer):
    net = network()
    with torch.no_grad():
        quiet = explainer(net, volume()).heat
    np.testing.assert_array_equal(quiet, explainer(net, volume()).heat)


@everyone
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_peer_is_explained_as_far_as_it_can_be_and_no_further(explainer, architecture):
    size = (32, 48, 32)
    torch.manual_seed(1)
    net = PeerRecipe(architecture, size=size).build_network().train()
    if explainer.name not in net.explained_by:
        with pytest.raises(OctavoError, match=f"^{explainer.name} cannot be read from this model's network; wanted "):
            require_explained_by(net, [explainer.name])
        return
    require_explained_by(net, [explainer.name])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    got = explainer(net, volume(size))
    assert got.heat.shape == size
    rounded = math.floor if architecture == "densenet3d" else math.ceil
    cells = zip(size, ARCHITECTURES[architecture].cell, strict=True)
    assert got.coarse.shape == tuple(rounded(samples / cell) for samples, cell in cells)
    assert not got.is_zero
    assert net.training
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert all(weights.grad is None for weights in net.parameters())
    np.testing.assert_array_equal(explainer(net, volume(size)).heat, got.heat)


def test_both_kinds_are_there():
    assert {explainer.reads_score for explainer in EXPLAINERS.values()} == {True, False}
