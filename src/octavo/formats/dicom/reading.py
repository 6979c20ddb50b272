"""DICOM: Ophthalmic Tomography and other slice images, in one file or a folder of single frames.

Rows are depth, columns are A-scans and frames are B-scans. Only the elements an image needs are read; patient, visit and
free text never enter the program.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from octavo.formats.dicom.companions import companions_of
from octavo.formats.dicom.dataset import (
    Instance,
    NotBScansError,
    device_of,
    has_mark,
    is_dicom,
    read_dataset,
    read_instance,
)
from octavo.formats.dicom.geometry import (
    FramePlace,
    frame_places,
    in_order,
    laterality_of,
    offsets_mm,
    pattern_of,
    spacing_of,
)
from octavo.formats.dicom.own import own_geometry, with_own_geometry
from octavo.formats.dicom.pixels import decode_pixels
from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.volume import Laterality, Origin, ScanPattern, Source, Volume

_NAMED_DICOM = {".dcm", ".dicom"}


def _recognises(path: Path, beginning: bytes) -> bool:
    """A DICOM file, or a folder of single-frame ones; a folder of multi-frame files is a folder of scans."""
    if not path.is_dir():
        return has_mark(beginning)
    files = _dicom_files(path)
    ends = {files[0], files[-1]} if files else set()
    return bool(files) and all(_is_frame(file) for file in ends)


def _is_frame(file: Path) -> bool:
    """Whether a file holds one frame; a damaged one may, and reading the folder says what is wrong with it."""
    try:
        with refusing(file.name, "a DICOM image"):
            return read_dataset(file, pixels=False).get("NumberOfFrames") in {None, "", 1}
    except VolumeReadError:
        return True


def _dicom_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return [file for file in files if file.name != "DICOMDIR" and is_dicom(file)]


def _parts(folder: Path) -> list[Path]:
    """The DICOM files of a folder, and those that are called so and must not go missing unseen."""
    named = (file for file in folder.iterdir() if file.suffix.lower() in _NAMED_DICOM and file.name[0] != ".")
    # a pipe of that name would be waited for; a link that leads nowhere is a frame that is lost
    return sorted({*_dicom_files(folder), *(file for file in named if file.is_file() or not file.exists())})


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    if not path.is_dir():
        return [_scan([read_instance(path)])]
    instances, refusals = _read_headers(path)
    series: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in instances:
        alone = instance.path.name if instance.shape[0] > 1 else ""
        series[(instance.series_number, instance.series, instance.shape[1:], alone)].append(instance)
    # An unreadable file beside one series may be a frame of it; beside many it is a scan that cannot be read.
    if refusals and len(series) <= 1:
        raise next(iter(refusals.values()))
    found = [_scan(members) for _, members in sorted(series.items(), key=lambda item: tuple(map(str, item[0])))]
    return found + [Scan(f"{name}: unreadable", Kind.OCT, partial(_refuse, why)) for name, why in refusals.items()]


def _read_headers(folder: Path) -> tuple[list[Instance], dict[str, VolumeReadError]]:
    """The files that hold slices, and why others that should cannot be read.

    Reports and photographs of the same study are passed over; where some files are of the eye's tomography, so are
    slices of anything else.
    """
    found: list[Instance] = []
    refusals: dict[str, VolumeReadError] = {}
    for file in _parts(folder):
        try:
            with refusing(file.name, "a DICOM image"):
                found.append(read_instance(file))
        except NotBScansError:
            continue
        except VolumeReadError as refusal:
            refusals[file.name] = refusal
    if not found and not refusals:
        raise VolumeReadError("folder holds DICOM files and no B-scans among them; wanted ophthalmic tomography images")
    tomography = {instance.series for instance in found if instance.kind is Kind.OCT}
    return [instance for instance in found if not tomography or instance.series in tomography], refusals


def _refuse(why: VolumeReadError) -> Volume:
    raise why


def _scan(members: list[Instance]) -> Scan:
    first = members[0]
    frames = sum(instance.shape[0] for instance in members)
    label = f"series {first.series_number}: {frames} frames of {first.shape[1]} x {first.shape[2]}"
    eyes = {laterality_of(instance.header)[0] for instance in members}
    eye = eyes.pop() if len(eyes) == 1 else Laterality.UNKNOWN
    load_as = partial(_load, members)
    return Scan(label, first.kind, partial(load_as, eye), eye, partial(companions_of, first, eye), load_as)


def _load(members: list[Instance], eye: Laterality) -> Volume:
    if len(members) > 1:
        members = _in_order(members)
    header, kind = members[0].header, members[0].kind
    places = [place for instance in members for place in _places(instance)]
    laterality, eye_notes = laterality_of(header)
    if len({laterality_of(instance.header)[0] for instance in members}) > 1:
        raise VolumeReadError("frames name different eyes; wanted one scan of one eye; keep one eye per folder")
    pattern, origin, lines = pattern_of(places, eye)
    # lines on the fundus that follow one another tell the order better than positions do
    order = None if pattern is ScanPattern.RASTER and origin is Origin.DERIVED else in_order(places)
    if order is not None:
        places = [places[place] for place in order]
        pattern, origin, lines = pattern_of(places, eye)
    spacing, spacing_notes = spacing_of(places, pattern is ScanPattern.RASTER)
    if kind is Kind.IMAGE and origin is Origin.ASSUMED:
        pattern = ScanPattern.UNKNOWN
    values, notes = decode_pixels(members)
    if order is not None:
        values = values[order]
        notes += ("the frames of the file do not lie in its order; they were put in that of their positions",)
    if lines.runs_leftwards:
        values = np.ascontiguousarray(values[:, :, ::-1])
        notes += ("A-scans ran from right to left and were turned over to run from left to right",)
    volume = Volume(
        values,
        spacing,
        laterality=laterality,
        laterality_origin=Origin.READ,
        pattern=pattern,
        pattern_origin=origin,
        slow_axis=lines.slow_axis,
        slow_axis_origin=Origin.DERIVED,
        source=Source(device=device_of(header)),
        notes=eye_notes + spacing_notes + lines.notes + notes,
    )
    return with_own_geometry(volume, own_geometry(header) if len(members) == 1 else None, eye)


def _places(instance: Instance) -> list[FramePlace]:
    frames = instance.shape[0]
    described = len(instance.header.get("PerFrameFunctionalGroupsSequence") or [])
    if described not in {0, frames}:
        raise VolumeReadError(
            f"header promises {frames} frames and describes {described}; wanted the same; "
            "the header is wrong: export it again"
        )
    return frame_places(instance.header, frames)


def _in_order(members: list[Instance]) -> list[Instance]:
    """Single frames in the order they were numbered, checked against where they lie.

    Raises:
        VolumeReadError: If frames are missing or doubled, as far as numbers and positions tell.
    """
    numbers = [-1 if instance.number is None else instance.number for instance in members]
    if len(set(numbers)) == len(numbers):
        members = [instance for _, instance in sorted(zip(numbers, members, strict=True), key=lambda pair: pair[0])]
    offsets = offsets_mm([_places(instance)[0] for instance in members])
    if offsets is None or len(set(offsets.tolist())) < len(offsets):
        _refuse_gaps(numbers)
        return members
    order = np.argsort(offsets)
    steps = np.diff(offsets[order])
    if steps.max() > 1.5 * np.median(steps):
        _refuse_gaps(numbers)
    return [members[place] for place in order]


def _refuse_gaps(numbers: list[int]) -> None:
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise VolumeReadError(
            f"instance numbers {twice[:8]} stand on several frames, and their positions do not tell them apart; "
            "wanted each once; keep one series per folder, without copies"
        )
    missing = sorted(set(range(min(numbers), min(max(numbers), min(numbers) + 2**16))) - set(numbers))
    if missing:
        raise VolumeReadError(
            f"instances {missing[:8]} are missing between {min(numbers)} and {max(numbers)}; wanted every frame; "
            "copy them too"
        )


READER = Reader(
    name="dicom",
    about="a DICOM image",
    suffixes=(".dcm", ".dicom"),
    recognises=_recognises,
    scans=_scans,
    parts=_parts,
)
