"""Finding the scans below a folder: every one of them, and nothing lost because something else lies beside it."""

import re
from pathlib import Path

from octavo.formats import image_folder, picture
from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.nifti.analyze import is_voxels_of_pair
from octavo.formats.reader import Reader
from octavo.formats.reading import READERS, beginning_of, find_reader, known_formats, list_scans, split_name

_MASK = re.compile(r"\.mask\.", re.IGNORECASE)


def find_scans(path: str | Path) -> list[str]:
    """Name every scan under a folder, in natural order, ready for `read_volume`.

    A file, a folder that is itself a scan, and a name that does not exist come back as they are. A folder of pictures or
    of DICOM frames that also holds other scans comes back as one scan among them. Files whose names end as scans' do are
    listed even where their content is none, and so are links that lead nowhere and what is neither file nor folder: they
    are reported and not passed over. Files called `NAME.mask.npz` (or `.nii`, ...) are truth masks and no scans. Nor is a
    picture that stands alone: it may be a photograph, a preview or an overview, and is read only where it is named.

    Raises:
        VolumeReadError: If a folder holds nothing that looks like a scan.
    """
    folder, scan = split_name(path, None)
    with refusing(str(path), "a scan or a folder of scans"):
        if scan is not None or not folder.is_dir():
            return [str(path)]
        found = _scans_under(folder)
        if not found:
            raise VolumeReadError(f"folder holds no scan; wanted one of {known_formats()}; {_cure(folder)}")
        return found


def files_of(scan: str | Path) -> list[Path]:
    """The files that a scan is made of: itself, or the pictures or frames of a folder.

    Raises:
        VolumeReadError: If the folder cannot be listed.
    """
    place, _ = split_name(scan, None)
    with refusing(str(scan), "a scan"):
        reader = _reader_of(place) if place.is_dir() else None
        return [place] if reader is None else sorted(reader.parts(place))


def files_read_for(scan: str | Path) -> list[Path]:
    """Every file that reading a scan depends on: those it is made of, and those beside it that tell about it.

    Where one of them changes, the scan must be read again. A folder stands for its own entry, not for what is in it.

    Raises:
        VolumeReadError: If there is no such scan, or its folder cannot be listed.
    """
    place, _ = split_name(scan, None)
    reader = find_reader(place, shown=str(scan))
    with refusing(str(scan), reader.about):
        return [*files_of(scan), *sorted(reader.beside(place))]


def _cure(folder: Path) -> str:
    """What to do where nothing was found: pictures are not searched for, and whoever has only these is told so."""
    if any(entry.name.lower().endswith(picture.READER.suffixes) for entry in folder.rglob("*")):
        return "name each picture that is a B-scan by itself, here or in a manifest"
    return "check the path"


def _scans_under(folder: Path) -> list[str]:
    reader = _reader_of(folder)
    parts = set() if reader is None else set(reader.parts(folder))
    found = [] if reader is None else _scans_of_folder(folder)
    for entry in sorted(folder.iterdir(), key=_natural_order):
        if entry.name.startswith(".") or (entry.is_dir() and entry.is_symlink()) or _MASK.search(entry.name):
            continue
        if entry.is_dir():
            found += _scans_of_subfolder(entry)
        elif entry not in parts and _looks_like_scan(entry, reader):
            found.append(str(entry))
    return found


def _reader_of(folder: Path) -> Reader | None:
    return next((reader for reader in READERS.values() if reader.recognises(folder, b"")), None)


def _scans_of_folder(folder: Path) -> list[str]:
    try:
        count = len(list_scans(folder))
    except VolumeReadError:
        # Whoever reads it gets the sentence.
        return [str(folder)]
    return [str(folder)] if count == 1 else [f"{folder}#{number}" for number in range(1, count + 1)]


def _scans_of_subfolder(folder: Path) -> list[str]:
    try:
        with refusing(str(folder), "a folder of scans"):
            return _scans_under(folder)
    except VolumeReadError:
        # Reading it is refused with the same sentence, and its neighbours are read.
        return [str(folder)]


def _looks_like_scan(entry: Path, reader_of_folder: Reader | None) -> bool:
    """Whether a file must be answered for: it may be a scan, or nobody can tell."""
    if not entry.is_file():
        return True
    # An overview beside numbered B-scans is no scan; the volume's notes count it.
    if reader_of_folder is image_folder.READER and image_folder.is_picture(entry):
        return False
    if is_voxels_of_pair(entry):
        return False
    return entry.name.lower().endswith(_suffixes()) or _is_known(entry)


def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for reader in _searched() for suffix in reader.suffixes)


def _searched() -> list[Reader]:
    """The formats whose files are scans wherever they lie."""
    return [reader for reader in READERS.values() if reader is not picture.READER]


def _is_known(file: Path) -> bool:
    try:
        with refusing(str(file), "a scan"):
            beginning = beginning_of(file)
            return bool(beginning) and any(reader.recognises(file, beginning) for reader in _searched())
    except VolumeReadError:
        return True


def _natural_order(path: Path) -> list[tuple[int, str]]:
    pieces = re.split(r"(\d+)", path.name)
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in pieces]
