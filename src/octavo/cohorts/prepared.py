"""Prepared exams: each scan is read, oriented and resampled once, whatever the number of epochs, seeds and runs.

An exam is stored under a name made from what its scan holds, what is known of it, how it was prepared and by which version;
so nothing stale is ever read, and equal scans are stored once. A journal beside the exams remembers which file led to
which name, so that a second run opens no scan at all. Voxels are mapped, not loaded: a cohort larger than memory trains all
the same.
"""

import ctypes
import hashlib
import importlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from octavo import __version__
from octavo.anatomy import Flips
from octavo.cohorts.exam import Exam, read_exam, voxel_hash
from octavo.cohorts.preparation import Preparation, Prepared
from octavo.cohorts.reference import ScanFacts
from octavo.cohorts.store import Store, StoredVoxels
from octavo.errors import OctavoError
from octavo.formats import files_read_for
from octavo.formats.geometry_text import geometry_from_text, geometry_to_text
from octavo.volume import Volume

EDITION = 2
"""Raised whenever the same scan comes to be prepared or fingerprinted otherwise than before."""


@dataclass(frozen=True)
class PreparedExam:
    """An exam, its facts, and where its prepared voxels lie."""

    exam: Exam
    facts: ScanFacts
    content: str
    """Fingerprint of the scan's voxels: equal for equal scans, whatever their files are called."""
    warnings: tuple[str, ...]
    flips: Flips
    geometry: str
    """What is known of the prepared volume, as `geometry_to_text` writes it."""
    voxels: StoredVoxels

    def values(self) -> UInt[np.ndarray, "bscan depth ascan"]:
        """The prepared voxels, mapped from the store or fetched from it.

        Raises:
            OctavoError: If they are not there, or are not what was written; the message names the exam.
        """
        try:
            return self.voxels.read()
        except OctavoError as refusal:
            raise OctavoError(f"exam {self.exam.exam_id!r}: {refusal}") from None

    def volume(self) -> Volume:
        """The prepared voxels as a volume, in right-eye orientation and with the millimetres of the prepared grid."""
        return geometry_from_text(self.geometry, self.values())

    def require(self, preparation: Preparation) -> "PreparedExam":
        """The exam itself, where a network with that preparation was made for it; opens no voxels.

        Raises:
            ScanUnsuitableError: With the reason.
        """
        nothing = np.broadcast_to(np.zeros((), np.uint8), self.voxels.shape)
        preparation.require(geometry_from_text(self.geometry, nothing))
        return self

    def prepared(self) -> Prepared:
        """As `Preparation.apply` gave it."""
        return Prepared(self.volume(), self.flips, self.facts.shape, self.warnings)

    def to_json(self) -> dict[str, Any]:
        """Everything but the exam and the voxels, as plain values."""
        return {
            "facts": asdict(self.facts),
            "content": self.content,
            "warnings": list(self.warnings),
            "flips": list(self.flips),
            "geometry": json.loads(self.geometry),
        }

    @classmethod
    def from_json(cls, exam: Exam, stored: Mapping[str, Any], voxels: StoredVoxels) -> "PreparedExam":
        """Read back what `to_json` gave.

        Raises:
            OctavoError: If a field is missing or of another kind.
        """
        try:
            return cls(
                exam=exam,
                facts=ScanFacts.from_json(stored["facts"]),
                content=str(stored["content"]),
                warnings=tuple(map(str, stored["warnings"])),
                flips=Flips(*stored["flips"]),
                geometry=json.dumps(stored["geometry"]),
                voxels=voxels,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise OctavoError(
                f"{voxels.address}: the facts of exam {exam.exam_id!r} are damaged ({type(error).__name__}); wanted what "
                "octavo stored; pack the cohort again"
            ) from None


@dataclass(frozen=True)
class Preparer:
    """Prepares exams into a store, or finds them there.

    Args:
        folder: The store's folder.
        preparation: How scans become input.
    """

    folder: Path
    preparation: Preparation

    @cached_property
    def store(self) -> Store:
        """The store in that folder."""
        return Store(str(self.folder))

    @cached_property
    def _known(self) -> dict[str, str]:
        return self.store.journal()

    def prepare(self, exam: Exam) -> PreparedExam:
        """Prepare one exam, or find what an earlier call prepared.

        Raises:
            OctavoError: If the scan cannot be read or the network was not made for it.
        """
        stamp = self._stamp(exam)
        key = self._known.get(stamp)
        if key is None or not self.store.holds(key):
            key = self._known[stamp] = self.pack(exam)
        return self._found(exam, key)

    def prepare_all(
        self,
        exams: Iterable[Exam],
        progress: Callable[[int], None] = lambda done: None,
        jobs: int = 1,
        elsewhere: "Elsewhere | None" = None,
    ) -> tuple[list[PreparedExam], list[tuple[Exam, str]]]:
        """Prepare many exams; those that fail are returned with the reason, and do not stop the others.

        Args:
            exams: The exams; both lists keep their order.
            progress: Told how many are done.
            jobs: How many processes read at once. Each starts anew, so they pay for many or large scans.
            elsewhere: Packs the exams that are missing on other machines, instead of in processes of this one.
        """
        exams = list(exams)
        missing = [exam for exam in exams if (jobs > 1 or elsewhere) and not self.is_stored(exam)]
        reasons: dict[int, str] = {}
        if len(missing) > 1 or (missing and elsewhere):
            done = len(exams) - len(missing)

            def tell(count: int) -> None:
                progress(done + count)

            told = elsewhere(self, missing, tell) if elsewhere else self._packed_in_parallel(missing, jobs, tell)
            reasons = {id(exam): reason for exam, reason in told}
            self.__dict__.pop("_known", None)
        ready, failed = [], []
        for count, exam in enumerate(exams, start=1):
            try:
                if id(exam) in reasons:
                    failed.append((exam, reasons[id(exam)]))
                else:
                    ready.append(self.prepare(exam))
            except OctavoError as refusal:
                failed.append((exam, str(refusal)))
            if not missing:
                progress(count)
        return ready, failed

    def _found(self, exam: Exam, key: str) -> PreparedExam:
        voxels, stored = self.store.facts(key)
        # what was prepared for one network may be what another was not made for
        return PreparedExam.from_json(exam, stored, voxels).require(self.preparation)

    def is_stored(self, exam: Exam) -> bool:
        """Whether the exam, as its files are now, was prepared before."""
        try:
            key = self._known.get(self._stamp(exam))
        except OctavoError:
            # a scan that is not there; reading it says so
            return False
        return key is not None and self.store.holds(key)

    def pack(self, exam: Exam) -> str:
        """Read, prepare and store one exam, whether or not an earlier call did.

        Returns:
            Its key in the store.

        Raises:
            OctavoError: If the scan cannot be read or the network was not made for it.
        """
        stamp = self._stamp(exam)
        volume = read_exam(exam)
        try:
            prepared = self.preparation.apply(volume)
        except MemoryError:
            raise OctavoError(
                f"{exam.path.name}: does not fit into memory when it is prepared; wanted a scan and a size that do; prepare "
                "fewer at once, or smaller"
            ) from None
        content = voxel_hash(volume)
        what = (__version__, EDITION, content, geometry_to_text(volume), self.preparation.of_voxels)
        key = _fingerprint(what)
        if not self.store.holds(key):
            one = PreparedExam(
                exam=exam,
                facts=ScanFacts.of(volume, prepared),
                content=content,
                warnings=(*volume.notes, *prepared.warnings),
                flips=prepared.flips,
                geometry=geometry_to_text(prepared.volume),
                voxels=StoredVoxels(self.store.address, key, prepared.volume.shape, prepared.values.dtype.name),
            )
            self.store.put(key, prepared.values, one.to_json())
        self.store.note(stamp, key)
        return key

    def try_to_pack(self, exam: Exam) -> str | None:
        """Pack one exam; the reason why it cannot be, or None."""
        try:
            self.pack(exam)
        except OctavoError as refusal:
            return str(refusal)
        return None

    def _stamp(self, exam: Exam) -> str:
        """A name for the exam's files as they are now, and for how they are read and prepared."""
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
        return _fingerprint((__version__, EDITION, _files_stamp(exam.path), reading, self.preparation.of_voxels))

    def _packed_in_parallel(
        self, exams: Sequence[Exam], jobs: int, progress: Callable[[int], None]
    ) -> list[tuple[Exam, str]]:
        """Pack exams in several processes; the reason for each that failed.

        A process that is killed while it reads takes the others of its pool with it. So whatever was not done then is
        done again one at a time, and the scan that kills its process a second time is named.
        """
        failed: list[tuple[Exam, str]] = []
        left = dict(enumerate(exams))
        done = 0
        try:
            with _pool(jobs) as pool:
                running = {
                    pool.submit(_pack_one, self.folder, self.preparation, exam): number for number, exam in left.items()
                }
                for future in as_completed(running):
                    reason = future.result()
                    exam = left.pop(running[future])
                    if reason is not None:
                        failed.append((exam, reason))
                    done += 1
                    progress(done)
        except BrokenProcessPool:
            for exam in list(left.values()):
                reason = self._packed_alone(exam)
                if reason is not None:
                    failed.append((exam, reason))
                done += 1
                progress(done)
        return failed

    def _packed_alone(self, exam: Exam) -> str | None:
        try:
            with _pool(1) as pool:
                return pool.submit(_pack_one, self.folder, self.preparation, exam).result()
        except BrokenProcessPool:
            return (
                f"{exam.path.name}: the process that read it was killed; wanted it to end by itself; the machine may have "
                "too little memory for this scan, or the file may crash a decoder: read it alone with octavo inspect"
            )


Elsewhere = Callable[[Preparer, Sequence[Exam], Callable[[int], None]], list[tuple[Exam, str]]]
"""Packs exams somewhere, tells how many are done, and returns those that failed with the reason."""


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of the GNU C library's `mallopt`; where there is none, things go on as they do."""


def _pool(jobs: int) -> ProcessPoolExecutor:
    """A pool of processes: copies of this one, or started anew where a copy might hang because threads run here."""
    is_alone = threading.active_count() == 1 and "torch" not in sys.modules and sys.platform == "linux"
    if is_alone:
        # loaded before the copies are made, so that it is loaded once
        importlib.import_module("zarr")
    return ProcessPoolExecutor(jobs, mp_context=get_context("fork" if is_alone else "spawn"), initializer=_settle)


def _settle() -> None:
    """Make a process of the pool work alone, on memory that it keeps.

    Each scan needs as much as the one before. Memory that goes back to the system in between is cleared anew for each.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    with suppress(OSError, AttributeError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(_M_MMAP_MAX, 0)
        allocator.mallopt(_M_TRIM_THRESHOLD, 2**30)


def _pack_one(folder: Path, preparation: Preparation, exam: Exam) -> str | None:
    return Preparer(folder, preparation).try_to_pack(exam)


def _fingerprint(what: object) -> str:
    return hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:32]


def _files_stamp(path: Path) -> list[tuple[str | int, ...]]:
    """Name, size, times and number of every file that reading the scan depends on."""
    stamps: list[tuple[str | int, ...]] = []
    for file in files_read_for(path):
        try:
            status = file.stat()
        except OSError:
            continue
        # a file that is put in another's place brings its own time of writing, but not the time of that change
        stamps.append((file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    return stamps
