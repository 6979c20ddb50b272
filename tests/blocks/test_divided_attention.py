"""Divided attention against ordinary attention over all tokens at once, where a mask says who may ask whom."""

import pytest
import torch
from torch.nn import functional as F

from octavo.blocks.divided_attention import DividedBlock, GroupedAttention

BATCH, TIMES, PLACES, WIDTH, HEADS = 2, 3, 4, 8, 2
TIME = torch.arange(TIMES).repeat_interleave(PLACES)
PLACE = torch.arange(PLACES).repeat(TIMES)


def allowed(of_token):
    """The class token comes first: it asks everybody and everybody asks it."""
    mask = torch.ones(1 + TIMES * PLACES, 1 + TIMES * PLACES, dtype=torch.bool)
    mask[1:, 1:] = of_token[:, None] == of_token[None, :]
    return mask


def masked(attention, everybody, mask):
    """Every head by itself, every token at once."""
    q, k, v = F.linear(everybody, attention.qkv.weight, attention.qkv.bias).chunk(3, dim=-1)
    heads = []
    for of_head in torch.arange(WIDTH).chunk(HEADS):
        products = q[..., of_head] @ k[..., of_head].transpose(-2, -1) / len(of_head) ** 0.5
        heads.append(torch.softmax(products.masked_fill(~mask, -torch.inf), dim=-1) @ v[..., of_head])
    return F.linear(torch.cat(heads, dim=-1), attention.out.weight, attention.out.bias)


def tokens_of(seed=0):
    torch.manual_seed(seed)
    return torch.randn(BATCH, 1 + TIMES * PLACES, WIDTH, dtype=torch.float64)


def apart(everybody):
    return everybody[:, :1], everybody[:, 1:].unflatten(1, (TIMES, PLACES))


def drawn(module):
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in module.parameters():
            weights.normal_()
    return module.double()


def test_groups_ask_themselves_and_the_class_token():
    attention, everybody = drawn(GroupedAttention(WIDTH, HEADS)), tokens_of()
    first, tokens = attention(*apart(everybody))
    wanted = masked(attention, everybody, allowed(TIME))
    torch.testing.assert_close(first, wanted[:, :1])
    torch.testing.assert_close(tokens.flatten(1, 2), wanted[:, 1:])


def test_a_block_is_its_equation():
    block, everybody = drawn(DividedBlock(WIDTH, HEADS)), tokens_of(2)
    first, tokens = block(*apart(everybody))
    z = everybody + masked(block.over_time, block.norm_time(everybody), allowed(PLACE))
    z = z + masked(block.over_space, block.norm_space(z), allowed(TIME))
    z = z + block.mlp(block.norm_mlp(z))
    torch.testing.assert_close(first, z[:, :1])
    torch.testing.assert_close(tokens.flatten(1, 2), z[:, 1:])


@pytest.mark.parametrize("changed", [(0, 0), (2, 3)])
def test_in_one_attention_over_time_a_change_reaches_its_own_place_only(changed):
    attention, everybody = drawn(GroupedAttention(WIDTH, HEADS)), tokens_of(3)
    first, tokens = apart(everybody)
    other = tokens.clone()
    other[:, changed[0], changed[1]] += 1
    one, two = (attention(first, given.transpose(1, 2))[1].transpose(1, 2) for given in (tokens, other))
    moved = (one - two).abs().amax(dim=(0, 1, 3)) > 0
    assert moved.tolist() == [place == changed[1] for place in range(PLACES)]
