"""Every format that has a field for somebody's name, and how a scan of it is written, full of planted words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from formats.written_topcon import compressed, plain
from octavo.volume import Laterality
from privacy.planted_devices import bioptigen, e2e, heyex, matlab5, matlab73, optovue, topcon, vol, zeiss
from privacy.planted_standards import (
    analyze,
    dicom,
    dicom_series,
    jpegs,
    mha,
    mhd,
    nhdr,
    nifti,
    npz,
    nrrd,
    picture,
    pictures,
    tiff,
)

PLANTED: dict[str, Callable[[Path, str, np.ndarray, Laterality], Path]] = {
    "vol": vol,
    "e2e": e2e,
    "heyex": heyex,
    "fda": lambda folder, stem, values, eye: topcon(folder, stem, values, eye, compressed(values), ".fda"),
    "fds": lambda folder, stem, values, eye: topcon(folder, stem, values, eye, plain(values), ".fds"),
    "dicom": dicom,
    "dicom-series": dicom_series,
    "optovue": optovue,
    "bioptigen": bioptigen,
    "matlab5": matlab5,
    "matlab73": matlab73,
    "nifti": nifti,
    "nifti-gz": lambda folder, stem, values, eye: nifti(folder, stem, values, eye, ".nii.gz"),
    "tiff": tiff,
    "pictures": pictures,
    "jpegs": jpegs,
    "mha": mha,
    "mhd": mhd,
    "nrrd": nrrd,
    "nhdr": nhdr,
    "npz": npz,
    "zeiss": zeiss,
    "analyze": analyze,
    "picture": picture,
}
"""Name of a format to what writes it: folder, name of the file, samples, eye."""
