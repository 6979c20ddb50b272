"""The papers, one room each: its model, its task, its recipe. No paper imports another.

A system's room offers `Recipe`, `build_network(recipe)` and `stages(recipe, network, seed, labels)`.
"""

import importlib
from types import ModuleType

from octavo.errors import OctavoError, unknown_name

SYSTEMS: dict[str, str] = {"ai-cnet3d": "octavo.systems.ai_cnet3d"}
"""Every system by name, and where it lives."""


def find_system(name: object) -> ModuleType:
    """The room of a system.

    Raises:
        OctavoError: If there is none of that name.
    """
    if name not in SYSTEMS:
        raise OctavoError(unknown_name("a system", name, SYSTEMS))
    return importlib.import_module(SYSTEMS[str(name)])
