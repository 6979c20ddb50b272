import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.metrics import exam_arrays


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([], dtype=int), "at least one label"),
        (np.array([[0, 1]]), "at least one label"),
        (np.array([0.0, 1.0]), "float64; wanted the whole numbers"),
        (np.array([True, False]), "bool"),
        (np.array([0, 1, 2]), "label 2 is 2; wanted 0 or 1"),
        (np.array([0, -1]), "label 1 is -1"),
    ],
)
def test_labels_are_zero_or_one(labels, message):
    with pytest.raises(OctavoError, match=message):
        exam_arrays.check_labels(labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_are_finite(bad):
    with pytest.raises(OctavoError, match=r"score 1 is .* \(1 of 3 are not finite\)"):
        exam_arrays.check_scores(np.array([0, 1, 1]), np.array([0.5, bad, 1.0]))


def test_scores_stand_beside_labels():
    with pytest.raises(OctavoError, match=r"scores have shape \(2,\) and labels \(3,\)"):
        exam_arrays.check_scores(np.array([0, 1, 1]), np.array([0.5, 1.0]))
    with pytest.raises(OctavoError, match="wanted floating-point"):
        exam_arrays.check_scores(np.array([0, 1]), np.array(["0.5", "1.0"]))


@pytest.mark.parametrize("bad", [-1e-9, 1.0000001, 3.2])
def test_probabilities_lie_between_zero_and_one(bad):
    with pytest.raises(OctavoError, match="probability 0 is"):
        exam_arrays.check_probabilities(np.array([0, 1]), np.array([bad, 0.5]))


def test_predictions_are_checked_like_labels():
    with pytest.raises(OctavoError, match="prediction 1 is 5"):
        exam_arrays.check_predicted(np.array([0, 1]), np.array([1, 5]))
    with pytest.raises(OctavoError, match="one for each label"):
        exam_arrays.check_predicted(np.array([0, 1]), np.array([1]))


@pytest.mark.parametrize(
    ("patients", "message"),
    [
        (["a", "b"], r"shape \(2,\); wanted one for each of 3"),
        (["a", "", "c"], "exam 1 has no patient"),
        (["a", "  ", "c"], "exam 1 has no patient"),
        (np.array(["a", None, "c"], dtype=object), "type object"),
        (np.array([1.0, np.nan, 2.0]), "type float64"),
    ],
)
def test_every_exam_has_a_patient(patients, message):
    with pytest.raises(OctavoError, match=message):
        exam_arrays.index_patients(patients, 3)


def test_patients_are_numbered_by_name_whatever_holds_them():
    wanted = [2, 0, 2, 1]
    for patients in (
        ["p9", "p1", "p9", "p5"],
        np.array(["p9", "p1", "p9", "p5"]),
        np.array(["p9", "p1", "p9", "p5"], dtype=object),
        np.array([9, 1, 9, 5]),
    ):
        index, count = exam_arrays.index_patients(patients, 4)
        assert index.tolist() == wanted
        assert count == 3


def test_one_class_is_named():
    with pytest.raises(
        exam_arrays.UndefinedMetricError, match="AUROC needs exams of both classes; got 3 positive and 0"
    ):
        exam_arrays.need_both_classes(np.array([1, 1, 1]), "AUROC")
