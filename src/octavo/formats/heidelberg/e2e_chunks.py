"""The chunks of a Heidelberg `.E2E` file: where each lies, whose it is, and whether its bytes are those that were written.

The file is a row of blocks, little-endian, each of which begins with a mark of twelve bytes: chunks (`MDbData`: a header of
60 bytes, then the payload) and directories (`MDbDir`: 52 bytes, then 44 for each of up to 512 chunks). Directories also
point at one another in a chain. Some files begin with 64 further bytes, which no position in the file counts.

Blocks are found by their marks, one behind the other, and the chain is never followed: a damaged block costs itself and
nothing else, and pointers that lead astray or in circles do no harm. A chunk's payload is guarded by a sum (0x12435687 and
every byte of it), a directory's entry by another (0x87654321 and its fields); so where both tell whose a chunk is, the
directory is believed, and an entry without a chunk tells what has been lost. Both sums hold in the files seen.

Of most kinds of chunks only the header is read; those that name a patient are among them.
"""

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

from octavo.formats.errors import VolumeReadError

IMAGE = 0x40000000
BSCAN_INFO = 10004
CONTOUR = 10019
SERIES_EYE, SCAN_EYE, IMAGE_EYE = 11, 3, 5
PICTURE_MODALITY = 9007
_WANTED = {IMAGE, BSCAN_INFO, CONTOUR, SERIES_EYE, SCAN_EYE, IMAGE_EYE, PICTURE_MODALITY}

MAGICS = (b"CMDb", b"E2EMultipleVolumeFile")
_PREFIX_BYTES = 64
_MARK = re.compile(rb"MDb(?:Data\0{5}|Dir\0{6})")
_MARK_BYTES = 12
_LARGEST_BLOCK = 2**20
_MOST_CHUNKS = 150_000
_MOST_DIRECTORIES = 300
_SUM_OF_PAYLOAD = 0x12435687
_SUM_OF_ENTRY = 0x87654321

_CHUNK_HEADER = struct.Struct("<12s5I4ihHII")
_DIRECTORY_HEADER = struct.Struct("<36xI12x")
_ENTRY = np.dtype(
    [
        *[("own_at", "<u4"), ("at", "<u4"), ("size", "<u4"), ("zero", "<u4")],
        *[("patient", "<i4"), ("study", "<i4"), ("series", "<i4"), ("slice", "<i4"), ("index", "<i2")],
        *[("filler", "<u2"), ("kind", "<u4"), ("entry_sum", "<u4")],
    ]
)


@dataclass(slots=True)
class _Whose:
    """What chunk headers and entries of directories both tell."""

    at: int
    size: int
    series: "Series"
    slice: int
    index: int
    kind: int


class Series(NamedTuple):
    """The numbers by which the file knows one examination; they stay inside the reader."""

    patient: int
    study: int
    series: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a kind that is read."""

    series: Series
    slice: int
    """Twice the number of the B-scan, or -1 for what belongs to the whole series."""
    index: int
    """0 for the picture of the fundus, 1 for the B-scan."""
    kind: int
    at: int
    """Where the payload begins in the file."""
    size: int
    """Bytes of the payload that are there."""
    payload_sum: int
    """What the payload must add up to; -1 for a chunk that a directory lists and that is not there."""


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """What a file holds of the kinds that are read."""

    chunks: tuple[Chunk, ...]
    """In the order of the file."""
    lost: tuple[Chunk, ...]
    """What directories list and is not where they say."""


def read_chunk_table(file: BinaryIO) -> ChunkTable:
    """Find the chunks of a file by their marks.

    Raises:
        VolumeReadError: If it holds more chunks than any such file.
    """
    size = file.seek(0, 2)
    file.seek(0)
    base = _PREFIX_BYTES if file.read(len(MAGICS[1])) == MAGICS[1] else 0
    headers: dict[int, tuple[_Whose, int, int]] = {}
    entries: dict[int, _Whose] = {}
    at, chunks, directories = _next_mark(file, 0, size), 0, 0
    while at < size:
        file.seek(at)
        head = file.read(_CHUNK_HEADER.size)
        is_directory = head.startswith(b"MDbDir")
        chunks, directories = chunks + (not is_directory), directories + is_directory
        if chunks > _MOST_CHUNKS or directories > _MOST_DIRECTORIES:
            raise VolumeReadError(
                f"holds more than {_MOST_CHUNKS} chunks or {_MOST_DIRECTORIES} directories; wanted a Heidelberg .E2E "
                "file; the file is damaged or hostile: export it again"
            )
        if is_directory:
            entries.update((base + entry.at, entry) for entry in _entries(file, at))
            at = _next_mark(file, at + _MARK_BYTES, size)
            continue
        if len(head) < _CHUNK_HEADER.size:
            break
        _, payload_sum, _, _, stated, _, *series, slice_, index, _, kind, _ = _CHUNK_HEADER.unpack(head)
        end = _end_of_chunk(file, at, stated, size)
        if kind in _WANTED or at in entries:
            headers[at] = _Whose(at, stated, Series(*series), slice_, index, kind), payload_sum, end
        at = end
    found = [
        _chunk(entries.get(at, header), payload_sum, at + _CHUNK_HEADER.size, end)
        for at, (header, payload_sum, end) in sorted(headers.items())
    ]
    lost = [_chunk(entry, -1, 0, 0) for at, entry in sorted(entries.items()) if at not in headers]
    return ChunkTable(
        tuple(chunk for chunk in found if chunk.kind in _WANTED),
        tuple(chunk for chunk in lost if chunk.kind in _WANTED),
    )


def payload_of(file: BinaryIO, chunk: Chunk, most: int | None = None) -> bytes:
    """The bytes of a chunk, or only the first so many."""
    file.seek(chunk.at)
    return file.read(chunk.size if most is None else min(most, chunk.size))


def is_intact(chunk: Chunk, payload: bytes) -> bool:
    """Whether the whole payload adds up to what its header says."""
    total = int(np.frombuffer(payload, np.uint8).sum(dtype=np.uint64))
    return (_SUM_OF_PAYLOAD + total) & 0xFFFFFFFF == chunk.payload_sum


def _next_mark(file: BinaryIO, at: int, size: int) -> int:
    """Where the next block begins; `size` if none does. Reads little where the mark is near."""
    block = 4096
    while at + _MARK_BYTES <= size:
        file.seek(at)
        piece = file.read(block)
        found = _MARK.search(piece)
        if found is not None:
            return at + found.start()
        if len(piece) < _MARK_BYTES:
            break
        at += len(piece) - _MARK_BYTES + 1
        block = min(2 * block, _LARGEST_BLOCK)
    return size


def _end_of_chunk(file: BinaryIO, at: int, stated: int, size: int) -> int:
    """Where the next block begins: where the header says, if a mark or the end of the file is there."""
    end = at + _CHUNK_HEADER.size + stated
    if end == size:
        return end
    if end < size:
        file.seek(end)
        if _MARK.match(file.read(_MARK_BYTES)):
            return end
    return _next_mark(file, at + _MARK_BYTES, size)


def _entries(file: BinaryIO, at: int) -> list[_Whose]:
    """The entries of a directory that are in use and whose sums hold."""
    file.seek(at)
    head = file.read(_DIRECTORY_HEADER.size)
    if len(head) < _DIRECTORY_HEADER.size:
        return []
    count = min(_DIRECTORY_HEADER.unpack(head)[0], 512)
    content = file.read(count * _ENTRY.itemsize)
    entries = np.frombuffer(content[: len(content) // _ENTRY.itemsize * _ENTRY.itemsize], _ENTRY)
    names = [name for name in _ENTRY.names or () if name not in {"filler", "entry_sum"}]
    total = np.sum([entries[name].astype(np.int64) for name in names], axis=0) + _SUM_OF_ENTRY
    good = entries[(total & 0xFFFFFFFF == entries["entry_sum"]) & (entries["size"] > 4)]
    return [
        _Whose(at, size, Series(patient, study, series), slice_, index, kind)
        for _, at, size, _, patient, study, series, slice_, index, _, kind, _ in good.tolist()
    ]


def _chunk(whose: _Whose, payload_sum: int, begin: int, end: int) -> Chunk:
    return Chunk(
        whose.series,
        slice=whose.slice,
        index=whose.index,
        kind=whose.kind,
        at=begin,
        size=max(0, min(whose.size, end - begin)),
        payload_sum=payload_sum,
    )
