"""Pack a cohort: every exam once through reading, orientation, resampling and intensity, into a store."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.exam import Exam
from octavo.cohorts.packed_cohort import write_packed_cohort
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Elsewhere, Preparer
from octavo.cohorts.store import is_address, is_store
from octavo.errors import OctavoError

LISTED = 20
"""How many failures the text names before it counts the rest."""


@dataclass(frozen=True)
class Packed:
    """What came of packing.

    Args:
        store: The store.
        exams: How many exams the cohort has.
        before: How many of them were packed already.
        failed: Those that could not be packed, with the reason.
        stored_bytes: What the store takes on disk.
        voxel_bytes: The bytes of the voxels in it.
    """

    store: Path
    exams: int
    before: int
    failed: tuple[tuple[Exam, str], ...]
    stored_bytes: int
    voxel_bytes: int

    def describe(self) -> str:
        """The same for people."""
        now = self.exams - self.before - len(self.failed)
        lines = [
            f"{self.store}: {self.exams} exams, {now} packed now, {self.before} were there, "
            f"{self.stored_bytes / 2**20:.1f} MiB on disk"
        ]
        if self.failed:
            lines.append(f"not packed: {len(self.failed)}")
            lines += [f"  {exam.exam_id}: {reason}" for exam, reason in self.failed[:LISTED]]
            if len(self.failed) > LISTED:
                lines.append(f"  and {len(self.failed) - LISTED} more; all of them are in {self.store / 'cohort.json'}")
        return "\n".join(lines)


def pack_cohort(
    choice: CohortChoice,
    store: str | Path,
    preparation: Preparation | None = None,
    *,
    pass_over_labels: bool = False,
    jobs: int | None = None,
    ray: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Packed:
    """Pack every exam of a manifest; what an earlier call packed is not read again.

    A run that is killed goes on where it stopped, because every exam takes its place in the store by itself. One that
    cannot be packed does not stop the others.

    Args:
        choice: The manifest and how it is read.
        store: The folder of the store; it may hold other cohorts' exams.
        preparation: Size, intensity and bits; by default those of the recipe. Which scans a network is made for is asked
            when it is trained.
        pass_over_labels: Read no label, for exams that only pretraining learns from.
        jobs: How many processes read at once; by default one for each core.
        ray: Address of a Ray cluster whose machines read, and share the folders of scans and store.
        progress: Told how many exams are done, of how many.

    Raises:
        OctavoError: If the manifest is refused, or the store cannot be written to.
    """
    if is_store(choice.cohort):
        raise OctavoError(f"{choice.cohort}: is a packed cohort; wanted a manifest; pack the manifest it came from")
    if is_address(str(store)):
        raise OctavoError(f"{store}: is an address; wanted a folder to write to; copy the folder there afterwards")
    store = Path(store)
    if store.exists() and not is_store(store) and (not store.is_dir() or any(store.iterdir())):
        raise OctavoError(
            f"{store}: holds something else; wanted a new folder or an earlier store; choose another name"
        )
    if jobs is not None and jobs < 1:
        raise OctavoError(f"jobs is {jobs}; wanted at least 1")
    cohort = replace(choice, unlabelled=choice.cohort).read_unlabelled() if pass_over_labels else choice.read()
    preparation = preparation or Preparation()
    preparer = Preparer(store, preparation)
    before = sum(preparer.is_stored(exam) for exam in cohort.exams)
    total = len(cohort.exams)
    ready, failed = preparer.prepare_all(
        cohort.exams, lambda done: progress(done, total), jobs or _cores(), None if ray is None else _on_ray(ray)
    )
    write_packed_cohort(preparer.store, cohort, preparation, ready, failed)
    files = [path.stat().st_size for path in store.rglob("*") if path.is_file()]
    voxels = {one.voxels.key: one.values().nbytes for one in ready}
    return Packed(store, total, before, tuple(failed), sum(files), sum(voxels.values()))


def _on_ray(address: str) -> Elsewhere:
    """Packing as tasks of a cluster."""

    def pack(preparer: Preparer, exams: Sequence[Exam], tell: Callable[[int], None]) -> list[tuple[Exam, str]]:
        from octavo.workflows.on_ray import map_on_ray

        # a fresh one, without the journal that this one has read
        there = Preparer(preparer.folder, preparer.preparation)
        reasons: dict[int, str | None] = {}
        results = map_on_ray(
            there.try_to_pack, exams, address, failed=lambda exam, reason: f"{exam.path.name}: {reason}"
        )
        for place, reason in results:
            reasons[place] = reason
            tell(len(reasons))
        return [(exams[place], reason) for place, reason in sorted(reasons.items()) if reason is not None]

    return pack


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
