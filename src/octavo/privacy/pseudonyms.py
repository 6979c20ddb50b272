"""Names that replace names: made from the old ones and a key, so that they agree across files and say nothing without it.

Whoever has the key can tell which new identifier belongs to an old one, by making it again. Whoever has it not cannot,
not even by trying all numbers that a hospital gives to its patients: that is why the key is long and random.
"""

import hashlib
import hmac
import os
import re
import secrets
import uuid
from base64 import b32encode
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from octavo.errors import OctavoError
from octavo.files import atomic_writer

_KEY_BYTES = 32
_LONGEST_KEY_FILE = 4096
_STANDARD_UID = re.compile(r"1\.2\.840\.10008(\.\d+)+")
_MOST_DAYS = 3650
_NAME_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Everything that a key gives instead of the old identifiers.

    Args:
        key: The secret; the same key gives the same names.

    Example:
        >>> pseudonyms = Pseudonyms(bytes(32))
        >>> pseudonyms.uid("1.2.3") == pseudonyms.uid("1.2.3"), pseudonyms.uid("1.2.3") == pseudonyms.uid("1.2.4")
        (True, False)
        >>> pseudonyms.uid("1.2.840.10008.1.2")
        '1.2.840.10008.1.2'
    """

    key: bytes = field(repr=False)

    def uid(self, uid: str) -> str:
        """A unique identifier for another; those that the standard itself gives out stay."""
        if not uid or _STANDARD_UID.fullmatch(uid):
            return uid
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def patient(self, identifier: str) -> str:
        """The name of a patient instead of the number that the hospital gave."""
        return f"P-{b32encode(self._digest('patient', identifier)).decode()[:_NAME_LETTERS]}"

    def days(self, identifier: str) -> int:
        """By how many days the dates of a patient move: back, by one day to ten years."""
        return -1 - int.from_bytes(self._digest("days", identifier)[:8], "big") % _MOST_DAYS

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()


def read_key(file: Path) -> bytes | None:
    """The key in a file, or None where there is no such file yet.

    Raises:
        OctavoError: If the file holds no key.
    """
    if not file.exists():
        return None
    if not file.is_file() or file.stat().st_size > _LONGEST_KEY_FILE:
        raise OctavoError(f"{file}: is no key file; wanted {2 * _KEY_BYTES} hexadecimal digits; name another file")
    try:
        key = bytes.fromhex(file.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise OctavoError(
            f"{file}: holds no key; wanted {2 * _KEY_BYTES} hexadecimal digits; name a file that is not there yet, "
            "and a key is made"
        )
    return key


def new_key() -> bytes:
    """A key that nobody can guess."""
    return secrets.token_bytes(_KEY_BYTES)


def claim_key(file: Path, key: bytes) -> bytes:
    """Write a key where only its owner can read it, unless another run made one first.

    Args:
        file: Where the key belongs; a file that is there is not replaced.
        key: The key of this run.

    Returns:
        The key that lies there now, which is the other run's if it came first.

    Raises:
        OctavoError: If a file came first that holds no key.
    """
    text = f"{key.hex()}\n".encode("ascii")
    beside = file.with_name(f"{file.name}.new-{secrets.token_hex(4)}")
    with atomic_writer(beside) as stream:
        Path(stream.name).chmod(0o600)
        stream.write(text)
    try:
        # whole at once, and refused where there is one: of two runs that begin together one key is left
        os.link(beside, file)
    except FileExistsError:
        pass
    except OSError:
        # some sticks and shares know no links
        with suppress(FileExistsError), open(file, "xb", opener=partial(os.open, mode=0o600)) as stream:
            stream.write(text)
    finally:
        beside.unlink()
    return read_key(file) or key
