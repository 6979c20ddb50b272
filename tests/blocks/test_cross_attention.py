import pytest
import torch

from octavo.blocks.cross_attention import CrossAttention, DirectedAttention
from octavo.blocks.regions import ANATOMIES
from octavo.errors import OctavoError

CHANNELS, HEADS = 8, 2


def block(name, **options):
    attention = CrossAttention(CHANNELS, ANATOMIES[name], heads=HEADS, **options).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in attention.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return attention.eval()


def features(shape=(2, CHANNELS, 4, 3, 4), seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_directed_attention_is_that_of_tokens():
    attention = DirectedAttention(CHANNELS, HEADS, dropout=0.0).double()
    with torch.no_grad():
        attention.temperature.copy_(torch.tensor([1.7, 0.4]).view(2, 1, 1))
    a, b = features((3, 20, CHANNELS)), features((3, 20, CHANNELS), seed=3)
    matrix = attention(a.transpose(1, 2) @ a, b.transpose(1, 2) @ b, a.transpose(1, 2) @ b)
    out = []
    for head in range(HEADS):
        rows = slice(head * CHANNELS // HEADS, (head + 1) * CHANNELS // HEADS)
        q, k, v = a @ attention.q.weight[rows].T, b @ attention.k.weight[rows].T, b @ attention.v.weight[rows].T
        q, k = q / q.norm(dim=1, keepdim=True), k / k.norm(dim=1, keepdim=True)
        weights = torch.softmax(attention.temperature[head] * (q.transpose(1, 2) @ k), dim=-1)
        out.append(v @ weights.transpose(1, 2))
    wanted = torch.cat(out, dim=-1) @ attention.out_proj.weight.T
    torch.testing.assert_close(b @ matrix, wanted, rtol=1e-11, atol=1e-11)


def test_a_region_that_is_all_zero_gives_numbers_and_gradients():
    attention = block("hemiretinal")
    x = features()
    x[:, :, 2:] = 0
    x.requires_grad_()
    y = attention(x)
    y.square().sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(("name", "axis"), [("hemiretinal", 2), ("neuron-axon", 4)])
def test_what_a_half_is_told_depends_on_the_other(name, axis):
    attention = block(name)
    x = features()
    wanted = attention(x)
    other = x.clone()
    other.narrow(axis, 2, 2).mul_(torch.linspace(-1, 2, CHANNELS, dtype=torch.float64).view(1, -1, 1, 1, 1))
    assert not torch.allclose(attention(other).narrow(axis, 0, 2), wanted.narrow(axis, 0, 2), atol=1e-3)


@pytest.mark.parametrize("name", ["hemiretinal", "neuron-axon", "hemiretinal-neuron-axon"])
def test_tokens_are_compared_with_those_that_lie_alike_wherever_that_is(name):
    """Turning the depth over, or dealing it anew, deals the answer anew and changes nothing else."""
    attention, x = block(name), features()
    for order in ([2, 1, 0], [1, 2, 0]):
        torch.testing.assert_close(attention(x[:, :, :, order]), attention(x)[:, :, :, order], rtol=1e-11, atol=1e-11)
    # turned over in one half only, tokens meet others
    half = x.clone()
    half[:, :, :2, :, :2] = half[:, :, :2, :, :2].flip(3)
    back = attention(half).clone()
    back[:, :, :2, :, :2] = back[:, :, :2, :, :2].flip(3)
    assert not torch.allclose(back, attention(x), atol=1e-3)


def test_the_shuffled_control_is_the_same_computation_on_dealt_bscans():
    order = torch.tensor([3, 0, 2, 1])
    shuffled, plain = block("shuffled", order=order), block("hemiretinal")
    plain.load_state_dict({name: value for name, value in shuffled.state_dict().items() if name != "order"})
    x = features()
    got = shuffled(x)
    dealt = plain(x[:, :, order])
    for place, bscan in enumerate(order.tolist()):
        torch.testing.assert_close(got[:, :, bscan], dealt[:, :, place], rtol=1e-12, atol=1e-12)
    assert "order" in shuffled.state_dict()
    assert not torch.allclose(got, plain(x), atol=1e-3)


def test_attention_stays_in_full_precision_under_autocast():
    attention = block("hemiretinal").float()
    x = features().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = attention(x.bfloat16())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, attention(x.bfloat16().float()))


def test_odd_bscans_are_refused():
    with pytest.raises(OctavoError, match="hemiretinal attention halves bscan"):
        block("hemiretinal")(features((1, CHANNELS, 5, 2, 2)))


def test_dropout_is_on_in_training_alone():
    attention = block("hemiretinal")
    x = features()
    assert torch.equal(attention(x), attention(x))
    attention.train()
    assert not torch.equal(attention(x), attention(x))


@pytest.mark.parametrize("frozen", ["gamma", "directed", "norms", "mix", "everything"])
def test_frozen_parameters_are_left_alone_and_the_others_learn_the_same(frozen):
    torch.manual_seed(0)
    block = CrossAttention(8, ANATOMIES["hemiretinal"], heads=2).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 8, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    block(x).square().sum().backward()
    wanted, wanted_x = {name: p.grad for name, p in block.named_parameters()}, x.grad
    block.zero_grad()
    x.grad = None
    for name, parameter in block.named_parameters():
        parameter.requires_grad_(frozen != "everything" and frozen not in name)
    block(x).square().sum().backward()
    torch.testing.assert_close(x.grad, wanted_x)
    for name, parameter in block.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, wanted[name])
        else:
            assert parameter.grad is None
