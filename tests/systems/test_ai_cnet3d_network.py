import pytest
import torch

from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d.network import ATTENTIONS, AICNet3D
from textbook.ai_cnet3d import TextbookAICNet3D

CROSS_ATTENTIONS = ("hemiretinal", "neuron-axon", "hemiretinal-neuron-axon", "shuffled")


def draw_at_order_one(network, seed=0):
    """At the initial gamma of 1e-6 every mistake in the attention passes; so draw everything at order one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        if name.endswith("running_var"):
            drawn = drawn.abs() + 0.5
        elif "convolution.weight" in name:
            drawn = drawn / tensor[0].numel() ** 0.5
        elif "norm" in name and name.endswith("weight"):
            drawn = drawn + 1.0
        with torch.no_grad():
            tensor.copy_(drawn)
    return network


def pair(attention, placement=(2, 4), size=(16, 8, 16), channels=8):
    ours = AICNet3D(attention, size=size, placement=placement, channels=channels, heads=2).double()
    orders = tuple(getattr(block, "order", None) for block in ours.attentions)
    plain = TextbookAICNet3D(attention, placement=placement, channels=channels, heads=2, orders=orders).double()
    plain.load_state_dict(draw_at_order_one(ours).state_dict())
    return ours, plain


@pytest.mark.parametrize(
    ("attention", "count"),
    [
        ("none", 222_466),
        ("hemiretinal", 241_426),
        ("neuron-axon", 241_426),
        ("shuffled", 241_426),
        ("hemiretinal-neuron-axon", 291_010),
        ("epa", 25_007_826),
        # two blocks of the weights that squeeze and excite, and for CBAM of a 7x7x7 kernel over two maps
        ("squeeze-excitation", 222_466 + 2 * (2 * 32 * 8)),
        ("cbam", 222_466 + 2 * (2 * 32 * 8 + 2 * 7**3)),
    ],
)
def test_parameter_counts_are_the_published_ones(attention, count):
    with torch.device("meta"):
        network = AICNet3D(attention)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training with dropout"])
@pytest.mark.parametrize("attention", [*CROSS_ATTENTIONS, "none"])
def test_gram_form_equals_the_token_by_token_version(attention, training):
    ours, plain = pair(attention)
    ours.train(training)
    plain.train(training)
    x = torch.randn(3, 1, 16, 8, 16, dtype=torch.float64)
    torch.manual_seed(7)
    got = ours(x)
    torch.manual_seed(7)
    logits, care, features = plain(x)
    torch.testing.assert_close(got.logits, logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(got.care, care, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(got.features, features, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("attention", CROSS_ATTENTIONS)
def test_gradients_equal_those_of_the_token_by_token_version(attention):
    ours, plain = pair(attention)
    x = torch.randn(2, 1, 16, 8, 16, dtype=torch.float64)
    cotangent = torch.randn(2, 2, 1, 2, dtype=torch.float64)
    for network in (ours, plain):
        torch.manual_seed(3)
        logits, care, _ = network(x)
        (logits.pow(2).sum() + (care * cotangent).sum()).backward()
    for (name, a), (_, b) in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("placement", [(1, 2), (1, 3), (2, 3), (2, 5), (3, 4), (3, 5)])
def test_every_placement_of_the_ablation_works_and_agrees(placement):
    ours, plain = pair("hemiretinal", placement=placement)
    ours.eval()
    plain.eval()
    x = torch.randn(2, 1, 16, 8, 16, dtype=torch.float64)
    got = ours(x)
    logits, care, _ = plain(x)
    torch.testing.assert_close(got.logits, logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(got.care, care, rtol=1e-10, atol=1e-10)


def test_hemiretinal_attention_lets_inferior_change_superior_features():
    ours, _ = pair("hemiretinal")
    block = ours.attentions[0].eval()
    x = torch.randn(1, 8, 8, 4, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 4:] += torch.randn_like(changed[:, :, 4:])
    moved = (block(changed) - block(x)).abs()
    assert moved[:, :, :4].max() > 1e-3
    plain_cnn = AICNet3D("none", size=(16, 8, 16), channels=8, heads=2).attentions[0]
    assert (plain_cnn(changed) - plain_cnn(x))[:, :, :4].abs().max() == 0


def test_shuffled_halves_are_seeded_and_travel_with_the_weights():
    first, again, other = (AICNet3D("shuffled", size=(32, 8, 8), shuffle_seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.attentions[0].order, again.attentions[0].order)
    assert not torch.equal(first.attentions[0].order, other.attentions[0].order)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.attentions[0].order, other.attentions[0].order)


def test_published_pooling_covers_only_a_cube():
    wide = AICNet3D("none", size=(32, 16, 16), pooling="published").eval()
    everywhere = AICNet3D("none", size=(32, 16, 16), pooling="global").eval()
    everywhere.load_state_dict(wide.state_dict())
    x = torch.randn(1, 1, 32, 16, 16)
    features = wide(x).features
    far = features.clone()
    far[:, :, 2:] += 1.0
    assert torch.equal(wide.classify(features), wide.classify(far))
    assert not torch.allclose(everywhere.classify(features), everywhere.classify(far))


def test_frozen_head_restores_the_mode_it_found():
    network = AICNet3D(size=(16, 8, 8)).train()
    network.attentions[0].channel_dropout.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    with network.frozen_head():
        assert not network.convolutions[-1].norm.training
    assert {name: module.training for name, module in network.named_modules()} == modes


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_sizes_that_cannot_be_taken_are_refused_with_the_nearest(attention):
    with pytest.raises(OctavoError, match="at least 8"):
        AICNet3D(attention, size=(4, 8, 8))
    if attention in {"hemiretinal", "hemiretinal-neuron-axon", "shuffled"}:
        with pytest.raises(OctavoError, match=r"nearest: \(16, 9, 8\)"):
            AICNet3D(attention, size=(18, 9, 8))


@pytest.mark.parametrize("attention", ["shuffled", "epa"])
def test_variants_tied_to_a_size_refuse_another(attention):
    network = AICNet3D(attention, size=(16, 16, 16))
    with pytest.raises(OctavoError, match="resample"):
        network(torch.zeros(1, 1, 24, 16, 16))


def test_unknown_names_offer_the_nearest():
    with pytest.raises(OctavoError, match="did you mean 'hemiretinal'"):
        AICNet3D("hemiretinel")
    with pytest.raises(OctavoError, match="placement"):
        AICNet3D(placement=(4, 2))
