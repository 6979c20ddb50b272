"""What a batch costs DinoAtten3D: cross-entropy, supervised contrast, and the spread of each class."""

import torch
from jaxtyping import Float
from torch import Tensor

from octavo.blocks.embedding_losses import class_variance, supervised_contrastive
from octavo.blocks.slice_attention import attention_entropy
from octavo.systems.dino_atten3d.network import DinoAtten3D
from octavo.training.classification import ClassificationTask
from octavo.training.task import Batch


class DinoAtten3DTask(ClassificationTask):
    """`classification + contrast + 0.1 variance`, as published; how evenly slices are weighed is logged beside it.

    Args:
        network: What is trained: attention, embedding and classifier. The published optimiser leaves the attention and the
            classifier at their random weights.
        learning_rate: Of Adam.
        seed: The run's seed.
        class_weights: Weight of each class in the cross-entropy; None weighs exams alike.
        contrast_weight: Of the supervised contrastive term.
        variance_weight: Of the class variance term.
        temperature: Of the contrastive term.
    """

    network: DinoAtten3D

    def __init__(
        self,
        network: DinoAtten3D,
        learning_rate: float,
        seed: int,
        class_weights: Float[Tensor, " classes"] | None = None,
        contrast_weight: float = 1.0,
        variance_weight: float = 0.1,
        temperature: float = 0.07,
    ) -> None:
        super().__init__(network, learning_rate, seed, class_weights)
        self.contrast_weight = contrast_weight
        self.variance_weight = variance_weight
        self.temperature = temperature

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as published."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """`loss`, its parts, and of the attention `entropy` (1: all slices alike) and `peak` (1: one slice alone)."""
        output = self.network(batch["volume"])
        labels = batch["label"]
        classification = self.classification(output.logits, labels)
        contrast = supervised_contrastive(output.embedding, labels, self.temperature)
        variance = class_variance(output.embedding, labels)
        slice_weights = output.slice_weights.detach()
        return {
            "loss": classification + self.contrast_weight * contrast + self.variance_weight * variance,
            "classification": classification,
            "contrast": contrast,
            "variance": variance,
            "attention_entropy": attention_entropy(slice_weights),
            "attention_peak": slice_weights.amax(dim=1),
        }
