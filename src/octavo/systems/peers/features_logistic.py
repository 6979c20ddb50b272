"""Logistic regression on fixed features of brightness and thickness: what could be had without a neural network.

The features are those of `scan_features`. Each is standardised by mean and standard deviation of the training part, which
are kept with the weights. The fit is the one best there is: mean cross-entropy and a ridge, by Newton's method.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from octavo.blocks.precision import full_precision
from octavo.errors import OctavoError
from octavo.systems.peers.network import Output
from octavo.systems.peers.scan_features import FEATURES, scan_features
from octavo.systems.peers.trivial import logits_of, require_all

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe

STEPS = 200
CONVERGED = 1e-10
"""The steepest the loss may still fall along any weight; losses are of the order of one."""


class FeaturesLogistic(nn.Module):
    """Fixed features, standardised, and a linear map.

    Args:
        l2: Half of it times the squared weights is added to the mean loss; the bias is free.

    Example:
        >>> FeaturesLogistic()(torch.zeros(2, 1, 4, 8, 6)).logits.shape
        torch.Size([2, 2])
    """

    explained_by = ()
    mean: Tensor
    spread: Tensor

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__()
        self.l2 = l2
        self.weight = nn.Parameter(torch.zeros(len(FEATURES)))
        self.bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("spread", torch.ones(len(FEATURES)))

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """Read volumes."""
        return Output(self.answer(self.describe(x)))

    def describe(self, x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch feature"]:
        """The features of each exam."""
        with full_precision(x):
            return scan_features(x.float())

    def answer(self, numbers: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch classes"]:
        """Logits from features."""
        with full_precision(numbers):
            return logits_of(F.linear((numbers - self.mean) / self.spread, self.weight[None], self.bias)[:, 0])

    def fit(
        self, numbers: Float[Tensor, "exam feature"], labels: Int[Tensor, " exam"], weights: Float[Tensor, " exam"]
    ) -> None:
        """Standardise, and fit to convergence.

        Raises:
            OctavoError: If one class is missing.
        """
        require_all(labels)
        numbers = numbers.double()
        mean, spread = numbers.mean(dim=0), numbers.std(dim=0, correction=0)
        # what is the same in all exams but for rounding must not be blown up
        spread = torch.where(spread > 1e-6 * (1 + mean.abs()), spread, 1.0)
        weight, bias = fit_logistic((numbers - mean) / spread, labels, weights, self.l2)
        with torch.no_grad():
            for own, found in ((self.mean, mean), (self.spread, spread), (self.weight, weight), (self.bias, bias)):
                own.copy_(found)


def features_logistic(recipe: "PeerRecipe") -> FeaturesLogistic:
    """The network that a recipe asks for."""
    return FeaturesLogistic(recipe.l2)


def fit_logistic(
    x: Float[Tensor, "exam feature"], labels: Int[Tensor, " exam"], weights: Float[Tensor, " exam"], l2: float
) -> tuple[Float[Tensor, " feature"], Float[Tensor, " 1"]]:
    """The weights and bias that minimise `Σ weight · cross-entropy / Σ weight + l2 / 2 · |w|²`, in 64 bits.

    Args:
        x: Features.
        labels: 0 or 1; both are there.
        weights: Of each exam.
        l2: Strength of the ridge.

    Raises:
        OctavoError: If the fit has not converged when its steps are used up.
    """
    design = torch.cat((x.double(), x.new_ones(len(x), 1, dtype=torch.float64)), dim=1)
    truth, share = labels.double(), weights.double() / weights.sum()
    ridge = torch.full((design.shape[1],), l2, dtype=torch.float64, device=x.device)
    ridge[-1] = 0.0

    def cost(found: Tensor) -> float:
        per_exam = F.binary_cross_entropy_with_logits(design @ found, truth, reduction="none")
        return float(share @ per_exam + 0.5 * (ridge * found) @ found)

    found = torch.zeros_like(ridge)
    for _ in range(STEPS):
        probability = torch.sigmoid(design @ found)
        slope = design.T @ (share * (probability - truth)) + ridge * found
        if float(slope.abs().max()) < CONVERGED:
            return found[:-1], found[-1:]
        curvature = (design.T * (share * probability * (1 - probability))) @ design + torch.diag(ridge)
        step = torch.linalg.solve(
            curvature + 1e-14 * torch.eye(len(ridge), dtype=torch.float64, device=x.device), slope
        )
        before, length = cost(found), 1.0
        # a whole step of Newton's can lead uphill far from the end, and never does near it
        while cost(found - length * step) > before + 1e-15 and length > 1e-9:
            length /= 2
        found = found - length * step
    raise OctavoError(
        f"the logistic fit has not converged after {STEPS} steps; wanted a slope below {CONVERGED:g}; give a larger l2"
    )
