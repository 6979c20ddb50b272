"""What the user says about a scan, put over what its file says."""

import dataclasses
from enum import StrEnum
from typing import Any

from octavo.anatomy import flips_to_right_eye
from octavo.formats.errors import VolumeReadError
from octavo.volume import WORDS, Frame, Origin, Spacing, Volume, known_word

_SAME_SPACING = 1e-3


def with_users_spacing(volume: Volume, users_mm: tuple[float, float, float] | None) -> Volume:
    """The scan with the user's millimetres, and a note where the file says others."""
    if users_mm is None:
        return volume
    bscan, depth, ascan = (float(value) for value in users_mm)
    told = Spacing(bscan, depth, ascan, (Origin.USER, Origin.USER, Origin.USER))
    before = volume.spacing_mm
    volume = dataclasses.replace(volume, spacing_mm=told)
    pairs = zip(before.values_mm, told.known_mm(), strict=True)
    if any(old is not None and abs(old - new) > _SAME_SPACING * new for old, new in pairs):
        return volume.with_note(f"spacing {told.describe()} is used; the file says {before.describe()}")
    return volume


def users_words(**said: str | None) -> dict[str, Any]:
    """What the user says in words, as members of their families; without what says nothing.

    Raises:
        OctavoError: If a word is none, with those that there are.
    """
    words = {name: known_word(WORDS[name], word, name) for name, word in said.items() if word is not None}
    return {name: word for name, word in words.items() if word != "unknown"}


def _was_turned_otherwise(volume: Volume, name: str, word: StrEnum) -> bool:
    """Whether what the user says would have turned a scan otherwise than it was when it was oriented."""
    before = getattr(volume, name)
    if name not in {"laterality", "slow_axis"} or before is word:
        return False
    if before != "unknown":
        return True
    as_it_was = dataclasses.replace(volume, frame=Frame.SCANNER)
    told: dict[str, Any] = {name: word}
    return flips_to_right_eye(dataclasses.replace(as_it_was, **told)) != flips_to_right_eye(as_it_was)


def with_users_word(volume: Volume, name: str, word: StrEnum) -> Volume:
    """The scan with the user's word, and a note where the file says another.

    Args:
        volume: The scan.
        name: What the word tells: a key of `WORDS`.
        word: The word.

    Raises:
        VolumeReadError: If the scan is stored in right-eye orientation, to which another word would have led otherwise.
    """
    before, origin = getattr(volume, name), getattr(volume, f"{name}_origin")
    spoken = name.replace("_", " ")
    if volume.frame is Frame.RIGHT_EYE and _was_turned_otherwise(volume, name, word):
        raise VolumeReadError(
            f"its samples were brought to right-eye orientation with {spoken} {before}, and {spoken} {word} was given; "
            f"wanted the same; convert the scan again from its original file, with --{name.replace('_', '-')} {word}"
        )
    changes: dict[str, Any] = {name: word, f"{name}_origin": Origin.USER}
    volume = dataclasses.replace(volume, **changes)
    if before not in {"unknown", word}:
        return volume.with_note(f"{spoken} {word} (user) is used; the file says {before} ({origin})")
    return volume
