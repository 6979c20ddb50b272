"""Letters in pictures: captions, marks and scale bars, in one font that comes with the package's own dependencies."""

import importlib.util
import math
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from octavo.errors import OctavoError

INK_GREY = 235
QUIET_GREY = 165
TEXT_PX = 14
LINE_PX = 20


@cache
def lettering(bold: bool = False, size_px: int = TEXT_PX) -> ImageFont.FreeTypeFont:
    """The font of every picture.

    It is found without importing matplotlib, whose package it lies in, because pictures should not wait for it.

    Raises:
        OctavoError: If the font is not where matplotlib keeps it.
    """
    package = importlib.util.find_spec("matplotlib")
    folders = package.submodule_search_locations if package else None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(folders[0] if folders else "", "mpl-data", "fonts", "ttf", name)
    if not path.is_file():
        raise OctavoError(f"{name} is not in the installed matplotlib; wanted its fonts; install matplotlib again")
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)


def text_width_px(text: str, bold: bool = False) -> int:
    """How wide a line of text is."""
    return math.ceil(lettering(bold).getlength(text))


def shortened(text: str, width_px: int, bold: bool = False) -> str:
    """Make a line fit by leaving out its middle, since both ends of an exam's name tell exams apart.

    Example:
        >>> shortened("exam_0000000000000000_left", 100)
        'exam_0…_left'
    """
    line = " ".join(text.split())
    if text_width_px(line, bold) <= width_px:
        return line
    for kept in range(len(line) - 1, 0, -1):
        shorter = f"{line[: (kept + 1) // 2]}…{line[len(line) - kept // 2 :]}"
        if text_width_px(shorter, bold) <= width_px:
            return shorter
    return "…"


def wrapped(text: str, width_px: int) -> list[str]:
    """Break a sentence into lines that fit; a word that is too long on its own is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width_px(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(shortened(word, width_px))
    return lines


def write_text(
    grey: UInt8[np.ndarray, "row column"],
    texts: list[tuple[tuple[int, int], str, str]],
    *,
    bold: bool = False,
    ink: int = INK_GREY,
) -> UInt8[np.ndarray, "row column"]:
    """Write lines of text on grey paper.

    Args:
        grey: The paper; it is not changed.
        texts: For each text its position (column, row), its anchor as Pillow spells it (`la` left top, `mm` middle) and
            the text.
        bold: Whether the letters are bold.
        ink: The grey of the letters.

    Returns:
        A copy with the text on it.
    """
    image = Image.fromarray(grey)
    drawing = ImageDraw.Draw(image)
    for position, anchor, text in texts:
        drawing.text(position, text, fill=ink, font=lettering(bold), anchor=anchor)
    return np.array(image)


def round_length_mm(extent_mm: float) -> float:
    """The longest of 1, 2 or 5 times a power of ten that is at most a quarter of an extent, for a scale bar.

    Example:
        >>> round_length_mm(5.7), round_length_mm(1.9), round_length_mm(0.5)
        (1.0, 0.2, 0.1)
    """
    longest = extent_mm / 4
    power = math.floor(math.log10(longest) + 1e-9)
    for step in (5, 2):
        if step * 10.0**power <= longest * (1 + 1e-9):
            return round(step * 10.0**power, 9)
    return round(10.0**power, 9)


def length_text(length_mm: float) -> str:
    """A length as people write it: micrometres below a tenth of a millimetre.

    Example:
        >>> length_text(0.5), length_text(0.05)
        ('0.5 mm', '50 µm')
    """
    return f"{length_mm:g} mm" if length_mm >= 0.0999 else f"{length_mm * 1000:g} µm"
