"""The catalogue: every name makes a recipe of its system, and none can be made into another model."""

import dataclasses

import pytest

from octavo.errors import OctavoError
from octavo.systems import SYSTEMS, find_system
from octavo.systems.ai_cnet3d.network import ATTENTIONS
from octavo.systems.catalogue import EXTRAS, MODELS, catalogued
from octavo.systems.peers import ARCHITECTURES
from octavo.systems.peers.monai_networks import PACKAGES


@pytest.mark.parametrize("name", MODELS)
def test_every_name_makes_a_recipe_that_says_so(name):
    reads_volumes = MODELS[name].system != "dino-atten3d"
    system, recipe = catalogued(name, epochs=3, **({"size": (64, 64, 64)} if reads_volumes else {}))
    assert type(recipe) is find_system(system).recipe_type()
    assert recipe.epochs == 3
    for setting, value in MODELS[name].settings.items():
        assert getattr(recipe, setting) == value
    usual = type(recipe)(**MODELS[name].settings)
    usual_size = {"size": usual.size} if reads_volumes else {}
    assert dataclasses.replace(recipe, epochs=usual.epochs, **usual_size) == usual


def test_everything_that_can_be_trained_is_there_once():
    settings = [(model.system, *sorted(model.settings.items())) for model in MODELS.values()]
    assert len(set(settings)) == len(settings)
    assert {model.settings["attention"] for model in MODELS.values() if model.system == "ai-cnet3d"} == set(ATTENTIONS)
    peers = {(m.settings["architecture"], m.settings["scale"]) for m in MODELS.values() if m.system == "peers"}
    assert peers == {(name, scale) for name, kind in ARCHITECTURES.items() for scale in kind.scales}
    assert {model.system for model in MODELS.values()} <= set(SYSTEMS)


def test_the_extra_is_what_the_networks_ask_for():
    assert EXTRAS["peers"] == PACKAGES
    with_monai = {m.settings["architecture"] for m in MODELS.values() if m.extra == "peers"}
    assert with_monai == {name for name, kind in ARCHITECTURES.items() if kind.home.startswith("monai_networks:")}


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("resnet", {}, r"'resnet' is not a model; wanted one of: plain-cnn, .*; did you mean 'resnet3d'\?"),
        ("resnet3d", {"epoch": 3}, r"'epoch' is not a setting of resnet3d; .*did you mean 'epochs'\?"),
        ("plain-cnn", {"attention": "epa"}, "attention is 'epa'; wanted 'none', which makes plain-cnn what it is"),
        ("vit3d", {"scale": "published"}, "scale is 'published'; wanted 'small'"),
        (
            "hemiretinal-contrast",
            {"pretrain": "none"},
            "pretrain is 'none'; wanted 'contrast', which makes hemiretinal-con",
        ),
        ("hemiretinal-contrast", {"batch_size": 1}, "batch size is 1; wanted 2 or more, as contrast"),
        ("trivial", {"batch_size": 0}, "batch size, epochs and patience must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(name, settings, says):
    with pytest.raises(OctavoError, match=says):
        catalogued(name, **settings)


def test_what_does_not_make_the_model_may_differ():
    assert catalogued("trivial")[1].balance == "none"
    assert catalogued("trivial", balance="undersample")[1].balance == "undersample"
    assert catalogued("cbam", attention="cbam", channels=16)[1].channels == 16
