"""The list of models: every one of the catalogue, its numbers, and what is said where there are none."""

import importlib.util
import json

import pytest

from octavo.cli import main
from octavo.errors import OctavoError
from octavo.systems.catalogue import MODELS
from octavo.workflows.list_models import describe, list_models

PUBLISHED = (128, 192, 112)


@pytest.fixture(scope="module")
def listed():
    return {model.name: model for model in list_models(PUBLISHED)}


def test_every_model_is_listed_with_its_numbers(listed):
    assert list(listed) == list(MODELS)
    assert all(model.is_installed and model.refused is None for model in listed.values())
    assert [name for name, model in listed.items() if model.gmac is None] == ["dino-atten3d"]
    assert round(listed["plain-cnn"].gmac, 2) == 50.34
    assert listed["hemiretinal"].parameters == listed["shuffled"].parameters == 241_426
    assert listed["epa"].parameters == 25_007_826
    assert listed["trivial"].parameters == 1
    assert listed["trivial"].gmac == 0
    for name in ("vit3d-published", "timesformer-published"):
        assert 63e6 <= listed[name].parameters <= 88e6


def test_attention_adds_two_blocks_to_the_plain_cnn_and_hardly_any_cost(listed):
    plain = listed["plain-cnn"]
    per_block = 2 * 32 * 8
    assert listed["squeeze-excitation"].parameters - plain.parameters == 2 * per_block
    assert listed["cbam"].parameters - plain.parameters == 2 * (per_block + 2 * 7**3)
    places = 64 * 96 * 56 * (1 + 1 / 8)
    assert round(listed["cbam"].gmac * 1e9) - round(plain.gmac * 1e9) == places * 2 * 7**3 + 4 * per_block
    assert round(listed["squeeze-excitation"].gmac * 1e9) - round(plain.gmac * 1e9) == 2 * per_block


def test_what_scans_must_have_is_said(listed):
    assert listed["hemiretinal-neuron-axon"].needs == ("a superior and an inferior half", "macula and disc")
    assert listed["neuron-axon"].needs == ("macula and disc",)
    assert listed["cbam"].needs == listed["timesformer"].needs == ()
    assert listed["vit3d"].needs == ("octavo[peers]",)


def test_a_missing_extra_is_said_and_nothing_fails(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "monai" else there(name))
    models = {model.name: model for model in list_models((16, 16, 16))}
    assert not models["resnet3d"].is_installed
    assert (models["resnet3d"].parameters, models["resnet3d"].gmac) == (None, None)
    assert models["bscan-cnn"].parameters == 245_362
    (row,) = [line for line in describe([*models.values()], (16, 16, 16)).splitlines() if line.startswith("vit3d ")]
    assert "not  installed" in row
    assert row.endswith("needs octavo[peers]")


def test_a_size_that_some_cannot_read_is_said_of_those():
    models = {model.name: model for model in list_models((60, 60, 60))}
    assert "nearest: (64, 60, 60)" in models["hemiretinal"].refused
    assert models["hemiretinal"].parameters is None
    assert models["plain-cnn"].refused is None
    assert "multiples of 8 x 16 x 16; nearest: (64, 64, 64)" in describe([models["vit3d"]], (60, 60, 60))


def test_a_size_that_no_scan_has_is_refused():
    with pytest.raises(OctavoError, match="size is 0 x 64 x 64"):
        list_models((0, 64, 64))


def test_the_command_prints_text_or_json(capsys):
    assert main(["models", "--size", "16", "16", "16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "16 x 16 x 16" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == list(MODELS)
    assert main(["models", "--size", "16", "16", "16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in told] == list(MODELS)
    assert told[0]["settings"] == {"attention": "none", "consistency": "off"}
    assert told[0]["size"] == [16, 16, 16]
    assert main(["models", "--size", "0", "16", "16"]) == 2
