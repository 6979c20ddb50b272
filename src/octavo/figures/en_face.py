"""The scan and its heat seen from the front, as one looks at the fundus."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from PIL import Image

from octavo.errors import OctavoError, ScanUnsuitableError, unknown_name
from octavo.figures.framing import Edges, PictureStyle, Scale, dashed, panel_size_px, with_caption, with_edges
from octavo.figures.layers import Layers, beside, compose, require_heat, require_mask, resized_panel, to_grey
from octavo.figures.lettering import LINE_PX, write_text
from octavo.figures.marks import describe_direction, describe_eye, is_shown_turned_over, marks_of
from octavo.figures.overlay import middle, require_divided
from octavo.volume import ScanPattern, SlowAxis, Volume

REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max}
"""What becomes of the heat of one A-scan: its mean (heat that fills the depth counts more) or its hottest sample."""

EN_FACE_STYLE = PictureStyle(width_px=320, height_px=320)
"""The size of one panel."""

_TICK_PX = 14


def en_face(values: Num[np.ndarray, "bscan depth ascan"], reduction: str = "mean") -> Float[np.ndarray, "bscan ascan"]:
    """Reduce every A-scan to one number.

    Args:
        values: A scan, or the heat on its grid.
        reduction: One of `REDUCTIONS`.

    Raises:
        OctavoError: If the reduction is not known.

    Example:
        >>> en_face(np.array([[[0.0], [1.0]]]), "mean"), en_face(np.array([[[0.0], [1.0]]]), "max")
        (array([[0.5]]), array([[1.]]))
    """
    if reduction not in REDUCTIONS:
        raise OctavoError(unknown_name("a reduction over depth", reduction, REDUCTIONS))
    return REDUCTIONS[reduction](values, axis=1).astype(np.float64)


def picture_en_face(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"] | None = None,
    *,
    reductions: Sequence[str] = ("mean", "max"),
    mask: Bool[np.ndarray, "bscan depth ascan"] | None = None,
    mask_name: str = "truth",
    marked_bscans: Sequence[int] = (),
    divided: Collection[str] = (),
    map_name: str = "",
    exam_id: str = "",
    notes: Sequence[str] = (),
    style: PictureStyle = EN_FACE_STYLE,
) -> Image.Image:
    """Draw a raster from the front, alone and with its heat, one panel beside the other.

    The fast axis is horizontal. Superior is at the top where the direction is known: a raster that starts inferior is
    turned over for the picture, and the numbers of its B-scans say so. The tissue is the mean over depth. Colours of a
    panel run from 0 to the largest value in it, which stands at its colour bar, since a mean over depth is far below 1.
    Where millimetres are not known the panel is a square and the caption says "not to scale".

    Args:
        volume: The scan, in the orientation it is to be seen in.
        heat: On the volume's grid, from 0 to 1.
        reductions: A panel for each: `mean` or `max` over depth.
        mask: Tissue to draw a line around, wherever it is in depth.
        mask_name: What the line is around.
        marked_bscans: B-scans that get a tick at the left, counted from 0, such as those shown beside.
        divided: Axes along which the model halves the scan (`bscan`, `ascan`); a dashed line stands at each middle.
        map_name: What the heat is.
        exam_id: Whose scan it is.
        notes: Sentences every picture of this exam should bear.
        style: Size and opacity of one panel.

    Raises:
        ScanUnsuitableError: If the scan is not a raster of several B-scans, which alone has a front.
        OctavoError: If heat or mask do not fit the scan, or it has no such B-scan, axis or reduction.
    """
    _require_front(volume)
    if heat is not None:
        require_heat(heat, volume.shape)
    if mask is not None:
        require_mask(mask, volume.shape)
    require_divided(divided)
    outside = [index + 1 for index in marked_bscans if not 0 <= index < volume.shape[0]]
    if outside:
        raise OctavoError(f"ticks at B-scans {outside} were asked for; the scan has 1 to {volume.shape[0]}")
    tissue = en_face(volume.values)
    low, high = np.percentile(tissue, [0.5, 99.5])
    grey = to_grey(tissue, (float(low), float(high)))
    line = None if mask is None else np.any(mask, axis=1)
    panels = [_panel(volume, (grey, None, line), "scan, mean over depth", "", marked_bscans, divided, style)]
    for reduction in reductions:
        if heat is None:
            break
        seen = en_face(heat, reduction)
        top = float(seen.max())
        warm = seen / top if top > 0 else seen
        name = f"heat, {reduction} over depth"
        panels.append(_panel(volume, (grey, warm, line), name, f"{top:.2g}", marked_bscans, divided, style))
    picture = beside(panels, 12 if style.annotated else 4)
    if style.annotated:
        title = "En face" + (f" · {map_name}" if map_name else "")
        lines = _caption_lines(volume, heat, mask, mask_name, marked_bscans, divided)
        picture = with_caption(picture, title, exam_id, [" ".join(lines), *notes])
    return compose(picture, style.opacity)


def _require_front(volume: Volume) -> None:
    if volume.shape[0] < 2 or volume.pattern not in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        raise ScanUnsuitableError(
            f"an en-face picture of a {volume.pattern} scan of {volume.shape[0]} B-scan(s) was asked for; "
            "wanted a raster of several B-scans; look at its B-scans instead"
        )


def _scale(volume: Volume) -> Scale:
    spacing = volume.spacing_mm
    if spacing.bscan is None or spacing.ascan is None:
        return Scale()
    return Scale(volume.shape[2] * spacing.ascan, volume.shape[0] * spacing.bscan)


def _panel(
    volume: Volume,
    seen: tuple[UInt8[np.ndarray, "bscan ascan"], np.ndarray | None, np.ndarray | None],
    name: str,
    heat_top: str,
    marked_bscans: Sequence[int],
    divided: Collection[str],
    style: PictureStyle,
) -> Layers:
    """Draw tissue, heat and mask with lines and ticks and, unless it is bare, marks and a name around it."""
    bscans, _, ascans = volume.shape
    turned = is_shown_turned_over(volume)
    width, height = panel_size_px(_scale(volume), (1, 1), style)
    panel = resized_panel(*seen, (width, height))
    if turned:
        panel = Layers(panel.grey[::-1], panel.heat[::-1], panel.outline[::-1])
    if "bscan" in divided:
        row = middle(volume, "bscan") * height / bscans
        panel = dashed(panel, row=round(height - row if turned else row))
    if "ascan" in divided:
        panel = dashed(panel, column=round(middle(volume, "ascan") * width / ascans))
    outline = panel.outline.copy()
    for index in marked_bscans:
        row = (index + 0.5) * height / bscans
        tick = min(int(height - row if turned else row), height - 2)
        outline[tick : tick + 2, :_TICK_PX] = True
    panel = Layers(panel.grey, panel.heat, outline)
    if not style.annotated:
        return panel
    marks = marks_of(volume)
    top, bottom = f"{marks.bscan_first} · B-scan 1", f"{marks.bscan_last} · B-scan {bscans}"
    if volume.slow_axis is SlowAxis.UNKNOWN:
        top, bottom = "B-scan 1", f"B-scan {bscans}"
    if turned:
        top, bottom = bottom, top
    edges = Edges(left=marks.ascan_first, right=marks.ascan_last, top=top, bottom=bottom)
    framed, (left, _) = with_edges(panel, edges, _scale(volume), heat_top=heat_top)
    framed = framed.padded(top=LINE_PX + 4)
    return Layers(write_text(framed.grey, [((left, 6), "la", name)]), framed.heat, framed.outline)


def _caption_lines(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"] | None,
    mask: Bool[np.ndarray, "bscan depth ascan"] | None,
    mask_name: str,
    marked_bscans: Sequence[int],
    divided: Collection[str],
) -> list[str]:
    scale = "To scale." if _scale(volume).is_known else "Not to scale: millimetres are not known."
    lines = [describe_eye(volume), scale, describe_direction(volume)]
    if is_shown_turned_over(volume):
        lines.append("Turned over here so that superior is at the top.")
    if heat is not None and not heat.any():
        lines.append("This map is zero everywhere.")
    if mask is not None:
        lines.append(f"Blue line: {mask_name}." if mask.any() else f"Blue line: {mask_name} (none in this exam).")
    if marked_bscans:
        numbers = ", ".join(str(index + 1) for index in sorted(marked_bscans))
        lines.append(f"Blue ticks: B-scan{'s' if len(marked_bscans) > 1 else ''} {numbers}.")
    if divided:
        lines.append("Dashed: the middle between the halves.")
    return lines
