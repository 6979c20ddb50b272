"""Exams from scans that come without a manifest."""

from collections.abc import Sequence
from pathlib import Path

from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import read_manifest
from octavo.errors import OctavoError
from octavo.formats import Said, VolumeReadError, find_scans
from octavo.volume import Laterality


def exams_of(paths: Sequence[str], said: Said) -> tuple[list[Exam], list[tuple[Exam, str]]]:
    """Name the exams to predict or explain.

    Args:
        paths: Scans, folders to search, and manifests (.csv), which need no labels.
        said: What the user says about scans that stand in no manifest.

    Returns:
        The exams, each with a name of its own, and what was refused already with the reason.

    Raises:
        OctavoError: If nothing was named, or a manifest is refused.
    """
    if not paths:
        raise OctavoError("no scan was named; wanted files, folders or a manifest")
    exams: list[Exam] = []
    refused: list[tuple[Exam, str]] = []
    taken: set[str] = set()
    for path in paths:
        if path.lower().endswith(".csv"):
            cohort = read_manifest(path, require_labels=False, each_row_its_own_patient=True)
            taken.update(exam.exam_id for exam in cohort.exams)
            exams.extend(cohort.exams)
            continue
        try:
            found = find_scans(path)
        except VolumeReadError as refusal:
            refused.append((Exam(_name(path, taken), "", Path(path)), str(refusal)))
            continue
        exams.extend(_exam(scan, said, taken) for scan in found)
    return exams, refused


def _exam(scan: str, said: Said, taken: set[str]) -> Exam:
    number = said.get("scan")
    return Exam(
        exam_id=_name(scan, taken),
        patient_id="",
        path=Path(scan if number is None else f"{scan}#{number}"),
        laterality=said.get("laterality") or Laterality.UNKNOWN,
        axes=said.get("axes"),
        key=said.get("key"),
        spacing_mm=said.get("spacing_mm"),
        slow_axis=said.get("slow_axis"),
        region=said.get("region"),
        pattern=said.get("pattern"),
    )


def _name(path: str, taken: set[str]) -> str:
    """The file's name without its ending, made unique."""
    plain = Path(path).name
    for ending in (".nii.gz", Path(plain).suffix):
        if ending and plain.lower().endswith(ending.lower()):
            plain = plain[: -len(ending)]
            break
    name, number = plain or "scan", 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name)
    return name
