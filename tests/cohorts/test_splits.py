import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.cohorts.exam import PARTS, Exam
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.cohorts.splits import (
    Placement,
    Split,
    apply_split,
    read_split,
    split_of,
    split_patients,
    write_split,
)
from octavo.errors import OctavoError

WHOLE = (0.65, 0.15, 0.20)


def cohort_of(patients: dict[str, list[int]]) -> Cohort:
    """Patients and the labels of their eyes."""
    exams = [
        Exam(f"{patient}-{k}", patient, Path(f"/scans/{patient}-{k}.npy"), label=label)
        for patient, labels in patients.items()
        for k, label in enumerate(labels)
    ]
    return Cohort(tuple(exams), Path("cohort.csv"))


def simple(positive: int, negative: int) -> Cohort:
    return cohort_of({f"p{k}": [1, 0] for k in range(positive)} | {f"n{k}": [0] for k in range(negative)})


def positives(cohort: Cohort) -> set[str]:
    return {exam.patient_id for exam in cohort.exams if exam.label}


@st.composite
def manifests(draw) -> tuple[list[tuple[str, str, str, int]], list[list[str]]]:
    """Rows of exam, patient, path and label, and groups of exams that hold the same voxels.

    Patients have one eye, both, or several visits; some scans stand under two names.
    """
    labels = st.lists(st.integers(0, 1), min_size=1, max_size=4)
    patients = {f"{draw(st.sampled_from('aZ0-'))}{k}": draw(labels) for k in range(draw(st.integers(6, 40)))}
    for k in range(3):
        patients |= {f"sick{k}": [1], f"well{k}": [0, 0]}
    rows = [(f"{patient}-{k}", patient, label) for patient, eyes in patients.items() for k, label in enumerate(eyes)]
    paths = {exam_id: f"/scans/{exam_id}.npy" for exam_id, _, _ in rows}
    ids = st.sampled_from(list(paths))
    for one, other in draw(st.lists(st.tuples(ids, ids), max_size=2)):
        paths[other] = paths[one]
    groups = draw(st.lists(st.lists(ids, min_size=2, max_size=3), max_size=2))
    return [
        (exam_id, patient, paths[exam_id], label) for exam_id, patient, label in draw(st.permutations(rows))
    ], groups


def joined(cohort: Cohort, groups: list[list[str]]) -> list[set[str]]:
    """Which patients must stay together, found by merging sets until nothing changes."""
    sets = [{patient} for patient in cohort.patients]
    patient_of = {exam.exam_id: exam.patient_id for exam in cohort.exams}
    links = [{patient_of[name] for name in group} for group in groups]
    links += [{a.patient_id, b.patient_id} for a, b in itertools.combinations(cohort.exams, 2) if a.path == b.path]
    for link in links:
        touched = [found for found in sets if found & link]
        sets = [found for found in sets if not found & link] + [set().union(*touched)]
    return sets


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(manifests(), st.integers(0, 2**31))
def test_nobody_is_on_both_sides(manifest, seed):
    rows, groups = manifest
    cohort = Cohort(tuple(Exam(name, who, Path(path), label=label) for name, who, path, label in rows), Path("c.csv"))
    units = joined(cohort, groups)
    sick = positives(cohort)
    strata = [[unit for unit in units if bool(unit & sick) is wanted] for wanted in (True, False)]
    if min(map(len, strata)) < 3:
        with pytest.raises(OctavoError, match="wanted at least 3"):
            split_patients(cohort, WHOLE, seed=seed, together=groups)
        return
    split = split_patients(cohort, WHOLE, seed=seed, together=groups)

    assert {row.exam_id for row in split.placements} == {exam.exam_id for exam in cohort.exams}
    part_of = {row.exam_id: row.split for row in split.placements}
    patient_parts: dict[str, set[str]] = {}
    path_parts: dict[Path, set[str]] = {}
    for exam in cohort.exams:
        patient_parts.setdefault(exam.patient_id, set()).add(part_of[exam.exam_id])
        path_parts.setdefault(exam.path, set()).add(part_of[exam.exam_id])
    assert all(len(parts) == 1 for parts in patient_parts.values())
    assert all(len(parts) == 1 for parts in path_parts.values())
    assert all(len({part_of[name] for name in group}) == 1 for group in groups)
    for part in PARTS:
        found = set(split.patients(part))
        assert found & sick, f"nobody with glaucoma in {part}"
        assert any(unit <= found and not unit & sick for unit in units), f"nobody without glaucoma in {part}"

    reordered = Cohort(tuple(reversed(cohort.exams)), cohort.path)
    assert split_patients(reordered, WHOLE, seed=seed, together=reversed(groups)) == split


@settings(max_examples=150, deadline=None)
@given(
    st.integers(3, 60),
    st.integers(3, 60),
    st.sampled_from([WHOLE, (0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.7, 0, 0.3), (0.6, 0.4, 0)]),
    st.integers(0, 1000),
)
def test_every_part_gets_its_share_of_either_class_within_one_patient(positive, negative, fractions, seed):
    cohort = simple(positive, negative)
    split = split_patients(cohort, fractions, seed=seed)
    sick = positives(cohort)
    for part, fraction in zip(PARTS, fractions, strict=True):
        found = split.patients(part)
        for size, count in ((positive, sum(p in sick for p in found)), (negative, sum(p not in sick for p in found))):
            if fraction == 0:
                assert count == 0
            elif min(fractions, key=lambda share: share or 2) * size >= 1:
                assert abs(count - fraction * size) < 1
            else:
                assert count >= 1
        if min(positive, negative) * min(fractions, key=lambda share: share or 2) >= 1:
            assert abs(len(found) - fraction * (positive + negative)) < 1.5


def test_a_patient_is_positive_if_any_eye_is():
    # 20 patients with one sick eye each and 20 with none: by eyes 20 of 80 would be positive
    cohort = cohort_of({f"m{k}": [0, 1] for k in range(20)} | {f"n{k}": [0, 0] for k in range(20)})
    split = split_patients(cohort, (0.5, 0.25, 0.25), seed=3)
    sick = positives(cohort)
    assert [sum(p in sick for p in split.patients(part)) for part in PARTS] == [10, 5, 5]


def test_a_seed_is_a_split():
    cohort = simple(30, 50)
    splits = {split_patients(cohort, WHOLE, seed=seed).content_hash for seed in range(20)}
    assert len(splits) == 20
    assert split_patients(cohort, WHOLE, seed=7) == split_patients(cohort, WHOLE, seed=7)


def test_a_split_does_not_change_with_versions():
    # a split is shared by its seed as well as by its file; these are what seed 100 has always meant
    split = split_patients(simple(4, 6), (0.5, 0.25, 0.25), seed=100)
    assert {part: split.patients(part) for part in PARTS} == PINNED


PINNED = {
    "train": ("n0", "n1", "n4", "p1", "p3"),
    "validation": ("n5", "p2"),
    "test": ("n2", "n3", "p0"),
}


def test_over_seeds_everybody_is_in_every_part():
    cohort = simple(8, 12)
    seen = {patient: Counter() for patient in cohort.patients}
    for seed in range(200):
        for part in PARTS:
            for patient in split_patients(cohort, (0.5, 0.25, 0.25), seed=seed).patients(part):
                seen[patient][part] += 1
    # 200 draws at one half and one quarter: four standard deviations are 28 and 24
    for counts in seen.values():
        assert abs(counts["train"] - 100) <= 28
        assert abs(counts["validation"] - 50) <= 24
        assert abs(counts["test"] - 50) <= 24


def test_a_large_group_is_dealt_before_it_fits_nowhere():
    cohort = simple(12, 12)
    ring = [f"p{k}-0" for k in range(6)]
    split = split_patients(cohort, (0.5, 0.25, 0.25), seed=1, together=[ring])
    sick = positives(cohort)
    assert [sum(p in sick for p in split.patients(part)) for part in PARTS] == [6, 3, 3]
    assert {f"p{k}" for k in range(6)} == {p for p in split.patients("train") if p in sick}


def test_joined_patients_do_not_depend_on_the_order_of_rows_either():
    cohort = simple(12, 12)
    backwards = Cohort(tuple(reversed(cohort.exams)), cohort.path)
    # each pair bears another first name in each order, and pairs are too many to go all to one part
    pairs = [[f"{kind}{k}-0", f"{kind}{11 - k}-0"] for kind in "pn" for k in range(6)]
    for seed in range(10):
        split = split_patients(cohort, (0.5, 0.25, 0.25), seed=seed, together=pairs)
        assert split_patients(backwards, (0.5, 0.25, 0.25), seed=seed, together=pairs) == split


def test_groups_that_leave_a_part_empty_are_moved():
    # quotas 5, 1, 1 and units of 3, 3 and 1: dealt by need alone the last part would get nobody
    cohort = simple(7, 7)
    groups = [[f"p{k}-0" for k in (0, 1, 2)], [f"p{k}-0" for k in (3, 4, 5)]]
    split = split_patients(cohort, (0.7, 0.15, 0.15), seed=1, together=groups)
    assert all(set(split.patients(part)) & positives(cohort) for part in PARTS)


@pytest.mark.parametrize(
    ("positive", "negative", "label", "count"), [(2, 10, 1, 2), (10, 1, 0, 1), (0, 9, 1, 0), (9, 0, 0, 0)]
)
def test_too_few_patients_are_counted(positive, negative, label, count):
    message = f"cohort.csv: {count} patients with label {label} .*at least 3, one for each of train, validation, test"
    with pytest.raises(OctavoError, match=message):
        split_patients(simple(positive, negative), WHOLE, seed=1)


def test_a_part_can_be_left_out_when_patients_are_few():
    split = split_patients(simple(2, 2), (0.5, 0, 0.5), seed=1)
    assert [len(split.patients(part)) for part in PARTS] == [2, 0, 2]


@pytest.mark.parametrize(
    "fractions",
    [
        (0.6, 0.2, 0.3),
        (0.5, 0.2, 0.2),
        (1.2, -0.1, -0.1),
        (0.0, 0.5, 0.5),
        (float("nan"), 0.5, 0.5),
        (65.0, 15.0, 20.0),
    ],
)
def test_fractions_are_shares_of_one_whole(fractions):
    with pytest.raises(OctavoError, match="add up to 1"):
        split_patients(simple(9, 9), fractions, seed=1)


@pytest.mark.parametrize("third", [0.333, 0.334])
def test_thirds_may_be_rounded_however_many_patients_there_are(third):
    split = split_patients(simple(6000, 9), (third, third, third), seed=1)
    assert [len(split.patients(part)) for part in PARTS] == [2003, 2003, 2003]


def test_unlabelled_exams_and_unknown_groups_are_refused():
    with pytest.raises(OctavoError, match="'n0-0' has no label"):
        split_patients(cohort_of({"p0": [1], "n0": [None]}), WHOLE, seed=1)
    with pytest.raises(OctavoError, match="'nobody' is not an exam of cohort"):
        split_patients(simple(4, 4), WHOLE, seed=1, together=[["p0-0", "nobody"]])


def test_written_splits_are_read_back_and_applied(tmp_path):
    cohort = simple(10, 10)
    split = split_patients(cohort, WHOLE, seed=100)
    path = tmp_path / "splits.csv"
    write_split(split, path)
    assert path.read_text().splitlines()[0] == "exam_id,patient_id,split"
    again = read_split(path)
    assert again == split
    assert again.content_hash == split.content_hash
    divided = apply_split(cohort, again)
    assert divided.content_hash == cohort.content_hash
    assert split_of(divided) == split
    for part in PARTS:
        assert {exam.exam_id for exam in divided.part(part).exams} == set(split.exams(part))
    assert apply_split(divided, split) == divided
    before = path.read_bytes()
    with pytest.raises(OctavoError, match="--overwrite"):
        write_split(split, path)
    assert path.read_bytes() == before


def test_the_hash_is_of_who_is_where():
    rows = (Placement("e1", "p1", "train"), Placement("e2", "p2", "test"))
    assert Split(rows).content_hash == Split(rows[::-1]).content_hash
    assert Split(rows).content_hash != Split((rows[0], Placement("e2", "p2", "train"))).content_hash


BAD_SPLITS = {
    "exam twice": ("e1,p1,train\ne1,p1,train", "'e1' stands twice"),
    "patient in two parts": ("e1,p1,train\ne2,p1,test", "'p1' is in test and train"),
    "unknown part": ("e1,p1,val", "'val' is not a part of a split"),
    "no part": ("e1,p1,", "line 2, column 'split': is empty"),
    "no exams": ("", "holds a header and no exams"),
}


@pytest.mark.parametrize(("rows", "expected"), BAD_SPLITS.values(), ids=BAD_SPLITS.keys())
def test_a_split_file_that_leaks_or_is_damaged_is_refused(tmp_path, rows, expected):
    path = tmp_path / "splits.csv"
    path.write_text(f"exam_id,patient_id,split\n{rows}\n")
    with pytest.raises(OctavoError, match=expected) as caught:
        read_split(path)
    assert "splits.csv" in str(caught.value)


def test_a_split_of_another_cohort_is_refused():
    cohort = simple(4, 4)
    split = split_patients(cohort, (0.5, 0.25, 0.25), seed=1)
    with pytest.raises(OctavoError, match=r"1 of 13 exams of cohort.csv are not in the split \(the first: 'n4-0'\)"):
        apply_split(simple(4, 5), split)
    other = dataclasses.replace(cohort.exams[0], patient_id="n0")
    with pytest.raises(OctavoError, match="'p0-0' belongs to patient 'p0' in the split and to 'n0'"):
        apply_split(Cohort((other, *cohort.exams[1:]), cohort.path), split)
    away = next(part for part in PARTS if part != split.placements[0].split)
    moved = [
        dataclasses.replace(e, split=away) if e.exam_id == split.placements[0].exam_id else e for e in cohort.exams
    ]
    with pytest.raises(OctavoError, match="wanted one; remove the column 'split'"):
        apply_split(Cohort(tuple(moved), cohort.path), split)


def test_scans_taken_out_leave_the_others_where_they_are():
    cohort = simple(4, 4)
    split = split_patients(cohort, (0.5, 0.25, 0.25), seed=1)
    fewer = Cohort(cohort.exams[2:], cohort.path)
    assert [e.split for e in apply_split(fewer, split).exams] == [e.split for e in apply_split(cohort, split).exams[2:]]


def test_a_manifest_without_parts_has_no_split_of_its_own(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("exam_id,patient_id,path,laterality,label\ne1,p1,a.npy,OD,0\n")
    with pytest.raises(OctavoError, match="'e1' belongs to no part"):
        split_of(read_manifest(path))


def scans_of_one_file(folder, parts):
    """Forty patients of two files with several scans each, and forty alone."""
    (folder / "doe.E2E").write_bytes(b"x")
    exams = [Exam(f"d{k}", f"d{k}", folder / f"doe.E2E#{k + 1}", label=0, split=part) for k, part in enumerate(parts)]
    others = [Exam(f"o{k}", f"o{k}", folder / f"{k}.npy", label=k % 2, split=PARTS[k % 3]) for k in range(40)]
    return Cohort((*exams, *others), folder / "cohort.csv")


def test_scans_of_one_file_stay_together(tmp_path):
    cohort = scans_of_one_file(tmp_path, [None] * 6)
    for seed in range(5):
        split = split_patients(cohort, WHOLE, seed=seed)
        assert len({row.split for row in split.placements if row.exam_id.startswith("d")}) == 1


def test_a_split_that_parts_the_scans_of_one_file_is_refused(tmp_path):
    cohort = scans_of_one_file(tmp_path, ["train", "test"])
    with pytest.raises(OctavoError, match=r"exams 'd0' in train and 'd1' in test are of one file, doe\.E2E#2; wanted"):
        split_of(cohort)
    parted = Split(tuple(Placement(exam.exam_id, exam.patient_id, exam.split) for exam in cohort.exams))
    with pytest.raises(OctavoError, match="are of one file"):
        apply_split(cohort, parted)
    together = scans_of_one_file(tmp_path, ["train", "train"])
    assert apply_split(together, split_of(together)) == together
