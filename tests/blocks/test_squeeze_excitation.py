"""Squeeze-and-excitation and CBAM against their equations in NumPy, and their parameters by hand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from octavo.blocks.cbam import ConvolutionalBlockAttention
from octavo.blocks.squeeze_excitation import SqueezeExcitation

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 8, 5, 9, 8)) + 3 * RANDOM.normal(size=(2, 8, 1, 1, 1))


def drawn(block):
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in block.parameters():
            weights.normal_()
    return block.double()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def squeezed(block, numbers):
    w1, w2 = (linear.weight.detach().numpy() for linear in (block.squeeze, block.excite))
    return np.maximum(numbers @ w1.T, 0) @ w2.T


def test_squeeze_excitation_is_its_equation():
    block = drawn(SqueezeExcitation(8))
    scale = sigmoid(squeezed(block, X.mean(axis=(2, 3, 4))))
    got = block(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(got, X * scale[:, :, None, None, None], rtol=1e-10)
    assert scale.std() > 0.1, "all scales alike would prove nothing"


def test_cbam_is_its_equation():
    block = drawn(ConvolutionalBlockAttention(8))
    channels = sigmoid(squeezed(block, X.mean(axis=(2, 3, 4))) + squeezed(block, X.max(axis=(2, 3, 4))))
    weighed = X * channels[:, :, None, None, None]
    mean_kernel, highest_kernel = block.convolution.weight.detach().numpy()[0]
    places = np.stack(
        [
            correlate(one.mean(axis=0), mean_kernel, mode="constant")
            + correlate(one.max(axis=0), highest_kernel, mode="constant")
            for one in weighed
        ]
    )
    got = block(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(got, weighed * sigmoid(places)[:, None], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("channels", "squeezed_into"), [(32, 8), (16, 4), (2, 1)])
def test_parameters_are_those_of_the_equations(channels, squeezed_into):
    by_hand = 2 * channels * squeezed_into
    assert sum(weights.numel() for weights in SqueezeExcitation(channels).parameters()) == by_hand
    cbam = sum(weights.numel() for weights in ConvolutionalBlockAttention(channels).parameters())
    assert cbam == by_hand + 2 * 7**3
