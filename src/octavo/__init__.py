"""octavo: reads three-dimensional scans of the eye, learns from them, explains what it learnt, and shows it.

Research software, not a medical device. Nothing happens at import: public names are fetched when they are first used.
"""

import importlib

_HOMES = {
    "AICNet3D": "octavo.systems.ai_cnet3d.network",
    "AICNet3DRecipe": "octavo.systems.ai_cnet3d.recipe",
    "CohortChoice": "octavo.cohorts.choice",
    "Exam": "octavo.cohorts.exam",
    "Laterality": "octavo.volume",
    "OctavoError": "octavo.errors",
    "Preparation": "octavo.cohorts.preparation",
    "Region": "octavo.volume",
    "ScanPattern": "octavo.volume",
    "SlowAxis": "octavo.volume",
    "Spacing": "octavo.volume",
    "Volume": "octavo.volume",
    "evaluate": "octavo.workflows.evaluate",
    "explain_exam": "octavo.workflows.explain",
    "load_models": "octavo.workflows.models",
    "load_published_checkpoint": "octavo.systems.ai_cnet3d.published",
    "predict": "octavo.workflows.predict",
    "read_manifest": "octavo.cohorts.manifest",
    "read_volume": "octavo.formats",
    "to_right_eye": "octavo.anatomy",
    "train": "octavo.workflows.train",
    "write_volume": "octavo.formats",
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
