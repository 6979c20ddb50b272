"""Objects whose identity is not in their attributes alone: documents, pictures of a screen, pixels that are written on."""

from typing import TYPE_CHECKING

from octavo.formats.errors import VolumeReadError

if TYPE_CHECKING:
    from pydicom import Dataset

_DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# ultrasound, photographs and videos of every kind, retired ones too: devices write names onto them
_WRITTEN_ON = ("1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.77")
# tomography of the eye has its text beside the pixels, and what relates two photographs has none
_NOT_WRITTEN_ON = tuple(f"1.2.840.10008.5.1.4.1.1.77.1.5.{number}" for number in (3, 4, 7, 8))
_CURE = "look at it, and pass --accept-burned-in if no name is to be seen"


def refuse_markings(dataset: "Dataset", *, accept_burned_in: bool) -> None:
    """Refuse an object whose identity is not in its attributes alone.

    Raises:
        VolumeReadError: For a directory, a document or report; and, unless somebody looked, for pixels that say they
            are written on, for pictures of a screen, and for photographs that do not say.
    """
    kind = str(dataset.get("SOPClassUID") or "")
    if kind == _DIRECTORY:
        raise VolumeReadError("is a directory of other files; wanted an object; leave it out: viewers make a new one")
    if kind.startswith(_DOCUMENTS) or "EncapsulatedDocument" in dataset:
        raise VolumeReadError("is a report or a document, whose text cannot be cleaned; wanted images; leave it out")
    if accept_burned_in:
        return
    stated = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if stated == "YES":
        raise VolumeReadError(f"says that text is burned into its pixels; wanted pixels without; {_CURE}")
    if _is_of(kind, (_SECONDARY_CAPTURE,)):
        raise VolumeReadError(f"is a picture of a screen, which often shows a name; wanted images of a device; {_CURE}")
    if stated != "NO" and _is_of(kind, _WRITTEN_ON) and not _is_of(kind, _NOT_WRITTEN_ON):
        raise VolumeReadError(
            f"is a photograph that does not say whether text is burned into its pixels; wanted one that does; {_CURE}"
        )


def _is_of(kind: str, families: tuple[str, ...]) -> bool:
    return any(kind == family or kind.startswith(f"{family}.") for family in families)
