"""Data sets as others lay them out, made into manifests: one file and one line in `ADAPTERS` for each.

The public ones are described from their publications; nothing is downloaded and nothing is copied.
"""

from octavo.cohorts.adapters.adoption import Adapter, Adoption, LeftOut
from octavo.cohorts.adapters.ai_cnet3d_folders import AI_CNET3D_FOLDERS
from octavo.cohorts.adapters.zenodo_onh import ZENODO_ONH

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        AI_CNET3D_FOLDERS,
        ZENODO_ONH,
    )
}
"""Every layout that can be adopted."""

__all__ = ["ADAPTERS", "Adapter", "Adoption", "LeftOut"]
