"""Say what a scan is: size, millimetres, eye, pattern, direction, and how each is known."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from octavo.companions import Companions
from octavo.figures.preview import draw_preview
from octavo.files import write_bytes
from octavo.formats import Said, VolumeReadError, companion_options, find_scans, read_companions, read_volume
from octavo.volume import Origin, Spacing, Volume


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
    companions: str = ""
    preview: str | None = None


def inspect_scans(
    paths: Sequence[str | Path], *, preview: Path | None = None, **said: Unpack[Said]
) -> list[Inspection]:
    """Read scans one after the other and say what each is; one that is refused does not stop the others.

    Args:
        paths: Files, and folders: one that is a scan itself counts as one, any other is searched.
        preview: A folder for one picture per scan: the middle B-scan with its surfaces, the mean along depth, and the
            pictures that come with the scan. Pictures there that have the same name are replaced.
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
        companions, notes = _companions(path, said)
        told = "; ".join(filter(None, (companions.describe(), *companions.notes, *notes)))
        inspection = dataclasses.replace(inspection, companions=told)
        if preview is not None:
            picture = preview / _picture_name(path, taken)
            write_bytes(picture, draw_preview(volume, companions))
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
        >>> import numpy as np
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
        ("comes with", inspection.companions),
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


def _companions(path: str, said: Said) -> tuple[Companions, tuple[str, ...]]:
    """What comes with a scan; where that cannot be read, the scan has been read all the same."""
    try:
        return read_companions(path, **companion_options(said)), ()
    except VolumeReadError as refusal:
        return Companions(), (f"what comes with the scan cannot be read: {refusal}",)


def _picture_name(path: str, taken: set[str]) -> str:
    stem = Path(path).name.replace("#", "-")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return f"{name}.png"
