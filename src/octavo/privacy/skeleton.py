"""The skeleton of a file: what it is built of, without anything that it says.

A file that will not open often cannot be shared, because it holds a patient. Its skeleton can: kinds and places and lengths
of its parts, sizes of its images, and how evenly its bytes are spread. It is built from the bottom up: a number is taken
only from a field that is known to be a size or a length, a word only from lists that stand in this package. No text and no
sample of the file gets in, neither as it is nor as a hash that could be guessed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from octavo.formats.errors import VolumeReadError, refusing
from octavo.privacy.skeleton_arrays import gzip_parts, matlab_parts, nifti_parts, npy_parts, tiff_parts, zip_parts
from octavo.privacy.skeleton_bytes import byte_spread
from octavo.privacy.skeleton_dicom import dicom_parts
from octavo.privacy.skeleton_vendor import e2e_parts, topcon_parts, vol_parts

_BLOCK_BYTES = 2**16
_MOST_BLOCKS = 128
_BEGINNING_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of file, the mark it is known by, and what takes it apart."""

    name: str
    at: int
    mark: bytes
    parts: Callable[[BinaryIO, int], dict[str, object]] | None = None


_KINDS = (
    _Kind("dicom", 128, b"DICM", dicom_parts),
    _Kind("heidelberg-vol", 0, b"HSF-", vol_parts),
    _Kind("topcon", 0, b"FOCT", topcon_parts),
    _Kind("heidelberg-e2e", 0, b"CMDb", e2e_parts),
    _Kind("heidelberg-e2e", 0, b"E2EMultipleVolumeFile", e2e_parts),
    _Kind("nifti", 344, b"n+1\0", nifti_parts),
    _Kind("nifti", 344, b"ni1\0", nifti_parts),
    _Kind("nifti", 4, b"n+2\0", nifti_parts),
    _Kind("numpy", 0, b"\x93NUMPY", npy_parts),
    _Kind("zip", 0, b"PK\x03\x04", zip_parts),
    _Kind("tiff", 0, b"II*\0", tiff_parts),
    _Kind("tiff", 0, b"MM\0*", tiff_parts),
    _Kind("tiff", 0, b"II+\0", tiff_parts),
    _Kind("matlab-5", 0, b"MATLAB 5.0 MAT-file", matlab_parts),
    _Kind("gzip", 0, b"\x1f\x8b", gzip_parts),
    _Kind("hdf5", 0, b"\x89HDF\r\n\x1a\n"),
    _Kind("hdf5", 512, b"\x89HDF\r\n\x1a\n"),
    _Kind("png", 0, b"\x89PNG\r\n\x1a\n"),
    _Kind("jpeg", 0, b"\xff\xd8\xff"),
    _Kind("jpeg-2000", 0, b"\0\0\0\x0cjP  "),
    _Kind("jpeg-2000", 0, b"\xff\x4f\xff\x51"),
    _Kind("bmp", 0, b"BM"),
    _Kind("nrrd", 0, b"NRRD000"),
    _Kind("pdf", 0, b"%PDF-"),
    _Kind("xml", 0, b"<?xml"),
    _Kind("metaimage", 0, b"ObjectType"),
)


def skeleton(path: Path) -> dict[str, object]:
    """Take a file apart, and say what it is built of and nothing of what it says.

    Args:
        path: Any file, sound or damaged.

    Returns:
        Numbers, and words of this package, in a form that JSON holds.

    Raises:
        VolumeReadError: If it is no file, or cannot be opened.
    """
    with refusing(str(path), "a file"):
        if not path.is_file():
            raise VolumeReadError("is not a file; wanted one file; name a file of the folder")
        with path.open("rb") as file:
            size = file.seek(0, 2)
            kind = kind_of(file) or _kind_by_name(path)
            return {
                "bytes": size,
                "kind": kind.name if kind else "unknown",
                "parts": _parts(kind, file, size),
                "blocks": list(_blocks(file, size)),
            }


def kind_of(file: BinaryIO) -> _Kind | None:
    """The kind of a file by its mark alone, or None."""
    file.seek(0)
    beginning = file.read(_BEGINNING_BYTES)
    return next((kind for kind in _KINDS if beginning[kind.at : kind.at + len(kind.mark)] == kind.mark), None)


def _kind_by_name(path: Path) -> _Kind | None:
    """A kind without a mark that cannot be missing: programs that write .vol files begin them as they like."""
    return _Kind("heidelberg-vol by its name", 0, b"", vol_parts) if path.suffix.lower() == ".vol" else None


def _parts(kind: _Kind | None, file: BinaryIO, size: int) -> dict[str, object]:
    """The parts of a file of a known kind, as far as they can be followed."""
    if kind is None or kind.parts is None:
        return {}
    try:
        with refusing("file", "its parts"):
            return kind.parts(file, size)
    except VolumeReadError:
        return {"stopped": "the parts cannot be followed"}


def _blocks(file: BinaryIO, size: int) -> Iterator[dict[str, object]]:
    """How evenly bytes are spread along the file, in blocks from its beginning to its end."""
    count = -(-size // _BLOCK_BYTES)
    for number in np.unique(np.linspace(0, max(count - 1, 0), min(count, _MOST_BLOCKS)).round().astype(int)):
        file.seek(int(number) * _BLOCK_BYTES)
        content = file.read(_BLOCK_BYTES)
        yield {"at": int(number) * _BLOCK_BYTES, "bytes": len(content), **byte_spread(content)}
