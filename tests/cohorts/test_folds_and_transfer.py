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


@pytest.mark.parametrize(
    ("covariate", "value_of", "message"),
    [
        ("device", lambda patient: "a", "'device' is not a covariate; wanted one of: site"),
        ("site", lambda patient: "a", "site is 'a' in every exam; wanted at least two values"),
        ("site", lambda patient: "ab"[patient % 2], "without a there are 0 patients with label 0"),
        ("site", lambda patient: " " if patient == 3 else "ab"[patient // 10], "exam 'e3-OD' has no site"),
    ],
)
def test_a_covariate_that_cannot_divide_is_refused(covariate, value_of, message):
    with pytest.raises(OctavoError, match=message):
        split_by_covariate(_cohort(20, site=value_of), covariate, seed=1)
