"""Prepared exams on disk: each scan is read, oriented and resampled once, whatever the number of epochs, seeds and runs.

One file of 8-bit voxels and one of facts per exam, named by what went in: the scan's file, how it is read and prepared, and
by which version.
Whatever changes makes another name, so nothing stale is ever read. Voxels are mapped, not loaded: a cohort larger than
memory trains all the same.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from octavo import __version__
from octavo.anatomy import Flips
from octavo.cohorts.exam import Exam, read_exam, voxel_hash
from octavo.cohorts.preparation import Preparation, Prepared
from octavo.cohorts.reference import ScanFacts
from octavo.errors import OctavoError
from octavo.files import atomic_writer, read_json, write_json


@dataclass(frozen=True)
class PreparedExam:
    """An exam, its facts, and where its prepared voxels lie."""

    exam: Exam
    facts: ScanFacts
    content: str
    """Fingerprint of the scan's voxels: equal for equal scans, whatever their files are called."""
    warnings: tuple[str, ...]
    flips: Flips
    voxels: Path

    def values(self) -> UInt8[np.ndarray, "bscan depth ascan"]:
        """The prepared voxels, mapped from the file."""
        return np.load(self.voxels, mmap_mode="r", allow_pickle=False)

    def prepared(self) -> Prepared:
        """As `Preparation.apply` gave it."""
        return Prepared(self.values(), self.flips, self.facts.shape, self.warnings)


@dataclass(frozen=True)
class Preparer:
    """Prepares exams into a folder, or finds them there."""

    folder: Path
    preparation: Preparation

    def prepare(self, exam: Exam) -> PreparedExam:
        """Prepare one exam, or find what an earlier call prepared.

        Raises:
            OctavoError: If the scan cannot be read or the network was not made for it.
        """
        key = self._key(exam)
        voxels, facts_file = self.folder / f"{key}.npy", self.folder / f"{key}.json"
        if not facts_file.exists():
            volume = read_exam(exam)
            prepared = self.preparation.apply(volume)
            with atomic_writer(voxels) as file:
                np.save(file, prepared.values, allow_pickle=False)
            facts = {
                "facts": asdict(ScanFacts.of(volume, prepared)),
                "content": voxel_hash(volume),
                "warnings": [*volume.notes, *prepared.warnings],
                "flips": list(prepared.flips),
            }
            write_json(facts_file, facts)
        stored: dict[str, Any] = read_json(facts_file)
        return PreparedExam(
            exam=exam,
            facts=ScanFacts.from_json(stored["facts"]),
            content=stored["content"],
            warnings=tuple(stored["warnings"]),
            flips=Flips(*stored["flips"]),
            voxels=voxels,
        )

    def prepare_all(
        self, exams: Iterable[Exam], progress: Callable[[int], None] = lambda done: None
    ) -> tuple[list[PreparedExam], list[tuple[Exam, str]]]:
        """Prepare many exams; those that fail are returned with the reason, and do not stop the others."""
        ready, failed = [], []
        for done, exam in enumerate(exams, start=1):
            try:
                ready.append(self.prepare(exam))
            except OctavoError as refusal:
                failed.append((exam, str(refusal)))
            progress(done)
        return ready, failed

    def _key(self, exam: Exam) -> str:
        reading = (
            str(exam.path),
            exam.laterality.value,
            exam.laterality_wins,
            sorted(exam.said_of_all),
            exam.axes,
            exam.key,
            exam.spacing_mm,
            *(None if known is None else known.value for known in (exam.slow_axis, exam.region, exam.pattern)),
        )
        what = (__version__, _stamp(exam.path), reading, asdict(self.preparation))
        return hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:32]


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of the file, or of every file of a folder; a path may end in `#k`."""
    place = path if path.exists() else Path(str(path).rpartition("#")[0] or path)
    files = [place]
    if place.is_dir():
        # the export file that tells a folder's millimetres may lie in the folder above
        above = (file for file in place.resolve().parent.iterdir() if file.suffix.lower() == ".xml")
        files = [*sorted(place.iterdir()), *sorted(above)]
    return [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
