"""What a batch costs whoever tells classes apart."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from octavo.errors import OctavoError
from octavo.training.task import Batch, Task


class ClassificationTask(Task):
    """Cross-entropy over the classes.

    Args:
        network: What is trained; its output has `logits`.
        learning_rate: Of NAdam.
        seed: The run's seed.
        weights: Weight of each class in the loss; None weighs exams alike.
    """

    class_weights: Tensor | None

    def __init__(
        self, network: nn.Module, learning_rate: float, seed: int, weights: Float[Tensor, " classes"] | None = None
    ) -> None:
        super().__init__(network, learning_rate, seed)
        self.register_buffer("class_weights", weights, persistent=False)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """`loss`, and the same as `classification`."""
        costs = self.classification(self.network(batch["volume"]).logits, batch["label"])
        return {"loss": costs, "classification": costs}

    def classification(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """What each exam's answer costs, weighed by its class."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        return F.cross_entropy(logits, labels, weight=weights, reduction="none")


class ClosedForm(Protocol):
    """What a network offers that is fitted at once."""

    def describe(self, volume: Tensor) -> Tensor:
        """Fixed numbers of each exam, `batch number`."""

    def fit(self, numbers: Tensor, labels: Tensor, weights: Tensor) -> None:
        """Take the weights that are best for all exams."""

    def answer(self, numbers: Tensor) -> Tensor:
        """From the numbers to logits."""


class ClosedFormTask(ClassificationTask):
    """A network whose best weights follow at once from all exams of the training part, without a learning rate.

    One epoch is the whole training: every batch is turned into the network's fixed numbers, and with the last one the
    network is fitted to all of them. An exam counts once, though the last batch is filled up with exams of the first.

    Args:
        network: A `ClosedForm`.
        seed: The run's seed.
        weights: Weight of each class in the loss; None weighs exams alike.
    """

    network: ClosedForm  # type: ignore[assignment]

    def __init__(self, network: nn.Module, seed: int, weights: Float[Tensor, " classes"] | None = None) -> None:
        super().__init__(network, 0.0, seed, weights)
        self.automatic_optimization = False
        self._met: dict[str, tuple[Tensor, Tensor]] = {}

    def configure_optimizers(self) -> None:  # type: ignore[override]
        """None: nothing is found step by step."""

    def on_train_epoch_start(self) -> None:
        """Begin anew.

        Raises:
            OctavoError: If several processes train together, each of which would know only its share.
        """
        if self.trainer.world_size > 1:
            raise OctavoError(
                f"{self.trainer.world_size} processes train together; wanted one, for this model is fitted to all exams at "
                "once; use one device"
            )
        self._met = {}

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """Take a batch's numbers; with the last batch, fit."""
        self.meet(batch)
        if batch_idx + 1 == self.trainer.num_training_batches:
            costs = self.fit_to_all_met()
            for name in ("train_loss", "train_classification"):
                self.log(name, costs.mean(), on_epoch=True, on_step=False, batch_size=len(costs))

    @torch.no_grad()
    def meet(self, batch: Batch) -> None:
        """Keep the fixed numbers of a batch's exams.

        Raises:
            LossNotFiniteError: If a number is not finite, as of a scan that holds such.
        """
        numbers = self.network.describe(batch["volume"])
        self._finite({"loss": numbers.sum(dim=1)}, batch)
        for exam, row, label in zip(batch["exam_id"], numbers, batch["label"], strict=True):
            self._met[exam] = (row, label)

    @torch.no_grad()
    def fit_to_all_met(self) -> Float[Tensor, " exam"]:
        """Fit the network to the exams it met, whatever their order, and say what each costs then."""
        # sums depend on their order in the last digits; a seed decides the order, and should not decide them
        kept = [self._met[exam] for exam in sorted(self._met)]
        numbers, labels = torch.stack([row for row, _ in kept]), torch.stack([label for _, label in kept])
        weights = torch.ones_like(labels, dtype=torch.float64)
        if self.class_weights is not None:
            weights = self.class_weights.double()[labels]
        self.network.fit(numbers, labels, weights)
        return self.classification(self.network.answer(numbers), labels)
