"""Reading any scan: find its format, choose the scan, put in what the user says, and believe nothing implausible."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from octavo.companions import Companions
from octavo.formats import (
    bioptigen_oct,
    image_folder,
    metaimage,
    nrrd,
    numpy_file,
    octexplorer,
    optovue_oct,
    picture,
    tiff,
)
from octavo.formats.dicom import reading as dicom
from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.eye_in_name import eye_in_name, with_named_eye
from octavo.formats.heidelberg import e2e, vol, xml_export
from octavo.formats.matlab import reading as matlab
from octavo.formats.nifti import analyze
from octavo.formats.nifti import reading as nifti
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.scan_lines import seen_of_eye
from octavo.formats.stored_axes import parse_axes
from octavo.formats.topcon import reading as topcon
from octavo.formats.users_words import users_words, with_users_spacing, with_users_word
from octavo.formats.zeiss import img
from octavo.volume import AXES, Laterality, Origin, Region, ScanPattern, SlowAxis, Volume, is_constant

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        numpy_file.READER,
        analyze.READER,
        nifti.READER,
        tiff.READER,
        img.READER,
        dicom.READER,
        vol.READER,
        topcon.READER,
        e2e.READER,
        metaimage.READER,
        nrrd.READER,
        matlab.READER,
        bioptigen_oct.READER,
        optovue_oct.READER,
        xml_export.READER,
        image_folder.READER,
        picture.READER,
    )
}
"""Every format that can be read, asked in this order."""

_BEGINNING_BYTES = 1024
_NAMED_SCAN = re.compile(r"(?P<path>.+)#(?P<scan>\d+)")
_ROUNDING = 1e-6


class Said(TypedDict, total=False):
    """What a user may say about a scan: the keyword arguments of `read_volume`."""

    axes: str | None
    key: str | None
    scan: int | None
    spacing_mm: tuple[float, float, float] | None
    laterality: Laterality | None
    slow_axis: SlowAxis | None
    region: Region | None
    pattern: ScanPattern | None
    said_of_all: frozenset[str]


def companion_options(said: Said) -> dict[str, Any]:
    """Of what a user says about a scan, that which `read_companions` needs too: which scan, and how it is stored."""
    return {name: said[name] for name in ("scan", "axes", "key", "said_of_all") if name in said}


def read_volume(
    path: str | Path,
    *,
    axes: str | None = None,
    key: str | None = None,
    scan: int | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    laterality: Laterality | str | None = None,
    slow_axis: SlowAxis | str | None = None,
    region: Region | str | None = None,
    pattern: ScanPattern | str | None = None,
    said_of_all: frozenset[str] = frozenset(),
    allow_constant: bool = False,
) -> Volume:
    """Read a scan from a file or a folder, with everything that is known about it and how.

    The format is recognised by content, then by the ending of the name. What the user says wins over the file, is
    marked `Origin.USER`, and where the two contradict each other a note shows both. What a file tells by way of the eye,
    such as whether upright B-scans run towards the nose, is told again from the user's. A scan that was stored in
    right-eye orientation was turned by its eye and its direction: another one said of it is refused.

    Args:
        path: A file, or a folder of B-scans. `PATH#2` names the second scan of a file that holds several.
        axes: How an array is stored, such as "depth,bscan,ascan".
        key: Which array of an `.npz`; by default the only one with three axes.
        scan: Which scan of the file, counted from one; the same as `PATH#2`.
        spacing_mm: Millimetres between B-scans, along depth and between A-scans.
        laterality: Which eye, as a member or as text; `unknown` leaves the file's word.
        slow_axis: Which way the B-scans follow one another; `unknown` leaves the file's word.
        region: Which part of the retina; `unknown` leaves the file's word.
        pattern: How the B-scans lie; `unknown` leaves the file's word.
        said_of_all: Which of `axes` and `key` were said of many scans at once. A file that states its own axes, has none
            to state, or holds one array ignores them; without this it is refused.
        allow_constant: Accept a volume whose samples are all equal, which no scan is but an empty mask may be.

    Raises:
        VolumeReadError: Whatever is wrong, in one line that begins with the path: what was got, wanted, and the cure.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = tempfile.TemporaryDirectory()
        >>> np.save(f"{folder.name}/eye_OS.npy", np.arange(24.0).reshape(4, 2, 3))
        >>> volume = read_volume(f"{folder.name}/eye_OS.npy", axes="depth,bscan,ascan", spacing_mm=(0.1, 0.004, 0.01))
        >>> volume.shape, volume.spacing_mm.describe(), volume.laterality.value, volume.laterality_origin.value
        ((2, 4, 3), '100 x 4 x 10 um (user)', 'OS', 'derived')
        >>> folder.cleanup()
    """
    file, scan = split_name(path, scan)
    reader = find_reader(file, shown=str(path))
    with refusing(str(path), reader.about):
        words = users_words(laterality=laterality, slow_axis=slow_axis, region=region, pattern=pattern)
        scans = reader.scans(file, _options(reader, axes, key, said_of_all))
        number = _choose(scans, scan)
        named_eye = _named_eye(file, scans, scans[number - 1])
        volume = _load(scans[number - 1], words.get("laterality", Laterality.UNKNOWN), named_eye)
        # whoever says the eye has settled what a folder and its pictures say
        volume = with_named_eye(volume, named_eye, is_folder=file.is_dir() and "laterality" not in words)
        _check_spacing(volume, scans[number - 1].kind, spacing_mm)
        if not allow_constant and is_constant(volume.values):
            raise VolumeReadError(
                f"all {volume.values.size} samples are {volume.values.flat[0]:g}; wanted a picture of something; "
                "the export may have failed: export it again"
            )
        volume = with_users_spacing(volume, spacing_mm)
        for name, word in words.items():
            volume = with_users_word(volume, name, word)
    shown = f"{file}#{number}" if len(scans) > 1 else str(path)
    source = dataclasses.replace(volume.source, path=shown, format=reader.name, scan=number)
    return dataclasses.replace(volume, source=source)


def list_scans(path: str | Path, *, axes: str | None = None, key: str | None = None) -> list[str]:
    """Say what scans a file or folder holds, one phrase each; the first is `PATH#1`.

    Raises:
        VolumeReadError: If the headers cannot be read.
    """
    file, scan = split_name(path, None)
    reader = find_reader(file, shown=str(path))
    with refusing(str(path), reader.about):
        labels = [found.label for found in reader.scans(file, _options(reader, axes, key))]
        return labels if scan is None else [labels[_choose(labels, scan) - 1]]


def read_companions(
    path: str | Path,
    *,
    scan: int | None = None,
    axes: str | None = None,
    key: str | None = None,
    said_of_all: frozenset[str] = frozenset(),
) -> Companions:
    """Read the layer surfaces and the pictures from the front that come with a scan.

    Their B-scans and A-scans are those of the volume that `read_volume` gives for the same path. A scan that comes alone
    has none; what cannot be used is left out with a note.

    Args:
        path: A file or folder; `PATH#2` names the second scan of a file that holds several.
        scan: The same as `PATH#2`.
        axes: As for `read_volume`.
        key: As for `read_volume`.
        said_of_all: As for `read_volume`.

    Raises:
        VolumeReadError: If the headers cannot be read, or several scans are there and none is named.
    """
    file, scan = split_name(path, scan)
    reader = find_reader(file, shown=str(path))
    with refusing(str(path), reader.about):
        scans = reader.scans(file, _options(reader, axes, key, said_of_all))
        found = scans[_choose(scans, scan) - 1]
        # the voxels are read only where surfaces lie beside the scan, to see that their size is its own
        return octexplorer.with_surfaces_beside(found.companions(), file, lambda: found.load().shape, found.laterality)


def name_scan(path: str | Path, scan: int | None) -> str:
    """Name a scan as `PATH#2` does, unless the name says it already or no number was given.

    Raises:
        VolumeReadError: If the name says another number.

    Example:
        >>> name_scan("exam.npz", 2), name_scan("exam.npz#2", 2), name_scan("exam.npz", None)
        ('exam.npz#2', 'exam.npz#2', 'exam.npz')
    """
    split_name(path, scan)
    is_named = split_name(path, None)[1] is not None
    return str(path) if scan is None or is_named else f"{path}#{scan}"


def find_reader(file: Path, shown: str) -> Reader:
    """The reader of a file or folder: the first that recognises its content, or else the ending of its name.

    Raises:
        VolumeReadError: If there is no such file, it is empty, or no reader knows it.
    """
    with refusing(shown, "a scan"):
        if not file.exists():
            raise VolumeReadError("there is no such file or folder; wanted a scan; check the path")
        is_folder = file.is_dir()
        if not is_folder and not file.is_file():
            raise VolumeReadError("is neither a file nor a folder; wanted a scan; check the path")
        beginning = b"" if is_folder else beginning_of(file)
        if not is_folder and not beginning:
            raise VolumeReadError("is empty (0 bytes); wanted a scan; copy or export it again")
        for reader in READERS.values():
            if reader.recognises(file, beginning):
                return reader
        for reader in READERS.values():
            if not is_folder and file.name.lower().endswith(reader.suffixes or (" ",)):
                return reader
        if octexplorer.is_octexplorer(beginning):
            raise VolumeReadError(octexplorer.NO_SCAN)
        what = "folder of no known kind" if is_folder else "file of no known kind"
        raise VolumeReadError(f"{what}; wanted one of {known_formats()}; convert it, or name a scan inside it")


def known_formats() -> str:
    """Every format in words, for messages."""
    return ", ".join(reader.about for reader in READERS.values())


def beginning_of(file: Path) -> bytes:
    """The first bytes of a file, from which readers know their own."""
    with file.open("rb") as stream:
        return stream.read(_BEGINNING_BYTES)


def split_name(path: str | Path, scan: int | None) -> tuple[Path, int | None]:
    """Take `#2` from the end of a name, unless a file is really called so.

    Args:
        path: A file or folder, or `PATH#2`.
        scan: The number that was given beside the name.

    Returns:
        The file or folder, and the number where there is one.

    Raises:
        VolumeReadError: If name and number contradict each other.
    """
    named = _NAMED_SCAN.fullmatch(str(path))
    with refusing(str(path), "a scan"):
        if named is None or Path(path).exists():
            return Path(path), scan
    number = int(named["scan"])
    if scan not in {None, number}:
        raise VolumeReadError(f"{path}: names scan {number} and scan {scan} was given; wanted one of the two; drop one")
    return Path(named["path"]), number


def _choose(scans: Sequence[object], scan: int | None) -> int:
    if scan is None and len(scans) == 1:
        return 1
    labels = "; ".join(
        f"#{number} {found.label if isinstance(found, Scan) else found}" for number, found in enumerate(scans[:20], 1)
    )
    if scan is None:
        raise VolumeReadError(f"holds {len(scans)} scans ({labels}); wanted one; name it, as PATH#1 does")
    if not 1 <= scan <= len(scans):
        raise VolumeReadError(f"scan {scan} was named, and it holds {len(scans)} ({labels}); wanted one of them")
    return scan


def _options(
    reader: Reader, axes: str | None, key: str | None, said_of_all: frozenset[str] = frozenset()
) -> ReadOptions:
    axes, key = (
        None if name in said_of_all and name not in reader.takes else value
        for name, value in (("axes", axes), ("key", key))
    )
    for name, value in (("axes", axes), ("key", key)):
        if value is not None and name not in reader.takes:
            takers = ", ".join(other.name for other in READERS.values() if name in other.takes)
            raise VolumeReadError(
                f"is {reader.about}, which has no {name}, and {name} {value!r} was given; wanted it only for {takers}; "
                f"drop --{name}"
            )
    return ReadOptions(None if axes is None else parse_axes(axes), key, said_of_all)


def _named_eye(file: Path, scans: Sequence[Scan], chosen: Scan) -> Laterality:
    """The eye in the name of a file or folder, if it can speak of this scan.

    Where several scans are of both eyes, one name cannot be of them all; nor does it tell of a scan without an eye of its
    own what it says wrongly of the others.
    """
    named = eye_in_name(file.name)
    stated = {scan.laterality for scan in scans} - {Laterality.UNKNOWN}
    is_untold = chosen.laterality is Laterality.UNKNOWN and bool(stated - {named})
    return Laterality.UNKNOWN if len(scans) > 1 and (len(stated) > 1 or is_untold) else named


def _load(scan: Scan, users_eye: Laterality, named_eye: Laterality) -> Volume:
    """Read the voxels, with the direction that follows from the eye: the user's, else the file's, else the name's."""
    eyes = (users_eye, scan.laterality, named_eye)
    eye = next((eye for eye in eyes if eye is not Laterality.UNKNOWN), Laterality.UNKNOWN)
    if eye is not scan.laterality and scan.load_as is not None:
        return scan.load_as(eye)
    return seen_of_eye(scan.load(), eye)


def _check_spacing(volume: Volume, kind: Kind, users_mm: tuple[float, float, float] | None) -> None:
    """Refuse millimetres that no such image has, unless the user vouches for others."""
    smallest, largest = kind.plausible_mm
    pairs = zip(AXES, volume.spacing_mm.values_mm, volume.spacing_mm.origins, strict=True)
    wrong = [
        axis
        for axis, value, origin in pairs
        if value is not None
        and origin is not Origin.USER
        and not smallest * (1 - _ROUNDING) <= value <= largest * (1 + _ROUNDING)
    ]
    if wrong and users_mm is None:
        raise VolumeReadError(
            f"spacing along {', '.join(wrong)} cannot be true: {volume.spacing_mm.describe()}; wanted "
            f"{smallest * 1000:g} to {largest * 1000:g} um for this kind of image; pass --spacing-mm BSCAN DEPTH ASCAN"
        )
