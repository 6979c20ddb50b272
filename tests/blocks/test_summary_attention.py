import pytest
import torch

from octavo.blocks import summary_attention
from octavo.blocks.summary_attention import attend_summaries


def inputs(tokens=37, summaries=5):
    generator = torch.Generator().manual_seed(3)
    shapes = ((2, 2, 3, tokens), (2, 2, 3, summaries), (2, 2, 3, summaries), (2, 1, 1))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def plainly(q, keys, values, temperature):
    return torch.softmax(temperature * (q.transpose(-2, -1) @ keys), dim=-1) @ values.transpose(-2, -1)


@pytest.mark.parametrize("slab", [5, 5 * 8, 2**18])
def test_answers_and_gradients_are_the_plain_ones_however_the_slabs_fall(monkeypatch, slab):
    monkeypatch.setattr(summary_attention, "SLAB_NUMBERS", slab)
    arguments = inputs()
    wanted, got = plainly(*arguments), attend_summaries(*arguments)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    direction = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad(got, arguments, direction), torch.autograd.grad(wanted, arguments, direction), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("slab", [5 * 8, 2**18])
def test_backward_drops_what_forward_dropped(monkeypatch, slab):
    monkeypatch.setattr(summary_attention, "SLAB_NUMBERS", slab)

    def seeded(*arguments):
        torch.manual_seed(1)
        return attend_summaries(*arguments, 0.3)

    assert torch.autograd.gradcheck(seeded, inputs(9))


def test_weights_are_dropped_as_often_as_asked_and_the_mean_stays():
    q, keys = torch.zeros(1, 1, 1, 4000), torch.zeros(1, 1, 1, 64)
    torch.manual_seed(0)
    # all weights are 1/64 and all values 1: the answer tells how many were kept
    values = torch.ones(1, 1, 1, 64)
    answers = attend_summaries(q, keys, values, torch.ones(1, 1, 1), 0.15)[0, 0, :, 0]
    kept = answers * 0.85
    assert abs(float(answers.mean()) - 1.0) < 0.003
    assert abs(float(kept.mean()) - 0.85) < 0.003
    # independent drops: the number kept of 64 is binomial
    assert abs(float((kept * 64).var()) / (64 * 0.85 * 0.15) - 1.0) < 0.1
    neighbours = torch.corrcoef(torch.stack((kept[:-1], kept[1:])))[0, 1]
    assert abs(float(neighbours)) < 0.06


def test_the_seed_decides_and_no_dropout_draws_nothing():
    arguments = inputs()

    def drawn(seed):
        torch.manual_seed(seed)
        return attend_summaries(*arguments, 0.5)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    torch.manual_seed(5)
    state = torch.get_rng_state()
    attend_summaries(*arguments)
    assert torch.equal(torch.get_rng_state(), state)
