"""Make a manifest from a folder laid out in a known way."""

import os
from dataclasses import dataclass
from pathlib import Path

from octavo.cohorts.adapters import ADAPTERS, LeftOut
from octavo.cohorts.manifest import write_manifest
from octavo.errors import OctavoError, unknown_name

LISTED = 20
"""How many files of a kind the text names before it counts the rest."""


@dataclass(frozen=True)
class AdoptedCohort:
    """What came of adopting a folder.

    Args:
        manifest: The file that was written.
        exams: How many rows it has.
        patients: How many patients, 0 where the layout does not name them.
        positive: How many rows have label 1.
        left_out: Files that became no row.
        notes: What whoever uses the manifest should know.
    """

    manifest: Path
    exams: int
    patients: int
    positive: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def has_failures(self) -> bool:
        """Whether anything but texts and hidden files was left out."""
        return any(not item.is_expected for item in self.left_out)

    def describe(self) -> str:
        """The same for people."""
        whose = f"{self.patients} patients" if self.patients else "patients unknown"
        lines = [
            f"{self.manifest}: {self.exams} exams ({self.positive} with label 1, {self.exams - self.positive} with "
            f"label 0), {whose}"
        ]
        lines += [f"note: {note}" for note in self.notes]
        if self.left_out:
            lines.append(f"left out: {len(self.left_out)}")
            # those that look like scans first: they are the ones somebody may miss
            ordered = sorted(self.left_out, key=lambda item: item.is_expected)
            lines += [f"  {item.path}: {item.reason}" for item in ordered[:LISTED]]
            if len(ordered) > LISTED:
                lines.append(f"  and {len(ordered) - LISTED} more")
        return "\n".join(lines)


def adopt_cohort(
    name: str, root: Path, out: Path, *, patient_pattern: str | None = None, overwrite: bool = False
) -> AdoptedCohort:
    """Write the manifest of a folder laid out as one of `ADAPTERS` expects.

    Scans below the manifest's folder are named relative to it, so that both can be moved together; others by their
    whole path.

    Args:
        name: Which layout.
        root: The folder.
        out: The manifest to write.
        patient_pattern: A regular expression with one group that finds the patient in a path relative to the root, for
            layouts that do not name patients.
        overwrite: Whether a manifest that is there may be replaced.

    Raises:
        OctavoError: If the layout is unknown, the folder does not fit it, or the manifest cannot be written.
    """
    if name not in ADAPTERS:
        raise OctavoError(unknown_name("a layout that can be adopted", name, ADAPTERS))
    if out.exists() and not overwrite:
        raise OctavoError(f"{out}: exists already; choose another --out, or pass --overwrite")
    adoption = ADAPTERS[name].adopt(root, patient_pattern)
    folder = Path(os.path.abspath(out)).parent
    rows = [{**row, "path": _path_in_manifest(row["path"], folder)} for row in adoption.rows]
    write_manifest(rows, out, overwrite=overwrite)
    return AdoptedCohort(
        manifest=out,
        exams=len(rows),
        patients=len({row["patient_id"] for row in rows} - {""}),
        positive=sum(row["label"] == "1" for row in rows),
        left_out=adoption.left_out,
        notes=adoption.notes,
    )


def _path_in_manifest(path: str, folder: Path) -> str:
    scan = Path(os.path.abspath(path))
    return scan.relative_to(folder).as_posix() if scan.is_relative_to(folder) else scan.as_posix()
