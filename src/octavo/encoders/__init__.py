"""Pretrained readers of pictures: local weights in, features out, never a download.

Names are fetched when first used, for they bring PyTorch.
"""

import importlib

_HOMES = {
    "Backbone": "dinov2",
    "load_backbone": "dinov2",
    "FeatureStore": "features",
    "SliceChoice": "slices",
}

__all__ = ["Backbone", "FeatureStore", "SliceChoice", "load_backbone"]


def __getattr__(name: str) -> object:
    """Fetch a name from its file."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
