"""What every recipe keeps: to JSON and back, and two training steps on a phantom."""

import dataclasses
import json

import pytest
import torch

from octavo.cohorts import read_manifest
from octavo.cohorts.dataset import EpochOrder, evaluation_batches, training_batches
from octavo.cohorts.prepared import Preparer
from octavo.systems import SYSTEMS, find_system
from octavo.systems.ai_cnet3d import AICNet3DRecipe
from octavo.systems.ai_cnet3d.network import ATTENTIONS
from octavo.systems.dino_atten3d import DinoAtten3DRecipe
from octavo.systems.peers import ARCHITECTURES, PeerRecipe
from octavo.training.fit import fit
from octavo.training.recipe import recipe_from_json, recipe_to_json
from octavo.workflows.phantom import write_phantoms
from training.small_training import MACHINE, rows

SMALL = AICNet3DRecipe(
    size=(16, 8, 16), channels=8, heads=2, batch_size=2, epochs=1, consistency_epochs=1, balance="none"
)
RECIPES = {
    **{f"ai-cnet3d {name}": ("ai-cnet3d", dataclasses.replace(SMALL, attention=name)) for name in ATTENTIONS},
    **{
        # a squeeze into two numbers may leave nothing above zero to learn from
        f"ai-cnet3d {name}": ("ai-cnet3d", dataclasses.replace(SMALL, attention=name, channels=32))
        for name in ("squeeze-excitation", "cbam")
    },
    "ai-cnet3d published": ("ai-cnet3d", dataclasses.replace(SMALL, published_protocol=True).resolved()),
    "ai-cnet3d off": ("ai-cnet3d", dataclasses.replace(SMALL, consistency="off", placement=(1, 5))),
    **{
        f"peers {name}": ("peers", PeerRecipe(name, size=kind.smallest, batch_size=2, epochs=1, balance="none"))
        for name, kind in ARCHITECTURES.items()
    },
    "dino-atten3d": ("dino-atten3d", DinoAtten3DRecipe(batch_size=2, epochs=1).resolved()),
}


def test_every_system_has_a_recipe_here():
    assert {system for system, _ in RECIPES.values()} == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_standard_recipe_of_every_system_comes_back_from_json(system):
    kind = find_system(system).recipe_type()
    assert recipe_from_json(kind, json.loads(json.dumps(recipe_to_json(kind()), allow_nan=False))) == kind()


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder / "cohort", patients=4, seed=1, shape=(16, 32, 24), two_eyes=0.0)
    (manifest,) = (folder / "cohort").glob("*.csv")
    return read_manifest(manifest), folder


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_comes_back_and_takes_two_steps_on_phantoms(name, phantoms, tmp_path):
    system, recipe = RECIPES[name]
    again = recipe_from_json(type(recipe), json.loads(json.dumps(recipe_to_json(recipe), allow_nan=False)))
    assert again == recipe
    cohort, folder = phantoms
    prepared, failed = Preparer(folder / "prepared", again.preparation).prepare_all(cohort.exams)
    assert not failed
    labels = [one.exam.label for one in prepared]
    torch.manual_seed(0)
    network = again.build_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for number, stage in enumerate(find_system(system).stages_of(again, network, 1, labels)):
        exams = find_system(system).inputs_of(again, prepared, 1)
        batches = training_batches(exams, EpochOrder(labels, again.batch_size, again.balance, 1))
        assert len(batches) == 2
        kept = evaluation_batches(find_system(system).inputs_of(again, prepared), again.batch_size)
        assert fit(stage, batches, kept, tmp_path / stage.name, MACHINE).epochs == 1
        (row,) = rows(tmp_path / stage.name)
        assert ("val_consistency" in row) == (number == 1)
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    # gamma of AI-CNet3D starts at 1e-6 and yet every part of the attention must learn
    still = {name for name, _ in network.named_parameters()} - set(moved)
    # half of these exams are ill, so the log odds that trivial learns are those it began with
    if name == "dino-atten3d":
        # its last bias moves all energies alike, which a softmax does not see: rounding alone decides whether it moves
        still -= {"attention.weigh.bias"}
    assert still == ({"bias"} if name == "peers trivial" else set())
