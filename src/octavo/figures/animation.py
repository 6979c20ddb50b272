"""A pass through the volume: every B-scan in turn, as a GIF that any viewer plays."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.colours import HEAT_OPACITY, OUTLINE, blend_heat
from octavo.figures.framing import PictureStyle, with_caption
from octavo.figures.layers import Layers, display_window, require_heat, require_mask
from octavo.figures.marks import marks_of
from octavo.figures.overlay import bscan_layers, bscan_title, caption_lines, captioned, scale_sentence
from octavo.volume import Volume

MAX_BYTES = 4_000_000
ANIMATION_STYLE = PictureStyle(width_px=512, height_px=384)
"""The size to begin with; it shrinks until the file is small enough."""

# A GIF has 256 colours. Grey without heat needs the most, so that tissue does not fall into bands: 72 + 12 * 15 = 252.
_PLAIN_GREYS = 72
_HEAT_STEPS = 12
_GREYS_UNDER_HEAT = 15
_OUTLINE_ENTRY = _PLAIN_GREYS + _HEAT_STEPS * _GREYS_UNDER_HEAT
_NARROWEST_PX = 96


@cache
def palette(opacity: float = HEAT_OPACITY) -> UInt8[np.ndarray, "entry 3"]:
    """The colours of an animation: greys, then each step of heat over fewer greys, then the outline.

    One palette for all frames, worked out and not searched for, keeps tissue grey, heat coloured and both still from
    one frame to the next.

    Example:
        >>> colours = palette()
        >>> colours.shape, colours[0].tolist(), colours[71].tolist()
        ((253, 3), [0, 0, 0], [255, 255, 255])
    """
    plain = _evenly(_PLAIN_GREYS)[None]
    under = np.broadcast_to(_evenly(_GREYS_UNDER_HEAT), (_HEAT_STEPS, _GREYS_UNDER_HEAT))
    steps = np.broadcast_to(np.arange(1, _HEAT_STEPS + 1)[:, None] / _HEAT_STEPS, under.shape)
    colours = [
        blend_heat(plain, np.zeros(plain.shape), opacity).reshape(-1, 3),
        blend_heat(np.ascontiguousarray(under), np.ascontiguousarray(steps), opacity).reshape(-1, 3),
        np.array([OUTLINE], np.uint8),
    ]
    return np.concatenate(colours)


def _evenly(count: int) -> UInt8[np.ndarray, " grey"]:
    return np.rint(np.linspace(0, 255, count)).astype(np.uint8)


def to_palette(layers: Layers) -> UInt8[np.ndarray, "row column"]:
    """Which colour of the palette each pixel has; heat below a twenty-fourth shows none."""
    step = np.rint(layers.heat * _HEAT_STEPS).astype(np.intp)
    grey = layers.grey.astype(np.float32) / 255
    plain = np.rint(grey * (_PLAIN_GREYS - 1)).astype(np.intp)
    heated = _PLAIN_GREYS + (step - 1) * _GREYS_UNDER_HEAT + np.rint(grey * (_GREYS_UNDER_HEAT - 1)).astype(np.intp)
    entries = np.where(step == 0, plain, heated)
    entries[layers.outline] = _OUTLINE_ENTRY
    return entries.astype(np.uint8)


def animate_bscans(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"] | None = None,
    *,
    mask: Bool[np.ndarray, "bscan depth ascan"] | None = None,
    mask_name: str = "truth",
    map_name: str = "",
    exam_id: str = "",
    notes: Sequence[str] = (),
    frame_ms: int = 120,
    max_bytes: int = MAX_BYTES,
    style: PictureStyle = ANIMATION_STYLE,
) -> bytes:
    """Draw every B-scan of a volume in stored order, one frame each, that plays over and over.

    Each frame is the picture of `overlay_bscan` in 253 colours. If the file is larger than allowed, everything is drawn
    again smaller, so that no B-scan is left out.

    Args:
        volume: The scan, in the orientation it is to be seen in.
        heat: On the volume's grid, from 0 to 1.
        mask: Tissue to draw a line around.
        mask_name: What the line is around.
        map_name: What the heat is.
        exam_id: Whose scan it is.
        notes: Sentences every picture of this exam should bear.
        frame_ms: How long a B-scan is seen; a GIF counts in hundredths of a second.
        max_bytes: How large the file may be.
        style: The size to begin with; captions are always there, since they bear the number of the frame.

    Returns:
        The bytes of a GIF file.

    Raises:
        OctavoError: If heat or mask do not fit the scan, the style has no captions, a frame is shorter than two
            hundredths of a second, or even a very small animation is larger than allowed.
    """
    if heat is not None:
        require_heat(heat, volume.shape)
    if mask is not None:
        require_mask(mask, volume.shape)
    if not style.annotated:
        raise OctavoError("an animation without captions was asked for; wanted them, since each frame bears its number")
    if frame_ms < 20:
        raise OctavoError(f"a frame of {frame_ms} ms was asked for; wanted 20 or more, which viewers can play")
    lines = captioned(caption_lines(volume, heat, mask, mask_name, notes), scale_sentence(volume.spacing_mm, style))
    width_px = style.width_px
    while True:
        shrunk = style.resized(width_px)
        titles = [bscan_title(index, volume.shape[0], map_name) for index in range(volume.shape[0])]
        encoded = _encode(_frames(volume, heat, mask, titles, exam_id, lines, shrunk), frame_ms, style.opacity)
        if len(encoded) <= max_bytes:
            return encoded
        if width_px <= _NARROWEST_PX:
            raise OctavoError(
                f"an animation {width_px} pixels wide has {len(encoded)} bytes; wanted at most {max_bytes}; allow more"
            )
        shrink = min(0.9, 0.97 * (max_bytes / len(encoded)) ** 0.5)
        width_px = max(_NARROWEST_PX, int(width_px * shrink))


def _frames(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"] | None,
    mask: Bool[np.ndarray, "bscan depth ascan"] | None,
    titles: list[str],
    exam_id: str,
    lines: Sequence[str],
    style: PictureStyle,
) -> list[UInt8[np.ndarray, "row column"]]:
    window, marks = display_window(volume.values), marks_of(volume)
    frames = []
    for index, bscan in enumerate(volume.bscans):
        layers = bscan_layers(
            bscan,
            None if heat is None else heat[index],
            volume.spacing_mm,
            window=window,
            mask=None if mask is None else mask[index],
            divider_ascan=None,
            marks=marks,
            style=style,
        )
        frames.append(to_palette(with_caption(layers, titles[index], exam_id, lines)))
    return frames


def _encode(frames: list[UInt8[np.ndarray, "row column"]], frame_ms: int, opacity: float) -> bytes:
    colours = palette(opacity).tobytes()
    images = []
    for frame in frames:
        image = Image.frombytes("P", frame.shape[::-1], frame.tobytes())
        image.putpalette(colours)
        images.append(image)
    stream = io.BytesIO()
    images[0].save(
        stream, format="GIF", save_all=True, append_images=images[1:], duration=frame_ms, loop=0, optimize=False
    )
    return stream.getvalue()
