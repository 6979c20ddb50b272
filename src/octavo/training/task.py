"""Tasks: what a batch costs."""

from typing import Any, TypedDict

import torch
from jaxtyping import Float, Int
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from octavo.errors import OctavoError


class Batch(TypedDict):
    """Some exams, prepared."""

    volume: Float[Tensor, "batch 1 b d a"]
    label: Int[Tensor, " batch"]
    exam_id: list[str]


class LossNotFiniteError(OctavoError):
    """Training met a loss that is not a number, and stopped before anything was saved from it."""


class Task(LightningModule):
    """A network and what a batch costs it.

    A system says in `losses` what each exam of a batch costs, by name; `loss` is what is minimised. The rest is the same for
    all systems:

    * dropout is seeded at every step from the run's seed and the step's number alone, so a resumed run is the run;
    * validation runs in evaluation mode and is the mean over exams, whatever the batch size and however many processes;
    * a loss that is not finite stops the run with the exam's id.

    Args:
        network: What is trained.
        learning_rate: Of NAdam.
        seed: The run's seed.
    """

    def __init__(self, network: nn.Module, learning_rate: float, seed: int) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.seed = seed
        self._validation: dict[str, Tensor] = {}

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """What each exam costs, by name; `loss` among them."""
        raise NotImplementedError(f"{type(self).__name__} must say what a batch costs")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """NAdam, as published."""
        return torch.optim.NAdam(self.parameters(), lr=self.learning_rate)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout from the step alone."""
        torch.manual_seed((self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean cost of a batch."""
        losses = self._finite(self.losses(batch), batch)
        for name, values in losses.items():
            self.log(
                f"train_{name}",
                values.detach().mean(),
                on_epoch=True,
                on_step=False,
                batch_size=len(values),
                sync_dist=True,
            )
        return losses["loss"].mean()

    def on_validation_epoch_start(self) -> None:
        """Begin counting."""
        self._validation = {}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up what the batch costs."""
        for name, values in self._finite(self.losses(batch), batch).items():
            summed = torch.stack((values.double().sum(), values.new_tensor(len(values), dtype=torch.float64)))
            self._validation[name] = self._validation.get(name, torch.zeros_like(summed)) + summed

    def on_validation_epoch_end(self) -> None:
        """Log means over all exams of all processes."""
        for name, summed in self._validation.items():
            total = self.trainer.strategy.reduce(summed, reduce_op="sum")
            self.log(f"val_{name}", (total[0] / total[1]).float(), rank_zero_only=False, sync_dist=False)

    def _finite(self, losses: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        bad = ~torch.isfinite(losses["loss"].detach())
        if bool(bad.any()):
            # batch statistics spread one exam's NaN over its whole batch: look for the exam that brought it
            poisoned = ~torch.isfinite(batch["volume"]).flatten(1).all(dim=1)
            blamed = poisoned if bool(poisoned.any()) else bad
            exams = [exam for exam, is_blamed in zip(batch["exam_id"], blamed.tolist(), strict=True) if is_blamed]
            raise LossNotFiniteError(
                f"exam{'s' * (len(exams) > 1)} {', '.join(exams)}: the loss is {losses['loss'][bad][0].item()} in epoch "
                f"{self.current_epoch}; wanted a finite number; look at this scan, or lower the learning rate; nothing of "
                "this epoch was saved"
            )
        return losses

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are not finite."""
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise LossNotFiniteError(
                    f"weight {name} is not finite; the checkpoint of before stays; lower the learning rate"
                )
