"""The peers: what people use otherwise, trained and measured in the same way. Names are fetched when first used."""

import importlib

_HOMES = {"ARCHITECTURES": "architectures", "PeerRecipe": "recipe"}

__all__ = ["ARCHITECTURES", "PeerRecipe"]


def __getattr__(name: str) -> object:
    """Fetch a name from its file."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
