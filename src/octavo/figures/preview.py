"""A first look at a scan: the middle B-scan with its surfaces, the mean along depth, and the pictures that come with it."""

import io
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num, UInt8

from octavo.companions import Companions, EnFace
from octavo.figures.colours import SERIES
from octavo.volume import ScanPattern, SlowAxis, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

_PANEL_PX = 512
_GAP_PX = 12
_CAPTION_PX = 24
_PAPER = (32, 32, 32)
_INK = (224, 224, 224)
_MOST_STRETCHED = 3.0


def draw_preview(volume: Volume, companions: Companions | None = None) -> bytes:
    """Draw the middle B-scan, beside it the mean along depth, and beside these what comes with the scan, as a PNG.

    B-scan and mean are drawn to the same scale in millimetres where these are known. A raster that starts inferior is
    turned so that superior is up; patterns that fill no area have no picture from above. Surfaces are lines on the B-scan.
    """
    from PIL import Image, ImageDraw, ImageFont

    companions = companions or Companions()
    middle = volume.shape[0] // 2
    bscan = _panel(volume, volume.values[middle], (1, 2))
    _draw_surfaces(bscan, volume, companions, middle)
    title = f"B-scan {middle + 1} of {volume.shape[0]}"
    if companions.surfaces:
        title += ", surfaces " + ", ".join(surface.name for surface in companions.surfaces[:4])
        title += ", ..." if len(companions.surfaces) > 4 else ""
    pictures = [(_title(volume, title, (1, 2)), bscan)]
    if volume.shape[0] > 1 and volume.pattern in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        title, from_above = _from_above(volume)
        pictures.append((_title(volume, title, (0, 2)), _panel(volume, from_above, (0, 2))))
    pictures += [(f"{picture.kind.value} {picture.name}".strip(), _en_face(picture)) for picture in companions.pictures]
    width = sum(picture.width + _GAP_PX for _, picture in pictures) + _GAP_PX
    height = max(picture.height for _, picture in pictures) + _CAPTION_PX + 2 * _GAP_PX
    canvas = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    left = _GAP_PX
    for title, picture in pictures:
        canvas.paste(picture, (left, _GAP_PX))
        pen.text((left, _GAP_PX + picture.height + 4), title, fill=_INK, font=font)
        left += picture.width + _GAP_PX
    stream = io.BytesIO()
    canvas.save(stream, format="PNG")
    return stream.getvalue()


def _draw_surfaces(picture: "Image", volume: Volume, companions: Companions, bscan: int) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(picture)
    across, down = picture.width / volume.shape[2], picture.height / volume.shape[1]
    for number, surface in enumerate(companions.surfaces):
        if surface.depth.shape != (volume.shape[0], volume.shape[2]):
            continue
        depth = surface.depth[bscan]
        colour = SERIES[number % len(SERIES)]
        for column in range(len(depth) - 1):
            if np.isfinite(depth[column : column + 2]).all():
                ends = [((column + k + 0.5) * across, (float(depth[column + k]) + 0.5) * down) for k in (0, 1)]
                pen.line(ends, fill=colour, width=2)


def _from_above(volume: Volume) -> tuple[str, Num[np.ndarray, "bscan ascan"]]:
    mean = volume.values.mean(axis=1, dtype=np.float32)
    if volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR:
        return "mean along depth, superior up", mean[::-1]
    if volume.slow_axis is SlowAxis.SUPERIOR_TO_INFERIOR:
        return "mean along depth, superior up", mean
    return "mean along depth, first B-scan up", mean


def _title(volume: Volume, title: str, axes: tuple[int, int]) -> str:
    sizes = [volume.spacing_mm.values_mm[axis] for axis in axes]
    return f"{title}, proportions unknown" if None in sizes else title


def _panel(volume: Volume, values: Num[np.ndarray, "row column"], axes: tuple[int, int]) -> "Image":
    from PIL import Image

    row_mm, column_mm = (volume.spacing_mm.values_mm[axis] for axis in axes)
    rows, columns = values.shape
    stretch = min(max(rows / columns, 1 / _MOST_STRETCHED), _MOST_STRETCHED)
    if row_mm is not None and column_mm is not None:
        stretch = (rows * row_mm) / (columns * column_mm)
    height = min(max(round(_PANEL_PX * stretch), 8), int(_MOST_STRETCHED * _PANEL_PX))
    return Image.fromarray(_grey(values)).resize((_PANEL_PX, height), Image.Resampling.BILINEAR).convert("RGB")


def _en_face(picture: EnFace) -> "Image":
    from PIL import Image

    values = picture.values
    rows, columns = values.shape[:2]
    row_mm, column_mm = picture.spacing_mm or (1.0, 1.0)
    height = min(max(round(_PANEL_PX * rows * row_mm / (columns * column_mm)), 8), int(_MOST_STRETCHED * _PANEL_PX))
    shown = Image.fromarray(values if values.ndim == 3 and values.dtype == np.uint8 else _grey(values))
    return shown.resize((_PANEL_PX, height), Image.Resampling.BILINEAR).convert("RGB")


def _grey(values: Num[np.ndarray, "row column *channel"]) -> UInt8[np.ndarray, "row column *channel"]:
    low, high = np.percentile(values, [0.5, 99.5])
    scaled = (values.astype(np.float64) - low) / max(float(high - low), 1e-12)
    return (scaled.clip(0, 1) * 255).astype(np.uint8)
