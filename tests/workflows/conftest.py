"""One tiny cohort of synthetic eyes and one run of two seeds, trained once for all tests that only read them."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.machine import Machine
from octavo.workflows.phantom import write_phantoms
from octavo.workflows.train import train

QUICK = Machine(accelerator="cpu", track="none")
SCAN_SHAPE = (16, 32, 16)


def tiny_recipe(**changes) -> AICNet3DRecipe:
    told = {
        "size": (16, 24, 16),
        "channels": 8,
        "batch_size": 4,
        "epochs": 2,
        "patience": 2,
        "consistency_epochs": 2,
        "consistency_patience": 2,
        "learning_rate": 2e-3,
        "balance": "none",
        **changes,
    }
    return AICNet3DRecipe(**told)


@dataclass(frozen=True)
class Study:
    """Helpers that tests share, so that none needs another's file."""

    manifest: Path
    run: Path

    def train(self, run, *, manifest=None, seeds=(100,), split=None, stage_one_of=None, **recipe):
        choice = CohortChoice(str(manifest or self.manifest), split=split)
        return train(
            "ai-cnet3d", tiny_recipe(**recipe), choice, run, seeds=seeds, machine=QUICK, stage_one_of=stage_one_of
        )

    def copy(self, place) -> Path:
        """The run in a folder of its own, to be changed."""
        shutil.copytree(self.run, place)
        return place

    def shared_model(self, place) -> Path:
        """Weights and recipe alone."""
        place.mkdir(parents=True)
        for name in ("model.safetensors", "recipe.json"):
            shutil.copy(self.run / "seed-100" / name, place / name)
        return place

    def files(self, folder) -> dict[str, bytes]:
        """Every file below a folder, to see that nothing changed."""
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Study:
    home = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        written = write_phantoms(home / "cohort", patients=14, seed=3, difficulty="easy", shape=SCAN_SHAPE)
        made = Study(written.manifest, home / "run")
        made.train(made.run, seeds=(100, 200))
    return made


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Flushing to the disk is tested elsewhere; here it would only cost time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
