"""Where a name may hide although every attribute is clean: in the pixels, in a document, beside compressed pixels."""

import struct
from typing import TYPE_CHECKING

from octavo.formats.errors import VolumeReadError

if TYPE_CHECKING:
    from pydicom import Dataset

_DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# photographs, ultrasound and other kinds that devices write names onto; tomography has its text beside the pixels
_WRITTEN_ON = (
    "1.2.840.10008.5.1.4.1.1.77.1.5.1",
    "1.2.840.10008.5.1.4.1.1.77.1.5.2",
    "1.2.840.10008.5.1.4.1.1.77.1.5.5",
    "1.2.840.10008.5.1.4.1.1.77.1.5.6",
    "1.2.840.10008.5.1.4.1.1.77.1.1",
    "1.2.840.10008.5.1.4.1.1.77.1.2",
    "1.2.840.10008.5.1.4.1.1.77.1.4",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.6.2",
    "1.2.840.10008.5.1.4.1.1.3.1",
)
_CURE = "look at it, and pass --accept-burned-in if no name is to be seen"
_ITEM = (0xFFFE, 0xE000)
_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f"
# comments, and what cameras and editing programs say; colour profiles and what decoders need stay
_JPEG_TEXT = {0xFE, 0xE1, *range(0xE3, 0xE8), *range(0xE9, 0xEE), 0xEF}
_JPEG_2000_TEXT = 0x64
_WITHOUT_LENGTH = {0x01, *range(0x30, 0x40), *range(0xD0, 0xD8)}
_SAMPLES_BEGIN = {0xDA, 0x90, 0x93, 0xD9}


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
    if kind == _SECONDARY_CAPTURE or kind.startswith(f"{_SECONDARY_CAPTURE}."):
        raise VolumeReadError(f"is a picture of a screen, which often shows a name; wanted images of a device; {_CURE}")
    if stated != "NO" and kind in _WRITTEN_ON:
        raise VolumeReadError(
            f"is a photograph that does not say whether text is burned into its pixels; wanted one that does; {_CURE}"
        )


def blank_comments(pixels: bytes) -> bytes:
    r"""Overwrite comments and camera notes in compressed frames with zeros; their lengths stay.

    Example:
        >>> frame = b"\xff\xd8\xff\xfe\x00\x06Jane\xff\xda"
        >>> item = struct.pack("<HHL", 0xFFFE, 0xE000, len(frame)) + frame
        >>> blank_comments(item)[8:]
        b'\xff\xd8\xff\xfe\x00\x06\x00\x00\x00\x00\xff\xda'
    """
    content, position = bytearray(pixels), 0
    while position + 8 <= len(content):
        group, element, length = struct.unpack_from("<HHL", content, position)
        if (group, element) != _ITEM:
            break
        position += 8
        _blank_frame(content, position, min(position + length, len(content)))
        position += length
    return bytes(content)


def _blank_frame(content: bytearray, begin: int, end: int) -> None:
    kind = bytes(content[begin : begin + 2])
    if kind not in {_JPEG, _JPEG_2000}:
        return
    position = begin + 2
    while position + 4 <= end and content[position] == 0xFF:
        marker = content[position + 1]
        if marker in _SAMPLES_BEGIN:
            return
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        after = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if kind == _JPEG and marker in _JPEG_TEXT:
            _zero(content, position + 4, min(after, end))
        elif kind == _JPEG_2000 and marker == _JPEG_2000_TEXT:
            # two bytes say whether text or bytes follow
            _zero(content, position + 6, min(after, end))
        position = max(after, position + 4)


def _zero(content: bytearray, begin: int, end: int) -> None:
    if end > begin:
        content[begin:end] = bytes(end - begin)
