"""The directories of a TIFF file, walked to see that every page is really there.

Decoders of TIFF go on after a torn directory or strip and return grey of their own making. So each directory and each
strip of samples must lie within the file before a decoder sees it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from octavo.formats.errors import VolumeReadError

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_PAGES = 2**12
_MOST_PIECES = 2**18
"""How many strips and tiles all pages may have together; pages that share one list of them would never end."""
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_TOO_FINE = (
    f"or more pages are divided into more than {_MOST_PIECES} strips; wanted fewer; the file is damaged or hostile: save "
    "it again"
)
_SAMPLES = ((273, 279), (324, 325))
"""Where strips and tiles begin, and how long they are."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How wide the numbers of a directory are."""

    order: str
    count: str
    entry: str
    offset: str


def count_pages(path: Path) -> int:
    """Count the pages of a TIFF file, each of which is complete.

    Raises:
        VolumeReadError: If a directory or the samples it points to reach beyond the file, or directories go in circles.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        layout, position = _beginning(file)
        seen: set[int] = set()
        pieces = 0
        while position:
            if position in seen or len(seen) >= MOST_PAGES:
                raise VolumeReadError(
                    f"pages go in circles or number more than {MOST_PAGES}; wanted each once; export it again"
                )
            seen.add(position)
            position, count = _check_directory(file, layout, position, size, page=len(seen))
            pieces += count
            if pieces > _MOST_PIECES:
                raise VolumeReadError(f"{len(seen)} {_TOO_FINE}")
    if not seen:
        raise VolumeReadError("holds no page; wanted at least one; the file is cut short: copy it again")
    return len(seen)


def _beginning(file: BinaryIO) -> tuple[_Layout, int]:
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = ">" if head.startswith(b"MM") else "<"
    if struct.unpack_from(f"{order}H", head, 2)[0] == 43:
        return _Layout(order, "Q", "HHQQ", "Q"), int(struct.unpack_from(f"{order}Q", head, 8)[0])
    return _Layout(order, "H", "HHLL", "L"), int(struct.unpack_from(f"{order}L", head, 4)[0])


def has_pages(path: Path) -> bool:
    """Whether a second directory follows the first; nothing else is looked at, and a torn file has no second.

    Example:
        >>> has_pages(Path(__file__))
        False
    """
    with path.open("rb") as file:
        if file.read(4) not in MAGICS:
            return False
        layout, position = _beginning(file)
        count = struct.Struct(layout.order + layout.count)
        file.seek(min(position, 2**62))
        entries = file.read(count.size)
        if len(entries) < count.size:
            return False
        file.seek(count.unpack(entries)[0] * struct.calcsize(layout.order + layout.entry) % 2**62, 1)
        return any(file.read(struct.calcsize(layout.order + layout.offset)))


def _check_directory(file: BinaryIO, layout: _Layout, position: int, size: int, page: int) -> tuple[int, int]:
    """Check one directory; say where the next one is (0 for none), and how many strips this one has."""
    (entries,) = _numbers(file, position, layout.order + layout.count, size, page)
    position += struct.calcsize(layout.order + layout.count)
    width = struct.calcsize(layout.order + layout.entry)
    if position + entries * width > size:
        raise _torn(page)
    samples: dict[int, list[int]] = {}
    for number in range(entries):
        at = position + number * width
        tag, kind, count, value = _numbers(file, at, layout.order + layout.entry, size, page)
        stored = _TYPE_BYTES.get(kind, 0) * count
        inline = struct.calcsize(layout.order + layout.offset)
        if stored > inline and value + stored > size:
            raise _torn(page)
        if kind in _WHOLE_NUMBERS and any(tag in pair for pair in _SAMPLES):
            if count > _MOST_PIECES:
                raise VolumeReadError(f"1 {_TOO_FINE}")
            where = value if stored > inline else at + width - inline
            samples[tag] = list(_numbers(file, where, f"{layout.order}{count}{_WHOLE_NUMBERS[kind]}", size, page))
    for begin, end in _pieces(samples):
        if begin > size or end > size:
            raise _torn(page)
    (following,) = _numbers(file, position + entries * width, layout.order + layout.offset, size, page)
    return following, sum(map(len, samples.values()))


def _pieces(samples: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    for offsets, lengths in _SAMPLES:
        for begin, length in zip(samples.get(offsets, []), samples.get(lengths, []), strict=False):
            yield begin, begin + length


def _numbers(file: BinaryIO, position: int, layout: str, size: int, page: int) -> tuple[int, ...]:
    if position + struct.calcsize(layout) > size:
        raise _torn(page)
    file.seek(position)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _torn(page: int) -> VolumeReadError:
    return VolumeReadError(
        f"page {page} reaches beyond the end of the file; wanted a complete TIFF; "
        "the file is cut short or damaged: copy or export it again"
    )
