"""What happens to each DICOM attribute when a file is de-identified: PS3.15 Annex E, basic profile.

The table `confidentiality_profile.csv` lists the attributes of Table E.1-1 with the code of the Basic Application Level
Confidentiality Profile, and whether the option that keeps shifted dates (`dates`, C) or the one that keeps the identity
of the device (`device`, K) has an entry for it. A code such as `X/Z/D` leaves the choice to what the object requires;
here the last of them is always taken, which keeps every object valid: a value is emptied or replaced by a meaningless one
and its place stays.

The profile lists attributes, and files hold others too. What is not listed is treated by its kind: names of persons and
dates are replaced, identifiers are mapped, elements that no dictionary knows are removed, and so are private ones.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from octavo.errors import OctavoError

_TABLE = Path(__file__).with_name("confidentiality_profile.csv")
_RESOLVED = {"X": "X", "Z": "Z", "D": "D", "U": "U", "X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}
# commands and the file's own group have no place in a data set; curves and overlays may show text, in whole groups
_REMOVED_GROUPS = {0x0000, 0x0002, *range(0x5000, 0x5100, 2), *range(0x6000, 0x6100, 2)}
# holds all that was removed once already, encrypted for somebody else
_ALSO_REMOVED = {0x04000500}
# kinds of things, the same for everybody: classes of objects, coding schemes and lists of codes
_KINDS = {0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008010C, 0x00080117, 0x00080118, 0x00081150}
_TIMEZONE = 0x00080201
_DATED = {"DA", "DT", "TM"}
_ALLOWED = re.compile(r"(?P<group>[0-9A-Fa-f]{4}):(?P<creator>[^:]+):(?P<element>[0-9A-Fa-f]{2})")


class Action(StrEnum):
    """What is done with one attribute; the letters are those of PS3.15."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    """Replaced by a value that is valid and says nothing."""
    NEW_UID = "U"
    KEEP = "K"
    SHIFT = "C"
    """A date, moved by as many days as all dates of the patient."""


class Dates(StrEnum):
    """What becomes of dates and times."""

    REMOVED = "removed"
    SHIFTED = "shifted"
    """All dates of a patient move by the same number of days, which only the key tells."""


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of the table."""

    tag: str
    """Eight hexadecimal digits; `50XXXXXX` stands for all curves, `60XX3000` for all overlays."""
    keyword: str
    code: str
    is_shifted: bool
    """Whether its date stays, moved, where dates are kept shifted."""
    is_device: bool
    """Whether it stays where the device is kept."""


@dataclass(frozen=True, slots=True)
class Private:
    """A private attribute that is known to be safe: its group, who made it, and the last byte of its number."""

    group: int
    creator: str
    element: int

    @classmethod
    def parse(cls, text: str) -> "Private":
        """Read `GGGG:CREATOR:EE`.

        Raises:
            OctavoError: If it is no such text, or the group is even.

        Example:
            >>> Private.parse("0051:MAKER OCT:1F")
            Private(group=81, creator='MAKER OCT', element=31)
        """
        found = _ALLOWED.fullmatch(text)
        if found is None or int(found["group"], 16) % 2 == 0:
            raise OctavoError(
                f"{text!r} names no private attribute; wanted its odd group, its creator and its element, as in "
                "0051:MAKER OCT:1F"
            )
        return cls(int(found["group"], 16), found["creator"].strip(), int(found["element"], 16))


@dataclass(frozen=True, slots=True)
class Profile:
    """The basic profile with the options that were chosen.

    Args:
        dates: Whether dates are removed, or kept shifted.
        keep_device: Whether the identity of the device stays.
        keep_private: Private attributes that stay.

    Example:
        >>> Profile().action(0x00080020, "DA"), Profile(Dates.SHIFTED).action(0x00080020, "DA")
        (<Action.EMPTY: 'Z'>, <Action.SHIFT: 'C'>)
        >>> Profile().action(0x00280010, "US")
        <Action.KEEP: 'K'>
    """

    dates: Dates = Dates.REMOVED
    keep_device: bool = False
    keep_private: frozenset[Private] = frozenset()

    def action(self, tag: int, vr: str) -> Action:
        """What happens to a standard attribute; private ones are decided with their creator.

        Args:
            tag: Group and element, as one number.
            vr: Its value representation; empty where no dictionary knows the attribute.
        """
        if tag >> 16 in _REMOVED_GROUPS or tag in _ALSO_REMOVED:
            return Action.REMOVE
        row = _rows_by_tag().get(tag)
        if row is None:
            return self._unlisted(tag, vr)
        if row.is_device and self.keep_device:
            return Action.KEEP
        if row.is_shifted and self.dates is Dates.SHIFTED:
            if tag == _TIMEZONE:
                return Action.KEEP
            # a clock that counts in a way of its own cannot be moved, and goes
            if vr in _DATED:
                return Action.SHIFT
        return Action(_RESOLVED[row.code])

    def _unlisted(self, tag: int, vr: str) -> Action:
        if vr in {"", "UN"}:
            return Action.REMOVE
        if vr == "UI":
            return Action.KEEP if tag in _KINDS else Action.NEW_UID
        if vr in _DATED:
            return Action.SHIFT if self.dates is Dates.SHIFTED else Action.DUMMY
        return Action.DUMMY if vr == "PN" else Action.KEEP

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """What was done, as DICOM's codes (of the scheme DCM) and their meanings."""
        chosen = [("113100", "Basic Application Confidentiality Profile")]
        if self.dates is Dates.SHIFTED:
            chosen.append(("113107", "Retain Longitudinal Temporal Information Modified Dates Option"))
        if self.keep_device:
            chosen.append(("113109", "Retain Device Identity Option"))
        if self.keep_private:
            chosen.append(("113111", "Retain Safe Private Option"))
        return tuple(chosen)


@cache
def profile_rows() -> tuple[Row, ...]:
    """Every row of the table, in the order of the tags; private attributes have none.

    Example:
        >>> [row.keyword for row in profile_rows() if row.code == "X/Z/U*"]
        ['ReferencedImageSequence', 'SourceImageSequence']
    """
    with _TABLE.open(encoding="utf-8", newline="") as table:
        return tuple(
            Row(line["tag"], line["keyword"], line["action"], line["dates"] == "C", line["device"] == "K")
            for line in csv.DictReader(table)
        )


@cache
def _rows_by_tag() -> Mapping[int, Row]:
    return {int(row.tag, 16): row for row in profile_rows() if "X" not in row.tag}
