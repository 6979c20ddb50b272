"""Data sets as others lay them out, made into manifests: one file for a family and one line in `ADAPTERS` for each.

The public ones are described from their publications and from programs that load them; nothing is downloaded and
nothing is copied.
"""

from octavo.cohorts.adapters.adni import ADNI
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.ai_cnet3d_folders import AI_CNET3D_FOLDERS
from octavo.cohorts.adapters.ai_readi import AI_READI
from octavo.cohorts.adapters.bids import BIDS
from octavo.cohorts.adapters.class_folders import CLASS_FOLDERS
from octavo.cohorts.adapters.csv_table import CSV
from octavo.cohorts.adapters.duke_amd import DUKE_AMD
from octavo.cohorts.adapters.harvard import FAIRVISION, HARVARD_GDP, HARVARD_GF
from octavo.cohorts.adapters.oasis import OASIS_1, OASIS_3
from octavo.cohorts.adapters.octa_500 import OCTA_500
from octavo.cohorts.adapters.ohsu_ad import OHSU_AD
from octavo.cohorts.adapters.oimhs import OIMHS
from octavo.cohorts.adapters.paired import GAMMA, PAIRED
from octavo.cohorts.adapters.single_bscans import KERMANY, OCTDL
from octavo.cohorts.adapters.zenodo_onh import ZENODO_ONH

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        ADNI,
        AI_CNET3D_FOLDERS,
        AI_READI,
        BIDS,
        CLASS_FOLDERS,
        CSV,
        DUKE_AMD,
        FAIRVISION,
        GAMMA,
        HARVARD_GDP,
        HARVARD_GF,
        KERMANY,
        OASIS_1,
        OASIS_3,
        OCTA_500,
        OCTDL,
        OHSU_AD,
        OIMHS,
        PAIRED,
        ZENODO_ONH,
    )
}
"""Every layout that can be adopted."""

__all__ = ["ADAPTERS", "Adapter", "Adoption", "AdoptionOptions", "LeftOut"]
