"""Surfaces and pictures in octavo's own `.npz`.

`companions` is a JSON text as bytes that names them in order; `surface-1`, `surface-2`, ... are depths in samples (`bscan
ascan`, NaN where not known), `picture-1`, ... grey or coloured rows and columns.
"""

import json
from collections.abc import Callable, Container
from typing import Any

import numpy as np
from jaxtyping import Num

from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.errors import OctavoError
from octavo.formats.errors import VolumeReadError
from octavo.formats.geometry_text import MAX_BYTES

NO_COMPANIONS = Companions()

_NAMES = "companions"
_MOST = 256


def companions_to_arrays(companions: Companions) -> dict[str, np.ndarray]:
    """The arrays that hold them; none where there is nothing."""
    if not (companions.surfaces or companions.pictures or companions.notes):
        return {}
    told = {
        "surfaces": [surface.name for surface in companions.surfaces],
        "pictures": [
            {"kind": picture.kind.value, "name": picture.name, "spacing_mm": picture.spacing_mm}
            for picture in companions.pictures
        ],
        "notes": list(companions.notes),
    }
    arrays: dict[str, np.ndarray] = {_NAMES: np.frombuffer(json.dumps(told).encode("ascii"), np.uint8)}
    for number, surface in enumerate(companions.surfaces, start=1):
        arrays[f"surface-{number}"] = surface.depth
    for number, picture in enumerate(companions.pictures, start=1):
        arrays[f"picture-{number}"] = picture.values
    return arrays


def companions_from_arrays(
    names: Container[str], array: Callable[[str, int | None], Num[np.ndarray, "..."]], shape: tuple[int, int, int]
) -> Companions:
    """Read back what `companions_to_arrays` made.

    Args:
        names: The arrays that are there.
        array: Reads one of them, of at most so many bytes; None leaves it to the limits of all arrays.
        shape: The scan's, whose B-scans and A-scans every surface must have.

    Raises:
        VolumeReadError: If the arrays are damaged or do not belong to the scan.
    """
    if _NAMES not in names:
        return NO_COMPANIONS
    try:
        told: Any = json.loads(array(_NAMES, MAX_BYTES).tobytes())
        if max(len(told["surfaces"]), len(told["pictures"])) > _MOST:
            raise ValueError
        surfaces = [
            Surface(str(name), array(f"surface-{number}", 8 * shape[0] * shape[2]).astype(np.float64))
            for number, name in enumerate(told["surfaces"], start=1)
        ]
        pictures = [
            _picture(one, array(f"picture-{number}", None)) for number, one in enumerate(told["pictures"], start=1)
        ]
        notes = tuple(map(str, told["notes"]))
    except (KeyError, TypeError, ValueError, RecursionError, OctavoError) as error:
        raise VolumeReadError(
            f"what comes with the scan is damaged ({type(error).__name__}); wanted what octavo convert writes; convert "
            "the scan again"
        ) from None
    for surface in surfaces:
        if surface.depth.shape != (shape[0], shape[2]):
            raise VolumeReadError(
                f"a surface has {surface.depth.shape} B-scans and A-scans, and the scan {shape[0]} and {shape[2]}; wanted "
                "the same; convert the scan again"
            )
    return Companions(tuple(surfaces), tuple(pictures), notes)


def _picture(told: dict[str, Any], values: Num[np.ndarray, "..."]) -> EnFace:
    spacing = told["spacing_mm"]
    spacing_mm = None if spacing is None else (float(spacing[0]), float(spacing[1]))
    return EnFace(Picture(told["kind"]), values, spacing_mm, str(told["name"]))
