"""The B-scans of a Topcon file: JPEG 2000 pictures in `.fda`, plain samples in `.fds`.

Sure are the sizes that stand before them and the way they are compressed: `@IMG_JPEG` holds one grey picture after the
other, each behind its size; `@IMG_SCAN_03` and the older `@IMG_SCAN_02` hold samples of 16 bits, row by row. The rows
of the pictures run from the vitreous to the choroid, which a real file shows; of the plain samples readers of the
format say the same. `@IMG_MOT_COMP_03` repeats B-scans after the correction of motion, behind a header of one of two
lengths; it is read only where a file holds nothing else.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_exactly, read_voxel_bytes
from octavo.formats.topcon.chunks import Chunk, ChunkTable, read_start
from octavo.formats.topcon.jpeg2000 import decode_jpeg2000

COMPRESSED = "@IMG_JPEG"
MOTION_CORRECTED = "@IMG_MOT_COMP_03"

_COMPRESSED = struct.Struct("<B8x3I4x")
"""Scan mode; two limits of brightness; columns, rows, B-scans; how they are compressed."""
_PLAIN = {
    "@IMG_SCAN_03": (struct.Struct("<B4IxI"),),
    "@IMG_SCAN_02": (struct.Struct("<B4I8xxI"),),
    MOTION_CORRECTED: (struct.Struct("<B4IxI"), struct.Struct("<B4Ix16xI")),
}
"""Scan mode; columns, rows, bits, B-scans; bytes of samples. One header of motion correction adds four positions."""
_SMALLEST_FRAME = 4 + 60


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """B-scans that a file holds, not read yet.

    Args:
        chunk: Where they lie.
        mode: How they were scanned, by the device's number.
        shape: B-scans, rows along depth, A-scans.
        bits: Of a plain sample; 0 where B-scans are compressed.
        first: How far into the chunk the first one begins.
    """

    chunk: Chunk
    mode: int
    shape: tuple[int, int, int]
    bits: int
    first: int

    @property
    def is_motion_corrected(self) -> bool:
        """Whether these are B-scans after the correction of motion, for want of others."""
        return self.chunk.name == MOTION_CORRECTED


def find_blocks(file: BinaryIO, table: ChunkTable) -> list[FrameBlock]:
    """The blocks of B-scans of a file, in the order of the file; more than one only where a chunk is repeated.

    Raises:
        VolumeReadError: If there are none, or the sizes before one are not what is there.
    """
    for name in (COMPRESSED, *_PLAIN):
        chunks = table.named(name)
        if chunks:
            return [_compressed(file, chunk) if name == COMPRESSED else _plain(file, chunk) for chunk in chunks]
    raise VolumeReadError(
        "holds no B-scans (no chunk IMG_JPEG, IMG_SCAN_03 or IMG_SCAN_02); wanted an OCT scan; the file holds only "
        "photographs, or was cut short: copy or export it again"
    )


def read_frames(file: BinaryIO, block: FrameBlock) -> UInt[np.ndarray, "bscan depth ascan"]:
    """Read the B-scans, as bright as they are stored.

    Raises:
        VolumeReadError: If one is missing, torn, or of another size than stated.
    """
    if block.bits:
        return _read_plain(file, block)
    values: np.ndarray | None = None
    for number, frame in enumerate(_frames(file, block)):
        try:
            picture = decode_jpeg2000(frame, block.shape[1:], 1)
        except VolumeReadError as refusal:
            raise VolumeReadError(f"B-scan {number + 1} {refusal}") from None
        if values is None:
            values = np.empty(block.shape, picture.dtype)
        if picture.dtype != values.dtype:
            raise VolumeReadError(
                f"B-scan {number + 1} is of {picture.dtype} and those before of {values.dtype}; wanted one type; "
                "the file is damaged: export it again"
            )
        values[number] = picture
    if values is None:
        raise VolumeReadError("holds no B-scans; wanted at least one; the file is damaged: export it again")
    return values


def _compressed(file: BinaryIO, chunk: Chunk) -> FrameBlock:
    start = read_start(file, chunk, _COMPRESSED.size)
    if start is None:
        raise _cut_short(chunk)
    mode, columns, rows, frames = _COMPRESSED.unpack(start)
    _check(chunk, (frames, rows, columns), 1)
    if frames * _SMALLEST_FRAME > chunk.size:
        raise VolumeReadError(
            f"header promises {frames} B-scans and {chunk.size} bytes follow; wanted as many B-scans as it says; "
            "the file is cut short or its header is wrong: copy or export it again"
        )
    return FrameBlock(chunk, mode, (frames, rows, columns), 0, _COMPRESSED.size)


def _plain(file: BinaryIO, chunk: Chunk) -> FrameBlock:
    size, needed = -1, 0
    for fields in _PLAIN[chunk.name]:
        start = read_start(file, chunk, fields.size)
        if start is None:
            continue
        mode, columns, rows, bits, frames, size = fields.unpack(start)
        needed = frames * rows * columns * bits // 8
        if bits in {8, 16} and size == needed and chunk.size >= fields.size + size:
            _check(chunk, (frames, rows, columns), bits // 8)
            return FrameBlock(chunk, mode, (frames, rows, columns), bits, fields.size)
    if size < 0:
        raise _cut_short(chunk)
    raise VolumeReadError(
        f"header promises {needed} bytes of samples, states {size} and {chunk.size} are there; wanted all three to agree; "
        "the file is cut short or its header is wrong: copy or export it again"
    )


def _check(chunk: Chunk, shape: tuple[int, int, int], bytes_per_voxel: int) -> None:
    if shape[0] == 0:
        raise VolumeReadError(
            "header promises no B-scans; wanted an OCT scan; a file of photographs alone holds none: name another file"
        )
    check_size(shape, bytes_per_voxel, chunk.size)


def _cut_short(chunk: Chunk) -> VolumeReadError:
    return VolumeReadError(
        f"holds {chunk.size} bytes of B-scans; wanted at least their header; the file is cut short: copy it again"
    )


def _frames(file: BinaryIO, block: FrameBlock) -> Iterator[bytes]:
    """The compressed B-scans one by one, as many as promised and no more."""
    position, end = block.chunk.start + block.first, block.chunk.start + block.chunk.size
    for number in range(block.shape[0] + 1):
        file.seek(position)
        size = int.from_bytes(file.read(4), "little") if position + 4 <= end else 0
        is_whole = 0 < size <= end - position - 4
        if number == block.shape[0]:
            if is_whole:
                raise VolumeReadError(
                    f"header promises {number} B-scans and more follow; wanted as many as it says; "
                    "the header is wrong: export it again"
                )
            return
        if not is_whole:
            raise VolumeReadError(
                f"holds {number} whole B-scans; wanted the {block.shape[0]} that its header promises; "
                "the file is cut short or damaged: copy or export it again"
            )
        yield bytes(read_exactly(file, size, "B-scan"))
        position += 4 + size


def _read_plain(file: BinaryIO, block: FrameBlock) -> UInt[np.ndarray, "bscan depth ascan"]:
    dtype = np.dtype("<u2") if block.bits == 16 else np.dtype("u1")
    size = int(np.prod(block.shape, dtype=np.int64)) * dtype.itemsize
    left_over = block.chunk.size - block.first - size
    if left_over >= size // block.shape[0]:
        raise VolumeReadError(
            f"header promises {block.shape[0]} B-scans and {left_over} bytes follow them; wanted as many as it says; "
            "the header is wrong: export it again"
        )
    file.seek(block.chunk.start + block.first)
    samples = read_voxel_bytes(file, size, "samples").view(dtype)
    return samples.astype(dtype.newbyteorder("="), copy=False).reshape(block.shape)
