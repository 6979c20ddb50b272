"""What an eye is: which way round it lies in a scan, and which halves it has."""

from octavo.anatomy.halves import hemiretinas, macula_and_disc, require_both_ends, require_hemiretinas, require_raster
from octavo.anatomy.laterality import Flips, flip, flips_to_right_eye, to_right_eye

__all__ = [
    "Flips",
    "flip",
    "flips_to_right_eye",
    "hemiretinas",
    "macula_and_disc",
    "require_both_ends",
    "require_hemiretinas",
    "require_raster",
    "to_right_eye",
]
