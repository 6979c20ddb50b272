"""An array inside a MATLAB file: what is known of it before it is read, whichever generation the file is."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

MOST_ARRAYS = 4096
"""How many arrays one file may hold."""

DEEPEST = 8
"""How deep structures may lie in one another."""


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}(\([0-9]+\)|\{[0-9]+\}|\.[A-Za-z][A-Za-z0-9_]{0,62})*")


def is_plain(name: str) -> bool:
    """Whether a name is one that MATLAB gives to arrays and fields; others are not listed.

    Example:
        >>> is_plain("scan(2).images"), is_plain("parts{3}"), is_plain("Doe, Jane")
        (True, True, False)
    """
    return _PLAIN.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class MatlabArray:
    """A plain real array of a MATLAB file, not read yet.

    Args:
        shape: Length of each axis in MATLAB's order: rows, columns, pages.
        dtype: How the samples are stored. MATLAB keeps whole numbers of a `double` as small integers, and so they come.
        stored_bytes: How many bytes of the file the samples take at most.
        read: Read the samples; the axes are MATLAB's.
        is_text: Whether these are characters.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    stored_bytes: int
    read: Callable[[], Num[np.ndarray, "..."]]
    is_text: bool = False

    @property
    def size(self) -> int:
        """Number of samples."""
        return math.prod(self.shape)

    def describe(self) -> str:
        """Shape and type, for people."""
        return f"{' x '.join(map(str, self.shape))} {self.dtype.name}"
