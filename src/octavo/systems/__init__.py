"""The papers, one room each: its model, its task, its recipe. No paper imports another."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from octavo.errors import OctavoError, unknown_name


@dataclass(frozen=True)
class System:
    """Where a paper's parts live; nothing is imported until it is asked for."""

    recipe: str
    """A frozen dataclass with `resolved()`, `build_network()`, `preparation`, and what every recipe says of a run."""
    stages: str
    """A function (recipe, network, seed, labels) to the stages of its training."""
    inputs: str = "octavo.cohorts.dataset:volume_inputs"
    """A function (recipe, prepared exams, stream) to the dataset that the network reads; a stream where it learns."""

    def recipe_type(self) -> type[Any]:
        """The recipe's dataclass."""
        kind: type[Any] = _fetch(self.recipe)
        return kind

    def stages_of(self, *arguments: Any) -> Any:
        """The stages of one training."""
        function: Callable[..., Any] = _fetch(self.stages)
        return function(*arguments)

    def inputs_of(self, *arguments: Any) -> Any:
        """Prepared exams as the network reads them."""
        function: Callable[..., Any] = _fetch(self.inputs)
        return function(*arguments)


SYSTEMS: dict[str, System] = {
    "ai-cnet3d": System(
        recipe="octavo.systems.ai_cnet3d.recipe:AICNet3DRecipe", stages="octavo.systems.ai_cnet3d.stages:stages"
    ),
    "dino-atten3d": System(
        recipe="octavo.systems.dino_atten3d.recipe:DinoAtten3DRecipe",
        stages="octavo.systems.dino_atten3d.stages:stages",
        inputs="octavo.systems.dino_atten3d.inputs:feature_inputs",
    ),
    "peers": System(recipe="octavo.systems.peers.recipe:PeerRecipe", stages="octavo.systems.peers.stages:stages"),
}
"""Every system by name."""


def find_system(name: object) -> System:
    """The system of that name.

    Raises:
        OctavoError: If there is none, naming the nearest.
    """
    if name not in SYSTEMS:
        raise OctavoError(unknown_name("a system", name, SYSTEMS))
    return SYSTEMS[str(name)]


def _fetch(home: str) -> Any:
    module, _, attribute = home.partition(":")
    return getattr(importlib.import_module(module), attribute)
