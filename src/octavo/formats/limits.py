"""How much a file may ask for: sizes are believed only when the bytes are there."""

import io
import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from octavo.formats.errors import VolumeReadError

MAX_VOXELS = 2**29
"""The largest volume that is read: half a milliard voxels, four times the largest clinical OCT volume."""

FREE_BYTES = 64 * 2**20
"""Up to here anything may decompress to anything."""

MAX_RATIO = 200
"""Beyond `FREE_BYTES`, how many times larger than the compressed bytes the voxels may be."""

_CHUNK_BYTES = 2**20


@runtime_checkable
class ByteStream(Protocol):
    """Anything that gives bytes in order: a file, a member of an archive, a decompressor."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


def check_size(shape: Sequence[int], bytes_per_voxel: int, stored_bytes: int) -> int:
    """Refuse a volume that is empty, too large, or far larger than the bytes it is made from.

    Args:
        shape: Length of each axis as the header states it.
        bytes_per_voxel: Size of one sample in memory.
        stored_bytes: How many bytes of the file it comes from; for uncompressed data the ratio never matters.

    Returns:
        The number of bytes the voxels need.

    Raises:
        VolumeReadError: If a limit is passed.

    Example:
        >>> check_size((2, 4, 3), 2, 48)
        48
        >>> check_size((2000, 2000, 2000), 1, 100)
        Traceback (most recent call last):
        octavo.formats.errors.VolumeReadError: header promises 2000 x 2000 x 2000 voxels; wanted at most 536870912;
        the header is damaged, or the scan must be cropped before it is read
    """
    size = " x ".join(map(str, shape))
    if any(length < 1 for length in shape):
        raise VolumeReadError(f"header promises {size} voxels; wanted at least one along every axis; export it again")
    voxels = math.prod(int(length) for length in shape)
    if voxels > MAX_VOXELS:
        raise VolumeReadError(
            f"header promises {size} voxels; wanted at most {MAX_VOXELS}; "
            "the header is damaged, or the scan must be cropped before it is read"
        )
    needed = voxels * bytes_per_voxel
    if is_bomb(needed, stored_bytes):
        raise VolumeReadError(
            f"{stored_bytes} stored bytes promise {needed} bytes of voxels; wanted at most {MAX_RATIO} times as many; "
            "if the scan is truly that empty, store it without compression"
        )
    return needed


def is_bomb(needed_bytes: int, stored_bytes: int) -> bool:
    """Whether so many bytes from so few are more than is believed."""
    return needed_bytes > FREE_BYTES and needed_bytes > MAX_RATIO * stored_bytes


def read_exactly(stream: ByteStream, count: int, what: str = "voxels") -> bytearray:
    """Read so many bytes in small steps, never more, or refuse.

    A compressed stream is thereby unpacked no further than its header promised.

    Raises:
        VolumeReadError: If the stream ends before.
    """
    content = bytearray(count)
    _fill(memoryview(content), stream, what)
    return content


def read_voxel_bytes(stream: ByteStream, count: int, what: str = "voxels") -> UInt8[np.ndarray, " count"]:
    """As `read_exactly`, for the many bytes of a scan: memory that is not touched before bytes arrive in it.

    Raises:
        VolumeReadError: If the stream ends before.
    """
    content = np.empty(count, np.uint8)
    _fill(content.data, stream, what)
    return content


def _fill(place: memoryview, stream: ByteStream, what: str) -> None:
    count, filled = len(place), 0
    while filled < count:
        room = place[filled : filled + _CHUNK_BYTES]
        if isinstance(stream, io.BufferedReader):
            # a plain file puts its bytes where they belong; others hand them over to be copied there
            arrived = stream.readinto(room)
        else:
            chunk = stream.read(len(room))
            arrived = len(chunk)
            room[:arrived] = chunk
        if not arrived:
            raise VolumeReadError(
                f"holds {filled} bytes of {what}; wanted the {count} that its header promises; "
                "the file is cut short or its header is wrong: copy or export it again"
            )
        filled += arrived


def expect_end(stream: ByteStream, count: int) -> None:
    """Refuse a stream that goes on after the voxels: its header hides some of them.

    Raises:
        VolumeReadError: If anything follows.
    """
    if stream.read(1):
        raise VolumeReadError(
            f"goes on after the {count} bytes of voxels that its header promises; wanted nothing behind them; "
            "the header is wrong: export it again"
        )
