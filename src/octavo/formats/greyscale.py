"""One picture file page to one B-scan of grey values."""

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

_GREY_MODES = {"L": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I": 4, "F": 4}
_CONVERTED_MODES = {"1": "L", "P": "RGBA", "LA": "RGBA", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}


def bytes_per_pixel(image: "Image") -> int:
    """How many bytes a pixel takes while the page is read.

    Raises:
        VolumeReadError: If the page is of a kind that no B-scan is.
    """
    if image.mode in _GREY_MODES:
        return _GREY_MODES[image.mode]
    if image.mode in _CONVERTED_MODES:
        return 4
    raise VolumeReadError(
        f"holds pictures of mode {image.mode}; wanted grey values; save the B-scans as 8- or 16-bit grey"
    )


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
    bytes_per_pixel(image)
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
