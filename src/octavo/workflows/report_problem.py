"""Write what may be told of a file that would not open: its skeleton, and octavo's own words about it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from octavo import __version__
from octavo.errors import OctavoError
from octavo.files import write_json
from octavo.formats import READERS, VolumeReadError, read_volume
from octavo.privacy.skeleton import skeleton
from octavo.privacy.skeleton_words import own_words
from octavo.workflows.own_inputs import refuse_own_input

_ABOUT = (
    "The skeleton of a file: kinds, places and lengths of its parts, sizes of its images, and how evenly its bytes are "
    "spread. No text and no sample of the file. Read it before you share it."
)
_LIBRARIES = ("numpy", "pydicom", "pillow", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm")


def report_problem(file: Path, out: Path, *, overwrite: bool = False) -> dict[str, object]:
    """Try to read a file, take it apart, and write what may be shared of both.

    Args:
        file: The file that will not open, or opens wrongly.
        out: The JSON file to write.
        overwrite: Whether a report that is there already may be replaced.

    Returns:
        The report as it was written.

    Raises:
        OctavoError: If there is no such file, or the report has no place.
    """
    refuse_own_input(out, [file])
    if out.exists() and not overwrite:
        raise OctavoError(f"{out}: is there already; wanted a new name; pass --overwrite to replace a report")
    if out.is_dir():
        raise OctavoError(f"{out}: is a folder; wanted the name of a JSON file")
    parts = skeleton(file)
    report = {
        "about": _ABOUT,
        "octavo": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "ending": _known_ending(file),
        **_reading(file),
        **parts,
    }
    write_json(out, report)
    return report


def _reading(file: Path) -> dict[str, object]:
    """Whether the file can be read, and what octavo says where it cannot."""
    try:
        volume = read_volume(file)
    except VolumeReadError as refusal:
        return {"opens": False, "refusal": own_words(str(refusal), file)}
    return {
        "opens": True,
        "shape": list(volume.shape),
        "samples": volume.values.dtype.name,
        "spacing_mm": list(volume.spacing_mm.values_mm),
        "spacing origins": [origin.value for origin in volume.spacing_mm.origins],
        "eye known": volume.laterality_origin.value,
        "pattern": volume.pattern.value,
        "notes": [own_words(note, file) for note in volume.notes],
    }


def _known_ending(file: Path) -> str:
    name = file.name.lower()
    endings = (ending for reader in READERS.values() for ending in reader.suffixes)
    return max((ending for ending in endings if name.endswith(ending)), key=len, default="another")


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
