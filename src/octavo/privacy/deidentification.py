"""De-identifying DICOM: every element of a data set, at every depth, as PS3.15 Annex E has it.

The data set is changed in place; nothing that was in it reaches a message. Elements that stay as they are stay as the
bytes they were.
"""

import datetime
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octavo.formats.dicom.dataset import is_dicom, read_dataset
from octavo.formats.errors import VolumeReadError, quiet_parsers
from octavo.privacy.comments import blank_comments, items_of
from octavo.privacy.markings import refuse_markings
from octavo.privacy.profile import Action, Dates, Private, Profile
from octavo.privacy.pseudonyms import Pseudonyms
from octavo.privacy.rle_padding import blank_rle_padding

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset
    from pydicom.dataelem import RawDataElement

MAX_DEPTH = 64
"""How deep sequences may be nested; no object of the standard goes beyond ten."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNKNOWN_LENGTH = 0xFFFFFFFF
_PATIENT_ID = 0x00100020
_PIXEL_DATA = 0x7FE00010
_DUMMIES: dict[str, object] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV", "AT", "US or SS", "US or OW"), 0),
    "AS": "000D",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "UR": "https://removed.invalid",
}
_DUMMY_BYTES = bytes(8)
_DATE = re.compile(
    r"(?P<date>\d{4}\.\d\d\.\d\d|\d{4}(\d\d(\d\d)?)?)"
    r"(?P<time>(?<=\d{8})([01]\d|2[0-3])([0-5]\d([0-6]\d(\.\d{1,6})?)?)?)?"
    r"(?P<zone>[+-](0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
"""A date, or a date with a time and its distance from world time: nothing behind it that could be another date."""
_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?[0-6]\d(\.\d{1,6})?)?)?", re.ASCII)


@dataclass(frozen=True)
class Deidentified:
    """A DICOM file without identity, not written yet, and the names under which it is known now."""

    content: bytes
    patient: str
    series: str
    instance: str


@dataclass(frozen=True)
class _Pass:
    """What is the same for all elements of one file."""

    profile: Profile
    pseudonyms: Pseudonyms
    person: str
    """Whatever tells the patient from others: the key to the new name and to the shift of dates."""


def deidentify_file(
    path: Path, pseudonyms: Pseudonyms, profile: Profile, *, accept_burned_in: bool = False
) -> Deidentified:
    """Read a DICOM file and make one without identity from it, in the same transfer syntax.

    Args:
        path: The file; it is only read.
        pseudonyms: What replaces identifiers.
        profile: What is removed and what may stay.
        accept_burned_in: Accept pixels that may show a name, because somebody looked at them.

    Raises:
        VolumeReadError: If the file is damaged, or holds what cannot be cleaned: a document, a directory, pixels that
            may show a name.
    """
    from pydicom import dcmwrite

    content = BytesIO()
    with quiet_parsers():
        dataset = read_whole(path)
        refuse_markings(dataset, accept_burned_in=accept_burned_in)
        deidentify_dataset(dataset, pseudonyms, profile)
        dcmwrite(content, dataset, enforce_file_format=True)
    return Deidentified(
        content.getvalue(),
        patient=str(dataset.PatientID),
        series=str(dataset.get("SeriesInstanceUID") or "series"),
        instance=str(dataset.SOPInstanceUID),
    )


def read_whole(path: Path) -> "FileDataset":
    """Read every element of a file, or refuse one that is cut short.

    Raises:
        VolumeReadError: If it is no DICOM file, ends too early, or expands beyond the limits.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    if not is_dicom(path):
        raise VolumeReadError("has not the mark DICM at byte 128; wanted a DICOM file; check what it is")
    if read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:
        # counts what it unpacks, and refuses a bomb before it is unpacked as a whole
        read_dataset(path, pixels=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = dcmread(path)
    if any("end of file" in str(warning.message).lower() for warning in said):
        raise _cut_short()
    if not dataset.get("SOPInstanceUID"):
        raise VolumeReadError("names no instance (0008,0018); wanted a DICOM object; export it again")
    is_image = "Rows" in dataset or "Image Storage" in getattr(dataset.get("SOPClassUID"), "name", "")
    if is_image and not any(f"{kind}PixelData" in dataset for kind in ("", "Float", "DoubleFloat")):
        raise VolumeReadError("is an image without pixels; wanted all of it; the file is cut short: copy it again")
    return dataset


def deidentify_dataset(dataset: "FileDataset", pseudonyms: Pseudonyms, profile: Profile) -> None:
    """Take the identity out of a data set, in place, and mark it as de-identified.

    Raises:
        VolumeReadError: If an element is cut short, or sequences are nested too deep.
    """
    from pydicom.dataset import FileMetaDataset

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise VolumeReadError(
            f"its transfer syntax, {syntax}, is none that is known here, and text may stand beside its pixels; wanted "
            "another, such as JPEG 2000; export it again"
        )
    person = _person(dataset)
    doing = _Pass(profile, pseudonyms, person)
    _clean(dataset, doing, depth=0)
    dataset.PatientID = pseudonyms.patient(person)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "octavo: DICOM PS3.15 Annex E, basic profile"
    dataset.DeidentificationMethodCodeSequence = [_code(*code) for code in profile.codes]
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if profile.dates is Dates.SHIFTED else "REMOVED"
    if syntax.is_encapsulated and _PIXEL_DATA in dataset:
        _clean_pixels(dataset, syntax)
    # the old one names machines; 128 free bytes stand before it
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.preamble = None


def _clean_pixels(dataset: "Dataset", syntax: str) -> None:
    """Overwrite what stands beside the compressed pixels.

    Raises:
        VolumeReadError: If it cannot be found.
    """
    from pydicom.uid import RLELossless

    pixels = dataset["PixelData"]
    if not next(items_of(bytearray(pixels.value or b"")), None):
        raise VolumeReadError("its compressed pixels hold no item; wanted frames; export it again")
    # another table of offsets, which frames are found without
    for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if name in dataset:
            delattr(dataset, name)
    if syntax != RLELossless:
        pixels.value = blank_comments(pixels.value)
        return
    names = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames")
    sizes: list[Any] = [dataset.get(name) or (1 if name == "NumberOfFrames" else None) for name in names]
    if not all(isinstance(size, int) and size > 0 for size in sizes) or sizes[3] % 8:
        told = " x ".join(map(str, sizes))
        raise VolumeReadError(
            f"its pixels are run-length coded, and rows x columns x samples x bits x frames are {told}; wanted whole "
            "numbers and whole bytes; export it again"
        )
    rows, columns, samples, bits, frames = sizes
    pixels.value = blank_rle_padding(pixels.value, rows * columns, samples * bits // 8, frames)


def _code(value: str, meaning: str) -> "Dataset":
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _person(dataset: "Dataset") -> str:
    """What tells a patient from others: the number, else name and birth date, else the study."""
    number = str(dataset.get("PatientID") or "").strip()
    if number:
        return f"number {number}"
    name = str(dataset.get("PatientName") or "").strip()
    if name:
        return f"name {name} {dataset.get('PatientBirthDate') or ''}"
    return f"study {dataset.get('StudyInstanceUID') or dataset.SOPInstanceUID}"


def _clean(item: "Dataset", doing: _Pass, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise VolumeReadError(
            f"sequences are nested deeper than {MAX_DEPTH}; wanted an object of the standard; "
            "the file is damaged or hostile: export it again"
        )
    safe = _safe_private(item, doing.profile.keep_private)
    for tag in list(item.keys()):
        _check_whole(item.get_item(tag))
        vr = _vr_of(item, tag)
        if tag.is_private:
            action = Action.REMOVE if tag not in safe else Action.NEW_UID if vr == "UI" else Action.KEEP
        else:
            action = doing.profile.action(int(tag), vr)
        _apply(item, tag, vr, action, doing, depth)


def _apply(item: "Dataset", tag: Any, vr: str, action: Action, doing: _Pass, depth: int) -> None:
    if action is Action.REMOVE or not vr:
        del item[tag]
    elif vr == "SQ":
        _apply_to_sequence(item, tag, action, doing, depth)
    elif action is Action.EMPTY:
        _replace(item, tag, vr, None)
    elif tag == _PATIENT_ID:
        _replace(item, tag, "LO", doing.pseudonyms.patient(f"number {str(item[tag].value).strip()}"))
    elif action is Action.NEW_UID and vr == "UI":
        _replace(item, tag, vr, _each(item[tag].value, doing.pseudonyms.uid))
    elif action is Action.SHIFT:
        days = doing.pseudonyms.days(doing.person)
        moved = _same_time if vr == "TM" else partial(shift_date, days=days)
        _replace(item, tag, vr, _each(item[tag].value, moved))
    elif action in {Action.DUMMY, Action.NEW_UID}:
        _replace(item, tag, vr, _dummy(item, tag, vr, doing))


def _apply_to_sequence(item: "Dataset", tag: Any, action: Action, doing: _Pass, depth: int) -> None:
    sequence = item[tag]
    if sequence.VR != "SQ":
        # called a sequence by the dictionary, and cannot be read as one
        del item[tag]
    elif action is Action.EMPTY:
        _replace(item, tag, "SQ", None)
    else:
        for inner in sequence.value:
            _clean(inner, doing, depth + 1)
            if action is Action.DUMMY:
                _blank(inner, doing)


def _blank(item: "Dataset", doing: _Pass) -> None:
    """Replace every value of an item that has been cleaned, for the profile wants none of it kept."""
    for tag in list(item.keys()):
        vr = _vr_of(item, tag)
        if vr == "SQ":
            for inner in item[tag].value:
                _blank(inner, doing)
        elif vr != "UI" and item[tag].value not in (None, ""):
            _replace(item, tag, vr, _dummy(item, tag, vr, doing))


def _dummy(item: "Dataset", tag: Any, vr: str, doing: _Pass) -> object:
    if vr == "UI":
        return _each(item[tag].value, doing.pseudonyms.uid)
    return _DUMMIES.get(vr, _DUMMY_BYTES)


def _replace(item: "Dataset", tag: Any, vr: str, value: object) -> None:
    from pydicom import DataElement
    from pydicom.dataelem import empty_value_for_VR

    item[tag] = DataElement(tag, vr, empty_value_for_VR(vr) if value is None else value)


def _each(value: object, change: Callable[[str], str]) -> object:
    """Change one value or several."""
    if value is None or value == "":
        return None
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return change(str(value))
    return [change(str(single)) for single in value]


def shift_date(date: str, days: int) -> str:
    """Move a date, or a date with a time, by some days; what is no date becomes a meaningless one.

    A year or a month without a day moves as its first day does, and stays a year or a month.

    Example:
        >>> shift_date("20240301", -1), shift_date("2024.03.01", -1), shift_date("20240301101500.5+0100", -60)
        ('20240229', '20240229', '20240101101500.5+0100')
        >>> shift_date("202403", -1), shift_date("Jane Doe", -1), shift_date("19500102-19500103", -1)
        ('202402', '19000101', '19000101')
    """
    parts = _DATE.fullmatch(date.strip())
    if parts is None:
        return str(_DUMMIES["DA"])
    digits = parts["date"].replace(".", "")
    try:
        moved = datetime.datetime.strptime(f"{digits}0101"[:8], "%Y%m%d") + datetime.timedelta(days=days)
    except (ValueError, OverflowError):
        return str(_DUMMIES["DA"])
    rest = f"{parts['time'] or ''}{parts['zone'] or ''}"
    return f"{moved.year:04}{moved.month:02}{moved.day:02}"[: len(digits)] + rest


def _same_time(time: str) -> str:
    """A time of day as it is, for dates move by whole days; what is none becomes a meaningless one."""
    return time if _TIME.fullmatch(time.strip()) else str(_DUMMIES["TM"])


def _safe_private(item: "Dataset", allowed: frozenset[Private]) -> set[int]:
    """The private elements of an item that may stay, with the elements that say who made them."""
    safe: set[int] = set()
    for tag in item.keys() if allowed else ():
        if not tag.is_private or tag.element < 0x1000:
            continue
        reserves = (tag.group << 16) | (tag.element >> 8)
        creator = str(item[reserves].value).strip() if reserves in item else ""
        if Private(tag.group, creator, tag.element & 0xFF) in allowed:
            safe |= {int(tag), reserves}
    return safe


def _vr_of(item: "Dataset", tag: Any) -> str:
    """What kind of value an element holds; empty where neither the file nor the dictionary knows."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    stated = item.get_item(tag).VR
    known = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    if tag.is_private:
        return str(stated or "UN")
    if stated in {None, "UN"}:
        return known
    if known == "SQ" != stated:
        # what may be whole items under a false name cannot be followed
        return ""
    # an element that no dictionary knows is judged by nobody, whatever its writer calls it
    return str(stated) if known else ""


def _check_whole(element: "RawDataElement | Any") -> None:
    length, value = getattr(element, "length", _UNKNOWN_LENGTH), element.value
    if length != _UNKNOWN_LENGTH and isinstance(value, bytes) and len(value) < length:
        raise _cut_short()


def _cut_short() -> VolumeReadError:
    return VolumeReadError("ends within an element; wanted all of it; the file is cut short: copy it again")
