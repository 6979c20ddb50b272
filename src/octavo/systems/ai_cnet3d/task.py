"""What a batch costs AI-CNet3D: classification, then classification and the agreement of CARE with Grad-CAM."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from octavo.attribution import grad_cam, is_zero, published_grad_cam, same_grid
from octavo.metrics.similarity import CONSISTENCY_LOSSES
from octavo.systems.ai_cnet3d.network import AICNet3D, Output
from octavo.training.classification import ClassificationTask
from octavo.training.task import Batch


@dataclass(frozen=True)
class Consistency:
    """The second term of the second stage.

    Args:
        loss: One of `CONSISTENCY_LOSSES`.
        weight: λ in `(1 - λ) classification + λ consistency`.
        published: Take Grad-CAM in its published form.
    """

    loss: str
    weight: float
    published: bool = False


class AICNet3DTask(ClassificationTask):
    """Cross-entropy over the classes and, in the second stage, the consistency of the two maps.

    The paper's binary cross-entropy on two softmax outputs with one-hot targets is the same number as cross-entropy.

    Args:
        network: What is trained.
        learning_rate: Of NAdam.
        seed: The run's seed.
        weights: Weight of each class in the loss; None weighs exams alike.
        consistency: The second stage's term; None in the first stage.
    """

    network: AICNet3D

    def __init__(
        self,
        network: AICNet3D,
        learning_rate: float,
        seed: int,
        weights: Float[Tensor, " classes"] | None = None,
        consistency: Consistency | None = None,
    ) -> None:
        super().__init__(network, learning_rate, seed, weights)
        self.consistency = consistency

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """`loss`, and its parts `classification`, `consistency` and `zero_maps`."""
        if self.consistency is None:
            return super().losses(batch)
        output = self.network(batch["volume"])
        classification = self.classification(output.logits, batch["label"])
        weight = self.consistency.weight
        with torch.set_grad_enabled(torch.is_grad_enabled() and weight > 0):
            heat = self._grad_cam(output)
            care = same_grid(output.care, heat).to(heat.dtype)
            consistency = CONSISTENCY_LOSSES[self.consistency.loss](care, heat)
        return {
            "loss": (1 - weight) * classification + weight * consistency,
            "classification": classification,
            "consistency": consistency,
            "zero_maps": is_zero(heat.detach()),
        }

    def _grad_cam(self, output: Output) -> Float[Tensor, "batch b d a"]:
        if self.consistency is not None and self.consistency.published and output.logits.requires_grad:
            return published_grad_cam(output.features, output.logits)
        with self.network.frozen_head():
            return grad_cam(output.features, self.network.classify)
