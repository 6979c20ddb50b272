"""The samples of an HDF5 array: compact, contiguous, or in chunks that a B-tree finds, deflated and shuffled."""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_exactly, read_voxel_bytes

_DEFLATE, _SHUFFLE = 1, 2
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_UNDEFINED = 2**64 - 1
_MOST_NODES = 2**16
_CURE = "save it in MATLAB with -v7, or with -v7.3 again"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where samples lie: in the header itself, in one block, or in chunks below a tree."""

    kind: int
    address: int = 0
    chunk: tuple[int, ...] = ()
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What was done to each chunk, in order."""

    filters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    offset: tuple[int, ...]
    address: int
    size: int
    skipped: int


def parse_layout(body: bytes, shape: tuple[int, ...], itemsize: int) -> Layout:
    """Read the layout message of an array.

    Raises:
        VolumeReadError: If it is of another version, or its chunks do not fit the array.
    """
    body = body.ljust(24, b"\0")
    version, kind = body[0], body[1]
    if version != 3 or kind not in {_COMPACT, _CONTIGUOUS, _CHUNKED}:
        raise VolumeReadError(f"stores samples by layout {version}.{kind}, which is not read; wanted 3; {_CURE}")
    needed = math.prod(shape) * itemsize
    if kind == _COMPACT:
        size = struct.unpack_from("<H", body, 2)[0]
        _check_stored(size, needed)
        return Layout(kind, content=body[4 : 4 + needed])
    if kind == _CONTIGUOUS:
        address, size = struct.unpack_from("<QQ", body, 2)
        _check_stored(size, needed)
        return Layout(kind, address)
    rank, address = struct.unpack_from("<BQ", body, 2)
    if rank != len(shape) + 1 or len(body) < 11 + 4 * rank:
        raise VolumeReadError(f"chunks have {rank - 1} axes, and the array {len(shape)}; wanted as many; {_CURE}")
    *chunk, stated = struct.unpack_from(f"<{rank}I", body, 11)
    if 0 in chunk or stated != itemsize:
        raise VolumeReadError(f"chunks are of samples of {stated} bytes; wanted {itemsize}; {_CURE}")
    return Layout(kind, address, tuple(chunk))


def parse_pipeline(body: bytes) -> Pipeline:
    """Read the filter message of an array.

    Raises:
        VolumeReadError: If a filter is neither deflate nor shuffle.
    """
    version, count = body[0], body[1]
    at = 8 if version == 1 else 2
    filters = []
    for _ in range(count):
        kind = struct.unpack_from("<H", body, at)[0]
        if kind not in {_DEFLATE, _SHUFFLE}:
            raise VolumeReadError(f"chunks went through filter {kind}; wanted deflate and shuffle only; {_CURE}")
        named = version == 1
        name_length = struct.unpack_from("<H", body, at + 2)[0] if named else 0
        values = struct.unpack_from("<H", body, at + (6 if named else 4))[0]
        at += (8 + name_length + 4 * (values % 2) if named else 6) + 4 * values
        filters.append(kind)
    return Pipeline(tuple(filters))


def read_samples(
    stream: BinaryIO,
    file_bytes: int,
    base: int,
    layout: Layout,
    pipeline: Pipeline,
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> Num[np.ndarray, "..."]:
    """Read an array, slowest axis first.

    Raises:
        VolumeReadError: If a chunk is missing, torn, or unpacks to another size than its own.
    """
    needed = check_size(shape, dtype.itemsize, file_bytes)
    if layout.kind == _COMPACT:
        return np.frombuffer(layout.content, dtype).reshape(shape)
    if layout.kind == _CONTIGUOUS:
        if layout.address + base + needed > file_bytes:
            raise VolumeReadError(
                f"samples are said to lie at byte {layout.address + base}, and {needed} bytes do not fit there; "
                "wanted them inside the file; the file is cut short: copy or save it again"
            )
        stream.seek(layout.address + base)
        return read_voxel_bytes(stream, needed).view(dtype).reshape(shape)
    chunks = _find_chunks(stream, file_bytes, base, layout, shape)
    values = np.empty(shape, dtype)
    for chunk in chunks:
        place = tuple(
            slice(start, min(start + length, whole))
            for start, length, whole in zip(chunk.offset, layout.chunk, shape, strict=True)
        )
        inside = tuple(slice(0, part.stop - part.start) for part in place)
        stream.seek(chunk.address + base)
        packed = bytes(read_exactly(stream, chunk.size))
        values[place] = _unpacked(packed, chunk, layout, pipeline, dtype)[inside]
    return values


def _check_stored(size: int, needed: int) -> None:
    if size < needed:
        raise VolumeReadError(f"{size} bytes of samples are stored; wanted the {needed} of its lengths; {_CURE}")


def _find_chunks(stream: BinaryIO, file_bytes: int, base: int, layout: Layout, shape: tuple[int, ...]) -> list[_Chunk]:
    """Every chunk of an array, each once, or a refusal."""
    rank = len(shape)
    key = 8 + 8 * (rank + 1)
    found: dict[tuple[int, ...], _Chunk] = {}
    nodes, seen = [layout.address], set()
    for node in nodes:
        if node in seen or len(nodes) > _MOST_NODES:
            raise VolumeReadError(f"the tree of chunks goes round in a circle; wanted an end; {_CURE}")
        seen.add(node)
        if node == _UNDEFINED or node + base + 24 > file_bytes:
            raise VolumeReadError(f"the tree of chunks lies beyond the end; wanted it inside the file; {_CURE}")
        stream.seek(node + base)
        header = bytes(read_exactly(stream, 24, "tree"))
        if not header.startswith(b"TREE\x01"):
            raise VolumeReadError(f"the chunks are not where the array says; wanted their tree there; {_CURE}")
        level, count = header[5], struct.unpack_from("<H", header, 6)[0]
        body = bytes(read_exactly(stream, count * (key + 8), "tree"))
        for at in range(0, len(body), key + 8):
            size, skipped, *offset = struct.unpack_from(f"<II{rank + 1}Q", body, at)
            address = struct.unpack_from("<Q", body, at + key)[0]
            if level:
                nodes.append(address)
                continue
            chunk = _Chunk(tuple(offset[:rank]), address, size, skipped)
            _check_chunk(chunk, layout, shape, file_bytes - base)
            found[chunk.offset] = chunk
    wanted = math.prod(-(-whole // length) for whole, length in zip(shape, layout.chunk, strict=True))
    if len(found) != wanted:
        raise VolumeReadError(
            f"{len(found)} of {wanted} chunks are there; wanted all; the file is damaged or was never finished: {_CURE}"
        )
    return list(found.values())


def _check_chunk(chunk: _Chunk, layout: Layout, shape: tuple[int, ...], file_bytes: int) -> None:
    inside = all(
        start < whole and start % length == 0
        for start, whole, length in zip(chunk.offset, shape, layout.chunk, strict=True)
    )
    if not inside or chunk.address + chunk.size > file_bytes:
        raise VolumeReadError(f"a chunk lies outside the array or the file; wanted it inside both; {_CURE}")


def _unpacked(
    packed: bytes, chunk: _Chunk, layout: Layout, pipeline: Pipeline, dtype: np.dtype
) -> Num[np.ndarray, "..."]:
    needed = check_size(layout.chunk, dtype.itemsize, len(packed))
    for number, kind in reversed(list(enumerate(pipeline.filters))):
        if chunk.skipped >> number & 1:
            continue
        if kind == _DEFLATE:
            stream = zlib.decompressobj()
            packed = stream.decompress(packed, needed + 1)
            if len(packed) == needed:
                # one more step lets zlib look at its checksum
                packed += stream.decompress(stream.unconsumed_tail, 1)
            if not stream.eof:
                raise VolumeReadError(
                    f"a chunk is torn or unpacks to more than its size; wanted {needed} bytes; {_CURE}"
                )
        else:
            packed = np.frombuffer(packed, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
    if len(packed) != needed:
        raise VolumeReadError(f"a chunk holds {len(packed)} bytes; wanted the {needed} of its lengths; {_CURE}")
    return np.frombuffer(packed, dtype).reshape(layout.chunk)
