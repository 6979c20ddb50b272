"""The two stages of AI-CNet3D's training: classification, then the consistency of its maps."""

from collections.abc import Iterator

from octavo.cohorts.dataset import class_weights
from octavo.systems.ai_cnet3d.network import AICNet3D
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.systems.ai_cnet3d.task import AICNet3DTask, Consistency
from octavo.training.fit import Stage


def stages(recipe: AICNet3DRecipe, network: AICNet3D, seed: int, labels: list[int]) -> Iterator[Stage]:
    """What is trained, in order; each stage goes on from the weights the one before left in the network.

    Args:
        recipe: What is asked for.
        network: The network to train.
        seed: The run's seed.
        labels: Of the training part, for a weighted loss.
    """
    weights = class_weights(labels) if recipe.balance == "weighted-loss" else None
    yield Stage(
        name="stage-1",
        task=AICNet3DTask(network, recipe.learning_rate, seed, weights),
        max_epochs=recipe.epochs,
        patience=recipe.patience,
        monitor="val_loss",
    )
    if recipe.consistency != "off":
        term = Consistency(recipe.consistency, recipe.consistency_weight, recipe.grad_cam == "published")
        yield Stage(
            name="stage-2",
            task=AICNet3DTask(network, recipe.learning_rate, seed + 500_000, weights, term),
            max_epochs=recipe.consistency_epochs,
            patience=recipe.consistency_patience,
            monitor="val_classification" if recipe.consistency_stop == "classification" else "val_loss",
        )
