"""One picture file page to one B-scan of grey values, as bright and as upright as the page says it is to be shown."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num, Shaped

from octavo.formats.errors import VolumeReadError
from octavo.formats.reader import ReadOptions

if TYPE_CHECKING:
    from PIL.Image import Image

LEFT = "left"
"""The key that asks for the left half of each picture."""

LEFT_NOTE = "only the left half of each picture is read, as the key 'left' says"

_TURNS = {2: "from right to left", 3: "turned by 180 degrees", 4: "upside down"}
"""What an orientation says about how rows and columns are stored; 1 is upright, and 5 to 8 lie on their side."""
_ON_ITS_SIDE = range(5, 9)
_ORIENTATION_TAG, _PHOTOMETRIC_TAG, _BITS_TAG = 274, 262, 258
_WHITE_IS_ZERO = 0
_TURNED_BRIGHT = "stored with white as the smallest value; turned over so that bright is large"

_GREY_MODES = {"L": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I": 4, "F": 4}
_CONVERTED_MODES = {"1": "L", "P": "RGBA", "LA": "RGBA", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}


def bytes_per_pixel(image: "Image") -> int:
    """How many bytes a pixel takes while the page is read.

    Raises:
        VolumeReadError: If the page is of a kind that no B-scan is, or that loses bits when it is opened.
    """
    # of several channels Pillow keeps eight bits each
    if image.mode in _CONVERTED_MODES and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        raise VolumeReadError(
            "holds several channels of 16 bits, of which only 8 can be read; wanted grey; save the B-scans as 16-bit grey"
        )
    if image.mode in _GREY_MODES:
        return _GREY_MODES[image.mode]
    if image.mode in _CONVERTED_MODES:
        return 4
    raise VolumeReadError(
        f"holds pictures of mode {image.mode}; wanted grey values; save the B-scans as 8- or 16-bit grey"
    )


def _orientation(image: "Image") -> int:
    """How the page says it is to be turned before it is shown, and nothing else of its EXIF."""
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and value in {*_TURNS, *_ON_ITS_SIDE} else 1


def read_page(image: "Image", *, is_left: bool = False) -> tuple[Num[np.ndarray, "depth ascan"], tuple[str, ...]]:
    """The grey values of a page as it is to be shown, of which the larger are the brighter.

    Args:
        image: The page, not loaded yet.
        is_left: Whether only its left half is the B-scan.

    Returns:
        The grey values, and sentences about what was done to them.

    Raises:
        VolumeReadError: If the page shows real colour, is partly transparent, or cannot be read as it is.
    """
    bytes_per_pixel(image)
    orientation = _orientation(image)
    # Pillow turns a TIFF by itself, and tears its rows if it lies on its side and is not compressed
    if orientation in _ON_ITS_SIDE:
        raise VolumeReadError(
            f"says that it lies on its side (orientation {orientation}); wanted rows that are depth; "
            "turn the picture upright and save it without an orientation"
        )
    stored = getattr(image, "tag_v2", {})
    is_white_zero = stored.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
    bits = stored.get(_BITS_TAG, (1,))[0]
    notes: tuple[str, ...] = ()
    if orientation in _TURNS:
        notes += (f"stored {_TURNS[orientation]}, as the picture says, and turned back",)
        upright = image if image.format == "TIFF" else _turned(image)
    else:
        upright = image
    values = grey_values(left_half(upright) if is_left else upright)
    if is_white_zero:
        notes += (_TURNED_BRIGHT,)
        # Pillow turns over samples of up to 8 bits by itself
        values = values if values.dtype == np.uint8 else _inverted(values, bits)
    return values, notes


def _turned(image: "Image") -> "Image":
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _inverted(values: Num[np.ndarray, "depth ascan"], bits: int) -> Num[np.ndarray, "depth ascan"]:
    if values.dtype != np.uint16:
        raise VolumeReadError(
            f"stores white as the smallest value in samples of type {values.dtype}; wanted black as the smallest; save the "
            "B-scans so"
        )
    return np.uint16(2**bits - 1) - values


def grey_values(image: "Image") -> Num[np.ndarray, "depth ascan"]:
    """The grey values of a page; colour channels are accepted where they agree, as in exports of grey scans.

    Raises:
        VolumeReadError: If the page shows real colour or is partly transparent.
    """
    if image.mode in _GREY_MODES:
        values = np.asarray(image)
        return values.astype(values.dtype.newbyteorder("="))
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    return grey_of_channels(np.asarray(image.convert(_CONVERTED_MODES[image.mode])))


def grey_of_channels(channels: Shaped[np.ndarray, "depth ascan channel"]) -> Num[np.ndarray, "depth ascan"]:
    """The one grey value that red, green and blue agree on.

    Raises:
        VolumeReadError: If they differ anywhere, or a fourth channel makes pixels transparent.

    Example:
        >>> grey_of_channels(np.full((2, 3, 3), 7, np.uint8)).tolist()
        [[7, 7, 7], [7, 7, 7]]
    """
    red = channels[..., 0]
    if (red != channels[..., 1]).any() or (red != channels[..., 2]).any():
        raise VolumeReadError(
            "shows colour (red, green and blue differ); wanted grey B-scans; a fundus photograph or an annotated "
            "picture is no scan: export the B-scans without overlays"
        )
    if channels.shape[-1] > 3 and np.unique(channels[..., 3]).size > 1:
        raise VolumeReadError("is partly transparent; wanted plain grey B-scans; export them without overlays")
    return np.ascontiguousarray(red)


def wants_left_half(options: ReadOptions) -> bool:
    """Whether only the left half of each picture is asked for: some data sets store a B-scan beside its segmentation.

    Raises:
        VolumeReadError: If another key was given, of which pictures have none.
    """
    if options.key == LEFT:
        return True
    if options.binds("key"):
        raise VolumeReadError(
            f"is read from pictures, which hold no arrays, and key {options.key!r} was given; wanted {LEFT!r}, for the "
            "left half of each picture, or none; drop --key"
        )
    return False


def left_half(image: "Image") -> "Image":
    """The left half of a page, as it is stored.

    Raises:
        VolumeReadError: If the page has no two halves of one size.
    """
    if image.width % 2:
        raise VolumeReadError(
            f"is {image.width} columns wide, and its left half was asked for; wanted two halves of one size; "
            "cut the B-scan out yourself, or drop --key"
        )
    return image.crop((0, 0, image.width // 2, image.height))
