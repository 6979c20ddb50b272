"""Read every exam of a manifest and say what is wrong."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from octavo.cohorts.check import CohortCheck, Finding, check_cohort
from octavo.cohorts.manifest import read_manifest

PROGRESS_SECONDS = 5.0
LISTED = 8
"""How many exams of one finding the text names before it counts the rest; JSON names all."""

_log = logging.getLogger(__name__)


def check_manifest(
    manifest: Path,
    *,
    positive: str | None = None,
    negative: str | None = None,
    classes: Sequence[str] = (),
    each_row_its_own_patient: bool = False,
    axes: str | None = None,
    key: str | None = None,
    unlabelled: bool = False,
    workers: int = 1,
    allow: Sequence[str] = (),
) -> CohortCheck:
    """Read a manifest and every scan in it; see `check_cohort`.

    A manifest that cannot be understood at all is refused rather than checked.

    Args:
        manifest: The CSV file.
        positive: The name of the class that becomes 1, where labels are names.
        negative: The name of the class that becomes 0; exams of any other are left out.
        classes: The names of three or more classes, in order.
        each_row_its_own_patient: Declare that no two rows share a patient.
        axes: The order of axes for rows that do not say.
        key: The name of the array for rows that do not say.
        unlabelled: Whether exams may be without a label, as for prediction.
        workers: How many processes read.
        allow: Kinds of faults that are accepted and become warnings.

    Raises:
        OctavoError: If the manifest is refused.
    """
    cohort = read_manifest(
        manifest,
        positive=positive,
        negative=negative,
        classes=classes,
        each_row_its_own_patient=each_row_its_own_patient,
        axes=axes,
        key=key,
        require_labels=not unlabelled,
        allow_straddling=True,
    )
    return check_cohort(cohort, workers=workers, allow=allow, progress=progress_log(PROGRESS_SECONDS))


def progress_log(every_seconds: float) -> Callable[[int, int], None]:
    """A listener that logs how far the reading is, once in a while, so that short ones stay silent."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_seconds:
            last = time.monotonic()
            _log.info("%d of %d scans read", done, total)

    return report


def describe(check: CohortCheck) -> str:
    """What a check found, for people."""
    lines = [
        f"{check.path}: {check.exams} exams of {check.patients} patients, {check.readable} could be read",
        *_section("faults", check.faults),
        *_section("warnings", check.warnings),
    ]
    if not check.faults:
        lines.append("no faults")
    return "\n".join(lines)


def as_json(check: CohortCheck) -> str:
    """What a check found, for programs."""
    return json.dumps({**dataclasses.asdict(check), "path": str(check.path)}, indent=2)


def _section(title: str, findings: Sequence[Finding]) -> list[str]:
    lines = [f"{title}: {len(findings)}"] if findings else []
    for finding in findings:
        named = ", ".join(finding.exam_ids[:LISTED])
        more = f" and {len(finding.exam_ids) - LISTED} more" if len(finding.exam_ids) > LISTED else ""
        exams = f" [{named}{more}]" if named else ""
        lines.append(f"  {finding.kind}: {finding.message}{exams}")
    return lines
