"""One JPEG 2000 picture of a Topcon file, decoded after its own header was compared with what it should be."""

import io
import struct

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError

_CODESTREAM = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_BOXES = b"\0\0\0\x0cjP  "
_FREE_PIXELS = 2**20
_MAX_RATIO = 1000
"""Beyond `_FREE_PIXELS`, how many pixels a byte may stand for: noise, of which scans are full, compresses far less."""
_MAX_TILES = 4096
_SIZE = struct.Struct(">HH8IH")
_TILE, _SAMPLES = 0x90, 0x93
_STYLES = {0x52: (0, 10), 0x53: (1, 7)}
"""Markers of a coding style: where it says that it states precincts, and where these begin."""
_SMALLEST_PRECINCT = 4
"""As a power of two. A decoder keeps a record of each precinct, so that tiny ones take far more memory than the picture."""


def decode_jpeg2000(frame: bytes, shape: tuple[int, int], channels: int) -> Num[np.ndarray, "row column *channel"]:
    """Decode one picture whose size is known.

    Args:
        frame: The bytes, as a bare codestream or in JP2 boxes.
        shape: Rows and columns that it must have.
        channels: 1 for grey, 3 for three colours, which come last.

    Raises:
        VolumeReadError: If it is no such picture, is cut short, or cannot be decoded.
    """
    from PIL import Image

    _check_codestream(frame, shape, channels)
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG2000",)) as image:
            size = (image.height, image.width)
            values = np.asarray(image) if size == shape else np.empty(0)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise VolumeReadError(
            f"cannot be decoded as JPEG 2000 ({type(error).__name__}); wanted a complete picture; "
            "the file is damaged: copy or export it again"
        ) from error
    if values.shape != (shape if channels == 1 else (*shape, channels)) or values.dtype not in (np.uint8, np.uint16):
        raise VolumeReadError(
            f"is decoded to {values.shape} of {values.dtype}; wanted {shape[0]} x {shape[1]} with {channels} channels of "
            "8 or 16 bits; the file is damaged: export it again"
        )
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _check_codestream(frame: bytes, shape: tuple[int, int], channels: int) -> None:
    """Compare what a picture says of itself with what it should be, before a decoder sees it."""
    start = frame.find(_CODESTREAM, 0, 4096) if frame.startswith(_BOXES) else 0
    if start < 0 or not frame.startswith(_CODESTREAM, start) or len(frame) < start + 4 + _SIZE.size + 3 * channels:
        raise VolumeReadError(
            "does not begin as JPEG 2000 does; wanted a JPEG 2000 picture; the file is damaged: copy or export it again"
        )
    length, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, count = _SIZE.unpack_from(
        frame, start + 4
    )
    components = frame[start + 4 + _SIZE.size : start + 4 + _SIZE.size + 3 * channels]
    whole = all(components[k + 1] == components[k + 2] == 1 for k in range(0, 3 * channels, 3))
    if (bottom - top, right - left) != shape or count != channels or not whole:
        raise VolumeReadError(
            f"states {bottom - top} x {right - left} pixels and {count} channels itself; wanted the {shape[0]} x "
            f"{shape[1]} and {channels} of its header; the file is damaged or its header is wrong: export it again"
        )
    across = -(-(right - tile_left) // tile_width) if tile_width else _MAX_TILES + 1
    down = -(-(bottom - tile_top) // tile_height) if tile_height else _MAX_TILES + 1
    pixels = shape[0] * shape[1] * channels
    too_empty = pixels > _FREE_PIXELS and pixels > _MAX_RATIO * len(frame)
    if across * down > _MAX_TILES or too_empty or _has_tiny_precincts(frame, start + 4 + length):
        raise VolumeReadError(
            f"promises {pixels} samples from {len(frame)} bytes in {across} x {down} tiles; wanted a picture that an OCT "
            "device writes; the file is damaged or hostile: export it again"
        )
    # Behind the end mark some writers fill up with zeros.
    if not frame.rstrip(b"\0").endswith(_END):
        raise VolumeReadError(
            "ends without the end mark of JPEG 2000; wanted a complete picture; the file is cut short: copy it again"
        )


def _has_tiny_precincts(frame: bytes, position: int) -> bool:
    """Whether a coding style, of the picture or of one of its tiles, divides it more finely than any writer does.

    The headers are walked marker by marker, and the samples of each tile skipped by their stated length.
    """
    tile_end = 0
    while position + 4 <= len(frame) and frame[position] == 0xFF and frame[position + 1] != _END[1]:
        marker = frame[position + 1]
        if marker == _SAMPLES:
            # Only the last tile may leave its length open.
            if tile_end <= position:
                return False
            position = tile_end
            continue
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        content = frame[position + 4 : position + 2 + length]
        if marker == _TILE and len(content) == 8:
            stated = int.from_bytes(content[2:6], "big")
            tile_end = position + stated if stated else 0
        flag, first = _STYLES.get(marker, (0, 0))
        exponents = content[first:] if first and len(content) > first and content[flag] & 1 else b""
        if length < 2 or any(min(byte & 15, byte >> 4) < _SMALLEST_PRECINCT for byte in exponents):
            return True
        position += 2 + length
    return False
