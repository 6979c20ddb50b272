import pytest
import torch
from torch import nn

from octavo.blocks import region_mixing
from octavo.blocks.cross_attention import CrossAttention
from octavo.blocks.region_mixing import Mixing, mix_regions
from octavo.blocks.regions import ANATOMIES, divide

CHANNELS = 4


class Rule(nn.Module):
    """A rule that is differentiable and asks all of the Gram matrices."""

    def __init__(self, anatomy, generator):
        super().__init__()
        regions, pairs = len(anatomy.norm_of), len(anatomy.pairs)
        self.anatomy = anatomy

        def draw(*shape):
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))

        self.skip, self.answers, self.shift = (
            draw(CHANNELS, CHANNELS),
            draw(pairs, CHANNELS, CHANNELS),
            draw(regions, 1),
        )

    def forward(self, grams):
        own = torch.stack([grams[i, i] for i in range(grams.shape[0])])
        crossing = torch.stack([grams[a, b] for a, b in self.anatomy.pairs])
        return Mixing(
            skip=self.skip + torch.tanh(own.mean(dim=0) / 10),
            answers=torch.tanh(crossing / 10) @ self.answers.unsqueeze(1),
            constants=torch.diagonal(own, dim1=-2, dim2=-1) * 0.1 + self.shift.unsqueeze(-1),
        )


def set_up(name, shape=(2, 4, 1, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    anatomy = ANATOMIES[name]
    norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in range(max(anatomy.norm_of) + 1)).double()
    for parameter in norms.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) + 1)
    tokens = torch.randn(*shape, CHANNELS, generator=generator, dtype=torch.float64).requires_grad_()
    return anatomy, norms, Rule(anatomy, generator), tokens


def mixed(tokens, anatomy, norms, rule):
    return mix_regions(tokens, anatomy, [*norms], rule, [*rule.parameters()])


def mixed_plainly(tokens, anatomy, norms, rule):
    """The equation, token by token."""
    regions = [region.flatten(1, 3) for region in divide(tokens, anatomy)]
    normed = [norms[which](region) for which, region in zip(anatomy.norm_of, regions, strict=True)]
    count = len(regions)
    grams = torch.stack(
        [torch.stack([normed[i].transpose(1, 2) @ normed[j] for j in range(count)]) for i in range(count)]
    )
    mixing = rule(grams)
    out = [raw @ mixing.skip + mixing.constants[i].unsqueeze(1) for i, raw in enumerate(regions)]
    for pair, (asking, answering) in enumerate(anatomy.pairs):
        out[asking] = out[asking] + normed[answering] @ mixing.answers[pair]
    parts = [values.view(region.shape) for values, region in zip(out, divide(tokens, anatomy), strict=True)]
    for axis, name in ((3, "ascan"), (1, "bscan")):
        if name in anatomy.halves:
            parts = [torch.cat(two, dim=axis) for two in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


@pytest.mark.parametrize("name", ANATOMIES)
@pytest.mark.parametrize("shape", [(2, 4, 3, 6), (1, 2, 1, 2), (3, 6, 5, 4)])
def test_it_is_the_equation_with_its_gradients(name, shape):
    anatomy, norms, rule, tokens = set_up(name, shape)
    inputs = [tokens, *norms.parameters(), *rule.parameters()]
    cotangent = torch.randn(tokens.shape, dtype=torch.float64)
    ours, plain = mixed(tokens, anatomy, norms, rule), mixed_plainly(tokens, anatomy, norms, rule)
    torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-11)
    got = torch.autograd.grad(ours, inputs, cotangent)
    wanted = torch.autograd.grad(plain, inputs, cotangent)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ANATOMIES)
def test_gradients_are_those_of_small_differences(name):
    anatomy, norms, rule, tokens = set_up(name, (1, 2, 1, 2))

    def function(*inputs):
        return mixed(inputs[0], anatomy, norms, rule)

    inputs = (tokens, *norms.parameters(), *rule.parameters())
    assert torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["hemiretinal", "hemiretinal-neuron-axon"])
@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_the_attention_are_those_of_small_differences(name, training):
    block = CrossAttention(CHANNELS, ANATOMIES[name], heads=2).double().train(training)
    generator = torch.Generator().manual_seed(3)
    for parameter in block.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(2, CHANNELS, 2, 1, 2, generator=generator, dtype=torch.float64).requires_grad_()

    def function(*inputs):
        torch.manual_seed(5)  # the same dropout every time
        return block(inputs[0])

    assert torch.autograd.gradcheck(function, (x, *block.parameters()), eps=1e-6, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("name", ANATOMIES)
@pytest.mark.parametrize("numbers", [1, 30, 100, 10**9])
def test_the_size_of_the_slabs_changes_nothing(name, numbers, monkeypatch):
    results = []
    for size in (region_mixing.SLAB_NUMBERS, numbers):
        monkeypatch.setattr(region_mixing, "SLAB_NUMBERS", size)
        anatomy, norms, rule, tokens = set_up(name, (2, 8, 2, 4))
        y = mixed(tokens, anatomy, norms, rule)
        y.square().sum().backward()
        results.append([y, tokens.grad, *[p.grad for p in (*norms.parameters(), *rule.parameters())]])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_slabs_of_one_row_are_really_cut(monkeypatch):
    monkeypatch.setattr(region_mixing, "SLAB_NUMBERS", 1)
    anatomy, norms, _, tokens = set_up("hemiretinal", (2, 8, 2, 4))
    layout = region_mixing._Layout(anatomy, [p for norm in norms for p in (norm.weight, norm.bias)], 1e-5)
    slabs = [(samples, [tuple(part.shape) for part in parts]) for samples, (parts,) in layout._slabs(tokens)]
    assert len(slabs) == 2 * 4  # exams times rows of a half
    assert {shape for _, shapes in slabs for shape in shapes} == {(1, 1, 2, 4, CHANNELS)}


@pytest.mark.parametrize("name", ANATOMIES)
def test_memory_layout_changes_nothing(name):
    anatomy, norms, rule, tokens = set_up(name, (2, 4, 3, 6))
    wanted = mixed(tokens, anatomy, norms, rule)
    # channels first in memory, as a convolution in default layout leaves them
    spread = tokens.detach().permute(0, 4, 1, 2, 3).contiguous().permute(0, 2, 3, 4, 1).requires_grad_()
    assert not spread.is_contiguous()
    got = mixed(spread, anatomy, norms, rule)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    cotangent = torch.randn(tokens.shape, dtype=torch.float64)
    (one,) = torch.autograd.grad(got, spread, cotangent)
    (other,) = torch.autograd.grad(wanted, tokens, cotangent)
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_exam_sees_another_of_its_batch():
    anatomy, norms, rule, tokens = set_up("hemiretinal-neuron-axon", (3, 4, 2, 4))
    together = mixed(tokens, anatomy, norms, rule)
    for exam in range(3):
        alone = mixed(tokens[exam : exam + 1], anatomy, norms, rule)
        torch.testing.assert_close(alone[0], together[exam], rtol=1e-12, atol=1e-12)


def test_nothing_is_kept_where_no_gradient_is_wanted():
    anatomy, norms, rule, tokens = set_up("hemiretinal")
    with torch.no_grad():
        assert not mixed(tokens, anatomy, norms, rule).requires_grad


def test_a_second_derivative_is_refused_and_not_wrong():
    anatomy, norms, rule, tokens = set_up("hemiretinal")
    y = mixed(tokens, anatomy, norms, rule)
    (grad,) = torch.autograd.grad(y.square().sum(), tokens, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|not have been used in the graph"):
        torch.autograd.grad(grad.square().sum(), tokens)
