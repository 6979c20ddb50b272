"""Grad-CAM at a network's last convolution, differentiating only what follows it.

Channel weights are the spatial means of the gradient of a score with respect to the convolution's output; the map is the
rectified weighted sum over channels, divided by its maximum. As published for AI-CNet3D the weights are constants (no
second-order gradient) while the features themselves receive gradient.

Two traps of the published form, which is kept for comparison. With batch statistics each channel's gradient sums to
zero over the batch, so a batch of one gives an all-zero map. And the raw maximum is about 1e-5, so the published +1e-5
in the divisor shrinks the map, most where the network is sure. The sound form has neither: batch norm stands fixed, the
score is a margin of logits, and the divisor is the true maximum.

Source: Selvaraju et al., Grad-CAM; Kenia et al., AI-CNet3D.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from octavo.attribution.score import Score, predicted_margin


def grad_cam(
    features: Float[Tensor, "batch channels b d a"],
    classify: Callable[[Tensor], Tensor],
    score: Score = predicted_margin,
) -> Float[Tensor, "batch b d a"]:
    """Grad-CAM in its sound form.

    Args:
        features: Output of the last convolution, before batch norm and ReLU.
        classify: From those features to logits, with batch norm fixed and without dropout, so that no example's map depends
            on another example of the batch.
        score: The number explained.

    Returns:
        Maps in [0, 1]; a map without positive values is all zero (count them with `is_zero`). Gradient flows into
        `features` but not through the channel weights.
    """
    with torch.enable_grad():
        leaf = features.detach().requires_grad_()
        total = score(classify(leaf)).sum()
        # a score that does not depend on the features has no gradient, and so no heat
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else torch.zeros_like(leaf)
    heat = _weighted_sum(features, gradient)
    highest = heat.amax(dim=(1, 2, 3), keepdim=True)
    return heat / torch.where(highest > 0, highest, torch.ones_like(highest))


def published_grad_cam(
    features: Float[Tensor, "batch channels b d a"], logits: Float[Tensor, "batch classes"]
) -> Float[Tensor, "batch b d a"]:
    """Grad-CAM as published: of the predicted class's probability, +1e-5 in the divisor.

    Args:
        features: Output of the last convolution, in the graph that led to `logits`.
        logits: The network's output, computed from `features` with gradients on.
    """
    probability = torch.softmax(logits, dim=1).amax(dim=1)
    (gradient,) = torch.autograd.grad(probability.sum(), features, retain_graph=True)
    heat = _weighted_sum(features, gradient)
    return heat / (heat.amax(dim=(1, 2, 3), keepdim=True) + 1e-5)


def is_zero(heat: Float[Tensor, "batch b d a"]) -> Float[Tensor, " batch"]:
    """1 for every map that is all zero, 0 for the others."""
    return (heat.amax(dim=(1, 2, 3)) <= 0).to(heat.dtype)


def same_grid(
    care: Float[Tensor, "batch b d a"], heat: Float[Tensor, "batch b2 d2 a2"]
) -> Float[Tensor, "batch b2 d2 a2"]:
    """CARE on Grad-CAM's grid, resampled trilinearly where the placement of the attention makes them differ."""
    if care.shape == heat.shape:
        return care
    return F.interpolate(care.unsqueeze(1), size=heat.shape[1:], mode="trilinear", align_corners=False).squeeze(1)


def _weighted_sum(features: Tensor, gradient: Tensor) -> Float[Tensor, "batch b d a"]:
    weights = gradient.detach().mean(dim=(2, 3, 4))
    return F.relu(torch.einsum("bc,bcxyz->bxyz", weights, features))
