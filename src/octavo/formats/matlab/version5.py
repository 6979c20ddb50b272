"""MATLAB files of version 5, 6 and 7: what `save` writes by default, and what Octave and SciPy write.

The layout is MathWorks' published "MAT-File Format": a header of 128 bytes, then elements, each with a tag of type and
size. A variable is an element of type matrix, since version 7 packed into a zlib stream. Everything is read here in
bounded steps, byte by byte as the tags say; structures and cells are walked to a limited depth, and objects, function
handles and sparse or complex arrays are stepped over: nothing of them is decoded, let alone run.
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import FREE_BYTES, MAX_RATIO, ByteStream, check_size, read_exactly
from octavo.formats.matlab.array import DEEPEST, MOST_ARRAYS, MatlabArray, is_plain

HEADER_BYTES = 128

_COMPRESSED, _MATRIX = 15, 14
_CELL, _STRUCT, _CHARACTERS, _OPAQUE = 1, 2, 4, 17
_NUMBERS = range(6, 16)
_COMPLEX = 0x0800
_STORED_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT_TYPES = {1: "u1", 2: "u1", 4: "u2", 16: "u1", 17: "u2"}
_ALL_TYPES = {**_TEXT_TYPES, **_STORED_TYPES}
_MOST_AXES = 32
_LONGEST_NAMES = 2**16
_LISTING_RATIO = 8
_LISTING_BYTES = 192 * 2**20
"""What a file may unpack to while its arrays are listed, for structures are stepped through in full: 8 times its size but
no more than this, or twice its size where that is more."""

_STEP = 2**20


class _Room:
    """How many bytes may still be unpacked, for all variables of a file together."""

    def __init__(self, most_bytes: int) -> None:
        self._most = self._left = max(FREE_BYTES, most_bytes)

    @classmethod
    def for_listing(cls, stored_bytes: int) -> "_Room":
        return cls(max(min(_LISTING_RATIO * stored_bytes, _LISTING_BYTES), 2 * stored_bytes))

    def use(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise VolumeReadError(
                f"packed variables unpack to more than {self._most} bytes; wanted a scan, which packs far less; if it "
                "truly is one, save it with -v6, which packs nothing, or outside a structure"
            )


class _Inflating:
    """Unpacks a zlib stream in steps, and never more than there is room for."""

    def __init__(self, file: BinaryIO, stored_bytes: int, room: _Room) -> None:
        self._file, self._left, self._room = file, stored_bytes, room
        self._stream = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail
            if not packed and self._left:
                packed = self._file.read(min(_STEP, self._left))
                self._left -= len(packed)
            unpacked = self._stream.decompress(packed, size)
            self._room.use(len(unpacked))
            if unpacked:
                return unpacked
            if not packed:
                break
        return b""

    def expect_end(self) -> None:
        """Unpack the rest, so that the checksum at the end is looked at; refuse a torn stream."""
        while self.read(_STEP):
            pass
        if not self._stream.eof:
            raise VolumeReadError(
                "a packed variable does not end where it says; wanted a whole zlib stream; "
                "the file is damaged: copy or save it again"
            )


@dataclass
class _Reading:
    """Where one stands in a variable."""

    stream: ByteStream
    order: str
    position: int = 0

    def take(self, count: int) -> bytes:
        self.position += count
        return bytes(read_exactly(self.stream, count, "variable"))

    def skip(self, count: int) -> None:
        self.position += count
        while count:
            passed = len(self.stream.read(min(_STEP, count)))
            if not passed:
                raise VolumeReadError(
                    f"ends {count} bytes before a variable does; wanted all of it; the file is cut short: copy it again"
                )
            count -= passed

    def number(self, content: bytes) -> int:
        return int(np.frombuffer(content, f"{self.order}u4")[0])

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type and size of the next element; small elements carry their bytes in the tag."""
        content = self.take(8)
        kind = self.number(content[:4])
        if kind >> 16:
            size = kind >> 16
            if size > 4:
                raise VolumeReadError(
                    f"a small element says it holds {size} bytes; wanted at most 4; the file is damaged: save it again"
                )
            return kind & 0xFFFF, size, content[4 : 4 + size]
        return kind, self.number(content[4:]), None

    def element(self, longest: int) -> bytes:
        """The bytes of a short element, with the padding behind it stepped over."""
        _, size, content = self.tag()
        if content is not None:
            return content
        if size > longest:
            raise VolumeReadError(
                f"an element of a variable's header holds {size} bytes; wanted at most {longest}; "
                "the file is damaged: save it again"
            )
        content = self.take(size)
        self.skip(-size % 8)
        return content


@dataclass
class _Listing:
    """The arrays found so far, and the top-level variable one is in."""

    path: Path
    order: str
    at: int = 0
    stored_bytes: int = 0
    arrays: dict[str, MatlabArray] = field(default_factory=dict)
    seen: int = 0


def list_arrays(path: Path) -> dict[str, MatlabArray]:
    """Every real array of a file by its name; `scan.images` lies in a structure, `parts{2}` in a cell.

    Raises:
        VolumeReadError: If the tags do not fit the file, promise more than is believed, or hold too many arrays.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = bytes(read_exactly(file, HEADER_BYTES, "header"))
        listing = _Listing(path, "<" if header.endswith(b"IM") else ">")
        at, room = HEADER_BYTES, _Room.for_listing(size)
        while at < size:
            file.seek(at)
            kind, count, _ = _Reading(file, listing.order).tag()
            if kind not in {_COMPRESSED, _MATRIX}:
                raise VolumeReadError(
                    f"element at byte {at} is of type {kind}; wanted a variable; the file is damaged: save it again"
                )
            if at + 8 + count > size:
                raise VolumeReadError(
                    f"variable at byte {at} is {count} bytes long, and {size - at - 8} follow; wanted all of them; "
                    "the file is cut short: copy or save it again"
                )
            listing.at, listing.stored_bytes = at, count
            with _variable(path, at, listing.order, room) as reading:
                _walk(listing, reading, "", 0)
            at += 8 + count
    return listing.arrays


@contextmanager
def _variable(path: Path, at: int, order: str, room: _Room | None = None) -> Iterator[_Reading]:
    """Stand before a variable of the file, packed or not."""
    with path.open("rb") as file:
        file.seek(at)
        kind, count, _ = _Reading(file, order).tag()
        if kind == _COMPRESSED:
            yield _Reading(_Inflating(file, count, room or _Room(MAX_RATIO * count)), order)
            return
        file.seek(at)
        yield _Reading(file, order)


def _walk(listing: _Listing, reading: _Reading, name: str, depth: int) -> None:
    """List one matrix and what it holds; then stand behind it, unless it is a top-level one."""
    kind, size, _ = reading.tag()
    end = reading.position + size
    if kind != _MATRIX:
        raise VolumeReadError(
            f"an element of type {kind} stands where an array was expected; wanted an array; save the file again"
        )
    listing.seen += 1
    if listing.seen > MOST_ARRAYS:
        raise VolumeReadError(f"holds more than {MOST_ARRAYS} arrays; wanted fewer; save one scan per file")
    if size == 0:
        return
    flags = reading.number(reading.element(8)[:4].ljust(4, b"\0"))
    family = flags & 0xFF
    last = reading.position
    if family != _OPAQUE:
        shape = _shape(reading)
        own = reading.element(_LONGEST_NAMES).rstrip(b"\0").decode("ascii", errors="replace")
        name = name or own
        if family in {_CELL, _STRUCT} and depth < DEEPEST:
            _walk_inside(listing, reading, (name, family, shape), depth)
        elif family in _NUMBERS or family == _CHARACTERS:
            last = _list_numbers(listing, reading, name, shape, flags)
    if max(last, reading.position) > end:
        raise VolumeReadError(
            "an array is longer than its tag says; wanted as long; the file is damaged: copy or save it again"
        )
    if depth:
        reading.skip(end - reading.position)


def _shape(reading: _Reading) -> tuple[int, ...]:
    content = reading.element(4 * _MOST_AXES)
    if len(content) % 4 or len(content) < 8:
        raise VolumeReadError("an array has fewer than two axes; wanted at least two; save the file again")
    lengths = np.frombuffer(content, f"{reading.order}i4")
    return tuple(int(length) for length in lengths)


def _walk_inside(listing: _Listing, reading: _Reading, outer: tuple[str, int, tuple[int, ...]], depth: int) -> None:
    name, family, shape = outer
    count = math.prod(max(length, 0) for length in shape)
    if count > MOST_ARRAYS:
        raise VolumeReadError(f"a structure has {count} parts; wanted at most {MOST_ARRAYS}; save one scan per file")
    if family == _CELL:
        for number in range(1, count + 1):
            _walk(listing, reading, f"{name}{{{number}}}", depth + 1)
        return
    width = reading.number(reading.element(4).ljust(4, b"\0"))
    names = reading.element(_LONGEST_NAMES)
    if width == 0 or len(names) % width:
        raise VolumeReadError("the names of a structure's fields do not fit; wanted whole names; save the file again")
    fields = [names[start : start + width].split(b"\0")[0] for start in range(0, len(names), width)]
    for number in range(1, count + 1):
        element = name if count == 1 else f"{name}({number})"
        for inner in fields:
            _walk(listing, reading, f"{element}.{inner.decode('ascii', errors='replace')}", depth + 1)


def _list_numbers(listing: _Listing, reading: _Reading, name: str, shape: tuple[int, ...], flags: int) -> int:
    """List an array that one stands in, before its samples; says where they end."""
    is_text = flags & 0xFF == _CHARACTERS
    if flags & _COMPLEX or 0 in shape or not is_plain(name):
        return reading.position
    before = reading.position
    kind, size, small = reading.tag()
    code = (_TEXT_TYPES if is_text else _STORED_TYPES).get(kind)
    if code is None:
        raise VolumeReadError(f"samples are of type {kind}; wanted numbers; the file is damaged: save it again")
    dtype = np.dtype(f"{reading.order}{code}")
    needed = check_size(shape, dtype.itemsize, 2**62)
    if needed != size and is_text:
        # Characters in UTF-8 take a byte or more each.
        return reading.position
    if needed != size:
        raise VolumeReadError(
            f"header promises {' x '.join(map(str, shape))} samples, which are {needed} bytes, and {size} are stored; "
            "wanted as many; the file is damaged: save it again"
        )
    check_size(shape, dtype.itemsize, listing.stored_bytes)
    if name in listing.arrays:
        raise VolumeReadError("holds two arrays of one name; wanted each once; save the file again")
    read = partial(_read, listing.path, listing.at, listing.order, before, shape)
    listing.arrays[name] = MatlabArray(shape, dtype.newbyteorder("="), listing.stored_bytes, read, is_text)
    return reading.position + (0 if small is not None else size)


def _read(path: Path, at: int, order: str, before: int, shape: tuple[int, ...]) -> Num[np.ndarray, "..."]:
    """Go back to where an array's samples begin, and read them."""
    with _variable(path, at, order) as reading:
        reading.skip(before)
        kind, size, small = reading.tag()
        content = small if small is not None else read_exactly(reading.stream, size, "samples")
        if isinstance(reading.stream, _Inflating):
            reading.stream.expect_end()
    dtype = np.dtype(order + _ALL_TYPES[kind])
    return np.frombuffer(content, dtype).reshape(shape, order="F").astype(dtype.newbyteorder("="), copy=False)
