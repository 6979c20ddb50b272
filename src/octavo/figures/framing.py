"""What stands around the tissue: marks at its sides, scale bars, a colour bar and a caption."""

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.colours import HEAT_OPACITY
from octavo.figures.layers import PAPER_GREY, Layers
from octavo.figures.lettering import (
    INK_GREY,
    LINE_PX,
    QUIET_GREY,
    TEXT_PX,
    length_text,
    round_length_mm,
    shortened,
    text_width_px,
    wrapped,
    write_text,
)

DISCLAIMER = "Research use, not a medical device."
_GAP_PX = 8
_BAR_PX = 3
_COLOUR_BAR_PX = 14
_COLOUR_BAR_GREY = 96
_NARROWEST_CAPTION_PX = 340


@dataclass(frozen=True)
class PictureStyle:
    """How large a picture is and how its heat is laid on.

    Args:
        width_px: The tissue is at most that wide.
        height_px: The tissue is at most that high.
        opacity: How much of the tissue the hottest heat covers.
        depth_magnification: How many times larger than true depth is drawn; anything but 1 is said in the caption.
        annotated: Whether marks, scale bars, colour bar and caption stand around the tissue. Without them there is
            only tissue, heat and outline, as for a thumbnail beside its own text.

    Raises:
        OctavoError: If a size is not positive or the opacity not between 0 and 1.
    """

    width_px: int = 768
    height_px: int = 576
    opacity: float = HEAT_OPACITY
    depth_magnification: float = 1.0
    annotated: bool = True

    def __post_init__(self) -> None:
        if min(self.width_px, self.height_px) < 1 or not self.depth_magnification > 0:
            raise OctavoError(
                f"a picture of {self.width_px} x {self.height_px} pixels with depth magnified "
                f"{self.depth_magnification:g} times; wanted numbers above zero"
            )
        if not 0 <= self.opacity <= 1:
            raise OctavoError(f"opacity is {self.opacity:g}; wanted 0 (no heat is seen) to 1 (it covers the tissue)")

    def resized(self, width_px: int) -> "PictureStyle":
        """The same style at another width, with the height in proportion.

        Example:
            >>> PictureStyle(width_px=400, height_px=200).resized(100).height_px
            50
        """
        height_px = max(1, round(self.height_px * width_px / self.width_px))
        return dataclasses.replace(self, width_px=width_px, height_px=height_px)


THUMBNAIL = PictureStyle(width_px=220, height_px=140, annotated=False)
"""Small and bare: the picture of an exam in a table."""


@dataclass(frozen=True)
class Scale:
    """The true size of a panel: millimetres from edge to edge across and down, None where not known."""

    across_mm: float | None = None
    down_mm: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the panel can be drawn true to millimetres."""
        return self.across_mm is not None and self.down_mm is not None


@dataclass(frozen=True)
class Edges:
    """The words at the four sides of a panel, empty for none."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


def panel_size_px(scale: Scale, unscaled: tuple[int, int], style: PictureStyle) -> tuple[int, int]:
    """Width and height of a panel: true to millimetres where known, as large as the style allows.

    Args:
        scale: The panel's extent; what `depth_magnification` magnifies must already be in it.
        unscaled: Samples across and down, the proportions where millimetres are not known; but no side is then drawn
            more than three times longer than the other.
        style: The largest width and height.

    Example:
        >>> panel_size_px(Scale(6.0, 2.0), (512, 496), PictureStyle())
        (768, 256)
    """
    across, down = scale.across_mm, scale.down_mm
    if across is None or down is None:
        longest = 3.0 * min(unscaled)
        across, down = min(unscaled[0], longest), min(unscaled[1], longest)
    factor = min(style.width_px / across, style.height_px / down)
    return max(1, round(across * factor)), max(1, round(down * factor))


def with_edges(
    panel: Layers, edges: Edges, scale: Scale, *, magnification: float = 1.0, heat_top: str = ""
) -> tuple[Layers, tuple[int, int]]:
    """Put marks, scale bars and a colour bar around a panel.

    Args:
        panel: Tissue, heat and outline.
        edges: The words at the sides.
        scale: Its true extent; without it there are no scale bars.
        magnification: How many times larger than true the rows are drawn.
        heat_top: The number at the top of the colour bar; empty for no colour bar.

    Returns:
        The framed picture, and the column and row at which the panel begins in it.
    """
    width, height = panel.size_px
    bar_text, (across_px, down_px) = _scale_bars(panel.size_px, scale, magnification)
    left = max(text_width_px(edges.left, bold=True), 0) + 3 * _GAP_PX
    top = LINE_PX + _GAP_PX if edges.top else _GAP_PX
    right = text_width_px(edges.right, bold=True) + 2 * _GAP_PX
    bar_column = left + width + right
    if heat_top:
        right += _COLOUR_BAR_PX + 2 * _GAP_PX + text_width_px(heat_top)
    text_beside_bar = left + across_px + 2 * _GAP_PX
    below = _GAP_PX + LINE_PX if bar_text or edges.bottom else _GAP_PX
    text_below = bool(bar_text and edges.bottom)
    bottom = below + LINE_PX if text_below else below
    room_for_text = text_width_px(bar_text) + (left if text_below else text_beside_bar)
    right = max(right, room_for_text + _GAP_PX - left - width)
    picture = panel.padded(left, top, right, bottom)

    grey, heat = picture.grey.copy(), picture.heat.copy()
    mark_row = top + (height // 2 if height > 6 * LINE_PX or edges.top else min(height, LINE_PX) // 2)
    marks = [
        ((left - 2 * _GAP_PX, mark_row), "rm", edges.left),
        ((left + width + _GAP_PX, mark_row), "lm", edges.right),
        ((left + width // 2, top - _GAP_PX // 2), "mb", edges.top),
        ((left + width // 2, top + height + LINE_PX // 2 + 2), "mm", edges.bottom),
    ]
    grey = write_text(grey, [mark for mark in marks if mark[2]], bold=True)
    if bar_text:
        grey[top + height - down_px : top + height, left - 2 * _BAR_PX : left - _BAR_PX] = INK_GREY
        grey[top + height + _BAR_PX : top + height + 2 * _BAR_PX, left : left + across_px] = INK_GREY
        place = (left, top + height + LINE_PX + 2) if text_below else (text_beside_bar - _GAP_PX, top + height + 1)
        grey = write_text(grey, [(place, "la", bar_text)], ink=QUIET_GREY)
    if heat_top:
        grey = _draw_colour_bar(grey, heat, (bar_column, top, height), heat_top)
    return Layers(grey, heat, picture.outline), (left, top)


def _scale_bars(size_px: tuple[int, int], scale: Scale, magnification: float) -> tuple[str, tuple[int, int]]:
    if scale.across_mm is None or scale.down_mm is None:
        return "", (0, 0)
    across_mm, down_mm = round_length_mm(scale.across_mm), round_length_mm(scale.down_mm)
    across_px = max(1, round(size_px[0] * across_mm / scale.across_mm))
    down_px = max(1, round(size_px[1] * down_mm / scale.down_mm))
    text = f"{length_text(across_mm)} across, {length_text(down_mm)} down"
    if across_mm == down_mm:
        text = length_text(across_mm)
    if magnification != 1:
        text += f" (drawn {magnification:g} times larger)"
    return text, (across_px, down_px)


def _draw_colour_bar(grey: np.ndarray, heat: np.ndarray, place: tuple[int, int, int], heat_top: str) -> np.ndarray:
    """Draw a bar of all heats over middle grey; `place` is its first column, its first row and its height."""
    column, row, height = place
    bar = (slice(row, row + height), slice(column, column + _COLOUR_BAR_PX))
    grey[bar] = _COLOUR_BAR_GREY
    heat[bar] = np.linspace(1, 0, height)[:, None]
    beside = column + _COLOUR_BAR_PX + _GAP_PX // 2
    labels = [((beside, row), "la", heat_top)]
    if height > 2 * TEXT_PX:
        labels.append(((beside, row + height), "ls", "0"))
    return write_text(grey, labels, ink=QUIET_GREY)


def with_caption(picture: Layers, title: str, exam_id: str = "", lines: Sequence[str] = ()) -> Layers:
    """Write a caption under a picture; every picture says that it is for research.

    Args:
        picture: What the caption is about.
        title: What is seen; shortened where it does not fit.
        exam_id: The exam, on a line of its own; shortened in its middle where it does not fit.
        lines: Sentences, broken where they do not fit.
    """
    picture = picture.padded(right=max(0, _NARROWEST_CAPTION_PX - picture.size_px[0]))
    width, height = picture.size_px
    room = width - 2 * _GAP_PX
    heading = [shortened(title, room, bold=True)] if title else []
    body = [shortened(exam_id, room)] if exam_id else []
    body += [line for sentence in lines for line in wrapped(sentence, room)]
    closing = wrapped(DISCLAIMER, room)
    count = len(heading) + len(body) + len(closing)
    picture = picture.padded(bottom=_GAP_PX + LINE_PX * count + _GAP_PX)
    places = [(_GAP_PX, height + _GAP_PX + LINE_PX * number) for number in range(count)]
    spots = iter(places)
    grey = write_text(picture.grey, [(next(spots), "la", line) for line in heading], bold=True)
    grey = write_text(grey, [(next(spots), "la", line) for line in body])
    grey = write_text(grey, [(next(spots), "la", line) for line in closing], ink=QUIET_GREY)
    return Layers(grey, picture.heat, picture.outline)


def dashed(panel: Layers, *, column: int | None = None, row: int | None = None) -> Layers:
    """Draw a dashed line down a column or along a row of a panel, light and dark so that it shows on any tissue."""
    grey, heat, outline = panel.grey.copy(), panel.heat.copy(), panel.outline.copy()
    for layer, blank in ((grey, None), (heat, 0), (outline, False)):
        for line in _lines(layer, column, row):
            dashes = np.arange(line.size) // 5 % 2 == 0
            line[:] = np.where(dashes, INK_GREY, PAPER_GREY) if blank is None else blank
    return Layers(grey, heat, outline)


def _lines(layer: np.ndarray, column: int | None, row: int | None) -> list[np.ndarray]:
    return ([] if column is None else [layer[:, column]]) + ([] if row is None else [layer[row]])


def encode_png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file; the same picture gives the same bytes."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()
