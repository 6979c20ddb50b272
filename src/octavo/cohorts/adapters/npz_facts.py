"""The shapes of arrays and the single numbers and words of archives, read without unpickling and without touching scans."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octavo.errors import OctavoError
from octavo.formats.errors import refusing
from octavo.formats.limits import check_size
from octavo.formats.numpy_file import MOST_HEADER_BYTES, read_array_header
from octavo.formats.zip_directory import check_directory

_MOST_ARRAYS = 256
_MOST_BYTES = 2**12


@dataclass(frozen=True)
class ArchiveFacts:
    """What an archive says.

    Args:
        shapes: Name to shape, of every array.
        texts: Name to text, of every array that holds a single number or word.
        objects: Names of arrays of Python objects, which are never loaded, because loading them could run code.
    """

    shapes: Mapping[str, tuple[int, ...]]
    texts: Mapping[str, str]
    objects: tuple[str, ...]

    def text(self, *names: str) -> str:
        """The first of some facts that is there; empty where none is."""
        return next((self.texts[name] for name in names if name in self.texts), "")


def read_archive_facts(path: Path) -> ArchiveFacts:
    """Read the headers of an archive and its scalars.

    Raises:
        OctavoError: If it cannot be read, without the path.
    """
    shapes, texts, objects = {}, {}, []
    header_bytes = 0
    with refusing("archive", "one of NumPy arrays (.npz)"), _opened(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise OctavoError(f"holds {len(members)} arrays; wanted at most {_MOST_ARRAYS}; save one scan per archive")
        for member in members:
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                stored = read_array_header(stream)
                header_bytes += max(stored.header_bytes - 128, 0)
                if header_bytes > MOST_HEADER_BYTES:
                    raise OctavoError(
                        f"headers of arrays are longer than {MOST_HEADER_BYTES} bytes together; wanted short ones; save "
                        "the archive again with numpy.savez"
                    )
                shapes[name] = stored.shape
                if stored.dtype.hasobject:
                    objects.append(name)
                elif _is_single(stored.shape, stored.dtype):
                    texts[name] = _text(np.frombuffer(stream.read(stored.dtype.itemsize), stored.dtype)[0])
    return ArchiveFacts(shapes, texts, tuple(objects))


def read_array_shape(path: Path) -> tuple[int, ...]:
    """The shape that the header of an `.npy` file states.

    Raises:
        OctavoError: If the header cannot be read, or states what no array has, without the path.
    """
    with refusing("array", "one of NumPy (.npy)"), path.open("rb") as stream:
        stored = read_array_header(stream)
        check_size(stored.shape, stored.dtype.itemsize, path.stat().st_size)
    return stored.shape


def _opened(path: Path) -> zipfile.ZipFile:
    check_directory(path)
    return zipfile.ZipFile(path)


def _is_single(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return all(size == 1 for size in shape) and dtype.kind in "buifUS" and 0 < dtype.itemsize <= _MOST_BYTES


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
