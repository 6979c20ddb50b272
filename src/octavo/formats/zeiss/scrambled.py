"""Telling a scrambled Zeiss export from a scan.

Zeiss devices write DICOM of their own for their archive: samples in private elements of group 0407, or frames of
JPEG 2000 whose bytes were changed and shuffled. It is recognised by the private creator and by frames that do not begin
as JPEG 2000 does. Raw samples of a scrambled or packed file are recognised by their statistics: every byte as often as
any other, and no sample like its neighbours, which no picture of an eye is.
"""

import mmap
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

EXPORT_INSTEAD = (
    "export it from the review software as DICOM Ophthalmic Tomography without obfuscation, or as .img with the research "
    "browser or Advanced Export"
)

_HEADER_BYTES = 2**18
_MAKER = b"Carl Zeiss Meditec"
_PRIVATE_SAMPLES = b"\x07\x04\x05\x10"
_PRIVATE_CREATOR = b"99CZM_"
_JPEG_2000 = b"1.2.840.10008.1.2.4.9"
_PIXELS = b"\xe0\x7f\x10\x00O"
_UNDEFINED_LENGTH = b"\xff" * 4
_ITEM = b"\xfe\xff\x00\xe0"
_BEGINS_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_FEWEST_SAMPLES = 2**16
_MOST_SAMPLES = 2**21
_LEAST_ENTROPY_BITS = 7.8
_LARGEST_CORRELATION = 0.05


def is_scrambled_dicom(path: Path) -> bool:
    """Whether a DICOM file is one of Zeiss's own whose samples other programs cannot read."""
    with path.open("rb") as file:
        beginning = file.read(_HEADER_BYTES)
        if _MAKER not in beginning:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            start = whole.find(_PIXELS)
            if start < 0:
                return whole.find(_PRIVATE_CREATOR) >= 0 and whole.find(_PRIVATE_SAMPLES) >= 0
            return _JPEG_2000 in beginning and _begins_otherwise(whole, start)


def _begins_otherwise(whole: mmap.mmap, start: int) -> bool:
    """Whether encapsulated frames begin in another way than JPEG 2000 does."""
    if whole[start + 8 : start + 12] != _UNDEFINED_LENGTH:
        return False
    # An item of offsets, which may be empty, then the first frame.
    offsets = start + 12
    first = offsets + 8 + int.from_bytes(whole[offsets + 4 : offsets + 8], "little")
    if whole[offsets : offsets + 4] != _ITEM or whole[first : first + 4] != _ITEM:
        return False
    frame = whole[first + 8 : first + 16]
    return len(frame) == 8 and not frame.startswith(_BEGINS_JPEG_2000)


def looks_scrambled(values: UInt8[np.ndarray, "bscan depth ascan"]) -> bool:
    """Whether samples are noise: bytes all equally frequent, and neighbours without likeness."""
    if values.size < _FEWEST_SAMPLES:
        return False
    some = values[len(values) // 2 :][: max(1, _MOST_SAMPLES // values[0].size)]
    share = np.bincount(some.ravel(), minlength=256) / some.size
    share = share[share > 0]
    if -(share * np.log2(share)).sum() < _LEAST_ENTROPY_BITS:
        return False
    likeness = [_correlation(some[:, 1:], some[:, :-1]), _correlation(some[:, :, 1:], some[:, :, :-1])]
    return max(abs(one) for one in likeness) < _LARGEST_CORRELATION


def _correlation(ours: UInt8[np.ndarray, "..."], theirs: UInt8[np.ndarray, "..."]) -> float:
    if ours.size < 2 or ours.min() == ours.max():
        return 1.0
    return float(np.corrcoef(ours.ravel().astype(np.float32), theirs.ravel().astype(np.float32))[0, 1])
