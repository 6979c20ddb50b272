"""One eye on one day: a row of the manifest, and how its scan is read."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Num

from octavo.errors import OctavoError, unknown_name
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis, Volume

PARTS = ("train", "validation", "test")
"""The parts a cohort is divided into, in order."""


class LateralityConflictError(OctavoError):
    """The file says one eye and the manifest the other; one of them is wrong, and nothing here can say which."""


@dataclass(frozen=True)
class Exam:
    """One eye on one day.

    What describes the scan (`axes` to `pattern`) is what the user says of it, and is handed to the reader as such. None
    means that nothing was said, so that the file decides.

    Args:
        exam_id: The name of the exam, unique in its cohort.
        patient_id: Whose eye it is; both eyes of a person bear the same one.
        path: Where the scan is; `FILE#2` names the second scan of a file.
        laterality: Which eye, as far as the manifest says.
        laterality_wins: That eye holds even where the file says the other one.
        label: 1 for the class that is looked for, 0 for the other, None where the cohort has no labels. Of more than two
            classes the place of its own among them, counted from 0.
        split: The part the exam belongs to, one of `PARTS`, where the cohort is divided.
        covariates: Every other column of the row, as written.
        axes: The order of the axes in an array file, such as `depth,bscan,ascan`.
        key: The name of the array in an archive of several.
        said_of_all: Which of `axes` and `key` were said of all exams at once and not of this one: a file that states its
            own axes, has none to state, or holds one array ignores them.
        spacing_mm: Millimetres between B-scans, along depth and between A-scans.
        slow_axis: Which way the B-scans follow one another.
        region: Which part of the retina the scan holds.
        pattern: How the B-scans lie on the retina.
        mask: A mask of the tissue that is known to matter, on the grid of the scan as it is read.

    Raises:
        OctavoError: If the label or the part is none of those known.
    """

    exam_id: str
    patient_id: str
    path: Path
    laterality: Laterality = Laterality.UNKNOWN
    label: int | None = None
    split: str | None = None
    covariates: Mapping[str, str] = field(default_factory=dict, hash=False)
    axes: str | None = None
    key: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    slow_axis: SlowAxis | None = None
    region: Region | None = None
    pattern: ScanPattern | None = None
    mask: Path | None = None
    laterality_wins: bool = False
    said_of_all: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        is_class = isinstance(self.label, int | np.integer) and self.label >= 0
        if self.label not in {None, 0, 1} and not is_class:
            raise OctavoError(f"exam {self.exam_id!r}: label is {self.label!r}; wanted 0, 1 or none")
        if self.split is not None and self.split not in PARTS:
            raise OctavoError(f"exam {self.exam_id!r}: {unknown_name('a part of a split', self.split, PARTS)}")


def read_exam(exam: Exam, *, allow_constant: bool = False) -> Volume:
    """Read the scan of an exam, with what the manifest says of it.

    The manifest names the eye only where the file does not: a header that says the other eye is a conflict, because a
    left eye read as a right one trains and predicts without complaint and is wrong, unless the exam says that its eye wins.

    Args:
        exam: What to read, and what the manifest says of it.
        allow_constant: Accept a scan whose voxels are all equal, for a check that reports it.

    Raises:
        VolumeReadError: If the scan cannot be read.
        LateralityConflictError: If file and manifest name different eyes.
    """
    from octavo.formats import read_volume

    volume = read_volume(
        exam.path,
        axes=exam.axes,
        key=exam.key,
        laterality=exam.laterality if exam.laterality_wins else None,
        spacing_mm=exam.spacing_mm,
        slow_axis=exam.slow_axis,
        region=exam.region,
        pattern=exam.pattern,
        said_of_all=exam.said_of_all,
        allow_constant=allow_constant,
    )
    if exam.laterality in {Laterality.UNKNOWN, volume.laterality}:
        return volume
    if volume.laterality_origin in {Origin.READ, Origin.DERIVED}:
        raise LateralityConflictError(
            f"{exam.path.name}: the file says {volume.laterality} ({volume.laterality_origin}) and the manifest says "
            f"{exam.laterality} for exam {exam.exam_id!r}; wanted one eye; correct whichever is wrong"
        )
    return dataclasses.replace(volume, laterality=exam.laterality, laterality_origin=Origin.USER)


def read_mask(exam: Exam, shape: tuple[int, int, int]) -> Bool[np.ndarray, "bscan depth ascan"]:
    """Read the truth mask of an exam; every value other than zero is inside.

    A mask lies on the grid of the scan as it is read, B-scans first, whatever order the file of the scan has.

    Args:
        exam: An exam that has a mask.
        shape: The shape of its scan.

    Raises:
        VolumeReadError: If the mask cannot be read.
        OctavoError: If there is no mask, or it has another shape than the scan.
    """
    from octavo.formats import read_volume

    if exam.mask is None:
        raise OctavoError(f"exam {exam.exam_id!r} has no mask; wanted one; name it in the column 'mask'")
    # an eye without disease has an empty mask
    mask = read_volume(exam.mask, allow_constant=True)
    if mask.shape != shape:
        raise OctavoError(
            f"{exam.mask.name}: mask has shape {mask.shape} and the scan {shape}; wanted a mask on the scan's grid"
        )
    return mask.values != 0


def voxel_hash(volume: Volume) -> str:
    """A fingerprint of the voxels alone: the same scan in another file, format or number type has the same one.

    Values are brought to the smallest type that holds them all, or to single precision where none does, so that a copy
    that went through another number type is still found.

    Example:
        >>> bytes_copy = Volume(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
        >>> voxel_hash(bytes_copy) == voxel_hash(bytes_copy.with_values(bytes_copy.values.astype(float)))
        True
    """
    # asked is which scans are equal, not who forged one; a cryptographic hash took a fifth of preparing a large cube
    from xxhash import xxh3_128

    kind = _smallest_type(volume.values)
    digest = xxh3_128(f"{volume.shape} {kind}".encode())
    for bscan in volume.bscans:
        # adding zero turns minus zero into zero, which is equal but has other bits
        plain = bscan.astype(kind, copy=False) if kind != "<f4" else bscan.astype(kind) + np.float32(0)
        digest.update(np.ascontiguousarray(plain).view(np.uint8).data)
    return digest.hexdigest()


def _smallest_type(values: Num[np.ndarray, "bscan depth ascan"]) -> str:
    """Bytes, 16-bit numbers or single precision, whichever holds all values exactly and is the smallest."""
    if values.dtype == np.uint8:
        return "u1"
    lowest, highest = float(values.min()), float(values.max())
    is_whole = values.dtype.kind in "ui" or all(bool((bscan == np.rint(bscan)).all()) for bscan in values)
    if not is_whole or lowest < 0 or highest > np.iinfo(np.uint16).max:
        return "<f4"
    return "u1" if highest <= np.iinfo(np.uint8).max else "<u2"
