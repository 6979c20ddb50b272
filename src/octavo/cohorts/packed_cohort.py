"""A cohort that travels as a store: its exams, their labels and patients, and their prepared voxels; no scan is needed."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import EDITION, PreparedExam
from octavo.cohorts.store import Store, StoredVoxels, described, is_address
from octavo.errors import OctavoError
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis


@dataclass(frozen=True)
class PackedCohort:
    """A cohort in a store; a source of prepared exams, as `Preparer` is.

    Args:
        store: The store.
        cohort: Its exams, with the fingerprint of the manifest they come from.
        packed: Key and facts of each exam that was packed, by its name.
        failed: Why the others were not.
        of_voxels: How the voxels were prepared.
        preparation: What the network wants; None while nothing is prepared for one.
    """

    store: Store
    cohort: Cohort
    packed: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]
    of_voxels: Mapping[str, Any]
    preparation: Preparation | None = None

    def prepare_all(
        self, exams: Iterable[Exam], progress: Callable[[int], None] = lambda done: None
    ) -> tuple[list[PreparedExam], list[tuple[Exam, str]]]:
        """The prepared exams, and those that could not be packed, are damaged, or that the network was not made for."""
        ready, failed = [], []
        for done, exam in enumerate(exams, start=1):
            try:
                ready.append(self._prepared(exam))
            except OctavoError as refusal:
                failed.append((exam, str(refusal)))
            progress(done)
        return ready, failed

    def made_for(self, preparation: Preparation) -> "PackedCohort":
        """The same cohort, for a network with that preparation.

        Raises:
            OctavoError: If it was packed with other sizes, grey values or bits.
        """
        if dict(self.of_voxels) != preparation.of_voxels:
            packed, wanted = _in_words(self.of_voxels), _in_words(preparation.of_voxels)
            raise OctavoError(
                f"{self.store.address}: was packed {packed}; wanted {wanted}, as the recipe says; pack it again, or change "
                "the recipe"
            )
        return PackedCohort(self.store, self.cohort, self.packed, self.failed, self.of_voxels, preparation)

    def _prepared(self, exam: Exam) -> PreparedExam:
        if exam.exam_id not in self.packed:
            raise OctavoError(self.failed.get(exam.exam_id, f"exam {exam.exam_id!r} was not packed; pack it again"))
        stored = self.packed[exam.exam_id]
        try:
            bscan, depth, ascan = (int(length) for length in stored["shape"])
            voxels = StoredVoxels(
                self.store.address, str(stored["stored"]), (bscan, depth, ascan), str(stored["dtype"])
            )
        except (KeyError, TypeError, ValueError):
            raise OctavoError(
                f"{self.store.address}: exam {exam.exam_id!r} is described otherwise than octavo does; pack it again"
            ) from None
        if not is_address(voxels.address):
            # damage is said before training begins, and not in the middle of it
            voxels.read()
        one = PreparedExam.from_json(exam, stored, voxels)
        return one if self.preparation is None else one.require(self.preparation)


def write_packed_cohort(
    store: Store,
    cohort: Cohort,
    preparation: Preparation,
    ready: Sequence[PreparedExam],
    failed: Sequence[tuple[Exam, str]],
) -> None:
    """Describe a cohort in the store that holds its voxels."""
    facts = {
        one.exam.exam_id: {
            "stored": one.voxels.key,
            "shape": list(one.voxels.shape),
            "dtype": one.voxels.dtype,
            **one.to_json(),
        }
        for one in ready
    }
    content = described(
        {
            "manifest": str(cohort.path.absolute()),
            "manifest_hash": cohort.content_hash,
            "each_row_its_own_patient": cohort.each_row_its_own_patient,
            "of_voxels": preparation.of_voxels,
            "edition": EDITION,
            "exams": [_row(exam, cohort.path.absolute().parent) for exam in cohort.exams],
            "packed": facts,
            "failed": {exam.exam_id: reason for exam, reason in failed},
            **({"classes": list(cohort.classes)} if cohort.classes else {}),
            **({"pair": list(cohort.pair)} if cohort.pair else {}),
            **({"left_out": dict(cohort.left_out)} if cohort.left_out else {}),
        }
    )
    store.write_cohort(content)


def read_packed_cohort(address: str) -> PackedCohort:
    """Open a packed cohort.

    Raises:
        OctavoError: If there is none, or its description is damaged.
    """
    store = Store(address)
    content = store.read_cohort()
    if content.get("edition") != EDITION:
        raise OctavoError(
            f"{address}: was packed by a version that fingerprints scans otherwise, so equal scans would not be known; "
            "wanted one of this version; pack it again"
        )
    try:
        manifest = Path(str(content["manifest"]))
        exams = tuple(_exam(row, manifest.parent) for row in content["exams"])
        packed = PackedCohort(
            store=store,
            cohort=Cohort(
                exams,
                manifest,
                bool(content["each_row_its_own_patient"]),
                tuple(str(name) for name in content.get("classes", ())),
                {str(name): int(count) for name, count in content.get("left_out", {}).items()},
                tuple(str(name) for name in content.get("pair", ())),
            ),
            packed=dict(content["packed"]),
            failed={str(name): str(reason) for name, reason in content["failed"].items()},
            of_voxels=dict(content["of_voxels"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OctavoError(
            f"{address}: its description of the cohort is damaged ({type(error).__name__}); wanted what octavo cohort pack "
            "wrote; pack it again"
        ) from None
    if packed.cohort.content_hash != content.get("manifest_hash"):
        raise OctavoError(
            f"{address}: its exams are not those that were packed; wanted them as octavo cohort pack wrote them; pack it "
            "again"
        )
    return packed


def _row(exam: Exam, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "exam_id": exam.exam_id,
        "patient_id": exam.patient_id,
        "path": Path(os.path.relpath(exam.path, folder)).as_posix(),
        "laterality": exam.laterality.value,
        "label": exam.label,
        "split": exam.split,
        "covariates": dict(exam.covariates),
        "axes": exam.axes,
        "key": exam.key,
        "said_of_all": sorted(exam.said_of_all),
        "spacing_mm": exam.spacing_mm,
        "mask": None if exam.mask is None else Path(os.path.relpath(exam.mask, folder)).as_posix(),
    }
    for name in ("slow_axis", "region", "pattern"):
        known = getattr(exam, name)
        row[name] = None if known is None else known.value
    return row


def _exam(row: Mapping[str, Any], folder: Path) -> Exam:
    spacing = row["spacing_mm"]
    return Exam(
        exam_id=str(row["exam_id"]),
        patient_id=str(row["patient_id"]),
        path=folder / str(row["path"]),
        laterality=Laterality(row["laterality"]),
        label=row["label"],
        split=row["split"],
        covariates={str(name): str(text) for name, text in row["covariates"].items()},
        axes=row["axes"],
        key=row["key"],
        said_of_all=frozenset(map(str, row["said_of_all"])),
        spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        slow_axis=None if row["slow_axis"] is None else SlowAxis(row["slow_axis"]),
        region=None if row["region"] is None else Region(row["region"]),
        pattern=None if row["pattern"] is None else ScanPattern(row["pattern"]),
        mask=None if row["mask"] is None else folder / str(row["mask"]),
    )


def _in_words(of_voxels: Mapping[str, Any]) -> str:
    size = " x ".join(map(str, of_voxels.get("size") or ("their own size",)))
    return f"at {size}, {of_voxels.get('intensity')} grey values, {of_voxels.get('bits')} bits"
