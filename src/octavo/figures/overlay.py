"""One B-scan with heat: what the network saw, and where it looked."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Num
from PIL import Image

from octavo.anatomy import flips_to_right_eye
from octavo.errors import OctavoError, unknown_name
from octavo.figures.framing import Edges, PictureStyle, Scale, dashed, panel_size_px, with_caption, with_edges
from octavo.figures.layers import Layers, compose, display_window, require_heat, require_mask, resized_panel, to_grey
from octavo.figures.marks import Marks, describe_direction, describe_eye, marks_of
from octavo.volume import AXES, Spacing, Volume


def overlay_bscan(
    bscan: Num[np.ndarray, "depth ascan"],
    heat: Float[np.ndarray, "depth ascan"] | None,
    spacing: Spacing,
    *,
    window: tuple[float, float] | None = None,
    mask: Bool[np.ndarray, "depth ascan"] | None = None,
    divider_ascan: int | None = None,
    marks: Marks | None = None,
    title: str = "",
    exam_id: str = "",
    lines: Sequence[str] = (),
    style: PictureStyle | None = None,
) -> Image.Image:
    """Draw a B-scan in grey and lay heat over it.

    The picture is true to millimetres where both spacings are known. Where they are not, the caption says "not to
    scale" and a sample is as high as it is wide, unless that makes a thin strip. Heat covers the tissue in proportion,
    so that where there is none the scan is exactly what it was.

    Args:
        bscan: The tissue, vitreous first.
        heat: From 0 to 1, where 1 is the hottest voxel of the whole exam; None for the scan alone.
        spacing: Only `depth` and `ascan` are used.
        window: The values shown as black and as white; chosen from this B-scan alone if not given. B-scans of one scan
            should share one (`display_window`).
        mask: Tissue to draw a line around, such as the planted truth of a phantom.
        divider_ascan: The A-scan before which a dashed line is drawn.
        marks: What stands at the two sides.
        title: What is seen, in bold.
        exam_id: Whose scan it is.
        lines: Sentences below the title.
        style: Size, opacity and magnification.

    Raises:
        OctavoError: If heat or mask are not on the B-scan's grid, or the heat is not between 0 and 1.

    Example:
        >>> tissue = np.full((100, 300), 80, dtype=np.uint8)
        >>> bare = PictureStyle(width_px=300, annotated=False)
        >>> picture = overlay_bscan(tissue, None, Spacing(depth=0.01, ascan=0.01), style=bare)
        >>> picture.size, picture.getpixel((5, 5))
        ((300, 100), (80, 80, 80))
    """
    style = style or PictureStyle()
    layers = bscan_layers(
        bscan,
        heat,
        spacing,
        window=window or display_window(bscan[None]),
        mask=mask,
        divider_ascan=divider_ascan,
        marks=marks or Marks(),
        style=style,
    )
    if style.annotated:
        layers = with_caption(layers, title, exam_id, captioned(lines, scale_sentence(spacing, style)))
    return compose(layers, style.opacity)


def bscan_layers(
    bscan: Num[np.ndarray, "depth ascan"],
    heat: Float[np.ndarray, "depth ascan"] | None,
    spacing: Spacing,
    *,
    window: tuple[float, float],
    mask: Bool[np.ndarray, "depth ascan"] | None,
    divider_ascan: int | None,
    marks: Marks,
    style: PictureStyle,
) -> Layers:
    """The layers of `overlay_bscan` before they have colours and a caption."""
    if heat is not None:
        require_heat(heat, bscan.shape)
    if mask is not None:
        require_mask(mask, bscan.shape)
    depth, ascan = bscan.shape
    scale = Scale()
    if spacing.depth is not None and spacing.ascan is not None:
        scale = Scale(ascan * spacing.ascan, depth * spacing.depth * style.depth_magnification)
    size_px = panel_size_px(scale, (ascan, depth), style)
    panel = resized_panel(to_grey(bscan, window), heat, mask, size_px)
    if divider_ascan is not None:
        panel = dashed(panel, column=min(round(divider_ascan * size_px[0] / ascan), size_px[0] - 1))
    if not style.annotated:
        return panel
    true_scale = Scale(scale.across_mm, scale.down_mm and scale.down_mm / style.depth_magnification)
    framed, _ = with_edges(
        panel,
        Edges(left=marks.ascan_first, right=marks.ascan_last),
        true_scale,
        magnification=style.depth_magnification,
        heat_top="" if heat is None else "1",
    )
    return framed


def captioned(lines: Sequence[str], scale: str) -> list[str]:
    """Put the sentence about the scale behind those about the scan, before any notes."""
    return [" ".join([*lines[:1], scale]), *lines[1:]]


def scale_sentence(spacing: Spacing, style: PictureStyle) -> str:
    """Say whether a B-scan is drawn true to millimetres."""
    if spacing.depth is None or spacing.ascan is None:
        return "Not to scale: millimetres are not known."
    if style.depth_magnification != 1:
        return f"To scale, except that depth is drawn {style.depth_magnification:g} times larger."
    return "To scale."


def picture_bscan(
    volume: Volume,
    index: int,
    heat: Float[np.ndarray, "bscan depth ascan"] | None = None,
    *,
    mask: Bool[np.ndarray, "bscan depth ascan"] | None = None,
    mask_name: str = "truth",
    map_name: str = "",
    exam_id: str = "",
    divided: Collection[str] = (),
    notes: Sequence[str] = (),
    style: PictureStyle | None = None,
) -> Image.Image:
    """Draw one B-scan of a volume with everything the volume knows: eye, direction, millimetres.

    Args:
        volume: The scan, in the orientation it is to be seen in.
        index: Which B-scan, counted from 0; the caption counts from 1.
        heat: On the volume's grid, from 0 to 1, where 1 is the hottest voxel of the exam.
        mask: Tissue to draw a line around.
        mask_name: What the line is around.
        map_name: What the heat is, such as `grad-cam`.
        exam_id: Whose scan it is.
        divided: Axes along which the model halves the scan; for `ascan` a dashed line stands between the macular and
            the nerve half (the other axes are not cut by a B-scan).
        notes: Sentences every picture of this exam should bear, such as what the model learnt from.
        style: Size, opacity and magnification.

    Raises:
        OctavoError: If the volume has no such B-scan, or heat or mask do not fit it.
    """
    count = volume.shape[0]
    if not 0 <= index < count:
        raise OctavoError(f"B-scan {index + 1} was asked for; the scan has 1 to {count}; choose one of them")
    if heat is not None:
        require_heat(heat, volume.shape)
    if mask is not None:
        require_mask(mask, volume.shape)
    require_divided(divided)
    return overlay_bscan(
        volume.values[index],
        None if heat is None else heat[index],
        volume.spacing_mm,
        window=display_window(volume.values),
        mask=None if mask is None else mask[index],
        divider_ascan=middle(volume, "ascan") if "ascan" in divided else None,
        marks=marks_of(volume),
        title=bscan_title(index, count, map_name),
        exam_id=exam_id,
        lines=caption_lines(volume, heat, mask, mask_name, notes, "ascan" in divided),
        style=style,
    )


def bscan_title(index: int, count: int, map_name: str) -> str:
    """What a picture of a B-scan shows, counted from one."""
    return f"B-scan {index + 1} of {count}" + (f" · {map_name}" if map_name else "")


def caption_lines(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"] | None,
    mask: Bool[np.ndarray, "bscan depth ascan"] | None,
    mask_name: str,
    notes: Sequence[str],
    divided: bool = False,
) -> list[str]:
    """The sentences of a caption that hold for every B-scan of an exam."""
    lines = [describe_eye(volume), describe_direction(volume)]
    if heat is not None:
        hottest = "Colour: 1 is the hottest voxel of this exam." if heat.any() else "This map is zero everywhere."
        lines.append(hottest)
    if mask is not None:
        lines.append(f"Blue line: {mask_name}." if mask.any() else f"Blue line: {mask_name} (none in this exam).")
    if divided:
        lines.append("Dashed: the middle between the halves.")
    return [" ".join(filter(None, lines)), *notes]


def require_divided(divided: Collection[str]) -> None:
    """Refuse axes along which no model halves a scan.

    Raises:
        OctavoError: If an axis is not `bscan` or `ascan`.
    """
    for axis in divided:
        if axis not in {"bscan", "ascan"}:
            raise OctavoError(unknown_name("an axis along which a scan is halved", axis, ["bscan", "ascan"]))


def middle(volume: Volume, axis: str) -> int:
    """Before which sample the second half begins, in stored order.

    The halves are those of right-eye orientation, where the middle sample of an odd number belongs to the second half;
    in an eye that is stored the other way round it is the first half that has one more.

    Example:
        >>> middle(Volume(np.zeros((5, 2, 3))), "bscan")
        2
    """
    flips = flips_to_right_eye(volume)
    size = volume.shape[AXES.index(axis)]
    turned = flips.bscan if axis == "bscan" else flips.ascan
    return size - size // 2 if turned else size // 2


def readable_depth_magnification(spacing: Spacing, shape: tuple[int, int, int], least: float = 0.3) -> float:
    """The smallest whole number of times depth must be magnified for a B-scan not to be a thin strip.

    A wide scan is ten times wider than deep; true to millimetres its layers cannot be told apart.

    Args:
        spacing: Of the scan; where it is unknown the answer is 1.
        shape: Samples along the three axes.
        least: The height that is wanted, as a share of the width.

    Example:
        >>> readable_depth_magnification(Spacing(0.1, 0.02, 0.25), (32, 60, 48))
        3.0
    """
    if spacing.depth is None or spacing.ascan is None:
        return 1.0
    across_mm, down_mm = shape[2] * spacing.ascan, shape[1] * spacing.depth
    return float(max(1, int(np.ceil(least * across_mm / down_mm - 1e-9))))


def most_salient_bscans(
    heat: Float[np.ndarray, "bscan depth ascan"], count: int, separation: int | None = None
) -> tuple[int, ...]:
    """Choose the B-scans with the most heat, well apart from one another.

    The hottest B-scan (by the sum of its heat) is taken first; then the hottest of those at least `separation` away
    from all that were taken, and so on. Of two alike the first is taken.

    Args:
        heat: A map of the whole exam.
        count: How many are wanted; there may be fewer.
        separation: The least distance in B-scans; a half of an equal share of the scan if not given.

    Returns:
        Their indices in the order of the scan; none if the map is zero everywhere.

    Raises:
        OctavoError: If `count` or `separation` is below one.

    Example:
        >>> heat = np.zeros((10, 1, 1)); heat[[4, 5, 8], 0, 0] = [0.9, 1.0, 0.2]
        >>> most_salient_bscans(heat, 2)
        (5, 8)
    """
    bscans = heat.shape[0]
    apart = max(1, bscans // (2 * count)) if separation is None and count >= 1 else separation
    if count < 1 or apart is None or apart < 1:
        raise OctavoError(f"{count} B-scans at least {separation} apart were asked for; wanted 1 or more of both")
    mass = heat.sum(axis=(1, 2), dtype=np.float64)
    chosen: list[int] = []
    for candidate in np.argsort(-mass, kind="stable").tolist():
        if len(chosen) == count or not mass[candidate] > 0:
            break
        if all(abs(candidate - taken) >= apart for taken in chosen):
            chosen.append(candidate)
    return tuple(sorted(chosen))
