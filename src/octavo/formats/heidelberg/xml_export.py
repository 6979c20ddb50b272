"""Heidelberg's image export: an XML file that names the picture of every B-scan, and the pictures beside it.

The file is `HEDX/BODY/Patient/Study/Series/Image`; a localiser of the fundus and the B-scans are images, each with its size,
its scale and the name of its picture (`ImageData/ExamURL`, a path on the machine that exported it, of which the last part
counts). Coordinates are millimetres on the localiser, y downwards. One file may list several series, and a folder may hold
several files: each series is a scan. Every B-scan that the file names must be there. Boundaries of layers stand in the file
as text, 3e38 where there is none.

Exports whose file names no pictures are read by `image_folder`, which puts them in order by their numbers.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.heidelberg.export_geometry import (
    HeyexImage,
    HeyexSeries,
    common_size,
    lines_of,
    read_heyex_series,
)
from octavo.formats.heidelberg.layers import NAMES, ask_too_much, depth_or_unknown, known_surfaces
from octavo.formats.image_folder import is_picture, pictures_in, read_pictures
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.volume import Laterality, Origin, Source, Spacing, Volume

_MARK = b"<HEDX"
_BEGINNING_BYTES = 1024
_MOST_LAYERS = 64


def _recognises(path: Path, beginning: bytes) -> bool:
    if path.is_dir():
        return bool(_exports_in(path))
    return _MARK in beginning and bool(_series_with_pictures(path))


def _exports_in(folder: Path) -> dict[Path, list[HeyexSeries]]:
    """The export files of a folder that name pictures in it, and their series."""
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".xml" and path.name[0] != "." and path.is_file() and _begins_as_export(path)
    )
    exports = {path: _series_with_pictures(path) for path in files}
    return {path: series for path, series in exports.items() if series}


def _begins_as_export(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK in file.read(_BEGINNING_BYTES)


def _series_with_pictures(path: Path) -> list[HeyexSeries]:
    """The series with B-scans of which at least one picture lies beside the file; none if the file is damaged."""
    beside = _names_in(path.parent)
    try:
        series = read_heyex_series(path)
    except VolumeReadError:
        return []
    return [one for one in series if any(image.picture.casefold() in beside for image in one.bscans)]


def _names_in(folder: Path) -> dict[str, Path]:
    return {path.name.casefold(): path for path in pictures_in(folder)}


def _parts(folder: Path) -> list[Path]:
    exports = _exports_in(folder)
    return [*exports, *pictures_in(folder)] if exports else []


def _beside(path: Path) -> list[Path]:
    return [] if path.is_dir() else pictures_in(path.parent)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    folder = path if path.is_dir() else path.parent
    exports = _exports_in(folder) if path.is_dir() else {path: _series_with_pictures(path)}
    found = [(export, number, one) for export, series in exports.items() for number, one in enumerate(series)]
    if not found:
        raise VolumeReadError(
            "names no pictures of B-scans that lie beside it; wanted a Heidelberg XML export with its pictures; copy them "
            "too, or name the folder of pictures"
        )
    unused = _unused(folder, [one for _, _, one in found]) if path.is_dir() else 0
    return [
        Scan(
            _label(one, place, len(found)),
            Kind.OCT,
            partial(_load, export, one, unused, one.laterality),
            one.laterality,
            partial(_companions, export, number, one),
            load_as=partial(_load, export, one, unused),
        )
        for place, (export, number, one) in enumerate(found, 1)
    ]


def _label(series: HeyexSeries, place: int, of: int) -> str:
    label = f"{len(series.bscans)} B-scans, {series.laterality}"
    return label if of == 1 else f"series {place} of {of}: {label}"


def _unused(folder: Path, series: Sequence[HeyexSeries]) -> int:
    """How many pictures of the folder no export file names; their names may be a patient's."""
    named = {image.picture.casefold() for one in series for image in one.images}
    return sum(path.name.casefold() not in named for path in pictures_in(folder))


def _load(export: Path, series: HeyexSeries, unused: int, eye: Laterality) -> Volume:
    bscans = series.bscans
    shape, depth_mm, ascan_mm = common_size(bscans)
    values, notes = read_pictures(_files_of(bscans, export.parent))
    if values.shape != shape:
        raise VolumeReadError(
            f"the export file lists B-scans of {shape[1]} x {shape[2]}, and the pictures are {values.shape[1]} x "
            f"{values.shape[2]}; wanted the same; the pictures were changed after the export: export again"
        )
    lines = lines_of(bscans, eye)
    if lines.runs_leftwards:
        values = np.ascontiguousarray(values[:, :, ::-1])
        notes += ("A-scans ran from right to left and were turned over to run from left to right",)
    return Volume(
        values,
        Spacing(lines.step, depth_mm, ascan_mm, (Origin.DERIVED, Origin.READ, Origin.READ)),
        laterality=series.laterality,
        laterality_origin=Origin.READ,
        pattern=lines.pattern,
        pattern_origin=Origin.DERIVED,
        slow_axis=lines.slow_axis,
        slow_axis_origin=Origin.DERIVED,
        source=Source(device=series.device),
        notes=lines.notes + notes + _notes_on_files(series, unused),
    )


def _files_of(bscans: Sequence[HeyexImage], folder: Path) -> list[Path]:
    beside = _names_in(folder)
    missing = [str(number) for number, image in enumerate(bscans, 1) if image.picture.casefold() not in beside]
    if missing:
        raise VolumeReadError(
            f"pictures of B-scans {_few(missing)} of {len(bscans)} that the export file names are missing; wanted every "
            "one; copy them too, or export again"
        )
    files = [beside[image.picture.casefold()] for image in bscans]
    if len(set(files)) < len(files):
        raise VolumeReadError("the export file names one picture for several B-scans; wanted one each; export again")
    return files


def _notes_on_files(series: HeyexSeries, unused: int) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if series.stated is not None and series.stated != len(series.images):
        notes += (f"the export file says that it has {series.stated} images, and lists {len(series.images)}",)
    if series.others:
        notes += (f"{series.others} images of the export file are neither B-scans nor localisers and are not used",)
    if unused:
        notes += (f"pictures that no export file names are not used: {unused}",)
    return notes


def _companions(export: Path, number: int, series: HeyexSeries) -> Companions:
    surfaces, notes = _surfaces(export, number, series)
    beside = _names_in(export.parent)
    pictures: list[EnFace] = []
    for image in series.images:
        if image.kind != "LOCALIZER":
            continue
        file = beside.get(image.picture.casefold())
        picture = None if file is None else _picture(file, image)
        if picture is None:
            notes += ("a localiser that the export file names is missing, or no grey picture of the size it says",)
        else:
            pictures.append(picture)
    return Companions(surfaces, tuple(pictures), notes)


def _picture(file: Path, image: HeyexImage) -> EnFace | None:
    try:
        with refusing(file.name, "a picture of the fundus"):
            values = read_pictures([file])[0][0] if is_picture(file) else None
    except VolumeReadError:
        return None
    width, height, column_mm, row_mm = (
        image.numbers.get(name, math.nan) for name in ("Width", "Height", "ScaleX", "ScaleY")
    )
    if values is None or values.shape != (height, width):
        return None
    is_known = math.isfinite(row_mm + column_mm) and row_mm > 0 and column_mm > 0
    kind = Picture.INFRARED if image.light == "IR" else Picture.OTHER
    return EnFace(kind, values, (row_mm, column_mm) if is_known else None)


def _surfaces(export: Path, number: int, series: HeyexSeries) -> tuple[tuple[Surface, ...], tuple[str, ...]]:
    (count, depth, columns), _, _ = common_size(series.bscans)
    beside = _names_in(export.parent)
    full = [
        one
        for one in read_heyex_series(export, with_layers=True)
        if any(image.picture.casefold() in beside for image in one.bscans)
    ][number]
    rows: dict[str, dict[int, np.ndarray]] = {}
    unfit = 0
    for row, image in enumerate(full.bscans):
        for place, (name, text) in enumerate(image.layers[:_MOST_LAYERS]):
            values = _numbers(text, columns)
            if values is None:
                unfit += 1
                continue
            # Other names are somebody's own and may name anybody.
            rows.setdefault(name if name in NAMES else f"surface {place}", {})[row] = depth_or_unknown(values, depth)
    notes = (f"{unfit} boundaries of B-scans have another number of A-scans and were left out",) if unfit else ()
    if ask_too_much((len(rows), count, columns), export.stat().st_size):
        return (), (*notes, f"boundaries of {count} B-scans are more than the export file can hold and were left out")
    nothing = np.full(columns, np.nan, np.float32)
    found = {name: np.stack([known.get(row, nothing) for row in range(count)]) for name, known in rows.items()}
    return known_surfaces(found, lines_of(series.bscans, series.laterality).runs_leftwards), notes


def _numbers(text: str, count: int) -> np.ndarray | None:
    """So many numbers, or nothing."""
    words = text.split(maxsplit=count)
    try:
        return np.array(words, np.float32) if len(words) == count else None
    except ValueError:
        return None


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:8]) + (" and more" if len(words) > 8 else "")


READER = Reader(
    name="heidelberg-xml",
    about="a Heidelberg XML export with its pictures",
    suffixes=(),
    recognises=_recognises,
    scans=_scans,
    parts=_parts,
    beside=_beside,
)
