"""The eye that stands in the name of a file, a folder or a picture."""

import dataclasses
import re

from octavo.volume import Frame, Laterality, Origin, SlowAxis, Volume

_EYE_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(OD|OS)(?![A-Za-z0-9])")


def eye_in_name(name: str) -> Laterality:
    """The eye that a name says: an `OD` or `OS` that stands by itself; unknown where there is none, or both.

    Example:
        >>> eye_in_name("exam-12_OS.npy"), eye_in_name("OD_OS.npy"), eye_in_name("GOOD.npy")
        (<Laterality.OS: 'OS'>, <Laterality.UNKNOWN: 'unknown'>, <Laterality.UNKNOWN: 'unknown'>)
    """
    named = {Laterality.parse(word) for word in _EYE_IN_NAME.findall(name)}
    return named.pop() if len(named) == 1 else Laterality.UNKNOWN


def with_named_eye(volume: Volume, named: Laterality, whose: str = "its name says", is_folder: bool = False) -> Volume:
    """Take the eye from a name where the scan does not say; note where it says the other.

    Args:
        volume: The scan.
        named: The eye that the name says.
        whose: Whose name that is, for the note.
        is_folder: Whether it is the name of a folder. That tells no more than the names of the pictures in it do.
    """
    if named is Laterality.UNKNOWN or named is volume.laterality:
        return volume
    if volume.laterality is Laterality.UNKNOWN and named is Laterality.OS and volume.frame is Frame.RIGHT_EYE:
        return volume.with_note(
            "the name says OS, and the scan was brought to right-eye orientation while its eye was unknown; it stays so"
        )
    if volume.laterality is Laterality.UNKNOWN:
        return dataclasses.replace(volume, laterality=named, laterality_origin=Origin.DERIVED)
    if not is_folder or volume.laterality_origin is not Origin.DERIVED:
        return volume.with_note(f"the file says {volume.laterality}, and {whose} {named}; the file's word is used")
    return _without_eye(volume).with_note(
        f"the folder's name says {named}, and those of its pictures say {volume.laterality}; the eye is unknown: say which"
    )


def _without_eye(volume: Volume) -> Volume:
    """A scan whose eye cannot be told, and no direction that was told from the eye."""
    is_of_eye = volume.slow_axis.is_vertical and volume.slow_axis_origin is Origin.DERIVED
    slow_axis = SlowAxis.UNKNOWN if is_of_eye else volume.slow_axis
    return dataclasses.replace(volume, laterality=Laterality.UNKNOWN, slow_axis=slow_axis)
