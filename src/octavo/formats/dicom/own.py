"""What octavo keeps in a DICOM file of its own beside what the standard holds: a private block with its geometry.

The geometry counts only while it belongs to the image: the samples must still have the digest that was written with
them, and eye and millimetres must still be what the standard's own elements say. Otherwise another program has changed
the file, the standard's elements count, and a note says so.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num

from octavo.formats.geometry_text import MAX_BYTES, geometry_from_text, is_geometry, stated_shape
from octavo.formats.scan_lines import seen_of_eye
from octavo.volume import Laterality, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

GROUP = 0x6F63
"""A group with an odd number, as private ones have."""
CREATOR = "OCTAVO GEOMETRY 1"
"""Who the block belongs to, and its version."""
TEXT_ELEMENT, DIGEST_ELEMENT = 0x01, 0x02
PRIVATE_TAGS = (GROUP << 16 | 0x0010, GROUP << 16 | 0x1001, GROUP << 16 | 0x1002)
"""The creator, the text and the digest, where octavo writes them."""

_CHANGED = (
    "changed by another program since octavo wrote it; only what the DICOM elements say about it is used, "
    "not octavo's own geometry"
)
_SAME = 1e-4


def digest_of(values: Num[np.ndarray, "bscan depth ascan"]) -> str:
    """Name the samples by their content, whatever the machine's byte order.

    Example:
        >>> values = np.arange(6, dtype="<u2").reshape(1, 2, 3)
        >>> digest_of(values) == digest_of(values.astype(">u2")), digest_of(values) == digest_of(values[..., ::-1])
        (True, False)
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{values.shape} {values.dtype.name} ".encode() + little.tobytes()).hexdigest()


def own_geometry(header: "Dataset") -> tuple[str, str] | None:
    """Octavo's text and the digest beside it, where the file has them."""
    found = [header.get(tag) for tag in PRIVATE_TAGS]
    creator, text, digest = ("" if element is None else str(element.value) for element in found)
    if creator != CREATOR or len(text) > MAX_BYTES or not is_geometry(text):
        return None
    return text, digest


def with_own_geometry(volume: Volume, own: tuple[str, str] | None, eye: Laterality) -> Volume:
    """The volume that octavo wrote, or the one that the standard's elements describe, with a note that says why.

    Args:
        volume: The image as the standard's elements describe it, its samples as they are stored.
        own: Octavo's text and digest, where the file has them.
        eye: Which eye the scan is of, whatever the file says; a direction that was told from the other is told again.

    Raises:
        VolumeReadError: If octavo's text is damaged.
    """
    if own is None:
        return volume
    text, digest = own
    if stated_shape(text) != volume.shape or digest != digest_of(volume.values):
        return volume.with_note(_CHANGED)
    written = geometry_from_text(text, volume.values)
    return seen_of_eye(written, eye) if _agree(written, volume) else volume.with_note(_CHANGED)


def _agree(written: Volume, seen: Volume) -> bool:
    pairs = list(zip(written.spacing_mm.values_mm, seen.spacing_mm.values_mm, strict=True))
    # a single frame has no distance to a neighbour, whatever was known of it
    pairs = pairs[1:] if seen.shape[0] == 1 else pairs
    same = all((one is None and other is None) or _close(one, other) for one, other in pairs)
    return same and written.laterality is seen.laterality


def _close(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _SAME * one
