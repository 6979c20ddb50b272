import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.cohorts.exam import Exam
from octavo.cohorts.folds import split_folds
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.transfer import split_by_covariate
from octavo.errors import OctavoError


def _cohort(patients, label_of=lambda patient: patient % 2, **covariates):
    exams = [
        Exam(
            f"e{patient}-{eye}",
            f"p{patient}",
            Path(f"{patient}-{eye}.npy"),
            label=label_of(patient),
            covariates={name: value_of(patient) for name, value_of in covariates.items()},
        )
        for patient in range(patients)
        for eye in ("OD", "OS")[: 1 + patient % 2]
    ]
    return Cohort(tuple(exams), Path("manifest.csv"))


@given(st.integers(20, 60), st.integers(2, 5), st.integers(0, 1000), st.data())
@settings(max_examples=50, deadline=None)
def test_every_patient_is_tested_in_one_fold_and_nobody_is_in_two_parts(patients, folds, seed, data):
    cohort = _cohort(patients, lambda patient: patient % 3 == 0)
    pair = data.draw(st.tuples(st.integers(0, patients - 1), st.integers(0, patients - 1)))
    together = [[f"e{number}-OD" for number in pair]] if pair[0] != pair[1] else []
    splits = split_folds(cohort, folds, seed=seed, together=together)
    tested = [patient for split in splits for patient in split.patients("test")]
    assert sorted(tested) == sorted(cohort.patients)
    label_of = {exam.exam_id: exam.label for exam in cohort.exams}
    for split in splits:
        assert sum(len(split.patients(part)) for part in ("train", "validation", "test")) == patients
        for part in ("train", "validation", "test"):
            assert {label_of[exam] for exam in split.exams(part)} == {0, 1}
        if together:
            part_of = {row.exam_id: row.split for row in split.placements}
            assert part_of[together[0][0]] == part_of[together[0][1]]


@given(st.lists(st.integers(1, 3), min_size=2, max_size=14), st.integers(2, 5), st.integers(0, 1000), st.data())
@settings(max_examples=300, deadline=None)
def test_small_cohorts_leave_every_fold_some_of_each_class_or_are_refused(sizes, folds, seed, data):
    """Patients who share scans count once, so that a fold may test more of them than its share."""
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(sizes), max_size=len(sizes)))
    label_of = [label for size, label in zip(sizes, labels, strict=True) for _ in range(size)]
    cohort = _cohort(len(label_of), lambda patient: label_of[patient])
    ends = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    together = [[f"e{patient}-OD" for patient in range(*pair)] for pair in pairwise(ends)]
    try:
        splits = split_folds(cohort, folds, seed=seed, together=together)
    except OctavoError as refused:
        refusal = str(refused)
    else:
        refusal = None
    if refusal is not None:
        assert re.fullmatch(r"manifest\.csv: .* one to choose by.*; take .* folds, or add patients", refusal)
        # what is refused is small indeed
        fewest = min(labels.count(0), labels.count(1))
        assert fewest < max(3, folds, 4 if folds == 2 else 0) or max(sizes) > 1
        return
    of_exam = {exam.exam_id: exam.label for exam in cohort.exams}
    for split in splits:
        for part in ("train", "validation", "test"):
            assert {of_exam[exam] for exam in split.exams(part)} == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_a_fold_that_would_learn_from_nobody_of_a_class_is_refused(seed):
    three = _cohort(20, lambda patient: patient < 3)
    with pytest.raises(OctavoError) as caught:
        split_folds(three, 2, seed=seed)
    assert str(caught.value) in {
        f"manifest.csv: beside the test part of fold {fold} there are 1 patients with label 1 in any eye (those who share a "
        "scan count once); wanted at least 2, one to learn from and one to choose by; take more folds, or add patients"
        for fold in (1, 2)
    }
    for folds, positives in ((3, 3), (2, 4)):
        for split in split_folds(_cohort(20, lambda patient, n=positives: patient < n), folds, seed=seed):
            for part in ("train", "validation", "test"):
                assert {f"p{patient}" for patient in range(positives)} & set(split.patients(part))


def test_folds_are_the_same_again_whatever_the_order_of_the_rows():
    cohort = _cohort(30)
    turned = Cohort(tuple(reversed(cohort.exams)), cohort.path)
    first, second = split_folds(cohort, 3, seed=7), split_folds(turned, 3, seed=7)
    assert [one.content_hash for one in first] == [one.content_hash for one in second]
    assert first[0].content_hash != split_folds(cohort, 3, seed=8)[0].content_hash


def test_fewer_patients_of_a_class_than_folds_are_refused():
    with pytest.raises(OctavoError, match=r"manifest\.csv: 3 patients with .* for 5 folds"):
        split_folds(_cohort(12, lambda patient: patient < 3), 5, seed=1)
    with pytest.raises(OctavoError, match="folds is 1; wanted at least 2"):
        split_folds(_cohort(12), 1, seed=1)


def test_what_is_tested_comes_from_one_site_and_what_is_learnt_from_others():
    cohort = _cohort(48, site=lambda patient: "abc"[patient // 16])
    splits = split_by_covariate(cohort, "site", seed=1)
    assert list(splits) == ["a", "b", "c"]
    site_of = {exam.exam_id: exam.covariates["site"] for exam in cohort.exams}
    for site, split in splits.items():
        assert {site_of[exam] for exam in split.exams("test")} == {site}
        assert {site_of[exam] for exam in split.exams("validation")} == set("abc") - {site}
        assert len(split.patients("test")) == 16


def test_a_patient_of_two_sites_is_refused_by_name():
    cohort = _cohort(20, site=lambda patient: "ab"[patient // 10])
    moved = tuple(
        Exam(
            **{
                **{name: getattr(exam, name) for name in ("exam_id", "patient_id", "path", "label")},
                "covariates": {"site": "b"},
            }
        )
        if exam.exam_id == "e1-OS"
        else exam
        for exam in cohort.exams
    )
    with pytest.raises(OctavoError, match="patient 'p1' stands under site a and b"):
        split_by_covariate(Cohort(moved, cohort.path), "site", seed=1)
    with pytest.raises(OctavoError, match="'p0' and others with the same scan stand under site a and b"):
        split_by_covariate(cohort, "site", seed=1, together=[["e0-OD", "e12-OD"]])


@given(st.integers(4, 16), st.integers(0, 1000), st.data())
@settings(max_examples=100, deadline=None)
def test_small_cohorts_leave_every_value_some_of_each_class_or_are_refused(patients, seed, data):
    drawn = data.draw(
        st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc")), min_size=patients, max_size=patients)
    )
    cohort = _cohort(patients, lambda patient: drawn[patient][0], site=lambda patient: drawn[patient][1])
    left = {value: [label for label, site in drawn if site != value] for value in {site for _, site in drawn}}
    enough = len(left) > 1 and all(min(labels.count(0), labels.count(1)) > 1 for labels in left.values())
    if not enough:
        with pytest.raises(OctavoError, match=r"one to learn from and one to choose by|wanted at least two values"):
            split_by_covariate(cohort, "site", seed=seed)
        return
    of_exam = {exam.exam_id: exam.label for exam in cohort.exams}
    for split in split_by_covariate(cohort, "site", seed=seed).values():
        for part in ("train", "validation"):
            assert {of_exam[exam] for exam in split.exams(part)} == {0, 1}


def test_patients_who_share_a_scan_cannot_be_learnt_from_and_chosen_by():
    cohort = _cohort(12, lambda patient: patient in {0, 1, 6, 7}, site=lambda patient: "ab"[patient // 6])
    assert list(split_by_covariate(cohort, "site", seed=1)) == ["a", "b"]
    with pytest.raises(
        OctavoError, match=r"without b there are 1 patients with label 1 .* join values of the covariate"
    ):
        split_by_covariate(cohort, "site", seed=1, together=[["e0-OD", "e1-OD"]])


@pytest.mark.parametrize(
    ("covariate", "value_of", "message"),
    [
        ("device", lambda patient: "a", "'device' is not a covariate; wanted one of: site"),
        (
            "site",
            lambda patient: ("North", "north ")[patient // 10],
            "site is 'North' in some exams and 'north' in others",
        ),
        ("site", lambda patient: "a", "site is 'a' in every exam; wanted at least two values"),
        ("site", lambda patient: "ab"[patient % 2], "without a there are 0 patients with label 0"),
        ("site", lambda patient: " " if patient == 3 else "ab"[patient // 10], "exam 'e3-OD' has no site"),
    ],
)
def test_a_covariate_that_cannot_divide_is_refused(covariate, value_of, message):
    with pytest.raises(OctavoError, match=message):
        split_by_covariate(_cohort(20, site=value_of), covariate, seed=1)
