"""Say what a scan is: size, millimetres, eye, pattern, direction, and how each is known."""

import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from jaxtyping import Num, UInt8

from octavo.files import write_bytes
from octavo.formats import Said, VolumeReadError, find_scans, read_volume
from octavo.volume import Origin, ScanPattern, SlowAxis, Spacing, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

_PANEL_PX = 512
_GAP_PX = 12
_CAPTION_PX = 24
_PAPER_GREY = 32
_INK_GREY = 224
_MOST_STRETCHED = 3.0


@dataclass(frozen=True)
class Inspection:
    """What is known about one scan, without its voxels; or why it was refused."""

    path: str
    refusal: str | None = None
    format: str = ""
    device: str = ""
    shape: tuple[int, int, int] | None = None
    dtype: str = ""
    lowest: float | None = None
    highest: float | None = None
    spacing_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    spacing_origins: tuple[Origin, Origin, Origin] = (Origin.UNKNOWN, Origin.UNKNOWN, Origin.UNKNOWN)
    size_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    laterality: str = "unknown"
    laterality_origin: Origin = Origin.UNKNOWN
    pattern: str = "unknown"
    pattern_origin: Origin = Origin.UNKNOWN
    slow_axis: str = "unknown"
    slow_axis_origin: Origin = Origin.UNKNOWN
    region: str = "unknown"
    region_origin: Origin = Origin.UNKNOWN
    notes: tuple[str, ...] = ()
    preview: str | None = None


def inspect_scans(
    paths: Sequence[str | Path], *, preview: Path | None = None, **said: Unpack[Said]
) -> list[Inspection]:
    """Read scans one after the other and say what each is; one that is refused does not stop the others.

    Args:
        paths: Files, and folders: one that is a scan itself counts as one, any other is searched.
        preview: A folder for one picture per scan: the middle B-scan and the mean along depth. Pictures there that have
            the same name are replaced.
        said: What the user says about all of these scans; the keyword arguments of `read_volume`.

    Returns:
        One inspection per scan, in the order given.

    Example:
        >>> inspect_scans(["no-such-scan.npy"])[0].refusal
        'no-such-scan.npy: there is no such file or folder; wanted a scan; check the path'
    """
    inspections = []
    taken: set[str] = set()
    for path in _every_scan(paths):
        if isinstance(path, VolumeReadError):
            inspections.append(Inspection(path=str(path).split(": ")[0], refusal=str(path)))
            continue
        try:
            volume = read_volume(path, **said)
        except VolumeReadError as refusal:
            inspections.append(Inspection(path=path, refusal=str(refusal)))
            continue
        inspection = inspect_volume(volume)
        if preview is not None:
            picture = preview / _picture_name(path, taken)
            write_bytes(picture, draw_preview(volume))
            inspection = dataclasses.replace(inspection, preview=str(picture))
        inspections.append(inspection)
    return inspections


def inspect_volume(volume: Volume) -> Inspection:
    """Everything a volume says about itself."""
    spacing = volume.spacing_mm.values_mm
    pairs = zip(volume.shape, spacing, strict=True)
    bscan_mm, depth_mm, ascan_mm = (None if step is None else length * step for length, step in pairs)
    return Inspection(
        path=volume.source.path,
        format=volume.source.format,
        device=volume.source.device,
        shape=volume.shape,
        dtype=volume.values.dtype.name,
        lowest=float(volume.values.min()),
        highest=float(volume.values.max()),
        spacing_mm=spacing,
        spacing_origins=volume.spacing_mm.origins,
        size_mm=(bscan_mm, depth_mm, ascan_mm),
        laterality=volume.laterality.value,
        laterality_origin=volume.laterality_origin,
        pattern=volume.pattern.value,
        pattern_origin=volume.pattern_origin,
        slow_axis=volume.slow_axis.value,
        slow_axis_origin=volume.slow_axis_origin,
        region=volume.region.value,
        region_origin=volume.region_origin,
        notes=volume.notes,
    )


def describe(inspection: Inspection) -> str:
    """An inspection for people: one fact a line.

    Example:
        >>> volume = Volume(np.arange(24.0).reshape(2, 4, 3), Spacing(depth=0.004))
        >>> print(describe(inspect_volume(volume)))  # doctest: +NORMALIZE_WHITESPACE
        <BLANKLINE>
          size       2 B-scans x 4 depth x 3 A-scans, float64, 0 to 23
          spacing    B-scans unknown, depth 4 um (read), A-scans unknown
          extent     ? x 0.016 x ? mm
          eye        unknown
          pattern    unknown
          slow axis  unknown
          region     unknown
    """
    if inspection.refusal is not None or inspection.shape is None:
        return f"refused: {inspection.refusal}"
    bscans, depth, ascans = inspection.shape
    facts = [
        ("format", ", ".join(filter(None, (inspection.format, inspection.device)))),
        (
            "size",
            f"{bscans} B-scan{'s' if bscans > 1 else ''} x {depth} depth x {ascans} A-scans, {inspection.dtype}, "
            f"{inspection.lowest:g} to {inspection.highest:g}",
        ),
        ("spacing", _spacing_words(inspection)),
        ("extent", _extent_words(inspection)),
        ("eye", _word(inspection.laterality, inspection.laterality_origin)),
        ("pattern", _word(inspection.pattern, inspection.pattern_origin)),
        ("slow axis", _word(inspection.slow_axis, inspection.slow_axis_origin)),
        ("region", _word(inspection.region, inspection.region_origin)),
        *(("note", note) for note in inspection.notes),
        ("preview", inspection.preview or ""),
    ]
    return "\n".join([inspection.path, *(f"  {name:<11}{text}" for name, text in facts if text)])


def as_json(inspections: Sequence[Inspection]) -> str:
    """Inspections for programs: a list of objects, unknown numbers as null."""
    return json.dumps([dataclasses.asdict(inspection) for inspection in inspections], indent=2)


def _spacing_words(inspection: Inspection) -> str:
    bscan, depth, ascan = inspection.spacing_mm
    spacing = Spacing(bscan, depth, ascan, inspection.spacing_origins)
    if spacing.is_known:
        return spacing.describe()
    if not any(spacing.values_mm):
        return "unknown"
    triples = list(zip(("B-scans", "depth", "A-scans"), spacing.values_mm, spacing.origins, strict=True))
    if bscan is None and inspection.shape is not None and inspection.shape[0] == 1:
        triples = triples[1:]
    return ", ".join(
        f"{name} unknown" if value is None else f"{name} {value * 1000:.6g} um ({origin})"
        for name, value, origin in triples
    )


def _extent_words(inspection: Inspection) -> str:
    if not any(inspection.size_mm):
        return ""
    return " x ".join("?" if size is None else f"{size:.4g}" for size in inspection.size_mm) + " mm"


def _word(word: str, origin: Origin) -> str:
    return word if origin is Origin.UNKNOWN else f"{word} ({origin})"


def _every_scan(paths: Sequence[str | Path]) -> Iterator[str | VolumeReadError]:
    for path in paths:
        try:
            yield from find_scans(path)
        except VolumeReadError as refusal:
            yield refusal


def _picture_name(path: str, taken: set[str]) -> str:
    stem = Path(path).name.replace("#", "-")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return f"{name}.png"


def draw_preview(volume: Volume) -> bytes:
    """Draw the middle B-scan, and beside it the mean along depth, as a PNG.

    Both are drawn to the same scale in millimetres where these are known. A raster that starts inferior is turned so
    that superior is up; patterns that fill no area have no picture from above.
    """
    from PIL import Image, ImageDraw, ImageFont

    middle = volume.shape[0] // 2
    panels = [(f"B-scan {middle + 1} of {volume.shape[0]}", volume.values[middle], (1, 2))]
    if volume.shape[0] > 1 and volume.pattern in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        title, from_above = _from_above(volume)
        panels.append((title, from_above, (0, 2)))
    pictures = [(_title(volume, title, axes), _panel(volume, values, axes)) for title, values, axes in panels]
    width = sum(picture.width + _GAP_PX for _, picture in pictures) + _GAP_PX
    height = max(picture.height for _, picture in pictures) + _CAPTION_PX + 2 * _GAP_PX
    canvas = Image.new("L", (width, height), _PAPER_GREY)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    left = _GAP_PX
    for title, picture in pictures:
        canvas.paste(picture, (left, _GAP_PX))
        pen.text((left, _GAP_PX + picture.height + 4), title, fill=_INK_GREY, font=font)
        left += picture.width + _GAP_PX
    stream = io.BytesIO()
    canvas.save(stream, format="PNG")
    return stream.getvalue()


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
    return Image.fromarray(_grey(values)).resize((_PANEL_PX, height), Image.Resampling.BILINEAR)


def _grey(values: Num[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column"]:
    low, high = np.percentile(values, [0.5, 99.5])
    scaled = (values.astype(np.float64) - low) / max(float(high - low), 1e-12)
    return (scaled.clip(0, 1) * 255).astype(np.uint8)
