"""The one stage of DinoAtten3D's training."""

from collections.abc import Iterator

from octavo.cohorts.dataset import class_weights
from octavo.systems.dino_atten3d.network import DinoAtten3D
from octavo.systems.dino_atten3d.recipe import DinoAtten3DRecipe
from octavo.systems.dino_atten3d.task import DinoAtten3DTask
from octavo.training.fit import Stage


def stages(recipe: DinoAtten3DRecipe, network: DinoAtten3D, seed: int, labels: list[int]) -> Iterator[Stage]:
    """What is trained: the head, from features that lie ready.

    It stops by the cross-entropy on validation: the other two terms depend on which exams share a batch.

    Args:
        recipe: What is asked for.
        network: The network to train.
        seed: The run's seed.
        labels: Of the training part, for a weighted loss.
    """
    yield Stage(
        name="stage-1",
        task=DinoAtten3DTask(
            network,
            recipe.learning_rate,
            seed,
            class_weights(labels) if recipe.balance == "weighted-loss" else None,
            recipe.contrast_weight,
            recipe.variance_weight,
            recipe.temperature,
        ),
        max_epochs=recipe.epochs,
        patience=recipe.patience,
        monitor="val_classification",
    )
