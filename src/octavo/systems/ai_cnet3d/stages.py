"""The stages of AI-CNet3D's training: pretraining if it is asked for, classification, then the consistency of its maps."""

from collections.abc import Iterator
from functools import partial

from octavo.cohorts.dataset import class_weights
from octavo.systems.ai_cnet3d.network import AICNet3D
from octavo.systems.ai_cnet3d.pretraining import Contrast, Reconstruction, TwoVariations
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
    if recipe.pretrain != "none":
        yield _pretraining(recipe, network, seed)
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


def _pretraining(recipe: AICNet3DRecipe, network: AICNet3D, seed: int) -> Stage:
    """Learning without labels, from all exams of the training part and those that have none.

    The other stages keep the streams that they have.
    """
    own_seed = seed + 1_000_000
    contrast = recipe.pretrain == "contrast"
    return Stage(
        name="stage-0",
        task=Contrast(network, recipe.learning_rate, own_seed)
        if contrast
        else Reconstruction(network, recipe.learning_rate, own_seed, recipe.pretrain_mask),
        max_epochs=recipe.pretrain_epochs,
        patience=recipe.pretrain_patience,
        monitor="val_loss",
        balance="none",
        without_labels=True,
        inputs=partial(TwoVariations, recipe) if contrast else None,
    )
