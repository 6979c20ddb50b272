"""The list of chunks that a Topcon file is made of.

A file begins with `FOCT`, three letters for its kind (`FDA`, `FDS`, or `FAA` for the front of the eye) and two version
numbers, 15 bytes in all. Chunks follow one after the other: the length of the name in one byte, the name, which begins
with `@`, the size in four bytes, and so many bytes. A name of length 0 ends the file. Everything is little-endian.
These facts are sure.

The list is walked once and by the sizes alone: what a chunk holds is not looked at here, and the chunks with names and
birth dates are looked at nowhere. Where a size is wrong, the walk goes on at the next place that reads like the
beginning of a chunk, so that damage costs one chunk and not the file.
"""

import re
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import read_exactly

MAGIC = b"FOCT"
"""How every file of this kind begins."""

_HEADER_BYTES = 15
_MAX_CHUNKS = 4096
_MAX_DAMAGES = 32
_BLOCK_BYTES = 2**16
_NAME = re.compile(rb"@[A-Z][A-Z0-9_]{2,40}")
_BEGINNING = re.compile(rb"[\x08-\x2a]@")
"""A length and the first letter of a name. Shorter names than any known one are not looked for: noise may read like them."""
_LONGEST_BEGINNING = 48


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a chunk lies in its file.

    Args:
        name: Its name, with the `@`.
        start: The first byte behind its name and size.
        size: How many bytes of it are there.
        promised: How many bytes it says it has.
    """

    name: str
    start: int
    size: int
    promised: int


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """The chunks of a file in their order.

    Args:
        kind: The three letters behind `FOCT`.
        chunks: Everything that was found.
        notes: Where the list is damaged.
    """

    kind: bytes
    chunks: tuple[Chunk, ...]
    notes: tuple[str, ...]

    def named(self, *names: str) -> list[Chunk]:
        """The chunks of these names: all of the first name, then all of the second.

        Example:
            >>> table = ChunkTable(b"FDA", (Chunk("@B", 0, 1, 1), Chunk("@A", 8, 1, 1)), ())
            >>> [chunk.name for chunk in table.named("@A", "@B", "@C")]
            ['@A', '@B']
        """
        return [chunk for name in names for chunk in self.chunks if chunk.name == name]


def read_chunk_table(file: BinaryIO, file_bytes: int) -> ChunkTable:
    """Find every chunk of a file, without reading any.

    Args:
        file: The file.
        file_bytes: How long it is.

    Raises:
        VolumeReadError: If the file does not begin as a Topcon file, or no chunk is found in it.
    """
    file.seek(0)
    header = bytes(read_exactly(file, _HEADER_BYTES, "header"))
    if not header.startswith(MAGIC):
        raise VolumeReadError("does not begin with FOCT; wanted a Topcon .fda or .fds file; check what it is")
    chunks: list[Chunk] = []
    notes: list[str] = []
    position: int | None = _HEADER_BYTES
    while position is not None:
        if len(chunks) == _MAX_CHUNKS or len(notes) == _MAX_DAMAGES:
            notes.insert(0, f"the file has too many chunks or is too damaged; beyond byte {position} it is not read")
            break
        if _is_end(file, position, file_bytes, notes):
            break
        chunk = _chunk_at(file, position)
        if chunk is None:
            notes.append(f"the list of chunks breaks off at byte {position}")
            # The last chunk may be shorter than it says, and reach over the beginning of others.
            end, position = position, _find_beginning(file, chunks[-1].start if chunks else position + 1)
            if chunks and position is not None and position < end:
                chunks[-1] = replace(chunks[-1], size=position - chunks[-1].start)
            continue
        position = chunk.start + chunk.promised
        if position > file_bytes:
            position = _find_beginning(file, chunk.start)
            chunk = replace(chunk, size=(position or file_bytes) - chunk.start)
            notes.append(f"the chunk at byte {chunk.start} promises {chunk.promised} bytes and has {chunk.size}")
        chunks.append(chunk)
    if not chunks:
        raise VolumeReadError(
            "holds no chunk behind its header; wanted a Topcon .fda or .fds file; it is damaged: copy it again"
        )
    return ChunkTable(header[4:7], tuple(chunks), tuple(notes[:4]))


def read_start(file: BinaryIO, chunk: Chunk, count: int) -> bytes | None:
    """The first bytes of a chunk; None if it has fewer."""
    if chunk.size < count:
        return None
    file.seek(chunk.start)
    return bytes(read_exactly(file, count, "chunk"))


def _is_end(file: BinaryIO, position: int, file_bytes: int, notes: list[str]) -> bool:
    """Whether the list ends here, with the mark that says so or because the file does.

    Where a size is wrong, the walk may come upon a zero that is no mark: chunks follow it then.
    """
    if position >= file_bytes:
        notes.append("the file ends without its end mark; chunks that followed are lost")
        return True
    file.seek(position)
    return file.read(1) == b"\0" and (position == file_bytes - 1 or _find_beginning(file, position) is None)


def _chunk_at(file: BinaryIO, position: int) -> Chunk | None:
    """The chunk that begins here, or None where nothing reads like one."""
    file.seek(position)
    length = file.read(1)
    name = file.read(length[0]) if length else b""
    size = file.read(4)
    if not _NAME.fullmatch(name) or len(size) < 4:
        return None
    promised = int(struct.unpack("<I", size)[0])
    return Chunk(name.decode("ascii"), position + 1 + len(name) + 4, promised, promised)


def _find_beginning(file: BinaryIO, position: int) -> int | None:
    """The next place that reads like the beginning of a chunk."""
    file.seek(position)
    offset, window = position, b""
    while block := file.read(_BLOCK_BYTES):
        window += block
        for found in _BEGINNING.finditer(window):
            length = window[found.start()]
            name = window[found.start() + 1 : found.start() + 1 + length]
            is_whole = found.start() + 1 + length + 4 <= len(window)
            if is_whole and _NAME.fullmatch(name):
                return offset + found.start()
        offset += max(len(window) - _LONGEST_BEGINNING, 0)
        window = window[-_LONGEST_BEGINNING:]
    return None
