"""What is known about a volume, as JSON: how octavo's own files keep it beside the voxels."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Num

from octavo.errors import OctavoError
from octavo.formats.errors import VolumeReadError
from octavo.volume import (
    AXES,
    Frame,
    Laterality,
    Origin,
    Region,
    ScanPattern,
    SlowAxis,
    Source,
    Spacing,
    Volume,
)

MARK = "octavo_volume"
"""The field that tells octavo's own text from any other; its value is the version."""

MAX_BYTES = 2**20
"""A geometry that is longer than this is none."""

_VERSION = 1


def geometry_to_text(volume: Volume) -> str:
    """Write down everything a volume says about itself but its voxels and its path, in ASCII.

    Example:
        >>> text = geometry_to_text(Volume(np.zeros((2, 4, 3)), Spacing(0.25, 0.004, 0.01)))
        >>> geometry_from_text(text, np.zeros((2, 4, 3))).spacing_mm.bscan
        0.25
    """
    words: dict[str, object] = {
        MARK: _VERSION,
        "axes": list(AXES),
        "shape": list(volume.shape),
        "spacing_mm": list(volume.spacing_mm.values_mm),
        "spacing_origins": [origin.value for origin in volume.spacing_mm.origins],
    }
    for name in ("laterality", "pattern", "slow_axis", "region"):
        words[name] = getattr(volume, name).value
        words[f"{name}_origin"] = getattr(volume, f"{name}_origin").value
    words["frame"] = volume.frame.value
    words["device"] = volume.source.device
    words["notes"] = list(volume.notes)
    return json.dumps(words, allow_nan=False)


def is_geometry(text: str) -> bool:
    """Whether a text is what `geometry_to_text` writes, going by its beginning."""
    return text.lstrip().startswith(f'{{"{MARK}"')


def stated_shape(text: str) -> tuple[int, int, int]:
    """The shape that the text was written for.

    Raises:
        VolumeReadError: If it states none.
    """
    shape = _parsed(text).get("shape")
    if not isinstance(shape, list) or len(shape) != len(AXES) or not all(isinstance(n, int) for n in shape):
        raise VolumeReadError("octavo's own geometry states no shape; wanted three lengths; convert the scan again")
    return (shape[0], shape[1], shape[2])


def stated_laterality(text: str) -> Laterality:
    """The eye that the text names, unknown where it names none."""
    try:
        return Laterality(str(_parsed(text).get("laterality")))
    except ValueError:
        return Laterality.UNKNOWN


def geometry_from_text(text: str, values: Num[np.ndarray, "bscan depth ascan"]) -> Volume:
    """Make the volume again from its voxels and what was written down.

    Raises:
        VolumeReadError: If the text is damaged, of a later version, or was written for voxels of another shape.
    """
    if stated_shape(text) != values.shape:
        raise VolumeReadError(
            f"voxels have shape {values.shape}, and octavo's own geometry beside them was written for "
            f"{stated_shape(text)}; wanted the two to agree; convert the scan again"
        )
    words = _parsed(text)
    try:
        return Volume(
            values,
            _spacing(words),
            **_word_and_origin(words, "laterality", Laterality),
            **_word_and_origin(words, "pattern", ScanPattern),
            **_word_and_origin(words, "slow_axis", SlowAxis),
            **_word_and_origin(words, "region", Region),
            frame=Frame(str(words["frame"])),
            source=Source(device=str(words["device"])),
            notes=tuple(map(str, _list(words["notes"]))),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, OctavoError):
            raise
        raise VolumeReadError(
            f"octavo's own geometry is damaged ({type(error).__name__}); wanted what `octavo convert` writes; "
            "convert the scan again"
        ) from error


def _parsed(text: str) -> Mapping[str, object]:
    try:
        words = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise VolumeReadError(
            "octavo's own geometry is cut short or damaged; wanted JSON; convert the scan again"
        ) from error
    if not isinstance(words, dict) or words.get(MARK) != _VERSION:
        raise VolumeReadError(
            f"geometry is of another version than {_VERSION}; wanted what this octavo writes; use a newer octavo"
        )
    return words


def _list(words: object) -> list[object]:
    if not isinstance(words, list):
        raise TypeError
    return words


def _spacing(words: Mapping[str, object]) -> Spacing:
    bscan, depth, ascan = (None if mm is None else float(str(mm)) for mm in _list(words["spacing_mm"]))
    first, second, third = (Origin(str(origin)) for origin in _list(words["spacing_origins"]))
    return Spacing(bscan, depth, ascan, (first, second, third))


def _word_and_origin(words: Mapping[str, object], name: str, kind: type[StrEnum]) -> dict[str, Any]:
    return {name: kind(str(words[name])), f"{name}_origin": Origin(str(words[f"{name}_origin"]))}
