"""A folder of numbered B-scan pictures: `1.bmp`, `7_image.jpg`, `12-Input.tif`, `OCT-0_3.png`, `001.tif`.

Pictures whose names differ in one number, capitals aside, are one scan, in the order of that number; a note counts the
pictures that belong to none. A missing or doubled number is refused, because a lost B-scan is a wrong volume that looks
right. Where a Heidelberg export file lies beside the pictures of one scan, or above one such folder, and lists just as many
B-scans of just that size, it gives millimetres, eye and direction; else the eye may stand in the names of the pictures. The
key `left` asks for the left half of each picture.
"""

import dataclasses
import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Num

from octavo.formats.errors import VolumeReadError
from octavo.formats.eye_in_name import eye_in_name, with_named_eye
from octavo.formats.greyscale import LEFT_NOTE, bytes_per_pixel, read_page, wants_left_half
from octavo.formats.heidelberg.export_geometry import HeyexExport, lines_of, read_heyex_export
from octavo.formats.limits import check_size
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.tiff_directory import count_pages, has_pages
from octavo.volume import Laterality, Origin, ScanPattern, Source, Spacing, Volume

_SUFFIXES = {".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_TIFF_SUFFIXES = {".tif", ".tiff"}
_PICTURE_FORMATS = ("BMP", "JPEG", "PNG", "TIFF")
_NUMBER = re.compile(r"(\d+)")
_OF_PICTURES = "the names of its pictures say"
_OF_WHICH = "lies with several scans, and nothing tells which of them it is of; pass what is known of each"


def _recognises(path: Path, _beginning: bytes) -> bool:
    if not path.is_dir():
        return False
    families = _families(path)
    return bool(families) and not any(_has_pages(members[0][1]) for members in families.values())


_Numbered = list[tuple[int, Path]]


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, without hidden ones and without `eye.npz.png`, which only shows what `eye.npz` is."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and not ("." in path.stem and path.with_suffix("").is_file())
    )


def _families(folder: Path) -> dict[str, _Numbered]:
    """Pictures grouped by their name without the number that counts, each group in the order of that number.

    Capitals make no other group: `bscan-1.png` and `Bscan-2.png` are of one scan.
    """
    by_template: dict[tuple[str, ...], list[tuple[list[int], Path]]] = defaultdict(list)
    spelled: dict[tuple[str, ...], list[str]] = {}
    for path in pictures_in(folder):
        pieces = _NUMBER.split(path.stem)
        template = tuple(piece.casefold() for piece in pieces[::2])
        spelled.setdefault(template, pieces[::2])
        by_template[template].append(([int(number) for number in pieces[1::2]], path))
    families: dict[str, _Numbered] = defaultdict(list)
    for template, members in by_template.items():
        words = spelled[template]
        counting = _counting_position([numbers for numbers, _ in members])
        for numbers, path in members:
            if counting is not None:
                shown = ["*" if place == counting else str(number) for place, number in enumerate(numbers)]
                name = "".join(piece for pair in zip(words, [*shown, ""], strict=True) for piece in pair)
                families[name].append((numbers[counting], path))
    return {
        name: sorted(members, key=lambda member: (member[0], member[1].name))
        for name, members in sorted(families.items())
        if len(members) > 1
    }


def _counting_position(numbers: Sequence[Sequence[int]]) -> int | None:
    """Which of the numbers in the names counts the B-scans: the last that is not always the same."""
    places = len(numbers[0])
    varying = [place for place in range(places) if len({row[place] for row in numbers}) > 1]
    if varying:
        return varying[-1]
    return places - 1 if places and len(numbers) > 1 else None


def _parts(folder: Path) -> list[Path]:
    return [path for members in _families(folder).values() for _, path in members]


def _beside(folder: Path) -> list[Path]:
    """The exports in the folder above that may tell about this one, and the folders they might tell about instead."""
    above = list(folder.resolve().parent.iterdir())
    exports = [path for path in above if path.suffix.lower() == ".xml"]
    return exports + [path for path in above if path.is_dir()] if exports else []


def is_picture(path: Path) -> bool:
    """Whether a file is called as a picture is, and no multi-page TIFF, which is a volume of its own."""
    return path.suffix.lower() in _SUFFIXES and not _has_pages(path)


def _has_pages(path: Path) -> bool:
    try:
        return path.suffix.lower() in _TIFF_SUFFIXES and has_pages(path)
    except OSError:
        return False


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    is_left = wants_left_half(options)
    families = _families(path)
    if not families:
        raise VolumeReadError("folder holds no numbered B-scans; wanted 1.png, 2.png, ...; name a scan in it instead")
    return [_scan(path, name, members, is_left) for name, members in families.items()]


def _scan(folder: Path, family: str, members: _Numbered, is_left: bool) -> Scan:
    eye = _eye(folder, members, is_left)
    load_as = partial(_load, folder, family, members, is_left)
    return Scan(f"{family}: {len(members)} B-scans", Kind.OCT, partial(load_as, eye), eye, load_as=load_as)


def _eye(folder: Path, members: _Numbered, is_left: bool) -> Laterality:
    """The eye of the export that is used with these pictures, or else the one that their names say."""
    stated = _stated_eye(folder, members, is_left)
    return _named_eye(members) if stated is Laterality.UNKNOWN else stated


def _named_eye(members: _Numbered) -> Laterality:
    """The eye in the names of the pictures; unknown where there is none, or not the same in all."""
    eyes = {eye_in_name(path.name) for _, path in members}
    return eyes.pop() if len(eyes) == 1 else Laterality.UNKNOWN


def _stated_eye(folder: Path, members: _Numbered, is_left: bool) -> Laterality:
    """The eye that the export names which is used with these pictures; unknown where there is none or it does not fit."""
    from PIL import Image

    _, export = _find_export(folder, members)
    if not isinstance(export, HeyexExport):
        return Laterality.UNKNOWN
    try:
        with Image.open(members[0][1], formats=_PICTURE_FORMATS) as image:
            shape = (len(members), image.height, image.width // 2 if is_left else image.width)
    except (OSError, SyntaxError):
        # whoever reads the pictures gets the sentence
        return Laterality.UNKNOWN
    return export.laterality if export.shape == shape else Laterality.UNKNOWN


def _load(folder: Path, family: str, members: _Numbered, is_left: bool, eye: Laterality) -> Volume:
    _check_numbers(family, members)
    values, notes = read_pictures([path for _, path in members], is_left=is_left)
    notes = (*notes, LEFT_NOTE) if is_left else notes
    volume = Volume(values, pattern=ScanPattern.RASTER, pattern_origin=Origin.ASSUMED, notes=notes)
    volume = with_named_eye(_with_export_of(folder, members, volume, eye), _named_eye(members), _OF_PICTURES)
    first, last = members[0][0], members[-1][0]
    if first > 1:
        volume = volume.with_note(
            f"B-scans are numbered from {first} to {last}; nothing tells whether earlier ones are missing"
        )
    parts = set(_parts(folder))
    unused = sum(path not in parts and is_picture(path) for path in pictures_in(folder))
    if unused:
        # how many, and not which: a picture may be called after the patient
        volume = volume.with_note(f"pictures whose names do not count with others are not used: {unused}")
    return volume


def _with_export_of(folder: Path, members: _Numbered, volume: Volume, eye: Laterality) -> Volume:
    place, export = _find_export(folder, members)
    if isinstance(export, str):
        return volume.with_note(f"the XML file {place} is not used: it {export}")
    if export is None:
        return volume
    if export.shape != volume.shape:
        return volume.with_note(
            f"the Heidelberg export file {place} lists {_size(export.shape)}, and the pictures are "
            f"{_size(volume.shape)}; it is not used"
        )
    return _with_export(volume, export, eye).with_note(f"millimetres and direction are from the export file {place}")


def _check_numbers(family: str, members: _Numbered) -> None:
    numbered: dict[int, list[str]] = defaultdict(list)
    for number, path in members:
        numbered[number].append(path.name)
    doubled = [" and ".join(sorted(names)) for names in numbered.values() if len(names) > 1]
    if doubled:
        raise VolumeReadError(
            f"numbers stand twice: {_few(doubled)}; wanted each B-scan once; leave one scan in the folder"
        )
    first, last = min(numbered), max(numbered)
    if last - first + 1 > len(numbered):
        gaps = itertools.islice((str(number) for number in range(first, last) if number not in numbered), 9)
        raise VolumeReadError(
            f"B-scans {_few(list(gaps))} of {family} are missing between {first} and {last}; "
            "wanted every number; copy them too, or number what is there without gaps"
        )


def read_pictures(
    files: Sequence[Path], *, is_left: bool = False
) -> tuple[Num[np.ndarray, "bscan depth ascan"], tuple[str, ...]]:
    """The grey values of pictures that are the B-scans of one scan, in the order of the files.

    Args:
        files: The pictures.
        is_left: Whether only the left half of each is the B-scan.

    Returns:
        The grey values, and sentences about what was done to them.

    Raises:
        VolumeReadError: If one is no complete grey picture, or they differ in size or type of samples.
    """
    from PIL import Image

    pages: list[np.ndarray] = []
    notes: dict[str, None] = {}
    first: tuple[int, int] | None = None
    for path in files:
        try:
            if path.suffix.lower() in _TIFF_SUFFIXES:
                count_pages(path)
            with Image.open(path, formats=_PICTURE_FORMATS) as image:
                shape = (image.height, image.width)
                if first is None:
                    first = shape
                    stored = sum(file.stat().st_size for file in files)
                    check_size((len(files), *shape), bytes_per_pixel(image), stored)
                if shape != first:
                    raise VolumeReadError(
                        f"is {shape[0]} x {shape[1]} and {files[0].name} is {first[0]} x {first[1]}; "
                        "wanted pictures of one size; leave one scan in the folder"
                    )
                values, page_notes = read_page(image, is_left=is_left)
                pages.append(values)
                notes |= dict.fromkeys(page_notes)
        except VolumeReadError as refusal:
            raise VolumeReadError(f"{path.name} {refusal}") from None
        except (OSError, SyntaxError) as error:
            raise VolumeReadError(
                f"{path.name} cannot be opened as a picture ({type(error).__name__}); wanted a complete BMP, JPEG, PNG "
                "or TIFF; copy it again"
            ) from error
    if len({page.dtype for page in pages}) > 1:
        raise VolumeReadError(
            "pictures hold samples of different types; wanted one type; save them all as 8- or 16-bit"
        )
    return np.stack(pages), tuple(notes)


def _find_export(folder: Path, members: _Numbered) -> tuple[str, HeyexExport | str | None]:
    """The one Heidelberg export file beside the pictures, or else above them; or why it cannot be used."""
    for place, home in (("beside the pictures", folder), ("in the folder above", folder.resolve().parent)):
        files = [file for file in home.iterdir() if file.suffix.lower() == ".xml" and file.is_file()]
        # Of many export files, nothing tells which belongs to these pictures.
        if len(files) != 1:
            continue
        try:
            export = read_heyex_export(files[0])
        except VolumeReadError as refusal:
            return place, str(refusal).split(";")[0].removeprefix("export file ")
        if export is not None:
            return place, export if _is_only_of(export, home, folder, members) else _OF_WHICH
    return "", None


def _is_only_of(export: HeyexExport, home: Path, folder: Path, members: _Numbered) -> bool:
    """Whether an export file can be of these pictures alone: there are no others, or not in the format that it names."""
    below = [] if home == folder else [entry for entry in home.iterdir() if entry.is_dir() and entry.name[0] != "."]
    rivals = [family for place in (home, *below) for family in _families(place).values()]
    if len(rivals) > 1:
        rivals = [
            family
            for family in rivals
            if _picture_format(family[0][1].suffix) in {_picture_format(ending) for ending in export.endings}
        ]
    return len(rivals) == 1 and rivals[0][0][1].samefile(members[0][1])


def _picture_format(suffix: str) -> str:
    name = suffix.lower().lstrip(".")
    return {"tif": "tiff", "jpg": "jpeg"}.get(name, name)


def _with_export(volume: Volume, export: HeyexExport, eye: Laterality) -> Volume:
    lines = lines_of(export.bscans, eye)
    values, notes = volume.values, lines.notes
    if lines.runs_leftwards:
        values = np.ascontiguousarray(values[:, :, ::-1])
        notes += ("A-scans ran from right to left and were turned over to run from left to right",)
    return dataclasses.replace(
        volume,
        values=values,
        spacing_mm=Spacing(lines.step, export.depth_mm, export.ascan_mm, (Origin.DERIVED, Origin.READ, Origin.READ)),
        laterality=export.laterality,
        laterality_origin=Origin.READ,
        pattern=lines.pattern,
        pattern_origin=Origin.DERIVED,
        slow_axis=lines.slow_axis,
        slow_axis_origin=Origin.DERIVED,
        source=Source(device=export.device),
        notes=(*volume.notes, *notes),
    )


def _size(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]} B-scans of {shape[1]} x {shape[2]}"


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:8]) + (" and more" if len(words) > 8 else "")


READER = Reader(
    name="image-folder",
    about="a folder of numbered B-scan pictures",
    suffixes=(),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"key"}),
    parts=_parts,
    beside=_beside,
)
