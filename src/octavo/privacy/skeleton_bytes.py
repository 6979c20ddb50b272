"""What may be said of bytes without saying what they are."""

import hashlib
from typing import BinaryIO

import numpy as np

_SHORTEST_HASHED = 4096
_MOST_HASHED = 2**28
_LEAST_BITS = 5.0
_STEP = 2**20
_DIGITS = 16


def byte_spread(content: bytes) -> dict[str, object]:
    """How evenly the values of bytes are spread: bits of a byte that are news, and the share of zeros, both rounded.

    Example:
        >>> byte_spread(bytes(100)), byte_spread(bytes(range(256)))
        ({'bits': 0.0, 'zeros': 1.0}, {'bits': 8.0, 'zeros': 0.0})
    """
    counts = np.bincount(np.frombuffer(content, np.uint8), minlength=256)
    return {"bits": round(_bits(counts), 1), "zeros": round(float(counts[0]) / max(len(content), 1), 1)}


def fingerprint(file: BinaryIO, start: int, length: int) -> str | None:
    """A hash of a part that nobody can guess: long, and of bytes as varied as those of an image.

    A hash of something short, or of a name in a row of zeros, could be found by trying names; so there is none.

    Args:
        file: The file; its position moves.
        start: Where the part begins.
        length: How many bytes it has.
    """
    if not _SHORTEST_HASHED <= length <= _MOST_HASHED:
        return None
    digest, counts, left = hashlib.sha256(), np.zeros(256, np.int64), length
    file.seek(start)
    while left > 0:
        content = file.read(min(_STEP, left))
        if not content:
            return None
        digest.update(content)
        counts += np.bincount(np.frombuffer(content, np.uint8), minlength=256)
        left -= len(content)
    return digest.hexdigest()[:_DIGITS] if _bits(counts) >= _LEAST_BITS else None


def number_within(value: object, low: float, high: float) -> int | float | None:
    """A number of a header if it can be what it should; None for others, for they may be text that was read as numbers.

    Example:
        >>> number_within(np.float32(0.25), 0, 1), number_within(float("nan"), 0, 1), number_within(1784774249, 0, 1e6)
        (0.25, None, None)
    """
    if not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        return None
    return int(value) if isinstance(value, (int, np.integer)) else float(f"{float(value):.6g}")


def _bits(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log2(shares)).sum()) + 0.0
