import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from octavo.errors import OctavoError
from octavo.formats.limits import MAX_VOXELS
from octavo.phantom import DIFFICULTIES, make_cohort, plan_cohort
from octavo.phantom.cohort import MOST_VOXELS
from octavo.volume import Laterality, SlowAxis


def test_a_patient_does_not_depend_on_how_many_were_asked_for():
    few, many = plan_cohort(10, seed=4), plan_cohort(100, seed=4)
    assert many[: len(few)] == few
    last = few[-1]
    assert np.array_equal(last.make().volume.values, many[len(few) - 1].make().volume.values)


def test_another_seed_is_another_cohort():
    first, second = plan_cohort(30, seed=1), plan_cohort(30, seed=2)
    assert not {exam.patient_seed for exam in first} & {exam.patient_seed for exam in second}


@pytest.mark.parametrize("prevalence", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("patients", [7, 40, 301])
def test_prevalence_is_kept_to_within_two_patients(prevalence, patients):
    for seed in range(5):
        exams = plan_cohort(patients, seed, prevalence=prevalence)
        positive = {exam.patient_id for exam in exams if exam.label}
        assert abs(len(positive) - prevalence * patients) <= 2


def test_patients_have_one_eye_or_two_and_one_scanner():
    exams = plan_cohort(600, seed=3, two_eyes=0.7)
    by_patient = {}
    for exam in exams:
        by_patient.setdefault(exam.patient_id, []).append(exam)
    assert len(by_patient) == 600
    assert len({exam.exam_id for exam in exams}) == len(exams)
    both = [eyes for eyes in by_patient.values() if len(eyes) == 2]
    assert abs(len(both) / 600 - 0.7) < 0.06
    assert all({eye.laterality for eye in eyes} == {Laterality.OD, Laterality.OS} for eyes in both)
    assert all(len({(eye.patient_seed, eye.slow_axis) for eye in eyes}) == 1 for eyes in both)
    ill = [eyes for eyes in both if any(eye.label for eye in eyes)]
    one_sided = [eyes for eyes in ill if sum(eye.label for eye in eyes) == 1]
    assert 0.1 < len(one_sided) / len(ill) < 0.3
    assert len(plan_cohort(50, seed=3, two_eyes=0.0)) == 50
    assert len(plan_cohort(50, seed=3, two_eyes=1.0)) == 100


def test_side_direction_and_number_of_eyes_say_nothing_about_the_label():
    exams = plan_cohort(2000, seed=9)
    labels = np.array([exam.label for exam in exams])
    for told in (
        [exam.laterality is Laterality.OS for exam in exams],
        [exam.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR for exam in exams],
    ):
        told = np.array(told)
        assert 0.2 < told.mean() < 0.8
        assert abs(labels[told].mean() - labels[~told].mean()) < 0.05
    ill = {exam.patient_id for exam in exams if exam.label}
    eyes = {exam.patient_id: 0 for exam in exams}
    for exam in exams:
        eyes[exam.patient_id] += 1
    several = [np.mean([eyes[name] for name in eyes if (name in ill) is sick]) for sick in (True, False)]
    assert abs(several[0] - several[1]) < 0.06


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_severities_are_those_of_the_setting(name):
    setting = DIFFICULTIES[name]
    exams = plan_cohort(300, seed=2, difficulty=name)
    severities = np.array([exam.severity for exam in exams if exam.label])
    assert setting.severity_low <= severities.min() < setting.severity_low + 0.05
    assert setting.severity_high - 0.05 < severities.max() <= setting.severity_high
    shares = [len(exam.bundles) == 2 for exam in exams if exam.label]
    assert abs(np.mean(shares) - setting.both_bundles) < 0.12
    assert all((exam.severity > 0) == bool(exam.bundles) for exam in exams)


def test_a_cohort_is_made_eye_by_eye():
    planned = plan_cohort(3, seed=6, shape=(8, 32, 16))
    made = make_cohort(3, seed=6, shape=(8, 32, 16))
    for exam, (told, eye) in zip(planned, made, strict=True):
        assert told == exam
        assert eye.severity == exam.severity
        assert eye.glaucoma == bool(exam.label)
        assert (eye.volume.laterality, eye.volume.slow_axis) == (exam.laterality, exam.slow_axis)
        assert eye.volume.shape == (8, 32, 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patients": 0}, "0 patients were asked for; wanted at least one"),
        ({"seed": -3}, "seed is -3; wanted a whole number from 0"),
        ({"prevalence": 1.5}, "prevalence is 1.5; wanted a share between 0 and 1"),
        ({"two_eyes": -0.5}, "two_eyes is -0.5; wanted a share"),
        ({"difficulty": "medium"}, "'medium' is not a difficulty"),
        ({"shape": (32, 16, 48)}, "shape is 32 x 16 x 48"),
        ({"shape": (1024, 1024, 513)}, "shape is 1024 x 1024 x 513; wanted at most 536870912 samples"),
    ],
)
def test_impossible_cohorts_are_refused_before_anything_is_made(change, said):
    with pytest.raises(OctavoError, match=said):
        make_cohort(**{"patients": 2, "seed": 1, **change})


def test_the_largest_shape_is_what_the_readers_take():
    assert MOST_VOXELS == MAX_VOXELS
    assert plan_cohort(1, seed=1, shape=(1024, 1024, 512))[0].shape == (1024, 1024, 512)


def told_by_global_statistics(difficulty):
    """AUROC of a logistic regression on moments and percentiles, patients kept together."""
    rows, labels, patients = [], [], []
    for exam, eye in make_cohort(90, seed=21, difficulty=difficulty, shape=(24, 64, 32)):
        values = eye.volume.values.astype(float)
        standardised = (values - values.mean()) / values.std()
        rows.append(
            [
                values.mean(),
                values.std(),
                *np.percentile(values, [5, 25, 50, 75, 95]),
                *np.percentile(standardised, [5, 25, 50, 75, 95, 99]),
                (standardised**3).mean(),
            ]
        )
        labels.append(exam.label)
        patients.append(exam.patient_id)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, rows, labels, groups=patients, cv=folds, method="predict_proba")[:, 1]
    return roc_auc_score(labels, scores)


def test_global_statistics_tell_the_label_at_easy_only():
    assert told_by_global_statistics("easy") > 0.75
    assert told_by_global_statistics("standard") < 0.75
    assert told_by_global_statistics("hard") < 0.65
