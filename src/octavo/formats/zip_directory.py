"""The directory at the end of a ZIP archive, measured before it is listed: each entry becomes an object."""

import struct
from pathlib import Path

from octavo.formats.errors import VolumeReadError

_END = b"PK\5\6"
_END_64 = b"PK\6\6"
_LOCATOR_64 = b"PK\6\7"
_END_BYTES, _LOCATOR_BYTES, _END_64_BYTES = 22, 20, 56
_LONGEST_COMMENT = 2**16
_MOST_BYTES = 2**20
"""Room for 4096 entries with names of 200 letters."""


def check_directory(path: Path) -> None:
    """Refuse an archive whose directory is longer than that of any set of arrays.

    Raises:
        VolumeReadError: If it is; what is no archive is left to whoever opens it.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - _LONGEST_COMMENT - _END_BYTES - _LOCATOR_BYTES - _END_64_BYTES)
        file.seek(start)
        tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_BYTES:
        return
    lengths = [struct.unpack_from("<I", tail, end + 12)[0]]
    # a longer record may stand before this one and overrule it
    longer = tail.rfind(_END_64, 0, end)
    if longer >= 0 and tail.startswith(_LOCATOR_64, end - _LOCATOR_BYTES) and len(tail) >= longer + _END_64_BYTES:
        lengths = [struct.unpack_from("<Q", tail, longer + 40)[0]]
    if max(lengths) > _MOST_BYTES:
        raise VolumeReadError(
            f"archive lists its members in {max(lengths)} bytes; wanted at most {_MOST_BYTES}; save one scan per archive"
        )
