"""Mixing channels of regions by small matrices, in two passes over the tokens and with only the tokens kept.

Forward, the tokens are read once to gather Gram matrices and once more to be mixed; backward, once to gather the
gradients of the small matrices and once more for the gradient of the tokens. Layer norm is computed anew each time, in
slabs of B-scans that stay in the processor's cache: that costs less than fetching its result from memory. What lies
between the Gram matrices and the mixing matrices is a handful of C x C products, left to autograd.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from octavo.blocks.regions import Anatomy, divide

SLAB_NUMBERS = 2**18
"""Numbers of a slab that fit a processor's cache; a GPU takes everything at once."""


@dataclass(frozen=True)
class Mixing:
    """The small matrices of one batch."""

    skip: Float[Tensor, "batch c c"]
    """What a token's own raw values are multiplied by."""
    answers: Float[Tensor, "pair batch c c"]
    """For each directed pair, what the answering region's normed tokens are multiplied by."""
    constants: Float[Tensor, "region batch c"]
    """What is added to every token of a region."""

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three."""
        return self.skip, self.answers, self.constants


MixingRule = Callable[[Float[Tensor, "region region batch c c"]], Mixing]
"""From the Gram matrices of all pairs of regions that meet (others are zero) to the mixing matrices."""


def mix_regions(
    tokens: Float[Tensor, "batch b d a c"],
    anatomy: Anatomy,
    norms: Sequence[torch.nn.LayerNorm],
    rule: MixingRule,
    parameters: Sequence[Tensor],
) -> Float[Tensor, "batch b d a c"]:
    """Mix every region with those it asks.

    `y_i = x_i · skip + Σ normed_j · answer_ij + constant_i` for each region i, where the matrices follow by `rule` from the
    Gram matrices of the normed tokens.

    Args:
        tokens: Channels last; contiguous is fastest.
        anatomy: The regions and who asks whom.
        norms: The layer norms that `anatomy.norm_of` names.
        rule: From Gram matrices to mixing matrices, by differentiable operations.
        parameters: Every parameter that `rule` reads.
    """
    affine = [part for norm in norms for part in (norm.weight, norm.bias)]
    return _MixRegions.apply(tokens, anatomy, rule, norms[0].eps, len(affine), *affine, *parameters)


class _MixRegions(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, anatomy: Anatomy, rule: MixingRule, eps: float, affines: int, *weights: Tensor
    ) -> Tensor:
        layout = _Layout(anatomy, weights[:affines], eps)
        grams = layout.grams(tokens)
        needs_gradient = any(ctx.needs_input_grad)
        with torch.set_grad_enabled(needs_gradient):
            grams.requires_grad_(needs_gradient)
            mixing = rule(grams)
        y = layout.mixed(tokens, mixing)
        if needs_gradient:
            ctx.save_for_backward(tokens, *weights)
            ctx.small = (anatomy, eps, affines, grams, mixing)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        tokens, *weights = ctx.saved_tensors
        anatomy, eps, affines, grams, mixing = ctx.small
        layout = _Layout(anatomy, weights[:affines], eps)
        grad_mixing = layout.mixing_gradients(tokens, grad_y)
        # frozen parameters get no gradient, and matrices that hang on nothing else have no graph
        small = [(part, grad) for part, grad in zip(mixing.parts, grad_mixing, strict=True) if part.requires_grad]
        learning = [weight for weight in weights[affines:] if weight.requires_grad]
        parts, grads = zip(*small, strict=True)
        grad_grams, *found = torch.autograd.grad(parts, [grams, *learning], grads, allow_unused=True, retain_graph=True)
        each = iter(found)
        grad_parameters = [next(each) if weight.requires_grad else None for weight in weights[affines:]]
        grad_tokens, grad_affine = layout.token_gradients(tokens, grad_y, mixing, grad_grams)
        return (grad_tokens, None, None, None, None, *grad_affine, *grad_parameters)


class _Layout:
    """Walks the tokens in slabs, each holding matching tokens of all regions."""

    def __init__(self, anatomy: Anatomy, affine: Sequence[Tensor], eps: float) -> None:
        self.anatomy = anatomy
        self.scales, self.shifts = affine[::2], affine[1::2]
        self.eps = eps
        self.meeting = sorted({(i, i) for i in range(len(anatomy.norm_of))} | {tuple(sorted(p)) for p in anatomy.pairs})

    def grams(self, tokens: Tensor) -> Float[Tensor, "region region batch c c"]:
        regions, (batch, channels) = len(self.anatomy.norm_of), (tokens.shape[0], tokens.shape[-1])
        total = tokens.new_zeros(regions, regions, batch, channels, channels)
        for samples, (slab,) in self._slabs(tokens):
            normed = self._normed(slab)
            for i, j in self.meeting:
                total[i, j, samples].baddbmm_(normed[i].transpose(1, 2), normed[j])
        for i, j in self.meeting:
            if i != j:
                total[j, i] = total[i, j].transpose(1, 2)
        return total

    def mixed(self, tokens: Tensor, mixing: Mixing) -> Tensor:
        y = torch.empty_like(tokens)
        for samples, (slab, out) in self._slabs(tokens, y):
            normed = self._normed(slab)
            for region, raw in enumerate(slab):
                answer = _flat(out[region])
                constant = mixing.constants[region, samples].unsqueeze(1)
                torch.baddbmm(constant, _flat(raw), mixing.skip[samples], out=answer)
                for pair, (asking, answering) in enumerate(self.anatomy.pairs):
                    if asking == region:
                        answer.baddbmm_(normed[answering], mixing.answers[pair, samples])
                _put_back(answer, out[region])
        return y

    def mixing_gradients(self, tokens: Tensor, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels = tokens.shape[0], tokens.shape[-1]
        skip = tokens.new_zeros(batch, channels, channels)
        answers = tokens.new_zeros(len(self.anatomy.pairs), batch, channels, channels)
        constants = tokens.new_zeros(len(self.anatomy.norm_of), batch, channels)
        for samples, (slab, grads) in self._slabs(tokens, grad_y):
            normed, flat = self._normed(slab), [_flat(grad) for grad in grads]
            for region, raw in enumerate(slab):
                skip[samples].baddbmm_(_flat(raw).transpose(1, 2), flat[region])
                constants[region, samples] += flat[region].sum(dim=1)
            for pair, (asking, answering) in enumerate(self.anatomy.pairs):
                answers[pair, samples].baddbmm_(normed[answering].transpose(1, 2), flat[asking])
        return skip, answers, constants

    def token_gradients(
        self, tokens: Tensor, grad_y: Tensor, mixing: Mixing, grad_grams: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        grad_tokens = torch.empty_like(tokens)
        grad_scales = [torch.zeros_like(scale) for scale in self.scales]
        grad_shifts = [torch.zeros_like(shift) for shift in self.shifts]
        skip, answers = mixing.skip.detach().transpose(1, 2), mixing.answers.detach().transpose(2, 3)
        # a Gram matrix and its transpose meet in both orders: d normed_i = Σ_j normed_j (G_ijᵀ + G_ji)
        both = grad_grams.transpose(-2, -1) + grad_grams.transpose(0, 1)
        for samples, (slab, grads, out) in self._slabs(tokens, grad_y, grad_tokens):
            flat = [_flat(grad) for grad in grads]
            normed, statistics = self._normed_with_statistics(slab)
            for region, raw in enumerate(slab):
                which = self.anatomy.norm_of[region]
                grad = torch.bmm(normed[region], both[region, region, samples])
                for other in {b if a == region else a for a, b in self.meeting if a != b and region in (a, b)}:
                    grad.baddbmm_(normed[other], both[region, other, samples])
                for pair, (asking, answering) in enumerate(self.anatomy.pairs):
                    if answering == region:
                        grad.baddbmm_(flat[asking], answers[pair, samples])
                through_norm, grad_scale, grad_shift = torch.ops.aten.native_layer_norm_backward(
                    grad,
                    _flat(raw),
                    [raw.shape[-1]],
                    *statistics[region],
                    self.scales[which],
                    self.shifts[which],
                    [True] * 3,
                )
                grad_scales[which] += grad_scale
                grad_shifts[which] += grad_shift
                answer = _flat(out[region])
                torch.baddbmm(through_norm, flat[region], skip[samples], out=answer)
                _put_back(answer, out[region])
        return grad_tokens, [part for pair in zip(grad_scales, grad_shifts, strict=True) for part in pair]

    def _slabs(self, *volumes: Tensor) -> Iterator[tuple[slice, list[list[Tensor]]]]:
        """Matching tokens of all regions: some B-scans of one exam at a time, some small exams, on a GPU everything."""
        batch, bscans, depth, ascans, channels = volumes[0].shape
        halves = [divide(volume, self.anatomy) for volume in volumes]
        rows = halves[0][0].shape[1]
        at_once = max(1, SLAB_NUMBERS // (bscans // rows * depth * ascans * channels))
        exams = max(1, at_once // rows)
        if volumes[0].device.type != "cpu":
            at_once, exams = rows, batch
        for first in range(0, batch, exams):
            samples = slice(first, first + exams)
            for row in range(0, rows, at_once):
                yield samples, [[region[samples, row : row + at_once] for region in regions] for regions in halves]

    def _normed(self, slab: Sequence[Tensor]) -> list[Float[Tensor, "batch n c"]]:
        return self._normed_with_statistics(slab)[0]

    def _normed_with_statistics(self, slab: Sequence[Tensor]) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        normed, statistics = [], []
        for which, raw in zip(self.anatomy.norm_of, slab, strict=True):
            out, mean, rstd = torch.native_layer_norm(
                _flat(raw), [raw.shape[-1]], self.scales[which], self.shifts[which], self.eps
            )
            normed.append(out)
            statistics.append((mean, rstd))
        return normed, statistics


def _flat(part: Float[Tensor, "batch b d a c"]) -> Float[Tensor, "batch n c"]:
    return part.flatten(1, 3)


def _put_back(flat: Float[Tensor, "batch n c"], part: Float[Tensor, "batch b d a c"]) -> None:
    """Copy what was flattened back, where flattening made a copy."""
    if flat.data_ptr() != part.data_ptr():
        part.copy_(flat.view(part.shape))
