"""A picture before it has colours: grey, heat and outline, one on top of the other.

Tissue, marks and captions are grey; heat is a number from 0 to 1; an outline is a line. Still pictures turn the three
into colours, the animation into entries of a small palette, and both show the same.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped, UInt8
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.colours import HEAT_OPACITY, OUTLINE, blend_heat

PAPER_GREY = 16
"""What is around the tissue."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Three layers of the same size in pixels."""

    grey: UInt8[np.ndarray, "row column"]
    heat: Float[np.ndarray, "row column"]
    outline: Bool[np.ndarray, "row column"]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.grey.shape[1], self.grey.shape[0]

    def padded(self, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> "Layers":
        """The same picture with paper around it."""
        around = ((top, bottom), (left, right))
        return Layers(
            np.pad(self.grey, around, constant_values=PAPER_GREY),
            np.pad(self.heat, around),
            np.pad(self.outline, around),
        )


def compose(layers: Layers, opacity: float = HEAT_OPACITY) -> Image.Image:
    """Turn the layers into a picture in colours."""
    colours = blend_heat(layers.grey, layers.heat, opacity)
    colours[layers.outline] = OUTLINE
    return Image.fromarray(colours)


def beside(pictures: list[Layers], gap_px: int) -> Layers:
    """Put pictures in a row, all at the top, with paper between them."""
    height = max(picture.grey.shape[0] for picture in pictures)
    row = [
        picture.padded(left=gap_px if number else 0, bottom=height - picture.grey.shape[0])
        for number, picture in enumerate(pictures)
    ]
    return Layers(
        np.hstack([picture.grey for picture in row]),
        np.hstack([picture.heat for picture in row]),
        np.hstack([picture.outline for picture in row]),
    )


def resized_panel(
    tissue: UInt8[np.ndarray, "row column"],
    heat: Float[np.ndarray, "row column"] | None,
    mask: Bool[np.ndarray, "row column"] | None,
    size_px: tuple[int, int],
) -> Layers:
    """Bring a slice of tissue with its heat and its mask to the size it is shown at.

    Tissue is resampled smoothly, heat linearly (so that it stays between its neighbours), a mask to its nearest sample
    and then to the line around it.

    Args:
        tissue: Grey values.
        heat: From 0 to 1.
        mask: What to draw a line around; the line lies on the inner edge of the mask.
        size_px: Width and height of the picture.
    """
    width, height = size_px
    grey = np.asarray(Image.fromarray(tissue).resize(size_px, Image.Resampling.BICUBIC))
    warm = np.zeros((height, width), np.float32)
    if heat is not None:
        stretched = Image.fromarray(np.ascontiguousarray(heat, np.float32)).resize(size_px, Image.Resampling.BILINEAR)
        warm = np.clip(np.asarray(stretched), 0, 1)
    line = np.zeros((height, width), bool)
    if mask is not None:
        large = Image.fromarray(mask.astype(np.uint8)).resize(size_px, Image.Resampling.NEAREST)
        line = _inner_edge(np.asarray(large) > 0)
    return Layers(grey, warm, line)


def _inner_edge(mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    around = np.pad(mask, 1)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask & ~inside


def display_window(values: Num[np.ndarray, "bscan depth ascan"]) -> tuple[float, float]:
    """Choose the values that are shown as black and as white, once for a whole scan.

    Bytes are shown as they are. Other numbers run from their 0.5th to their 99.7th percentile, of every so many-th
    sample where there are more than a million, so that B-scans of one scan can be compared by eye.

    Example:
        >>> display_window(np.zeros((1, 2, 2), dtype=np.uint8))
        (0.0, 255.0)
    """
    if values.dtype == np.uint8:
        return 0.0, 255.0
    samples = values.ravel()[:: max(1, values.size // 1_000_000)]
    low, high = np.percentile(samples, [0.5, 99.7])
    return float(low), float(high)


def to_grey(values: Num[np.ndarray, "row column"], window: tuple[float, float]) -> UInt8[np.ndarray, "row column"]:
    """Show values as bytes from black to white; where the window is empty (a constant scan) all is middle grey."""
    low, high = window
    if values.dtype == np.uint8 and window == (0.0, 255.0):
        return values
    if high <= low:
        return np.full(values.shape, 128, np.uint8)
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def require_heat(heat: Shaped[np.ndarray, "..."], shape: tuple[int, ...]) -> None:
    """Refuse heat that does not lie on the scan's grid or is not between 0 and 1.

    Heat is scaled once for the whole exam: a slice scaled by its own maximum would look as hot as any other.

    Raises:
        OctavoError: If the shape differs, or a value is below 0, above 1 or not a number.

    Example:
        >>> require_heat(np.full((2, 3), 7.0), (2, 3))
        Traceback (most recent call last):
        octavo.errors.OctavoError: heat runs from 7 to 7; wanted 0 to 1; divide the map by its maximum over the exam
    """
    if heat.shape != shape:
        raise OctavoError(
            f"heat has shape {heat.shape} and the scan {shape}; wanted the same; resample the heat to the scan's grid"
        )
    if heat.size and not np.isfinite(heat).all():
        raise OctavoError("heat holds values that are not numbers; wanted 0 to 1; mend the map before it is drawn")
    low, high = float(heat.min()), float(heat.max())
    if low < 0 or high > 1 + 1e-5:
        raise OctavoError(
            f"heat runs from {low:.6g} to {high:.6g}; wanted 0 to 1; divide the map by its maximum over the exam"
        )


def require_mask(mask: Shaped[np.ndarray, "..."], shape: tuple[int, ...]) -> None:
    """Refuse a mask that does not lie on the scan's grid.

    Raises:
        OctavoError: If the shape differs.
    """
    if mask.shape != shape:
        raise OctavoError(
            f"the mask has shape {mask.shape} and the scan {shape}; wanted the same; resample it to the scan's grid"
        )
