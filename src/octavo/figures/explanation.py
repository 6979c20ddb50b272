"""All pictures of one map of one exam, and the section of a report that shows them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from octavo.figures.animation import ANIMATION_STYLE, MAX_BYTES, animate_bscans
from octavo.figures.en_face import picture_en_face
from octavo.figures.framing import PictureStyle, encode_png
from octavo.figures.overlay import most_salient_bscans, picture_bscan, readable_depth_magnification
from octavo.figures.report import Link, Picture, Section, Table
from octavo.volume import ScanPattern, Volume


@dataclass(frozen=True)
class DrawnMap:
    """The pictures of one map of one exam.

    Args:
        map_name: What the heat is.
        exam_id: Whose scan it is.
        bscans: Pairs of the index of a B-scan, counted from 0, and its picture as a PNG file.
        shares: For each of them, its share of the map's heat; nothing where the map is zero everywhere.
        count: How many B-scans the scan has.
        en_face: The scan from the front as a PNG file; None for a scan that has no front.
        animation: A pass through all B-scans as a GIF file.
    """

    map_name: str
    exam_id: str
    bscans: tuple[tuple[int, bytes], ...] = field(repr=False)
    shares: tuple[float, ...]
    count: int
    en_face: bytes | None = field(repr=False)
    animation: bytes = field(repr=False)


def draw_map(
    volume: Volume,
    heat: Float[np.ndarray, "bscan depth ascan"],
    map_name: str,
    *,
    exam_id: str = "",
    mask: Bool[np.ndarray, "bscan depth ascan"] | None = None,
    mask_name: str = "truth",
    divided: Collection[str] = (),
    notes: Sequence[str] = (),
    bscans: int = 3,
    max_bytes: int = MAX_BYTES,
) -> DrawnMap:
    """Draw everything there is to see of a map: its most salient B-scans, its front, and a pass through all of it.

    Where true proportions would make a thin strip, depth is magnified, and every picture says so. Of a map that is zero
    everywhere the middle B-scan is drawn, so that one sees the scan, and the caption says that there is no heat.

    Args:
        volume: The scan, in the orientation it is to be seen in.
        heat: On the volume's grid, from 0 to 1, where 1 is the hottest voxel.
        map_name: What the heat is, such as `grad-cam`.
        exam_id: Whose scan it is.
        mask: Tissue to draw a line around.
        mask_name: What the line is around.
        divided: Axes along which the model halves the scan.
        notes: Sentences every picture should bear, such as what the model learnt from.
        bscans: How many B-scans are drawn at most.
        max_bytes: How large the animation may be.

    Raises:
        OctavoError: If heat or mask do not fit the scan.
    """
    count = volume.shape[0]
    chosen = most_salient_bscans(heat, bscans) or (count // 2,)
    magnification = readable_depth_magnification(volume.spacing_mm, volume.shape)
    said: dict[str, Any] = {
        "mask": mask,
        "mask_name": mask_name,
        "map_name": map_name,
        "exam_id": exam_id,
        "notes": notes,
    }
    style = PictureStyle(depth_magnification=magnification)
    pictures = [picture_bscan(volume, index, heat, divided=divided, style=style, **said) for index in chosen]
    front = None
    if count > 1 and volume.pattern in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        front = picture_en_face(volume, heat, marked_bscans=chosen, divided=divided, **said)
    moving = replace(ANIMATION_STYLE, depth_magnification=magnification)
    animation = animate_bscans(volume, heat, max_bytes=max_bytes, style=moving, **said)
    mass = heat.sum(axis=(1, 2), dtype=np.float64)
    return DrawnMap(
        map_name,
        exam_id,
        tuple((index, encode_png(picture)) for index, picture in zip(chosen, pictures, strict=True)),
        tuple(float(mass[index] / mass.sum()) for index in chosen) if mass.any() else (),
        count,
        None if front is None else encode_png(front),
        animation,
    )


def map_section(
    drawn: DrawnMap, *, tables: Sequence[Table] = (), warnings: Sequence[str] = (), links: Sequence[Link] = ()
) -> Section:
    """Show a drawn map in a report, with words for those who cannot see it.

    Args:
        drawn: Its pictures; the animation is shown by a link to a file, since moving pictures belong where they can be
            stopped.
        tables: Its numbers, such as overlap with the truth.
        warnings: Why it deserves less trust.
        links: The files beside the report: the animation, a NIfTI of the heat.
    """
    name = f"{drawn.map_name} of exam {drawn.exam_id}" if drawn.exam_id else drawn.map_name
    shares = drawn.shares or (0.0,) * len(drawn.bscans)
    pictures = [
        Picture(
            png,
            f"B-scan {index + 1} of {drawn.count} with {name} laid over it; it holds {share:.0%} of the map's heat.",
        )
        for (index, png), share in zip(drawn.bscans, shares, strict=True)
    ]
    if drawn.en_face is not None:
        numbers = ", ".join(str(index + 1) for index, _ in drawn.bscans)
        alt = f"The scan from the front, with {name} laid over it; ticks at B-scans {numbers}."
        pictures.insert(0, Picture(drawn.en_face, alt))
    nothing = () if drawn.shares else ("This map is zero everywhere: it says nothing about this exam.",)
    return Section(
        drawn.map_name,
        warnings=(*nothing, *warnings),
        tables=tuple(tables),
        pictures=tuple(pictures),
        links=tuple(links),
    )
