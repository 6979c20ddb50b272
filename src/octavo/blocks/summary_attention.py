"""Every token weighs a few summaries of all tokens, in slabs that stay in the processor's cache.

The matrix of weights is far larger than what goes in and comes out: 64 numbers for each token of each head. It is made
slab by slab, used, and forgotten; backward makes it again, dropout included, whose random numbers follow from one seed.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

SLAB_NUMBERS = 2**18
"""Weights of a slab that fit a processor's cache; a GPU takes a whole head at once."""

_LEVELS = 2**16


def attend_summaries(
    q: Float[Tensor, "batch heads d n"],
    keys: Float[Tensor, "batch heads d p"],
    values: Float[Tensor, "batch heads d p"],
    temperature: Float[Tensor, "heads 1 1"],
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads n d"]:
    """`softmax(temperature · qᵀ keys) · valuesᵀ`, the weights dropped at random and scaled as in `torch.nn.Dropout`.

    Args:
        q: Queries of n tokens, tokens last.
        keys: Keys of p summaries.
        values: Values of p summaries.
        temperature: What each head's products are multiplied by.
        dropout: Share of the weights that is dropped, kept to the nearest 65536th; the random numbers follow from torch's
            current seed.

    Example:
        >>> q, keys, values = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 4), torch.arange(8.0).view(1, 1, 2, 4)
        >>> attend_summaries(q, keys, values, torch.ones(1, 1, 1))[0, 0, 0]
        tensor([1.5000, 5.5000])
    """
    dropped = round(dropout * _LEVELS)
    seed = int(torch.randint(2**62, ())) if dropped else 0
    return _AttendSummaries.apply(q, keys, values, temperature, dropped, seed)


class _AttendSummaries(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, keys: Tensor, values: Tensor, temperature: Tensor, dropped: int, seed: int
    ) -> Tensor:
        ctx.save_for_backward(q, keys, values, temperature)
        ctx.random = (dropped, seed)
        answer = q.new_empty(*q.shape[:2], q.shape[3], q.shape[2])
        for sample, head, tokens, kept in _slabs(q, keys, dropped, seed):
            products = q[sample, head, :, tokens].T @ keys[sample, head]
            weights = products.mul_(temperature[head]).softmax(dim=-1)
            if kept is not None:
                weights.mul_(kept)
            torch.mm(weights, values[sample, head].T, out=answer[sample, head, tokens])
        return answer.mul_(_LEVELS / (_LEVELS - dropped)) if dropped else answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_answer: Tensor) -> tuple[Tensor | None, ...]:
        q, keys, values, temperature = ctx.saved_tensors
        dropped, seed = ctx.random
        grad_q, grad_keys = torch.empty_like(q), torch.zeros_like(keys)
        grad_values, grad_temperature = torch.zeros_like(values), torch.zeros_like(temperature)
        scale = _LEVELS / (_LEVELS - dropped)
        for sample, head, tokens, kept in _slabs(q, keys, dropped, seed):
            queries, grad = q[sample, head, :, tokens], grad_answer[sample, head, tokens] * scale
            products = queries.T @ keys[sample, head]
            weights = (products * temperature[head]).softmax(dim=-1)
            grad_weights = grad @ values[sample, head]
            grad_values[sample, head].addmm_(grad.T, weights if kept is None else weights * kept)
            if kept is not None:
                grad_weights.mul_(kept)
            # softmax: dS = P ∘ (dP - Σ dP ∘ P)
            grad_scores = grad_weights.mul_(weights)
            grad_scores.addcmul_(weights, grad_scores.sum(dim=-1, keepdim=True), value=-1)
            grad_temperature[head] += (grad_scores * products).sum()
            grad_scores.mul_(temperature[head])
            torch.mm(keys[sample, head], grad_scores.T, out=grad_q[sample, head, :, tokens])
            grad_keys[sample, head].addmm_(queries, grad_scores)
        return grad_q, grad_keys, grad_values, grad_temperature, None, None


def _slabs(q: Tensor, keys: Tensor, dropped: int, seed: int) -> Iterator[tuple[int, int, slice, Tensor | None]]:
    """Sample, head and tokens of each slab, and which of its weights are kept."""
    (batch, heads, _, count), summaries = q.shape, keys.shape[3]
    at_once = count if q.device.type != "cpu" else max(1, SLAB_NUMBERS // summaries)
    generator = torch.Generator(device=q.device).manual_seed(seed) if dropped else None
    for sample in range(batch):
        for head in range(heads):
            for first in range(0, count, at_once):
                tokens = slice(first, min(first + at_once, count))
                numbers = (tokens.stop - first) * summaries
                yield sample, head, tokens, _kept(numbers, dropped, generator, q.device, summaries)


def _kept(
    numbers: int, dropped: int, generator: torch.Generator | None, device: torch.device, summaries: int
) -> Tensor | None:
    """Four weights are decided by one 64-bit random number: drawing them one by one would cost more than the products."""
    if not dropped:
        return None
    bits = torch.empty(-(-numbers // 4), dtype=torch.int64, device=device).random_(-(2**63), None, generator=generator)
    return (bits.view(torch.int16)[:numbers] >= dropped - _LEVELS // 2).view(-1, summaries)
