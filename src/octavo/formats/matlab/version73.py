"""MATLAB files of version 7.3: HDF5 behind a header of MATLAB's, as `save -v7.3` writes them.

Of HDF5 this reads what such files are made of, by the published "HDF5 File Format Specification": superblocks 0 to 3,
groups of symbol tables or of links in the header, and arrays that are compact, contiguous or in chunks, plain or
deflated and shuffled. It is written in Python with every size and address checked, because the HDF5 library itself can
be crashed by a hostile file. What is stored in another way is refused with the cure.

HDF5 states lengths slowest first, MATLAB fastest first: an array of 512 x 1000 x 100 stands as 100 x 1000 x 512.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size
from octavo.formats.matlab.array import DEEPEST, MOST_ARRAYS, MatlabArray, is_plain
from octavo.formats.matlab.hdf5_samples import Layout, Pipeline, parse_layout, parse_pipeline, read_samples

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_SIGNATURE_PLACES = (0, 512, 1024, 2048)
_UNDEFINED = 2**64 - 1
_LONGEST_BLOCK = 2**20
_LONGEST_NAME = 128
_SHORTEST_BLOCK = 2**10
_MOST_BYTES = 2**26
_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _LAYOUT, _PIPELINE, _CONTINUATION, _TABLE = 1, 2, 3, 6, 8, 11, 16, 17
_CURE = "save it in MATLAB with -v7, or with -v7.3 again"


@dataclass
class _File:
    """An HDF5 file: addresses count from its base, and every read is checked against its size."""

    stream: BinaryIO
    size: int
    base: int = 0
    bytes_read: int = 0
    arrays: dict[str, MatlabArray] = field(default_factory=dict)

    def at(self, address: int, count: int) -> bytes:
        """So many bytes from an address."""
        self.bytes_read += max(count, _SHORTEST_BLOCK)
        if self.bytes_read > _MOST_BYTES or count > _LONGEST_BLOCK:
            raise VolumeReadError(f"its directory is larger than any scan's; wanted a small one; {_CURE}")
        if address + self.base + count > self.size:
            raise VolumeReadError(
                f"a block of {count} bytes is said to lie at byte {address + self.base}, beyond the end; "
                "wanted it inside the file; the file is cut short: copy or save it again"
            )
        self.stream.seek(address + self.base)
        return self.stream.read(count)


def list_arrays(path: Path) -> dict[str, MatlabArray]:
    """Every real array of a file by its name; `scan.images` lies in a structure.

    Cells and arrays of structures keep their parts elsewhere in the file and are not followed.

    Raises:
        VolumeReadError: If an address or size cannot be, or the file is stored in a way that is not read.
    """
    with path.open("rb") as stream:
        file = _File(stream, path.stat().st_size)
        root = _root(file)
        _walk_group(file, path, root, "", frozenset())
        return file.arrays


def _root(file: _File) -> int:
    """The address of the root group's header."""
    for place in _SIGNATURE_PLACES:
        file.stream.seek(place)
        beginning = file.stream.read(96)
        if beginning.startswith(SIGNATURE):
            break
    else:
        raise VolumeReadError(f"holds no HDF5 signature; wanted one behind MATLAB's header; {_CURE}")
    beginning = beginning.ljust(96, b"\0")
    version = beginning[8]
    old = version in {0, 1}
    if version > 3 or beginning[13 if old else 9 : 15 if old else 11] != b"\x08\x08":
        raise VolumeReadError(f"is HDF5 of superblock {version} or with unusual addresses; wanted 0 to 3; {_CURE}")
    if old:
        start = 24 if version == 0 else 28
        base, _, end, _, _, header = struct.unpack_from("<6Q", beginning, start)
    else:
        base, _, end, header = struct.unpack_from("<4Q", beginning, 12)
    # Addresses count from where the signature truly stands, whatever the file says.
    file.base = place
    end += place - base
    if end > file.size:
        raise VolumeReadError(
            f"header promises {end} bytes, and the file holds {file.size}; wanted all of them; "
            "the file is cut short: copy or save it again"
        )
    return int(header)


def _walk_group(file: _File, path: Path, address: int, prefix: str, above: frozenset[int]) -> None:
    if len(above) > DEEPEST:
        return
    if address in above:
        raise VolumeReadError(f"a structure holds itself; wanted a tree; {_CURE}")
    messages = _messages(file, address)
    for name, inner in _links(file, messages):
        full = f"{prefix}.{name}" if prefix else name
        if not is_plain(full) or name.startswith("#"):
            continue
        parts = _messages(file, inner)
        kinds = {kind for kind, _ in parts}
        if {_DATASPACE, _DATATYPE, _LAYOUT} <= kinds:
            _list_dataset(file, path, full, parts)
        elif kinds & {_TABLE, _LINK, _LINK_INFO}:
            _walk_group(file, path, inner, full, above | {address})


def _messages(file: _File, address: int) -> list[tuple[int, bytes]]:
    """Everything an object's header says, by kind."""
    beginning = file.at(address, 16)
    if beginning.startswith(b"OHDR"):
        return list(_new_messages(file, address, beginning))
    if beginning[0] != 1:
        raise VolumeReadError(f"an object has a header of kind {beginning[0]}; wanted 1 or 2; {_CURE}")
    found, blocks, seen = [], [(address + 16, struct.unpack_from("<I", beginning, 8)[0])], {address}
    for start, length in blocks:
        block = file.at(start, length)
        at = 0
        while at + 8 <= length:
            kind, size = struct.unpack_from("<HH", block, at)
            body = block[at + 8 : at + 8 + size]
            at += 8 + size
            found.append((kind, body))
            if kind == _CONTINUATION:
                blocks.append(_next_block(body, seen))
    return found


def _new_messages(file: _File, address: int, beginning: bytes) -> Iterator[tuple[int, bytes]]:
    flags = beginning[5]
    at = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    width = 1 << (flags & 3)
    first = int.from_bytes(file.at(address + at, width), "little")
    tag = 6 if flags & 4 else 4
    blocks, seen = [(address + at + width, first)], {address}
    for start, length in blocks:
        block = file.at(start, length)
        at = 0
        while at + tag <= length:
            kind, size = struct.unpack_from("<BH", block, at)
            body = block[at + tag : at + tag + size]
            at += tag + size
            yield kind, body
            if kind == _CONTINUATION:
                place, count = _next_block(body, seen)
                if count < 8 or file.at(place, 4) != b"OCHK":
                    raise VolumeReadError(f"an object's header goes on where nothing is; wanted its rest; {_CURE}")
                # A mark in front, a checksum behind.
                blocks.append((place + 4, count - 8))


def _next_block(body: bytes, seen: set[int]) -> tuple[int, int]:
    place, count = struct.unpack_from("<QQ", body.ljust(16, b"\0"))
    if place in seen:
        raise VolumeReadError(f"an object's header goes round in a circle; wanted an end; {_CURE}")
    seen.add(place)
    return place, count


def _links(file: _File, messages: list[tuple[int, bytes]]) -> Iterator[tuple[str, int]]:
    """Names and addresses of what a group holds."""
    for kind, body in messages:
        if kind == _TABLE:
            tree, heap = struct.unpack_from("<QQ", body.ljust(16, b"\xff"))
            yield from _symbols(file, tree, heap)
        elif kind == _LINK:
            yield from _link(body)
        elif kind == _LINK_INFO and struct.unpack_from("<Q", body.ljust(32, b"\xff"), 10 if body[1] & 1 else 2)[0] != (
            _UNDEFINED
        ):
            raise VolumeReadError(f"keeps the names of a large group in a heap, which is not read; {_CURE}")


def _link(body: bytes) -> Iterator[tuple[str, int]]:
    flags = body[1]
    at = 2
    if flags & 8:
        if body[at]:
            return
        at += 1
    at += 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    length = int.from_bytes(body[at : at + width], "little")
    at += width
    yield _name(body[at : at + length]), struct.unpack_from("<Q", body, at + length)[0]


def _symbols(file: _File, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    beginning = file.at(heap, 32)
    if not beginning.startswith(b"HEAP"):
        raise VolumeReadError(f"the names of a group are not where it says; wanted a heap of names; {_CURE}")
    length, _, place = struct.unpack_from("<QQQ", beginning, 8)
    names = file.at(place, length)
    seen: set[int] = set()
    found = 0
    nodes = [tree]
    for node in nodes:
        if node in seen:
            raise VolumeReadError(f"the tree of a group goes round in a circle; wanted an end; {_CURE}")
        seen.add(node)
        header = file.at(node, 24)
        if header.startswith(b"SNOD"):
            count = struct.unpack_from("<H", header, 6)[0]
            found += count
            _refuse_too_many(found)
            entries = file.at(node + 8, 40 * count)
            for at in range(0, len(entries), 40):
                offset, address = struct.unpack_from("<QQ", entries, at)
                yield _name(names[offset : offset + _LONGEST_NAME].split(b"\0", 1)[0]), address
        elif header.startswith(b"TREE") and header[4] == 0:
            count = struct.unpack_from("<H", header, 6)[0]
            body = file.at(node + 24, 16 * count + 8)
            nodes += [struct.unpack_from("<Q", body, 8 + 16 * child)[0] for child in range(count)]
        else:
            raise VolumeReadError(f"the tree of a group has something else in it; wanted its nodes; {_CURE}")
        _refuse_too_many(len(nodes))


def _refuse_too_many(count: int) -> None:
    if count > MOST_ARRAYS:
        raise VolumeReadError(f"holds more than {MOST_ARRAYS} arrays; wanted fewer; save one scan per file")


def _name(content: bytes) -> str:
    return content.decode("ascii", errors="replace")


def _list_dataset(file: _File, path: Path, name: str, messages: list[tuple[int, bytes]]) -> None:
    parts: dict[int, bytes] = {}
    for kind, body in messages:
        parts.setdefault(kind, body)
    dtype = _dtype(parts[_DATATYPE])
    shape = _shape(parts[_DATASPACE])
    if dtype is None or not shape or 0 in shape:
        return
    _refuse_too_many(len(file.arrays) + 1)
    check_size(shape, dtype.itemsize, file.size)
    layout = parse_layout(parts[_LAYOUT], shape, dtype.itemsize)
    pipeline = parse_pipeline(parts[_PIPELINE]) if _PIPELINE in parts else Pipeline()
    read = partial(_read, path, file.base, layout, pipeline, shape, dtype)
    file.arrays[name] = MatlabArray(shape[::-1], dtype.newbyteorder("="), file.size, read)


def _shape(body: bytes) -> tuple[int, ...]:
    """Lengths slowest first; nothing for a single value or none at all."""
    version, rank = body[0], body[1]
    if version not in {1, 2} or rank > 32:
        raise VolumeReadError(f"an array has lengths of version {version} on {rank} axes; wanted 1 or 2; {_CURE}")
    start = 8 if version == 1 else 4
    return tuple(int(length) for length in struct.unpack_from(f"<{rank}Q", body, start))


def _dtype(body: bytes) -> np.dtype | None:
    """The type of the samples; None for text, structures and whatever else is no plain number."""
    kind, bits, size = body[0] & 0x0F, body[1], struct.unpack_from("<I", body, 4)[0]
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in {1, 2, 4, 8}:
        return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    if kind == 1 and size in {4, 8}:
        return np.dtype(f"{order}f{size}")
    return None


def _read(
    path: Path, base: int, layout: Layout, pipeline: Pipeline, shape: tuple[int, ...], dtype: np.dtype
) -> Num[np.ndarray, "..."]:
    with path.open("rb") as stream:
        values = read_samples(stream, path.stat().st_size, base, layout, pipeline, shape, dtype)
    return values.astype(dtype.newbyteorder("="), copy=False).T
