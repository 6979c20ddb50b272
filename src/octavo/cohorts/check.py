"""Reading every exam of a cohort and listing what is wrong, before a network learns from it.

Nothing stops at the first fault: one bad scan among a hundred is reported, and the ninety-nine are checked as well.
"""

import difflib
import math
import multiprocessing
import os
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octavo.cohorts.exam import PARTS, Exam, LateralityConflictError, read_exam, read_mask, voxel_hash
from octavo.cohorts.manifest import OPTIONAL, Cohort, patients_in_two_parts
from octavo.errors import OctavoError, unknown_name
from octavo.volume import AXES, Laterality, Origin, ScanPattern, SlowAxis, Volume

FAULTS: dict[str, str] = {
    "missing": "there is no file where the manifest says",
    "unreadable": "the scan was refused by its reader",
    "duplicate": "the same voxels stand under several exams",
    "patient-in-two-splits": "a patient is in more than one part of the split",
    "laterality-unknown": "neither file nor manifest says which eye it is",
    "laterality-conflict": "file, its name and manifest name different eyes",
    "spacing-implausible": "a spacing below a micrometre, or above 1 mm of an eye and 10 mm of anything else",
    "constant": "every voxel has the same value",
    "unsuitable": "not a raster of several B-scans, so not a block of tissue",
    "one-class-empty": "no exam of one of the classes, in the cohort or in a part of its split",
    "mask": "the truth mask cannot be read or has another shape than its scan",
}
"""What must be put right, or tolerated by name, before training."""

WARNINGS: dict[str, str] = {
    "vertical-raster": "the B-scans stand upright, which models of hemiretinas refuse",
    "slow-axis-unknown": "it is not known which B-scan is superior; the first is taken to be",
    "spacing-unknown": "millimetres are not known along some axis",
    "spacing-outlier": "a spacing that differs from the cohort's median by more than a tenth",
    "shape-outlier": "another size than most scans of the cohort",
    "similar-patients": "two patients whose names differ only in capitals, leading zeros, marks or a `.0` at the end",
    "column-name": "a covariate that may be a misspelt column",
    "note": "what the reader of the scan said",
}
"""What is worth a look."""

PLAUSIBLE_MM = (0.001, 1.0)
"""The spacings that a scan of an eye can have, both included."""
LARGEST_IMAGE_MM = 10.0
"""The largest spacing of an image of which no eye is known, such as one of a head."""
OUTLIER_SHARE = 0.1


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and with which exams."""

    kind: str
    message: str
    exam_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedScan:
    """What reading one exam showed; small, so that a cohort of any size can be kept in memory.

    Everything but `problems` is None where the scan could not be read.
    """

    exam_id: str
    problems: tuple[tuple[str, str], ...] = ()
    """Kind and message of what is wrong with this scan by itself."""
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    voxels: str | None = None
    """Hash of the values; None for a constant volume too, which equals every other without being a copy of it."""


@dataclass(frozen=True)
class CohortCheck:
    """What a check found."""

    path: Path
    exams: int
    patients: int
    readable: int
    faults: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def check_cohort(
    cohort: Cohort,
    *,
    workers: int = 1,
    allow: Iterable[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CohortCheck:
    """Read every exam and list what is wrong, exam by exam and with the cohort as a whole.

    Args:
        cohort: The exams; read it with `allow_straddling=True`, so that patients in two parts are listed too.
        workers: How many processes read; 1 reads in this one.
        allow: Kinds of faults that are accepted and become warnings.
        progress: Called with the number of exams read and their total after each one.

    Raises:
        OctavoError: If `allow` names no fault, or a reading process dies.
    """
    allowed = set(allow)
    for kind in sorted(allowed - FAULTS.keys()):
        raise OctavoError(unknown_name("a kind of fault", kind, FAULTS))
    scans = list(read_scans(cohort.exams, workers, progress))
    findings = [*_merged(scans), *_duplicates(cohort, scans), *_of_manifest(cohort), *_outliers(scans)]
    order = [*FAULTS, *WARNINGS]
    findings.sort(key=lambda finding: order.index(finding.kind))
    return CohortCheck(
        path=cohort.path,
        exams=len(cohort.exams),
        patients=len(cohort.patients),
        readable=sum(scan.shape is not None for scan in scans),
        faults=tuple(finding for finding in findings if finding.kind in FAULTS.keys() - allowed),
        warnings=tuple(finding for finding in findings if finding.kind not in FAULTS.keys() - allowed),
    )


def read_scans(
    exams: Sequence[Exam], workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> Iterator[CheckedScan]:
    """Read exams one after the other, in order, and keep only what is known of them.

    Raises:
        OctavoError: If a reading process dies, or there is to be none.
    """
    if workers < 1:
        raise OctavoError(f"--workers is {workers}; wanted at least 1")
    done = 0
    with _reading(exams, workers) as scans:
        try:
            for scan in scans:
                done += 1
                if progress is not None:
                    progress(done, len(exams))
                yield scan
        except BrokenProcessPool as problem:
            raise OctavoError(
                f"a process died while reading {exams[done].path.name} or one of the scans after it, most likely for "
                "want of memory; check again with --workers 1"
            ) from problem


@contextmanager
def _reading(exams: Sequence[Exam], workers: int) -> Iterator[Iterator[CheckedScan]]:
    if workers == 1:
        yield map(check_scan, exams)
        return
    # a process that is spawned inherits no threads and no locks
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map(check_scan, exams, chunksize=4)


def check_scan(exam: Exam) -> CheckedScan:
    """Read one exam and say what it is and what is wrong with it."""
    if not _exists(exam.path):
        return CheckedScan(exam.exam_id, (("missing", f"{exam.path} does not exist"),))
    try:
        volume = read_exam(exam, allow_constant=True)
    except LateralityConflictError as conflict:
        return CheckedScan(exam.exam_id, (("laterality-conflict", str(conflict)),))
    except OctavoError as refusal:
        return CheckedScan(exam.exam_id, (("unreadable", str(refusal)),))
    is_constant = bool(volume.values.min() == volume.values.max())
    problems = [
        *_name_problems(exam, volume),
        *(("note", note) for note in volume.notes),
        *([("constant", f"every voxel is {volume.values.flat[0]}")] if is_constant else []),
        *_orientation_problems(volume),
        *_spacing_problems(volume),
        *_mask_problems(exam, volume.shape),
    ]
    voxels = None if is_constant else voxel_hash(volume)
    return CheckedScan(exam.exam_id, tuple(problems), volume.shape, volume.spacing_mm.values_mm, voxels)


def _name_problems(exam: Exam, volume: Volume) -> Iterator[tuple[str, str]]:
    """A header and a name that say different eyes: reading believes the header, and nobody knows which is right."""
    from octavo.formats import split_name
    from octavo.formats.reading import eye_in_name

    named = eye_in_name(split_name(exam.path, None)[0].name)
    if volume.laterality_origin is Origin.READ and named not in {Laterality.UNKNOWN, volume.laterality}:
        yield "laterality-conflict", f"{exam.path.name}: its header says {volume.laterality} and its name says {named}"


def _orientation_problems(volume: Volume) -> Iterator[tuple[str, str]]:
    if volume.pattern not in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        yield "unsuitable", f"a {volume.pattern} scan; wanted a raster of B-scans"
    elif volume.shape[0] < 2:
        yield "unsuitable", "a single B-scan; wanted a raster of several"
    elif volume.slow_axis.is_vertical:
        yield "vertical-raster", f"B-scans run {volume.slow_axis}"
    elif volume.slow_axis is SlowAxis.UNKNOWN:
        yield "slow-axis-unknown", "direction of the B-scans unknown; say it in the column 'slow_axis'"
    if volume.laterality is Laterality.UNKNOWN:
        yield "laterality-unknown", "which eye is unknown; say it in the column 'laterality'"


def _spacing_problems(volume: Volume) -> Iterator[tuple[str, str]]:
    spacing_mm = dict(zip(AXES, volume.spacing_mm.values_mm, strict=True))
    unknown = [axis for axis, value in spacing_mm.items() if value is None]
    # a single B-scan has no distance to the next
    if unknown and (volume.shape[0] > 1 or unknown != ["bscan"]):
        yield "spacing-unknown", f"spacing along {', '.join(unknown)} unknown; say it in the columns spacing_..._mm"
    smallest, largest = PLAUSIBLE_MM
    if volume.laterality is Laterality.UNKNOWN:
        largest = LARGEST_IMAGE_MM
    for axis, value in spacing_mm.items():
        if value is not None and not smallest <= value <= largest:
            yield (
                "spacing-implausible",
                f"spacing along {axis} is {value:g} mm; wanted {smallest:g} to {largest:g} mm; say millimetres in the "
                "columns spacing_..._mm",
            )


def identical_scans(scans: Sequence[CheckedScan]) -> list[tuple[str, ...]]:
    """Groups of exams that hold the same voxels, as `split_patients(together=...)` wants them."""
    groups: dict[str, list[str]] = {}
    for scan in scans:
        if scan.voxels is not None:
            groups.setdefault(scan.voxels, []).append(scan.exam_id)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _exists(path: Path) -> bool:
    """Whether a file or folder is there; `FILE#2` is a scan inside FILE."""
    file, mark, number = str(path).rpartition("#")
    return os.path.exists(path) or (bool(mark) and number.isdigit() and os.path.exists(file))


def _mask_problems(exam: Exam, shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    if exam.mask is None:
        return []
    try:
        read_mask(exam, shape)
    except OctavoError as refusal:
        return [("mask", str(refusal))]
    return []


def _merged(scans: Sequence[CheckedScan]) -> list[Finding]:
    """What is wrong with single scans, one finding for all that have the same."""
    exams: dict[tuple[str, str], list[str]] = {}
    for scan in scans:
        for problem in scan.problems:
            exams.setdefault(problem, []).append(scan.exam_id)
    return [Finding(kind, message, tuple(exam_ids)) for (kind, message), exam_ids in exams.items()]


def _duplicates(cohort: Cohort, scans: Sequence[CheckedScan]) -> list[Finding]:
    by_id = {exam.exam_id: exam for exam in cohort.exams}
    findings = []
    for group in identical_scans(scans):
        exams = [by_id[exam_id] for exam_id in group]
        patients = sorted({exam.patient_id for exam in exams})
        parts = sorted({exam.split for exam in exams if exam.split})
        whose = f"of patient {patients[0]!r}" if len(patients) == 1 else f"under {len(patients)} patients"
        across = f", in {' and '.join(parts)}" if len(parts) > 1 else ""
        both = "both" if cohort.class_count == 2 else "several"
        classes = f", with {both} labels" if len({exam.label for exam in exams}) > 1 else ""
        eyes = ", as both eyes" if {Laterality.OD, Laterality.OS} <= {exam.laterality for exam in exams} else ""
        findings.append(Finding("duplicate", f"one scan {len(group)} times {whose}{across}{classes}{eyes}", group))
    return findings


def _of_manifest(cohort: Cohort) -> list[Finding]:
    """What is wrong with the rows as a whole, whatever their scans hold."""
    findings = []
    for patient, parts in patients_in_two_parts((exam.patient_id, exam.split) for exam in cohort.exams).items():
        exam_ids = tuple(exam.exam_id for exam in cohort.exams if exam.patient_id == patient)
        findings.append(Finding("patient-in-two-splits", f"patient {patient!r} is in {' and '.join(parts)}", exam_ids))
    labelled = [exam for exam in cohort.exams if exam.label is not None]
    places = {"the cohort": labelled}
    places |= {part: [exam for exam in labelled if exam.split == part] for part in PARTS}
    for place, exams in places.items():
        missing = set(range(cohort.class_count)) - {exam.label for exam in exams}
        if exams and missing:
            which = " or ".join(cohort.classes[label] if cohort.classes else str(label) for label in sorted(missing))
            findings.append(Finding("one-class-empty", f"{place}: no exam with label {which}"))
    folded: dict[str, list[str]] = {}
    for patient in cohort.patients:
        folded.setdefault(_folded_patient(patient), []).append(patient)
    findings.extend(
        Finding("similar-patients", f"patients {', '.join(map(repr, group))}: one person?")
        for group in folded.values()
        if len(group) > 1
    )
    for column in dict.fromkeys(name for exam in cohort.exams for name in exam.covariates):
        near = difflib.get_close_matches(column.lower(), OPTIONAL, n=1, cutoff=0.8)
        if near:
            findings.append(Finding("column-name", f"column {column!r} is kept as a covariate; meant {near[0]!r}?"))
    return findings


def _folded_patient(patient: str) -> str:
    """A patient's name without what spreadsheets and people lose: capitals, marks, leading zeros, and `.0` behind numbers.

    Example:
        >>> [_folded_patient(name) for name in ("P017", "p-17", "1978.0", "001978", "17-3", "173")]
        ['p17', 'p17', '1978', '1978', '17 3', '173']
    """
    marked = re.sub(r"[\W_]+", " ", re.sub(r"(?<=\d)\.0$", "", patient.lower())).strip()
    # between two digits a mark parts two numbers
    joined = re.sub(r"(?<!\d) | (?!\d)", "", marked)
    return re.sub(r"(?<!\d)0+(?=\d)", "", joined)


def _outliers(scans: Sequence[CheckedScan]) -> list[Finding]:
    read = [scan for scan in scans if scan.shape is not None]
    findings: list[Finding] = []
    shapes = Counter(scan.shape for scan in read)
    if len(shapes) > 1:
        usual, count = shapes.most_common(1)[0]
        by_shape: dict[tuple[int, int, int] | None, list[str]] = {}
        for scan in read:
            by_shape.setdefault(scan.shape, []).append(scan.exam_id)
        findings.extend(
            Finding(
                "shape-outlier", f"{_size(shape)}; {count} of {len(read)} scans are {_size(usual)}", tuple(exam_ids)
            )
            for shape, exam_ids in by_shape.items()
            if shape != usual
        )
    for index, axis in enumerate(AXES):
        known = {scan.exam_id: value for scan in read if (value := scan.spacing_mm[index]) is not None}
        if not known:
            continue
        median = statistics.median_low(known.values())
        far = tuple(
            exam_id for exam_id, value in known.items() if abs(math.log(value / median)) > math.log(1 + OUTLIER_SHARE)
        )
        if far:
            values = sorted({f"{known[exam_id] * 1000:.4g}" for exam_id in far}, key=float)
            listed = ", ".join(values[:5]) + (", ..." if len(values) > 5 else "")
            message = f"{listed} um along {axis}; the median of the cohort is {median * 1000:.4g} um"
            findings.append(Finding("spacing-outlier", message, far))
    return findings


def _size(shape: tuple[int, int, int] | None) -> str:
    return "?" if shape is None else " x ".join(map(str, shape))
