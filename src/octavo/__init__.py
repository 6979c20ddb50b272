"""octavo: reads three-dimensional scans of the eye, learns from them, explains what it learnt, and shows it.

Research software, not a medical device. Nothing happens at import: public names are fetched when they are first used.
"""

import importlib

_HOMES = {
    "Volume": "octavo.volume",
    "Spacing": "octavo.volume",
    "Laterality": "octavo.volume",
    "OctavoError": "octavo.errors",
}

__all__ = [*sorted(_HOMES), "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Fetch a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'octavo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
