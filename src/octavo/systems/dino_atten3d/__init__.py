"""DinoAtten3D: see `network` for the paper and its shapes. Names are fetched when first used, for they bring PyTorch."""

import importlib

_HOMES = {
    "DinoAtten3D": "network",
    "DinoAtten3DRecipe": "recipe",
    "Output": "network",
    "load_published_checkpoint": "published",
}

__all__ = ["DinoAtten3D", "DinoAtten3DRecipe", "Output", "load_published_checkpoint"]


def __getattr__(name: str) -> object:
    """Fetch a name from its file."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
