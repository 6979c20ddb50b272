"""The single numbers and words of an `.npz` archive, read without unpickling and without touching its scans."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from octavo.errors import OctavoError
from octavo.formats.errors import refusing

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
    with refusing("archive", "one of NumPy arrays (.npz)"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise OctavoError(f"holds {len(members)} arrays; wanted at most {_MOST_ARRAYS}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                shape, dtype = _header(stream)
                shapes[name] = shape
                if dtype.hasobject:
                    objects.append(name)
                elif _is_single(shape, dtype):
                    texts[name] = _text(np.frombuffer(stream.read(dtype.itemsize), dtype)[0])
    return ArchiveFacts(shapes, texts, tuple(objects))


def _is_single(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return all(size == 1 for size in shape) and dtype.kind in "buifUS" and 0 < dtype.itemsize <= _MOST_BYTES


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return tuple(shape), dtype


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
