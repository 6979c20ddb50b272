"""The dictionary of systems: every name leads to a recipe and its stages, and nothing is imported before."""

import dataclasses
import subprocess
import sys

import pytest

import octavo.systems.ai_cnet3d as ai_cnet3d
from octavo.cohorts.dataset import VolumeRecipe
from octavo.errors import OctavoError
from octavo.systems import SYSTEMS, find_system


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_offers_what_a_run_asks_of_it(name):
    system = find_system(name)
    kind = system.recipe_type()
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    recipe = kind()
    for asked in ("batch_size", "balance", "balance_before_split", "preparation"):
        assert hasattr(recipe, asked), asked
    if system.inputs == "octavo.cohorts.dataset:volume_inputs":
        assert isinstance(recipe, VolumeRecipe)
        assert recipe.resolved() == recipe
    assert len(recipe.split_fractions) == 3
    # what looks at a backbone's weights fills in what they say, once
    assert recipe.resolved().resolved() == recipe.resolved()


def test_an_unknown_system_is_refused_with_the_nearest():
    with pytest.raises(
        OctavoError, match=r"'ai-cnet' is not a system; wanted one of: ai-cnet3d, .*; did you mean 'ai-cnet3d'"
    ):
        find_system("ai-cnet")
    with pytest.raises(OctavoError, match="'None' is not a system"):
        find_system(None)


def test_listing_systems_imports_none():
    code = (
        "import sys, octavo.systems as s; assert s.SYSTEMS; import octavo.systems.ai_cnet3d; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'octavo.systems.ai_cnet3d.recipe')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_there_and_no_others():
    for name in ai_cnet3d.__all__:
        assert getattr(ai_cnet3d, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'AICNet2D'"):
        _ = ai_cnet3d.AICNet2D
