"""What a volume costs, against sums by hand."""

import pytest
import torch
from torch import nn

from octavo.blocks.multiply_adds import multiply_adds
from octavo.systems.ai_cnet3d import AICNet3D
from octavo.systems.peers.timesformer import TimeSformer

SIZE = (128, 192, 112)
VOXELS = 64 * 96 * 56
"""Of the features of the first two convolutions."""
CONVOLUTIONS = VOXELS * 32 * (7**3 + 5**3 * 32 + 3**3 * 32 * (2 / 8 + 1 / 64)) + 64


def ai_cnet3d(attention):
    with torch.device("meta"):
        return AICNet3D(attention)


def test_ai_cnet3d_without_attention_costs_what_was_published():
    counted = multiply_adds(ai_cnet3d("none"), SIZE)
    assert counted == CONVOLUTIONS
    assert round(counted / 1e9, 2) == 50.34


def test_attention_in_gram_form_is_counted_too():
    # tokens times C x C: three Gram matrices and two answers of half of them, one skip of all
    tokens = VOXELS * (1 + 1 / 8)
    small = multiply_adds(ai_cnet3d("hemiretinal"), SIZE) - CONVOLUTIONS - 3.5 * tokens * 32**2
    assert 0 < small < 1e6, "what is left are products of C x C"


def test_weights_that_are_there_are_left_where_they_are_and_count_the_same():
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 60, 5)).train()
    assert multiply_adds(network, (3, 4, 5)) == 60 * 27 * 2 + 120 * 5


@pytest.mark.parametrize("times", [2, 3])
def test_a_timesformer_costs_its_products(times):
    width, places = 8, 2
    tokens = times * places
    with torch.device("meta"):
        network = TimeSformer((times, 32, 16), width, blocks=1, heads=2)
    linear = (1 + tokens) * (2 * 4 + 8) * width**2 + tokens * 256 * width + width * 2
    over_time = tokens * (times + 1) + (tokens + 1)
    over_space = tokens * (places + 1) + (tokens + 1)
    assert multiply_adds(network, (times, 32, 16)) == linear + 2 * (over_time + over_space) * width
