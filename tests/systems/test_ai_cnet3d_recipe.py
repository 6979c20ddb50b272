"""The recipe of an AI-CNet3D run: to JSON and back, what it builds, and what it refuses."""

import dataclasses
import json
import subprocess
import sys
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.cohorts.augmentation import Augmentation
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.ai_cnet3d.network import ATTENTIONS, POOLINGS
from octavo.training.recipe import recipe_from_json, recipe_to_json

HINTS = typing.get_type_hints(AICNet3DRecipe)
FIELDS = [field.name for field in dataclasses.fields(AICNet3DRecipe)]


def choices(name):
    return typing.get_args(HINTS[name])


shares = st.floats(0, 1)
counts = st.integers(1, 500)
augmentations = st.builds(Augmentation, shares, shares, shares, st.floats(1, 2), st.booleans(), st.booleans())
recipes = st.builds(
    AICNet3DRecipe,
    pretrain=st.sampled_from(("none", "reconstruct")),  # contrast refuses some of what others take
    pretrain_epochs=counts,
    pretrain_patience=counts,
    pretrain_mask=st.floats(0.01, 0.99),
    attention=st.sampled_from(choices("attention")),
    size=st.tuples(counts, counts, counts),
    placement=st.sampled_from([(1, 2), (2, 4), (3, 5)]),
    channels=counts,
    heads=counts,
    pooling=st.sampled_from(choices("pooling")),
    shuffle_seed=st.integers(0, 2**63 - 1),
    intensity=st.sampled_from(choices("intensity")),
    grey_range=st.sampled_from([1.0, 255.0]),
    augmentation=augmentations,
    balance=st.sampled_from(choices("balance")),
    balance_before_split=st.booleans(),
    split_fractions=st.tuples(shares, shares, shares),
    split_seed=counts,
    batch_size=counts,
    learning_rate=st.floats(1e-9, 1),
    epochs=counts,
    patience=counts,
    consistency=st.sampled_from(choices("consistency")),
    consistency_weight=shares,
    consistency_epochs=counts,
    consistency_patience=counts,
    consistency_stop=st.sampled_from(choices("consistency_stop")),
    grad_cam=st.sampled_from(choices("grad_cam")),
    published_protocol=st.booleans(),
)


@settings(max_examples=100)
@given(recipe=recipes)
def test_any_recipe_comes_back_from_json_as_it_was(recipe):
    content = json.loads(json.dumps(recipe_to_json(recipe), allow_nan=False))
    assert recipe_from_json(AICNet3DRecipe, content) == recipe
    assert recipe_from_json(AICNet3DRecipe, recipe_to_json(recipe.resolved())) == recipe.resolved()
    assert recipe.resolved().resolved() == recipe.resolved()


def test_the_random_recipes_reach_every_field():
    assert set(recipe_to_json(AICNet3DRecipe())) == set(FIELDS)
    assert choices("attention") == ATTENTIONS
    assert choices("pooling") == POOLINGS


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_misspelt_is_refused_with_the_nearest(name):
    content = recipe_to_json(AICNet3DRecipe())
    misspelt = name[:-2] + name[-1]
    content[misspelt] = content.pop(name)
    with pytest.raises(OctavoError, match=f"recipe.json: '{misspelt}' is not a field; .*did you mean '{name}'\\?$"):
        recipe_from_json(AICNet3DRecipe, content)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_another_type_is_refused(name):
    content = recipe_to_json(AICNet3DRecipe())
    for wrong in (None, {"a": 1}, "7", [1, "b"]):
        with pytest.raises(OctavoError, match=f"^RUN/recipe.json: {name}") as refusal:
            recipe_from_json(AICNet3DRecipe, {**content, name: wrong}, where="RUN/recipe.json")
        assert "\n" not in str(refusal.value)


def test_a_misspelt_augmentation_is_refused():
    with pytest.raises(OctavoError, match=r"augmentation: 'zom' is not a field; .*did you mean 'zoom'"):
        recipe_from_json(AICNet3DRecipe, {"augmentation": {"zom": 1.0}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consistency_weight": 1.5}, "consistency weight is 1.5; wanted 0 to 1"),
        ({"consistency_weight": float("nan")}, "consistency weight is nan; wanted 0 to 1"),
        ({"batch_size": 0}, "must be at least 1"),
        ({"epochs": 0}, "must be at least 1"),
        ({"consistency_patience": -1}, "must be at least 1"),
        ({"learning_rate": 0.0}, "learning rate is 0.0; wanted a positive number"),
        ({"learning_rate": float("inf")}, "learning rate is inf; wanted a positive number"),
        ({"grey_range": float("nan")}, "grey range is nan; wanted a positive number"),
        ({"grey_range": -1.0}, "grey range is -1.0; wanted a positive number"),
        ({"shuffle_seed": 2**64}, "shuffle seed is .*; wanted 0 to"),
        ({"split_seed": -1}, "split seed is -1; wanted 0 to"),
    ],
)
def test_impossible_numbers_are_refused(changes, message):
    with pytest.raises(OctavoError, match=message):
        AICNet3DRecipe(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (100, 64, 64)}, r"nearest: \(96, 64, 64\)|nearest: \(104, 64, 64\)"),
        ({"placement": (4, 2)}, r"placement is \(4, 2\)"),
        ({"placement": (2, 6)}, r"placement is \(2, 6\)"),
        ({"heads": 0}, "cannot be shared by 0 heads"),
        ({"heads": 5}, "32 channels cannot be shared by 5 heads"),
        ({"channels": 0}, "0 channels cannot be shared"),
        ({"channels": -8}, "-8 channels cannot be shared"),
    ],
)
def test_impossible_networks_are_refused_when_they_are_built(changes, message):
    with pytest.raises(OctavoError, match=message):
        AICNet3DRecipe(**changes).build_network()


@pytest.mark.parametrize("name", [name for name in FIELDS if typing.get_origin(HINTS[name]) is typing.Literal])
def test_a_choice_misspelt_in_python_is_refused(name):
    recipe = AICNet3DRecipe()
    # the tests' type checks would refuse it before the recipe can
    object.__setattr__(recipe, name, f"{choices(name)[-1]}x")
    with pytest.raises(OctavoError, match=f"^{name}: '.*x' is not a choice; .*did you mean '{choices(name)[-1]}'"):
        recipe.__post_init__()


def test_the_defaults_are_the_published_ones():
    recipe = AICNet3DRecipe()
    assert recipe.size == (128, 192, 112)
    assert (recipe.batch_size, recipe.learning_rate, recipe.epochs, recipe.patience) == (4, 1e-4, 250, 25)
    assert recipe.split_fractions == (0.65, 0.15, 0.20)
    assert recipe.resolved() is recipe


def test_the_published_protocol_is_written_out():
    recipe = AICNet3DRecipe(published_protocol=True, augmentation=Augmentation(zoom=1.1)).resolved()
    assert recipe.balance == "undersample"
    assert recipe.balance_before_split
    assert (recipe.pooling, recipe.grad_cam) == ("published", "published")
    assert (recipe.intensity, recipe.grey_range) == ("stored", 255.0)
    assert recipe.augmentation == Augmentation(zoom=1.1, flip_bscans=True, flip_ascans=True)
    assert recipe.consistency_stop == "classification"


@pytest.mark.parametrize(
    ("attention", "hemiretinas", "both_ends", "has_care"),
    [
        ("none", False, False, False),
        ("hemiretinal", True, False, True),
        ("shuffled", True, False, True),
        ("neuron-axon", False, True, True),
        ("hemiretinal-neuron-axon", True, True, True),
        ("epa", False, False, True),
        ("squeeze-excitation", False, False, False),
        ("cbam", False, False, False),
    ],
)
def test_scans_are_prepared_as_the_variant_needs(attention, hemiretinas, both_ends, has_care):
    recipe = AICNet3DRecipe(attention=attention, size=(16, 16, 24), intensity="stored")
    preparation = recipe.preparation
    assert recipe.has_care == has_care
    assert (preparation.hemiretinas, preparation.both_ends) == (hemiretinas, both_ends)
    assert (preparation.size, preparation.intensity) == ((16, 16, 24), "stored")


def test_the_network_is_what_the_recipe_says():
    recipe = AICNet3DRecipe(
        attention="shuffled",
        size=(16, 24, 8),
        placement=(2, 3),
        channels=8,
        heads=2,
        pooling="published",
        shuffle_seed=3,
    )
    network = recipe.build_network()
    assert (network.attention, network.size, network.placement, network.pooling) == (
        "shuffled",
        (16, 24, 8),
        (2, 3),
        "published",
    )
    assert network.dense.in_features == 8
    assert network.attentions[0].directed[0].heads == 2
    again, other = (dataclasses.replace(recipe, shuffle_seed=seed).build_network() for seed in (3, 4))
    order = network.attentions[0].order.tolist()
    assert again.attentions[0].order.tolist() == order != other.attentions[0].order.tolist()


def test_recipes_need_no_pytorch():
    code = "import sys, octavo.systems.ai_cnet3d.recipe as r; r.AICNet3DRecipe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
