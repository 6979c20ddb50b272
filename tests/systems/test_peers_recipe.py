"""The recipe of a peer: to JSON and back, what it implies, and what it refuses."""

import json
import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.cohorts.augmentation import Augmentation
from octavo.errors import OctavoError
from octavo.systems import SYSTEMS
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.peers import ARCHITECTURES, PeerRecipe
from octavo.systems.peers.stages import stages
from octavo.training.classification import ClassificationTask, ClosedFormTask
from octavo.training.recipe import recipe_from_json, recipe_to_json

HINTS = typing.get_type_hints(PeerRecipe)
CLOSED_FORM = ("features-logistic", "trivial")


@settings(max_examples=50)
@given(
    recipe=st.builds(
        PeerRecipe,
        architecture=st.sampled_from(["resnet3d", "vit3d"]),
        scale=st.sampled_from(typing.get_args(HINTS["scale"])),
        size=st.tuples(*[st.integers(1, 300)] * 3),
        l2=st.floats(1e-9, 1e9),
        intensity=st.sampled_from(typing.get_args(HINTS["intensity"])),
        augmentation=st.builds(Augmentation, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(1, 2)),
        balance=st.sampled_from(typing.get_args(HINTS["balance"])),
        split_fractions=st.tuples(*[st.floats(0, 1)] * 3),
        learning_rate=st.floats(1e-9, 1),
    )
)
def test_any_recipe_comes_back_from_json_as_it_was(recipe):
    assert recipe_from_json(PeerRecipe, json.loads(json.dumps(recipe_to_json(recipe), allow_nan=False))) == recipe


def test_every_architecture_can_be_chosen_and_no_other():
    assert typing.get_args(HINTS["architecture"]) == tuple(ARCHITECTURES)
    with pytest.raises(OctavoError, match=r"architecture: 'resnet' is not a choice; .*did you mean 'resnet3d'"):
        recipe_from_json(PeerRecipe, {"architecture": "resnet"})


def test_training_is_told_as_ai_cnet3d_is_told():
    own, other = recipe_to_json(PeerRecipe()), recipe_to_json(AICNet3DRecipe())
    shared = own.keys() & other.keys()
    assert {name: own[name] for name in shared} == {name: other[name] for name in shared}
    # AI-CNet3D tells two classes apart and no more
    assert own.keys() - shared == {"architecture", "scale", "l2", "class_names"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch_size": 0}, "must be at least 1"),
        ({"l2": 0.0}, "l2 is 0.0; wanted a positive number"),
        ({"learning_rate": float("inf")}, "learning rate is inf; wanted a positive number"),
        ({"grey_range": -1.0}, "grey range is -1.0"),
        ({"split_seed": -1}, "split seed is -1"),
        ({"architecture": "trivial", "scale": "published"}, "trivial has one size only; wanted 'small'"),
        ({"architecture": "bscan-cnn", "scale": "published"}, "bscan-cnn has one size only"),
        (
            {"architecture": "features-logistic", "balance": "weighted-sampling"},
            "features-logistic is fitted to each exam once; wanted none, undersample or weighted-loss",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    with pytest.raises(OctavoError, match=says):
        PeerRecipe(**changes)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_fitted_at_once_sees_scans_as_they_are(architecture):
    recipe = PeerRecipe(architecture=architecture).resolved()
    off = recipe.augmentation == Augmentation(brightness=0, contrast=0, gamma=0, zoom=1)
    assert off == (architecture in CLOSED_FORM)
    assert recipe.resolved() == recipe


@pytest.mark.parametrize("architecture", ["bscan-cnn", *CLOSED_FORM])
def test_the_stage_is_as_the_recipe_says(architecture):
    recipe = PeerRecipe(
        architecture=architecture, size=(2, 16, 16), balance="weighted-loss", epochs=7, patience=3, learning_rate=0.5
    )
    (stage,) = stages(recipe, recipe.build_network(), 1, [0, 0, 0, 1])
    torch.testing.assert_close(stage.task.class_weights, torch.tensor([4 / 6, 4 / 2]))
    assert stage.monitor == "val_loss"
    if architecture in CLOSED_FORM:
        assert isinstance(stage.task, ClosedFormTask)
        assert stage.max_epochs == 1
    else:
        assert type(stage.task) is ClassificationTask
        assert (stage.max_epochs, stage.patience, stage.task.learning_rate) == (7, 3, 0.5)


def test_scans_need_no_halves():
    preparation = PeerRecipe(size=(8, 16, 16), intensity="stored", bits=16).preparation
    assert (preparation.size, preparation.intensity, preparation.bits) == ((8, 16, 16), "stored", 16)
    assert not preparation.hemiretinas
    assert not preparation.both_ends
    assert SYSTEMS["peers"].recipe_type() is PeerRecipe
