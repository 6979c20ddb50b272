"""octavo's own NIfTI: millimetres, an affine that claims no more than is known, and the geometry as an extension.

The axes are stored as `bscan depth ascan`. The affine (right, anterior, superior; millimetres from the first voxel)
points

* along depth backwards: from the vitreous to the choroid;
* along A-scans to the patient's left, as A-scans run in a picture of the fundus; in right-eye orientation they run
  towards the nose, which for a left eye is to the right;
* along B-scans to where the slow axis goes.

Where one of these directions is not known the file has voxel sizes and no affine (both form codes 0).
"""

import gzip
from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from octavo.errors import OctavoError
from octavo.formats.geometry_text import geometry_to_text
from octavo.formats.limits import is_bomb
from octavo.formats.nifti.header import SAMPLE_TYPES, build_header
from octavo.formats.nifti.reading import COMMENT_CODE
from octavo.volume import Frame, Laterality, SlowAxis, Volume

_HEADER_BYTES = 348


def write_nifti(volume: Volume, file: BinaryIO) -> None:
    """Write a volume as one plain NIfTI-1 file.

    Raises:
        OctavoError: If a spacing is unknown, an axis too long, or the samples are of a type that NIfTI does not know.
    """
    file.write(_encoded(volume))


def write_nifti_gz(volume: Volume, file: BinaryIO) -> None:
    """Write a volume as one gzipped NIfTI-1 file.

    A volume so empty that its file would look like a decompression bomb is stored in gzip without being compressed.

    Raises:
        OctavoError: As `write_nifti`.
    """
    content = _encoded(volume)
    squeezed = gzip.compress(content, compresslevel=6, mtime=0)
    if is_bomb(len(content), len(squeezed)):
        squeezed = gzip.compress(content, compresslevel=0, mtime=0)
    file.write(squeezed)


def _encoded(volume: Volume) -> bytes:
    zooms_mm = volume.spacing_mm.known_mm()
    values = volume.values.astype(np.float32) if volume.values.dtype == np.float16 else volume.values
    if values.dtype not in SAMPLE_TYPES.values() or max(values.shape) > np.iinfo(np.int16).max:
        raise OctavoError(
            f"volume has {volume.shape} samples of type {values.dtype}; NIfTI-1 wants axes of at most "
            f"{np.iinfo(np.int16).max} and whole or floating-point numbers up to 64 bits; write .npz instead"
        )
    text = geometry_to_text(volume).encode("ascii")
    room = -(-(len(text) + 8) // 16) * 16
    extension = room.to_bytes(4, "little") + COMMENT_CODE.to_bytes(4, "little") + text.ljust(room - 8, b"\0")
    offset = _HEADER_BYTES + 4 + room
    header = build_header(values.shape, values.dtype, zooms_mm, affine_of(volume), offset)
    return b"".join([header, b"\1\0\0\0", extension, values.astype(values.dtype.newbyteorder("<")).tobytes("F")])


def affine_of(volume: Volume) -> Float[np.ndarray, "3 4"] | None:
    """The affine from voxel indices (bscan, depth, ascan) to millimetres right, anterior and superior.

    Returns:
        None where the direction of an axis is not known.

    Example:
        >>> from octavo.volume import Spacing
        >>> down = SlowAxis.SUPERIOR_TO_INFERIOR
        >>> volume = Volume(np.zeros((2, 4, 3)), Spacing(0.25, 0.004, 0.01), slow_axis=down)
        >>> affine_of(volume)[:, 0].tolist()
        [0.0, 0.0, -0.25]
    """
    bscan_mm, depth_mm, ascan_mm = volume.spacing_mm.known_mm()
    leftwards = -1.0
    if volume.frame is Frame.RIGHT_EYE:
        if volume.laterality is Laterality.UNKNOWN:
            return None
        leftwards = 1.0 if volume.laterality is Laterality.OS else -1.0
    upwards = {SlowAxis.SUPERIOR_TO_INFERIOR: -1.0, SlowAxis.INFERIOR_TO_SUPERIOR: 1.0}.get(volume.slow_axis)
    # The A-scans of upright B-scans run up or down, and nothing says which.
    if upwards is None:
        return None
    affine = np.zeros((3, 4))
    affine[2, 0] = upwards * bscan_mm
    affine[1, 1] = -depth_mm
    affine[0, 2] = leftwards * ascan_mm
    return affine
