"""Photographs of the fundus that lie beside a DICOM tomography image, in its own folder.

A photograph is offered only where it is sure to belong to the scan: one frame of Ophthalmic Photography, of the same
study and of the same eye, both stated. Identifiers are compared and never shown.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from octavo.companions import Companions, EnFace, Picture
from octavo.formats.dicom.dataset import Instance, is_dicom, read_dataset
from octavo.formats.dicom.geometry import laterality_of
from octavo.formats.dicom.pixels import decode_picture
from octavo.formats.errors import VolumeReadError, refusing
from octavo.volume import Laterality

if TYPE_CHECKING:
    from pydicom import Dataset

_PHOTOGRAPHY = {"1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.5.2"}
_MOST_FILES = 200


def companions_of(instance: Instance, laterality: Laterality) -> Companions:
    """The photographs that come with a scan, and a note where there are too many files to look through.

    Args:
        instance: The scan, or its first frame.
        laterality: The eye that the scan's header names.
    """
    study = str(instance.header.get("StudyInstanceUID") or "")
    if not study or laterality is Laterality.UNKNOWN:
        return Companions()
    beside = [file for file in sorted(instance.path.parent.iterdir()) if file.is_file() and file != instance.path]
    if len(beside) > _MOST_FILES:
        note = f"{len(beside)} files lie beside the scan; photographs are looked for among at most {_MOST_FILES}"
        return Companions(notes=(note,))
    pictures: list[EnFace] = []
    notes: list[str] = []
    for file in beside:
        try:
            with refusing("a photograph beside the scan", "a DICOM image"):
                header = _photograph(file, study, laterality)
                if header is not None:
                    pictures.append(_picture(file, header))
        except VolumeReadError as refusal:
            notes.append(str(refusal))
    return Companions(pictures=tuple(pictures), notes=tuple(notes))


def _photograph(file: Path, study: str, laterality: Laterality) -> "Dataset | None":
    """The header of a photograph of this study and this eye; None where a file is anything else."""
    if not is_dicom(file):
        return None
    try:
        with refusing("", "a DICOM image"):
            header = read_dataset(file, pixels=False)
    except VolumeReadError:
        # Whatever it is, nothing says that it belongs to the scan.
        return None
    is_one = header.get("SOPClassUID") in _PHOTOGRAPHY and header.get("NumberOfFrames") in {None, "", 1}
    belongs = is_one and header.get("StudyInstanceUID") == study and laterality_of(header)[0] is laterality
    return header if belongs else None


def _picture(file: Path, header: "Dataset") -> EnFace:
    values = decode_picture(file)
    spacing = header.get("PixelSpacing") or ()
    rows_mm, columns_mm = (float(size) for size in spacing) if len(spacing) == 2 else (0.0, 0.0)
    is_known = all(np.isfinite(size) and size > 0 for size in (rows_mm, columns_mm))
    # grey may be infra-red, red-free light or fluorescence: the header's words for it differ from maker to maker
    kind = Picture.COLOUR if values.ndim == 3 else Picture.OTHER
    return EnFace(kind, values, (rows_mm, columns_mm) if is_known else None)
