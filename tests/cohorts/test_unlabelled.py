"""Scans without labels: whoever is chosen by or tested is not among those that are learnt from, under whatever name."""

import csv

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import write_manifest
from octavo.cohorts.parts import divide
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.unlabelled import (
    HELD_OUT_PATIENT,
    HELD_OUT_SCAN,
    LEARNT_FROM,
    MARKED,
    REPEATED,
    read_unlabelled,
    unlabelled_beside,
)
from octavo.errors import OctavoError
from octavo.workflows.cohort_pack import pack_cohort
from training.small_cohort import SIZE, write_cohort

PARTS = ("train",) * 4 + ("validation",) * 2 + ("test",) * 2
PREPARATION = Preparation(size=SIZE)


@pytest.fixture
def cohort(tmp_path):
    return write_cohort(tmp_path, PARTS)


def write_archive(cohort, exams, name="archive.csv", **more):
    """A second manifest. `exams` are (name, patient, scan): the number of a labelled scan, or the name of a new one."""
    rng = np.random.default_rng(91)
    rows = []
    for exam_id, patient, scan in exams:
        path = cohort.parent / (f"scan{scan:02d}.npy" if isinstance(scan, int) else f"{scan}.npy")
        if not path.exists():
            np.save(path, rng.integers(0, 200, SIZE, dtype=np.uint8))
        known = {"exam_id": exam_id, "patient_id": patient, "path": path.name, "laterality": "OD", "label": ""}
        rows.append({**known, "pattern": "raster", "slow_axis": "superior-to-inferior", **more.get(exam_id, {})})
    write_manifest(rows, cohort.parent / name, overwrite=True)
    return cohort.parent / name


def beside(cohort, archive, tmp_path, **said):
    choice = CohortChoice(str(cohort), unlabelled=str(archive), **said)
    source = choice.source(tmp_path / "prepared", PREPARATION)
    parts = divide(choice.read(), source, split=None, fractions=(0.5, 0.25, 0.25), seed=1)
    exams = read_unlabelled(choice, choice.read())
    unlabelled = choice.unlabelled_source(tmp_path / "prepared", PREPARATION)
    return unlabelled_beside(parts, exams, unlabelled)


def names(unlabelled):
    return [one.exam.exam_id for one in unlabelled.exams]


def test_without_a_second_manifest_there_is_nothing(cohort, tmp_path):
    choice = CohortChoice(str(cohort))
    source = choice.source(tmp_path / "prepared", PREPARATION)
    parts = divide(choice.read(), source, split=None, fractions=(0.5, 0.25, 0.25), seed=1)
    assert read_unlabelled(choice, choice.read()) is None
    assert unlabelled_beside(parts, None, source).exams == ()


def test_what_other_parts_may_know_is_left_out_and_counted(cohort, tmp_path):
    archive = write_archive(
        cohort,
        [
            ("new", "Q1", "u1"),
            ("of-a-training-patient", "P00", "u2"),
            ("of-a-validation-patient", "P04", "u3"),
            ("of-a-test-patient", "P07", "u4"),
            ("test-scan-under-another-name", "Q2", 6),
            ("and-the-fellow-eye-of-it", "Q2", "u5"),
            ("training-scan", "P01", 1),
            ("same", "Q3", "u1"),
            ("another", "Q3", "u6"),
        ],
    )
    found = beside(cohort, archive, tmp_path)
    assert names(found) == ["new", "of-a-training-patient", "another"]
    assert all(one.exam.label is None and one.exam.split is None for one in found.exams)
    # the fellow eye is of somebody who is tested, as the other scan of the same patient tells
    assert found.left_out == {HELD_OUT_PATIENT: 3, HELD_OUT_SCAN: 1, LEARNT_FROM: 1, REPEATED: 1}
    assert found.patients == 3


def test_a_chain_of_equal_scans_is_followed(cohort, tmp_path):
    links = [("a", "Q1", 6), ("b", "Q1", "u1"), ("c", "Q2", "u1"), ("d", "Q2", "u2"), ("e", "Q3", "u3")]
    assert names(beside(cohort, write_archive(cohort, links), tmp_path)) == ["e"]
    assert names(beside(cohort, write_archive(cohort, links[::-1]), tmp_path)) == ["e"]


@pytest.mark.parametrize(
    "links",
    [
        [("odd", "P00", 6)],
        [("a", "Q1", 6), ("odd", "Q1", 0)],
        [("a", "Q1", 6), ("b", "Q1", "u2"), ("c", "Q2", "u2"), ("odd", "Q2", 3)],
    ],
    ids=["by number", "by scans", "by a chain"],
)
def test_a_patient_who_turns_out_to_be_in_two_parts_is_refused(cohort, tmp_path, links):
    archive = write_archive(cohort, [*links, ("new", "Q9", "u1")])
    with pytest.raises(
        OctavoError, match="unlabelled exam 'odd' is of somebody of the training part, and equal scans or"
    ):
        beside(cohort, archive, tmp_path)


def test_a_file_is_of_one_person_in_both_manifests(cohort, tmp_path):
    """A second scan in the file of a scan that is tested."""
    rng = np.random.default_rng(3)
    scans = {name: rng.integers(0, 200, SIZE, dtype=np.uint8) for name in ("first", "second")}
    np.savez(cohort.parent / "both.npz", **scans)
    rows = list(csv.DictReader(cohort.open(encoding="utf-8")))
    rows[7] |= {"path": "both.npz", "key": "first"}
    write_manifest(rows, cohort, overwrite=True)
    told = {"path": "both.npz", "key": "second"}
    archive = write_archive(cohort, [("fellow", "Q1", "u1"), ("other", "Q2", "u2")], fellow=told)
    found = beside(cohort, archive, tmp_path)
    assert (names(found), found.left_out) == (["other"], {HELD_OUT_PATIENT: 1})


def test_long_chains_take_no_time(cohort, tmp_path):
    links = [(f"{side}{n}", f"Q{n}", f"u{n + step}") for n in range(300) for side, step in (("a", 0), ("b", 1))]
    archive = write_archive(cohort, [*links, ("start", "Q300", 6), ("end", "Q300", "u300")])
    with pytest.raises(OctavoError, match="none of its 602 exams may be learnt from"):
        beside(cohort, archive, tmp_path)


def test_the_second_manifests_own_parts_hold_too(cohort, tmp_path):
    parts = {"new": {"split": "train"}, "kept-back": {"split": "test"}}
    exams = [("new", "Q1", "u1"), ("kept-back", "Q2", "u2"), ("its-twin", "Q3", "u2"), ("fellow-of-it", "Q3", "u3")]
    parts |= {"its-twin": {"split": "train"}, "fellow-of-it": {"split": "train"}}
    found = beside(cohort, write_archive(cohort, exams, **parts), tmp_path)
    assert (names(found), found.left_out) == (["new"], {MARKED: 3})


@pytest.mark.parametrize("column", ["names", "empty", "none"])
def test_labels_are_passed_over_whatever_they_are(cohort, tmp_path, column):
    archive = write_archive(cohort, [("a", "Q1", "u1"), ("b", "Q2", "u2"), ("c", "Q3", "u3")])
    rows = list(csv.DictReader(archive.open(encoding="utf-8")))
    for row, name in zip(rows, ("NL", "MCI", "who knows"), strict=True):
        row["label"] = {"names": name, "empty": ""}.get(column, "")
    if column == "none":
        rows = [{name: value for name, value in row.items() if name != "label"} for row in rows]
    with archive.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert names(beside(cohort, archive, tmp_path, positive="1", negative="0")) == ["a", "b", "c"]


def test_the_whole_archive_with_the_labelled_cohort_in_it_may_be_given(cohort, tmp_path):
    found = beside(
        cohort,
        write_archive(cohort, [*((f"E{n:02d}", f"P{n:02d}", n) for n in range(8)), ("new", "Q1", "u1")]),
        tmp_path,
    )
    assert names(found) == ["new"]
    assert sum(found.left_out.values()) == 8


def test_another_scan_under_a_name_of_the_cohort_is_refused(cohort, tmp_path):
    archive = write_archive(cohort, [("E00", "P00", "u1")])
    with pytest.raises(OctavoError, match=r"archive\.csv: exam 'E00' holds other voxels than the labelled exam"):
        beside(cohort, archive, tmp_path)


def test_an_archive_of_held_out_patients_alone_is_refused(cohort, tmp_path):
    archive = write_archive(cohort, [("a", "P06", "u1"), ("b", "P04", 4)])
    with pytest.raises(
        OctavoError, match=r"none of its 2 exams may be learnt from \(1 of patients .* 1 with the voxels"
    ):
        beside(cohort, archive, tmp_path)


def test_a_scan_that_cannot_be_used_is_named(cohort, tmp_path):
    archive = write_archive(cohort, [("a", "Q1", "u1"), ("b", "Q2", "u2")])
    (cohort.parent / "u2.npy").write_bytes(b"no scan")
    with pytest.raises(OctavoError, match=r"archive\.csv: 1 of 2 scans cannot be used; the first is exam 'b'"):
        beside(cohort, archive, tmp_path)


def test_patients_must_be_known_in_both_manifests(cohort, tmp_path):
    """A row without a patient may be anybody's; that no two rows of one manifest share one says nothing of the other."""
    archive = write_archive(cohort, [("a", "Q1", "u1"), ("b", "", "u2")])
    with pytest.raises(
        OctavoError, match="wanted the patient, so that nobody who is tested is learnt from; fill it in"
    ):
        beside(cohort, archive, tmp_path)
    known = write_archive(cohort, [("a", "Q1", "u1"), ("b", "Q2", "u2")])
    with pytest.raises(OctavoError, match="the labelled cohort was read with --each-row-its-own-patient"):
        beside(cohort, known, tmp_path, each_row_its_own_patient=True)
    own = CohortChoice(str(write_archive(cohort, [("a", "", "u1")], a={"label": "1"})), each_row_its_own_patient=True)
    pack_cohort(own, tmp_path / "store", PREPARATION)
    with pytest.raises(OctavoError, match="their store was read with --each-row-its-own-patient"):
        beside(cohort, tmp_path / "store", tmp_path)


@pytest.mark.parametrize("labels", [("1", "0"), ("", "who knows")])
def test_a_packed_cohort_serves_as_well(cohort, tmp_path, labels):
    told = {name: {"label": label} for name, label in zip("ab", labels, strict=True)}
    archive = write_archive(cohort, [("a", "Q1", "u1"), ("b", "P07", "u2")], **told)
    if labels == ("1", "0"):
        pack_cohort(CohortChoice(str(archive)), tmp_path / "store", PREPARATION)
    else:
        words = ["cohort", "pack", str(archive), str(tmp_path / "store"), "--size", *map(str, SIZE)]
        assert main(words) == 2
        assert main([*words, "--pass-over-labels", "--positive", "who"]) == 2
        assert main([*words, "--pass-over-labels"]) == 0
    found = beside(cohort, tmp_path / "store", tmp_path)
    assert names(found) == ["a"]
    assert found.exams[0].exam.label is None
    with pytest.raises(OctavoError, match="was packed"):
        CohortChoice(str(cohort), unlabelled=str(tmp_path / "store")).unlabelled_source(
            tmp_path / "other", Preparation(size=(8, 8, 8))
        )


def test_fingerprints_tell_scans_and_not_their_names(cohort, tmp_path):
    one = beside(cohort, write_archive(cohort, [("a", "Q1", "u1"), ("b", "Q2", "u2")]), tmp_path)
    renamed = beside(cohort, write_archive(cohort, [("d", "Q2", "u2"), ("c", "Q1", "u1")]), tmp_path)
    assert one.voxels_hash == renamed.voxels_hash != ""
    assert one.content_hash != renamed.content_hash
    other = beside(cohort, write_archive(cohort, [("a", "Q1", "u1")]), tmp_path)
    assert other.voxels_hash != one.voxels_hash
