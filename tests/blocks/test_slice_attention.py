import numpy as np
import torch

from octavo.blocks.slice_attention import SliceAttention, attention_entropy


def test_it_is_its_equation_written_out_with_loops():
    torch.manual_seed(0)
    attention = SliceAttention(5, 3).double()
    slices = torch.randn(2, 4, 5, dtype=torch.float64)
    mean, weights = attention(slices, torch.ones(2, 4, dtype=torch.bool))

    w1, b1 = attention.ask.weight.detach().numpy(), attention.ask.bias.detach().numpy()
    w, b2 = attention.weigh.weight.detach().numpy()[0], attention.weigh.bias.item()
    for batch in range(2):
        energies = np.array([w @ np.tanh(w1 @ slices[batch, j].numpy() + b1) + b2 for j in range(4)])
        alpha = np.exp(energies) / np.exp(energies).sum()
        np.testing.assert_allclose(weights[batch].detach().numpy(), alpha, atol=1e-12)
        wanted = sum(alpha[j] * slices[batch, j].numpy() for j in range(4))
        np.testing.assert_allclose(mean[batch].detach().numpy(), wanted, atol=1e-12)


def test_slices_that_are_not_there_change_nothing():
    torch.manual_seed(0)
    attention = SliceAttention(5)
    slices = torch.randn(1, 3, 5)
    short, _ = attention(slices, torch.ones(1, 3, dtype=torch.bool))
    filled = torch.cat([slices, torch.full((1, 2, 5), 9.0)], dim=1)
    long, weights = attention(filled, torch.tensor([[True, True, True, False, False]]))
    torch.testing.assert_close(short, long)
    assert weights[0, 3:].tolist() == [0.0, 0.0]


def test_entropy_is_one_for_even_weights_of_any_number_and_zero_for_a_single_slice():
    weights = torch.zeros(3, 8)
    weights[0, :8] = 1 / 8
    weights[1, :3] = 1 / 3
    weights[2, 0] = 1
    torch.testing.assert_close(attention_entropy(weights), torch.tensor([1.0, 1.0, 0.0]))
