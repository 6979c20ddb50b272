"""The layer boundaries that Heidelberg's software draws: their names, and which of their values are depths.

Boundaries are numbered. `.vol` exports of layout HSF-OCT-103 and `.E2E` files share the numbers: 0 is ILM, 1 BM, 2 RNFL,
and of the others eight are ever filled, in just the order in which the XML export names them (GCL, IPL, INL, OPL, ELM, PR1,
PR2, RPE). Numbers without a name here are not known to stand for anything.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from octavo.companions import Surface
from octavo.formats.limits import FREE_BYTES

_NAMES = dict(enumerate(("ILM", "BM", "RNFL", "GCL", "IPL", "INL", "OPL")))
_NAMES |= {8: "ELM", 14: "PR1", 15: "PR2", 16: "RPE"}
NAMES = frozenset(_NAMES.values())
"""Every boundary that has a name."""


def layer_name(number: int) -> str:
    """The name of a boundary, or its number where it has none.

    Example:
        >>> layer_name(0), layer_name(7)
        ('ILM', 'surface 7')
    """
    return _NAMES.get(number, f"surface {number}")


def depth_or_unknown(values: Float[np.ndarray, "*shape"], depth: int) -> Float[np.ndarray, "*shape"]:
    """Positions along depth, NaN where the file has none: beyond the B-scan, negative, or the huge number for "none".

    A row that is zero throughout was never filled.

    Args:
        values: What the file holds, the last axis along A-scans.
        depth: How many samples an A-scan has.

    Example:
        >>> depth_or_unknown(np.array([10.5, 3e38, -1.0, 496.0]), depth=496).tolist()
        [10.5, nan, nan, nan]
    """
    is_filled = (values != 0).any(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        known = (values >= 0) & (values < depth) & is_filled
    return np.where(known, values, np.nan).astype(np.float32)


def ask_too_much(shape: tuple[int, int, int], stored_bytes: int) -> bool:
    """Whether so many boundaries, B-scans and A-scans need far more memory than the bytes they come from.

    Example:
        >>> ask_too_much((11, 97, 768), 4_000_000), ask_too_much((64, 4096, 4096), 4_000_000)
        (False, True)
    """
    return math.prod(shape) * 4 > max(FREE_BYTES, 8 * stored_bytes)


def known_surfaces(depths: Mapping[str, Float[np.ndarray, "bscan ascan"]], turned: bool) -> tuple[Surface, ...]:
    """The boundaries that are known anywhere, turned over along A-scans where the volume was."""
    return tuple(
        Surface(name, np.ascontiguousarray(depth[:, ::-1]) if turned else depth)
        for name, depth in depths.items()
        if np.isfinite(depth).any()
    )
