"""The two stages: what each is told, and that the second goes on from the first one's best."""

import pytest
import torch

from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.ai_cnet3d.stages import stages
from octavo.training.archives import load_archive
from octavo.training.checkpoints import BEST, LAST
from octavo.training.fit import fit
from training.small_training import MACHINE, PlantedExams, assert_same, train_batches, validation_batches, weights_of

SMALL = {"size": (8, 8, 8), "channels": 8, "heads": 2, "learning_rate": 1e-2}
LABELS = [0, 0, 0, 1]


def stages_of(recipe, seed=7, labels=LABELS):
    torch.manual_seed(seed)
    network = recipe.build_network()
    return network, stages(recipe, network, seed, labels)


def test_both_stages_are_as_the_recipe_says():
    recipe = AICNet3DRecipe(
        **SMALL,
        epochs=9,
        patience=4,
        consistency_epochs=8,
        consistency_patience=3,
        consistency="kl",
        consistency_weight=0.3,
    )
    network, listed = stages_of(recipe)
    first, second = listed
    assert (first.name, first.max_epochs, first.patience, first.monitor) == ("stage-1", 9, 4, "val_loss")
    assert (second.name, second.max_epochs, second.patience, second.monitor) == ("stage-2", 8, 3, "val_classification")
    assert first.task.consistency is None
    term = second.task.consistency
    assert (term.loss, term.weight, term.published) == ("kl", 0.3, False)
    assert first.task.network is second.task.network is network
    assert first.task.learning_rate == second.task.learning_rate == 1e-2
    assert first.task.seed != second.task.seed
    assert first.task.class_weights is None


def test_the_second_stage_can_be_left_out_stopped_by_the_sum_and_published():
    assert [stage.name for stage in stages_of(AICNet3DRecipe(**SMALL, consistency="off"))[1]] == ["stage-1"]
    _, (_, second) = stages_of(AICNet3DRecipe(**SMALL, consistency_stop="sum", grad_cam="published"))
    assert second.monitor == "val_loss"
    assert second.task.consistency.published


def test_a_weighted_loss_weighs_by_the_training_labels_in_both_stages():
    _, listed = stages_of(AICNet3DRecipe(**SMALL, balance="weighted-loss"))
    for stage in listed:
        torch.testing.assert_close(stage.task.class_weights, torch.tensor([4 / 6, 4 / 2]))
    with pytest.raises(OctavoError, match="class 1 is empty"):
        next(stages_of(AICNet3DRecipe(**SMALL, balance="weighted-loss"), labels=[0, 0])[1])


class Swapped(PlantedExams):
    """The more is learnt the worse these are told apart, so the best epoch comes before the last."""

    def __getitem__(self, at):
        exam = super().__getitem__(at)
        return {**exam, "label": 1 - exam["label"]}


def test_the_second_stage_goes_on_from_the_best_of_the_first_with_a_fresh_optimiser(tmp_path):
    recipe = AICNet3DRecipe(**SMALL, epochs=6, consistency_epochs=1)
    _, listed = stages_of(recipe)
    train, validation = train_batches(), validation_batches(Swapped(6, first=100))
    first = next(listed)
    result = fit(first, train, validation, tmp_path / first.name, MACHINE)
    assert result.best_epoch < result.epochs - 1, "best and last must differ for this test to mean anything"
    second = next(listed)
    start = weights_of(second.task)
    best, last = (load_archive(tmp_path / "stage-1/checkpoints" / name)["state_dict"] for name in (BEST, LAST))
    assert_same({f"network.{name}": value for name, value in start.items()}, dict(best))
    assert not torch.equal(best["network.dense.weight"], last["network.dense.weight"])
    fit(second, train, validation, tmp_path / second.name, MACHINE)
    ended = load_archive(tmp_path / "stage-2/checkpoints" / LAST)
    assert ended["global_step"] == 3
    steps = {float(state["step"]) for state in ended["optimizer_states"][0]["state"].values()}
    assert steps == {3.0}
    assert not torch.equal(ended["state_dict"]["network.dense.weight"], start["dense.weight"])
