"""Exams from scans that come without a manifest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from octavo.cohorts.exam import Exam
from octavo.cohorts.labels import LabelNames
from octavo.cohorts.manifest import read_manifest
from octavo.errors import OctavoError
from octavo.formats import Said, VolumeReadError, find_scans, name_scan
from octavo.volume import Laterality


def exams_of(
    paths: Sequence[str],
    said: Said,
    positive: str | None = None,
    *,
    negative: str | None = None,
    classes: Sequence[str] = (),
    of_model: bool = False,
) -> tuple[list[Exam], list[tuple[Exam, str]]]:
    """Name the exams to predict or explain.

    Args:
        paths: Scans, folders to search, and manifests (.csv), which need neither labels nor patients.
        said: What the user says about the scans; a manifest's row that says something else wins. What is said of the
            axes or the array of a whole folder or manifest does not refuse files that state their own.
        positive: The label that counts as positive, where a manifest's labels are names.
        negative: The label that counts as negative beside it; exams of any other are without a label.
        classes: The labels of more than two classes, in order.
        of_model: Whether the pair is the one that the model was trained with, so that no exam needs to bear its names.

    Returns:
        The exams, each with a name of its own, and what was refused already with the reason.

    Raises:
        OctavoError: If nothing was named, a manifest is refused, or its names are taken already.
    """
    names = LabelNames(positive, negative, tuple(classes), of_model)
    if not paths:
        raise OctavoError("no scan was named; wanted files, folders or a manifest")
    exams: list[Exam] = []
    refused: list[tuple[Exam, str]] = []
    taken: set[str] = set()
    for path in paths:
        if path.lower().endswith(".csv"):
            exams.extend(_exams_of_manifest(Path(path), said, names, taken))
            continue
        try:
            found = find_scans(path)
            named = [name_scan(scan, said.get("scan")) for scan in found]
        except VolumeReadError as refusal:
            refused.append((Exam(_name(path, taken), "", Path(path)), str(refusal)))
            continue
        is_searched = [Path(scan) for scan in found] != [Path(path)]
        many = frozenset({"axes", "key"} if is_searched else ())
        exams.extend(_exam(scan, Path(name), said, many, taken) for scan, name in zip(found, named, strict=True))
    return exams, refused


def _exams_of_manifest(path: Path, said: Said, names: LabelNames, taken: set[str]) -> list[Exam]:
    cohort = read_manifest(
        path,
        positive=names.positive,
        negative=names.negative,
        classes=names.classes,
        of_model=names.of_model,
        axes=said.get("axes"),
        key=said.get("key"),
        require_labels=False,
        require_patients=False,
        allow_straddling=True,
    )
    twice = [exam.exam_id for exam in cohort.exams if exam.exam_id in taken]
    if twice:
        raise OctavoError(
            f"{path}: exam {twice[0]!r} bears a name that another scan has already; wanted each name once; "
            "rename one, or answer them in two calls"
        )
    taken.update(exam.exam_id for exam in cohort.exams)
    return [
        replace(
            exam,
            laterality=_known(exam.laterality) or said.get("laterality") or Laterality.UNKNOWN,
            laterality_wins=_known(exam.laterality) is None and said.get("laterality") is not None,
            spacing_mm=exam.spacing_mm or said.get("spacing_mm"),
            slow_axis=exam.slow_axis or said.get("slow_axis"),
            region=exam.region or said.get("region"),
            pattern=exam.pattern or said.get("pattern"),
        )
        for exam in cohort.exams
    ]


def _exam(scan: str, path: Path, said: Said, said_of_all: frozenset[str], taken: set[str]) -> Exam:
    return Exam(
        exam_id=_name(scan, taken),
        patient_id="",
        path=path,
        laterality=said.get("laterality") or Laterality.UNKNOWN,
        laterality_wins=said.get("laterality") is not None,
        axes=said.get("axes"),
        key=said.get("key"),
        said_of_all=said_of_all,
        spacing_mm=said.get("spacing_mm"),
        slow_axis=said.get("slow_axis"),
        region=said.get("region"),
        pattern=said.get("pattern"),
    )


def _known(laterality: Laterality) -> Laterality | None:
    return None if laterality is Laterality.UNKNOWN else laterality


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
