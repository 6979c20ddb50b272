"""The one stage of a peer's training."""

from collections.abc import Iterator
from typing import Any

from octavo.cohorts.dataset import class_weights
from octavo.systems.peers.architectures import ARCHITECTURES
from octavo.systems.peers.recipe import PeerRecipe
from octavo.training.classification import ClassificationTask, ClosedFormTask
from octavo.training.fit import Stage


def stages(recipe: PeerRecipe, network: Any, seed: int, labels: list[int]) -> Iterator[Stage]:
    """What is trained: classification, step by step, or at once where the best weights can be computed.

    Args:
        recipe: What is asked for.
        network: The network to train.
        seed: The run's seed.
        labels: Of the training part, for a weighted loss.
    """
    weights = class_weights(labels) if recipe.balance == "weighted-loss" else None
    if ARCHITECTURES[recipe.architecture].closed_form:
        yield Stage("stage-1", ClosedFormTask(network, seed, weights), max_epochs=1, patience=1, monitor="val_loss")
        return
    yield Stage(
        name="stage-1",
        task=ClassificationTask(network, recipe.learning_rate, seed, weights),
        max_epochs=recipe.epochs,
        patience=recipe.patience,
        monitor="val_loss",
    )
