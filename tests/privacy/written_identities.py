"""DICOM data sets full of identities: every attribute of the confidentiality profile, with a token planted in each."""

from base64 import b64encode

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from octavo.privacy.profile import Row, profile_rows

DATE, TIME, UID = "19870605", "112233", "1.2.826.0.1.99"
NUMBER = 471147
KEPT_SEQUENCES = {0x00081140, 0x00082112}
"""References to images: what stands in them stays unless it is listed itself."""

BIRTH_DATE = "19500102"


def token(tag: int, depth: int = 0) -> str:
    """A word that stands nowhere else."""
    return f"QX{depth}Z{tag:08X}"


def forms(text: str) -> list[bytes]:
    """A word as a file or a program may write it: plain, in two bytes a letter, in base 64 and in hexadecimal."""
    plain = text.encode()
    return [
        *[plain, text.encode("utf-16-le"), text.encode("utf-16-be"), plain.lower(), plain[::-1]],
        *[b64encode(plain).rstrip(b"="), plain.hex().encode(), plain.hex().upper().encode()],
    ]


def vr_of(tag: int) -> str:
    """The kind of value of an attribute; text for those that this dictionary does not know yet."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "LO"


def value_for(tag: int, vr: str, depth: int) -> object:
    """A value of a kind, with a token wherever one fits."""
    word = token(tag, depth)
    if vr == "SQ":
        inner = Dataset()
        inner.PersonName, inner.ReferencedSOPInstanceUID = word, f"{UID}.7.{tag}"
        if tag not in KEPT_SEQUENCES:
            inner.CodeMeaning = word
        return [inner]
    if vr in {"OB", "OW", "UN", "OF", "OD", "OL", "OV"}:
        return word.encode().ljust(16, b"\0")
    numbers = dict.fromkeys(("FD", "FL", "SL", "UL"), NUMBER) | dict.fromkeys(("SS", "US"), 4711)
    others = {
        "DA": DATE,
        "TM": TIME,
        "DT": DATE + TIME,
        "UI": f"{UID}.{tag}",
        "AS": "047Y",
        "DS": "471147",
        "IS": "471147",
    }
    return (numbers | others).get(vr, word)


def listed_tags() -> list[tuple[int, Row]]:
    """Every attribute that the table lists by itself."""
    return [(int(row.tag, 16), row) for row in profile_rows() if "X" not in row.tag]


def plant_everything(item: Dataset, depth: int, *, groups_from: int = 0x0004) -> None:
    """Put every attribute of the table into an item."""
    for tag, _ in listed_tags():
        if tag >> 16 >= groups_from:
            vr = vr_of(tag)
            item[tag] = DataElement(tag, vr, value_for(tag, vr, depth))


def nest(item: Dataset, depth: int) -> Dataset:
    """A new item as many sequences below another."""
    for _ in range(depth):
        inner = Dataset()
        item.SharedFunctionalGroupsSequence = [inner]
        item = inner
    return item
