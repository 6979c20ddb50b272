"""Writing a scan so that everything known about it comes back when it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from octavo.companions import Companions
from octavo.errors import OctavoError, unknown_name
from octavo.files import atomic_writer
from octavo.formats.dicom.writing import write_dicom
from octavo.formats.nifti.writing import write_nifti, write_nifti_gz
from octavo.formats.numpy_file import write_npz
from octavo.formats.tiff import write_tiff
from octavo.volume import Volume


@dataclass(frozen=True, slots=True)
class Writer:
    """A format that can be written: the ending that asks for it, and how."""

    suffixes: tuple[str, ...]
    write: Callable[[Volume, BinaryIO], None]
    write_with: Callable[[Volume, BinaryIO, Companions], None] | None = None
    """How a scan is written with its surfaces and pictures, where the format holds them."""


WRITERS: dict[str, Writer] = {
    "numpy": Writer((".npz",), write_npz, write_npz),
    "nifti-gz": Writer((".nii.gz",), write_nifti_gz),
    "nifti": Writer((".nii",), write_nifti),
    "tiff": Writer((".tif", ".tiff"), write_tiff),
    "dicom": Writer((".dcm",), write_dicom),
}
"""Every format that can be written."""


def holds_companions(path: str | Path) -> bool:
    """Whether the format that a name asks for keeps surfaces and pictures with the scan.

    Raises:
        OctavoError: If the ending is not known.
    """
    return _writer_of(Path(path)).write_with is not None


def write_volume(
    volume: Volume, path: str | Path, companions: Companions | None = None, *, overwrite: bool = False
) -> Path:
    """Write a scan in the format that the name's ending asks for, geometry included.

    The file appears whole or not at all.

    Args:
        volume: The scan; what is known about it is kept, whichever format is chosen.
        path: Where to; the ending chooses the format.
        companions: What comes with the scan; kept where the format holds it (see `holds_companions`).
        overwrite: Whether a file that is there already may be replaced.

    Returns:
        The path.

    Raises:
        OctavoError: If the ending is not known, a file is there already, the format cannot hold the scan, or the place
            cannot be written to.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from octavo.formats import read_volume
        >>> from octavo.volume import Spacing
        >>> folder = tempfile.TemporaryDirectory()
        >>> scan = Volume(np.arange(24.0).reshape(2, 4, 3), Spacing(0.25, 0.004, 0.01))
        >>> read_volume(write_volume(scan, f"{folder.name}/scan.nii.gz")).spacing_mm == scan.spacing_mm
        True
        >>> folder.cleanup()
    """
    path = Path(path)
    writer = _writer_of(path)
    if path.exists() and not overwrite:
        raise OctavoError(f"{path}: is there already; wanted a new name; pass --overwrite to replace it")
    try:
        with atomic_writer(path) as file:
            if writer.write_with is not None and companions is not None:
                writer.write_with(volume, file, companions)
            else:
                writer.write(volume, file)
    except OctavoError as refusal:
        raise OctavoError(f"{path}: {refusal}") from None
    except OSError as error:
        raise OctavoError(f"{path}: cannot be written ({error.strerror or type(error).__name__})") from error
    return path


def _writer_of(path: Path) -> Writer:
    for writer in WRITERS.values():
        if path.name.lower().endswith(writer.suffixes):
            return writer
    endings = [suffix for writer in WRITERS.values() for suffix in writer.suffixes]
    raise OctavoError(f"{path}: " + unknown_name("an ending that can be written", path.suffix, endings))
