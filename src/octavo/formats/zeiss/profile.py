"""The stored profile: what a Zeiss `.img` without its own name is, told once in a small text beside it.

`NAME.img.json` tells about `NAME.img`; `octavo-zeiss.json` about every `.img` of its folder that has no text of its own.

```
{"shape": [128, 1024, 512], "size_mm": [6.0, 2.0, 6.0], "laterality": "OD", "region": "macula", "pattern": "raster",
 "slow_axis": "inferior-to-superior", "is_mirrored": true}
```

Only the shape (B-scans, depth, A-scans) must be there. `size_mm` is the extent of the whole scan along each. The eye may
stand only in the text of one file.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from octavo.formats.errors import VolumeReadError
from octavo.formats.zeiss.protocols import Protocol, notes_on_storage
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis

FOLDER_PROFILE = "octavo-zeiss.json"

_LONGEST_BYTES = 2**14
_FIELDS = ("shape", "size_mm", "laterality", "region", "pattern", "slow_axis", "is_mirrored")
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a stored profile says: the scan, and which eye where it is about one file."""

    protocol: Protocol
    laterality: Laterality


def profiles_of(path: Path) -> list[Path]:
    """The texts that may tell about a file, the nearest first, as far as they are there."""
    places = (path.with_name(f"{path.name}.json"), path.with_name(FOLDER_PROFILE))
    return [place for place in places if place.is_file()]


def find_profile(path: Path) -> Profile | None:
    """Read the stored profile of a file, where there is one.

    Raises:
        VolumeReadError: If it is no profile.
    """
    places = profiles_of(path)
    return _read_profile(places[0]) if places else None


def _read_profile(place: Path) -> Profile:
    is_of_folder = place.name == FOLDER_PROFILE
    with place.open("rb") as file:
        content = file.read(_LONGEST_BYTES + 1)
    if len(content) > _LONGEST_BYTES:
        raise VolumeReadError(
            f"the profile beside it is longer than {_LONGEST_BYTES} bytes; wanted a few lines of JSON"
        )
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VolumeReadError('the profile beside it is no JSON; wanted {"shape": [...]}; correct it') from error
    if not isinstance(said, dict):
        raise VolumeReadError('the profile beside it is no JSON object; wanted {"shape": [...]}; correct it')
    if not said.keys() <= set(_FIELDS):
        raise VolumeReadError(
            f"the profile beside it has a field that is none; wanted {', '.join(_FIELDS)}; correct it"
        )
    if is_of_folder and "laterality" in said:
        raise VolumeReadError(
            f"{FOLDER_PROFILE} names an eye for a whole folder; wanted it in the profile of one file; "
            "move it to NAME.img.json"
        )
    return Profile(_protocol(said), _word(said, "laterality", Laterality))


def _protocol(said: dict[str, object]) -> Protocol:
    bscans, depth, ascans = (int(length) for length in _three(said.get("shape"), "shape", int))
    is_mirrored = said.get("is_mirrored", True)
    if not isinstance(is_mirrored, bool):
        raise VolumeReadError("is_mirrored in the profile beside it is no yes or no; wanted true or false; correct it")
    default = ScanPattern.RASTER if bscans > 1 else ScanPattern.LINE
    slow_axis = _word(said, "slow_axis", SlowAxis)
    return Protocol(
        "as its profile says",
        bscans,
        depth,
        ascans,
        size_mm=(None, None, None) if "size_mm" not in said else _three(said["size_mm"], "size_mm"),
        pattern=_word(said, "pattern", ScanPattern) if "pattern" in said else default,
        region=_word(said, "region", Region),
        slow_axis=slow_axis,
        is_mirrored=is_mirrored,
        notes=notes_on_storage(is_mirrored, slow_axis),
    )


def _three(said: object, name: str, kind: type = float) -> tuple[float, float, float]:
    """Three positive numbers."""
    allowed = (int,) if kind is int else (int, float)
    if (
        isinstance(said, list)
        and len(said) == 3
        and all(isinstance(one, allowed) and not isinstance(one, bool) and 0 < one < 2**31 for one in said)
    ):
        return (said[0], said[1], said[2])
    whole = "whole " if kind is int else ""
    raise VolumeReadError(
        f"{name} in the profile beside it is not three positive {whole}numbers; wanted [B-scans, depth, A-scans]; "
        "correct it"
    )


def _word(said: dict[str, object], name: str, words: type[_Word]) -> _Word:
    word = said.get(name, "unknown")
    if not isinstance(word, str) or word not in list(words):
        raise VolumeReadError(
            f"{name} in the profile beside it is none of its words; wanted one of {', '.join(words)}; correct it"
        )
    return words(word)
