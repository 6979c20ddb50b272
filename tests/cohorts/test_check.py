from pathlib import Path

import numpy as np
import pytest

from octavo.cohorts.check import FAULTS, WARNINGS, check_cohort, check_scan, identical_scans, read_scans
from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.errors import OctavoError
from octavo.formats import write_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing, Volume

COLUMNS = (
    "exam_id,patient_id,path,laterality,label,spacing_bscan_mm,spacing_depth_mm,spacing_ascan_mm,slow_axis,pattern,mask"
)
SOUND = {
    "laterality": "OD",
    "spacing_bscan_mm": "0.2",
    "spacing_depth_mm": "0.004",
    "spacing_ascan_mm": "0.01",
    "slow_axis": "superior-to-inferior",
    "pattern": "raster",
}


def scan(seed: int, shape: tuple[int, int, int] = (4, 6, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def sound_rows(folder: Path, count: int) -> list[dict[str, str]]:
    """Scans with nothing wrong with them: two eyes for each patient, every second patient with glaucoma."""
    rows = []
    for k in range(count):
        np.save(folder / f"e{k}.npy", scan(k))
        row = {"exam_id": f"e{k}", "patient_id": f"p{k // 2}", "path": f"e{k}.npy", "label": str(k // 2 % 2)}
        rows.append({**SOUND, **row, "laterality": "OD" if k % 2 == 0 else "OS"})
    return rows


def cohort_of(folder: Path, rows: list[dict[str, str]], *more_columns: str, **options) -> Cohort:
    names = [*COLUMNS.split(","), *more_columns]
    lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "cohort.csv", allow_straddling=True, **options)


def found(check, kind: str) -> list[tuple[str, ...]]:
    return [finding.exam_ids for finding in (*check.faults, *check.warnings) if finding.kind == kind]


def kinds(check) -> set[str]:
    return {finding.kind for finding in (*check.faults, *check.warnings)}


def test_a_sound_cohort_has_no_findings(tmp_path):
    check = check_cohort(cohort_of(tmp_path, sound_rows(tmp_path, 8)))
    assert (check.exams, check.patients, check.readable) == (8, 4, 8)
    assert check.faults == ()
    assert check.warnings == ()


def plant_missing(folder, rows):
    (folder / "e3.npy").unlink()


def plant_unreadable(folder, rows):
    (folder / "e3.npy").write_bytes((folder / "e3.npy").read_bytes()[:140])


def plant_constant(folder, rows):
    np.save(folder / "e3.npy", np.full((4, 6, 5), 7, np.uint8))


def plant_laterality_unknown(folder, rows):
    rows[3]["laterality"] = ""


def plant_laterality_conflict(folder, rows):
    volume = Volume(scan(3), laterality=Laterality.OD, laterality_origin=Origin.READ)
    write_volume(volume, folder / "e3.npz")
    rows[3]["path"] = "e3.npz"


def plant_line(folder, rows):
    np.save(folder / "e3.npy", scan(3, (1, 6, 5)))
    rows[3] |= {"pattern": "line"}


def plant_single_bscan(folder, rows):
    np.save(folder / "e3.npy", scan(3, (1, 6, 5)))
    rows[3] |= {"pattern": ""}


def plant_circle(folder, rows):
    rows[3]["pattern"] = "circle"


def plant_vertical(folder, rows):
    rows[3]["slow_axis"] = "temporal-to-nasal"


def plant_direction_unknown(folder, rows):
    rows[3]["slow_axis"] = ""


def plant_spacing_unknown(folder, rows):
    rows[3] |= {"spacing_bscan_mm": "", "spacing_depth_mm": "", "spacing_ascan_mm": ""}


def plant_spacing_outlier(folder, rows):
    rows[3]["spacing_depth_mm"] = "0.0046"


def plant_spacing_outlier_below(folder, rows):
    rows[3]["spacing_depth_mm"] = "0.0035"


def plant_spacing_implausible(folder, rows):
    rows[3]["spacing_depth_mm"] = "4"


def plant_shape_outlier(folder, rows):
    np.save(folder / "e3.npy", scan(3, (4, 5, 6)))


def plant_mask_shape(folder, rows):
    np.savez(folder / "m.npz", mask=np.ones((4, 6, 4), bool))
    rows[3]["mask"] = "m.npz"


def plant_mask_missing(folder, rows):
    rows[3]["mask"] = "none.npz"


PLANTED = {
    plant_missing: "missing",
    plant_unreadable: "unreadable",
    plant_constant: "constant",
    plant_laterality_unknown: "laterality-unknown",
    plant_laterality_conflict: "laterality-conflict",
    plant_line: "unsuitable",
    plant_single_bscan: "unsuitable",
    plant_circle: "unsuitable",
    plant_mask_shape: "mask",
    plant_mask_missing: "mask",
    plant_vertical: "vertical-raster",
    plant_direction_unknown: "slow-axis-unknown",
    plant_spacing_unknown: "spacing-unknown",
    plant_spacing_outlier: "spacing-outlier",
    plant_spacing_outlier_below: "spacing-outlier",
    plant_spacing_implausible: "spacing-implausible",
    plant_shape_outlier: "shape-outlier",
}


@pytest.mark.parametrize(("plant", "kind"), PLANTED.items(), ids=[plant.__name__ for plant in PLANTED])
def test_one_bad_scan_is_named_and_the_others_are_not(tmp_path, plant, kind):
    rows = sound_rows(tmp_path, 8)
    plant(tmp_path, rows)
    check = check_cohort(cohort_of(tmp_path, rows))
    assert found(check, kind) == [("e3",)]
    assert all(finding.exam_ids == ("e3",) for finding in (*check.faults, *check.warnings))
    assert kinds(check) - {"shape-outlier", "spacing-outlier", "note"} <= {kind}
    section = check.faults if kind in FAULTS else check.warnings
    assert kind in {finding.kind for finding in section}
    unread = {"missing", "unreadable", "laterality-conflict"}
    assert check.readable == (7 if kind in unread else 8)


def test_every_kind_is_either_fault_or_warning():
    assert not FAULTS.keys() & WARNINGS.keys()
    assert set(PLANTED.values()) <= FAULTS.keys() | WARNINGS.keys()


def test_the_documentation_explains_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "commands" / "cohort-check.md").read_text()
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and not line.startswith("| `--")]
    assert rows == [*FAULTS, *WARNINGS]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_scan_among_a_hundred_does_not_stop_the_others(tmp_path, workers):
    rows = sound_rows(tmp_path, 100)
    plant_unreadable(tmp_path, rows)
    rows[98]["laterality"] = ""
    done = []
    cohort = cohort_of(tmp_path, rows)
    check = check_cohort(cohort, workers=workers, progress=lambda read, total: done.append((read, total)))
    assert check.readable == 99
    assert {finding.kind: finding.exam_ids for finding in check.faults} == {
        "unreadable": ("e3",),
        "laterality-unknown": ("e98",),
    }
    assert done == [(k, 100) for k in range(1, 101)]


def test_the_same_scan_is_found_in_another_file_and_format(tmp_path):
    rows = sound_rows(tmp_path, 8)
    np.savez_compressed(tmp_path / "copy.npz", data=scan(0).astype(np.float32))
    rows[6]["path"] = "copy.npz"
    check = check_cohort(cohort_of(tmp_path, rows))
    (fault,) = check.faults
    assert (fault.kind, fault.exam_ids) == ("duplicate", ("e0", "e6"))
    assert "under 2 patients" in fault.message
    assert "with both labels" in fault.message


def test_one_file_under_two_exams_of_a_patient_is_a_duplicate(tmp_path):
    rows = sound_rows(tmp_path, 8)
    rows[1]["path"] = "e0.npy"
    (fault,) = check_cohort(cohort_of(tmp_path, rows)).faults
    assert (fault.kind, fault.exam_ids) == ("duplicate", ("e0", "e1"))
    assert "of patient 'p0'" in fault.message
    assert "as both eyes" in fault.message


def test_a_duplicate_across_parts_says_so(tmp_path):
    rows = sound_rows(tmp_path, 8)
    rows[6]["path"] = "e0.npy"
    for row, part in zip(rows, ["train"] * 4 + ["test"] * 4, strict=True):
        row["split"] = part
    (fault,) = check_cohort(cohort_of(tmp_path, rows, "split")).faults
    assert "in test and train" in fault.message


def test_constant_scans_are_no_duplicates_of_each_other(tmp_path):
    rows = sound_rows(tmp_path, 8)
    for k in (2, 3):
        np.save(tmp_path / f"e{k}.npy", np.zeros((4, 6, 5), np.uint8))
    check = check_cohort(cohort_of(tmp_path, rows))
    assert {finding.kind for finding in check.faults} == {"constant"}
    assert found(check, "constant") == [("e2", "e3")]


def test_a_patient_in_two_parts_is_listed_with_all_exams(tmp_path):
    rows = sound_rows(tmp_path, 8)
    for row, part in zip(rows, ["train", "test", *["train"] * 2, *["test"] * 4], strict=True):
        row["split"] = part
    (fault,) = check_cohort(cohort_of(tmp_path, rows, "split")).faults
    assert (fault.kind, fault.exam_ids) == ("patient-in-two-splits", ("e0", "e1"))
    assert fault.message == "patient 'p0' is in test and train"


def test_an_empty_class_is_found_in_the_cohort_and_in_each_part(tmp_path):
    rows = sound_rows(tmp_path, 8)
    for row, part in zip(rows, ["train"] * 4 + ["validation"] * 2 + ["test"] * 2, strict=True):
        row["split"] = part
    messages = [finding.message for finding in check_cohort(cohort_of(tmp_path, rows, "split")).faults]
    assert messages == ["validation: no exam with label 1", "test: no exam with label 0"]
    for row in rows:
        row |= {"label": "1", "split": ""}
    messages = [finding.message for finding in check_cohort(cohort_of(tmp_path, rows)).faults]
    assert messages == ["the cohort: no exam with label 0"]


def test_a_cohort_without_labels_has_no_empty_class(tmp_path):
    rows = [{**row, "label": ""} for row in sound_rows(tmp_path, 4)]
    assert check_cohort(cohort_of(tmp_path, rows, require_labels=False)).faults == ()


def test_patients_that_a_spreadsheet_may_have_changed_are_a_warning(tmp_path):
    rows = sound_rows(tmp_path, 8)
    for row, patient in zip(rows, ["001978", "1978", "P-17", "p 017", "10", "100", "a1", "a2"], strict=True):
        row["patient_id"] = patient
    messages = [finding.message for finding in check_cohort(cohort_of(tmp_path, rows)).warnings]
    assert messages == ["patients '001978', '1978': one person?", "patients 'P-17', 'p 017': one person?"]


def test_a_covariate_that_looks_like_a_column_is_a_warning(tmp_path):
    rows = [{**row, "slow_axes": "superior-to-inferior", "age": "61"} for row in sound_rows(tmp_path, 4)]
    (warning,) = check_cohort(cohort_of(tmp_path, rows, "slow_axes", "age")).warnings
    assert warning.message == "column 'slow_axes' is kept as a covariate; meant 'slow_axis'?"


def test_what_many_scans_have_is_one_finding(tmp_path):
    rows = [{**row, "slow_axis": ""} for row in sound_rows(tmp_path, 8)]
    check = check_cohort(cohort_of(tmp_path, rows))
    assert found(check, "slow-axis-unknown") == [tuple(f"e{k}" for k in range(8))]


def test_a_fault_can_be_allowed_by_name(tmp_path):
    rows = sound_rows(tmp_path, 4)
    plant_laterality_unknown(tmp_path, rows)
    cohort = cohort_of(tmp_path, rows)
    check = check_cohort(cohort, allow=["laterality-unknown"])
    assert check.faults == ()
    assert found(check, "laterality-unknown") == [("e3",)]
    with pytest.raises(OctavoError, match="did you mean 'laterality-unknown'"):
        check_cohort(cohort, allow=["laterality_unknown"])


def test_at_least_one_process_reads(tmp_path):
    cohort = cohort_of(tmp_path, sound_rows(tmp_path, 4))
    with pytest.raises(OctavoError, match="--workers is 0"):
        check_cohort(cohort, workers=0)


def test_identical_scans_are_groups_for_splitting(tmp_path):
    rows = sound_rows(tmp_path, 8)
    rows[6]["path"] = "e0.npy"
    rows[7]["path"] = "e0.npy"
    (tmp_path / "e3.npy").unlink()
    scans = list(read_scans(cohort_of(tmp_path, rows).exams))
    assert [one.exam_id for one in scans] == [row["exam_id"] for row in rows]
    assert identical_scans(scans) == [("e0", "e6", "e7")]


def test_a_scan_within_a_file_is_not_missing_when_its_file_is_there(tmp_path):
    np.save(tmp_path / "a.npy", scan(1))
    within = check_scan(Exam("e1", "p1", Path(f"{tmp_path}/a.npy#1")))
    assert "missing" not in {kind for kind, _ in within.problems}
    assert within.shape == (4, 6, 5)
    for name in ("b.npy#1", "a.npy#first"):
        absent = check_scan(Exam("e1", "p1", Path(f"{tmp_path}/{name}")))
        assert [kind for kind, _ in absent.problems] == ["missing"], name


def test_a_single_bscan_has_no_distance_to_the_next(tmp_path):
    line = Volume(
        scan(1, (1, 6, 5)),
        Spacing(None, 0.004, 0.01),
        laterality=Laterality.OD,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.LINE,
        pattern_origin=Origin.READ,
    )
    write_volume(line, tmp_path / "line.npz")
    kinds = {kind for kind, _ in check_scan(Exam("e1", "p1", tmp_path / "line.npz")).problems}
    assert kinds == {"unsuitable"}


def test_findings_come_in_the_order_of_their_kinds(tmp_path):
    rows = sound_rows(tmp_path, 8)
    rows[1] |= {"slow_axis": "", "laterality": ""}
    (tmp_path / "e2.npy").write_bytes(b"x")
    (tmp_path / "e3.npy").unlink()
    check = check_cohort(cohort_of(tmp_path, rows))
    assert [fault.kind for fault in check.faults] == ["missing", "unreadable", "laterality-unknown"]


def test_a_process_that_dies_is_reported(tmp_path, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    def die(*arguments, **options):
        yield from ()
        raise BrokenProcessPool

    monkeypatch.setattr("concurrent.futures.process.ProcessPoolExecutor.map", die)
    cohort = cohort_of(tmp_path, sound_rows(tmp_path, 4))
    with pytest.raises(OctavoError, match=r"a process died while reading e0\.npy"):
        check_cohort(cohort, workers=2)


def test_what_the_reader_says_is_passed_on(tmp_path):
    volume = Volume(
        scan(3),
        slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
        slow_axis_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
    )
    write_volume(volume, tmp_path / "told.npz")
    exam = Exam("e1", "p1", tmp_path / "told.npz", slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR)
    notes = [message for kind, message in check_scan(exam).problems if kind == "note"]
    assert any("inferior-to-superior" in note and "superior-to-inferior" in note for note in notes)


@pytest.mark.parametrize("pair", [("P017", "P17"), ("P-17", "p17"), ("1978.0", "1978"), ("OCT_05a", "oct5A")])
def test_patients_whose_numbers_are_written_otherwise_are_a_warning(tmp_path, pair):
    rows = sound_rows(tmp_path, 8)
    for row, patient in zip(rows, [pair[0]] * 2 + [pair[1]] * 2 + ["17-3", "17-3", "173", "173"], strict=True):
        row["patient_id"] = patient
    messages = [finding.message for finding in check_cohort(cohort_of(tmp_path, rows)).warnings]
    assert messages == [f"patients {pair[0]!r}, {pair[1]!r}: one person?"]


def test_micrometres_in_the_columns_of_millimetres_are_a_fault(tmp_path):
    rows = sound_rows(tmp_path, 8)
    for row in rows:
        row |= {"spacing_bscan_mm": "300", "spacing_depth_mm": "3.9", "spacing_ascan_mm": "11.7"}
    cohort = cohort_of(tmp_path, rows)
    faults = check_cohort(cohort).faults
    assert [fault.kind for fault in faults] == ["spacing-implausible"] * 3
    assert faults[0].message.startswith("spacing along bscan is 300 mm; wanted 0.001 to 1 mm")
    assert check_cohort(cohort, allow=["spacing-implausible"]).faults == ()


def test_slices_of_a_head_may_lie_further_apart_than_those_of_an_eye(tmp_path):
    for millimetres, kinds in ((1.2, set()), (9.0, set()), (12.0, {"spacing-implausible"})):
        np.save(tmp_path / "head.npy", scan(1))
        exam = Exam("e1", "p1", tmp_path / "head.npy", spacing_mm=(millimetres, 1.0, 1.0))
        assert {kind for kind, _ in check_scan(exam).problems} & {"spacing-implausible"} == kinds
