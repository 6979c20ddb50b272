import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from octavo.errors import OctavoError
from octavo.metrics import classification, intervals, multiclass
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.multiclass import MEASURES, evaluate_classes

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def cohort(seed: int = 0, patients: int = 60, classes: int = 4, rounded: bool = False):
    """Two eyes each, of one class, alike in what is given to them."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(patients) % classes, 2)
    logits = 1.2 * np.eye(classes)[labels] + np.repeat(generator.normal(size=(patients, classes)), 2, axis=0)
    odds = np.exp(logits + 0.5 * generator.normal(size=logits.shape))
    if rounded:  # many equal probabilities, so that ties are ties
        odds = np.ceil(odds)
    return labels, odds / odds.sum(axis=1, keepdims=True), np.repeat(np.arange(patients), 2)


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_scikit_learn(seed, rounded, classes):
    labels, probabilities, _ = cohort(seed, 80, classes, rounded)
    predicted = probabilities.argmax(axis=1)
    names = range(classes)
    wanted = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "macro_auroc": sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
        "brier": sklearn_metrics.brier_score_loss(labels, probabilities, labels=list(names), scale_by_half=False),
        "log_loss": sklearn_metrics.log_loss(labels, probabilities, labels=list(names)),
    }
    assert set(wanted) == set(MEASURES)
    for name, (measure, _) in MEASURES.items():
        assert measure(labels, probabilities) == pytest.approx(wanted[name], abs=1e-9)
    for number in names:
        of_class = sklearn_metrics.roc_auc_score(labels == number, probabilities[:, number])
        assert multiclass.auroc_of_class(labels, probabilities, number) == pytest.approx(of_class, abs=1e-9)
    matrix = sklearn_metrics.confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(multiclass.confusion_matrix(labels, probabilities), matrix)
    shares = sklearn_metrics.confusion_matrix(labels, predicted, normalize="true")
    for row, column in np.ndindex(classes, classes):
        share = multiclass.confusion_share(labels, probabilities, row, column)
        assert share == pytest.approx(shares[row, column], abs=1e-9)


def test_two_classes_are_the_measures_of_two_classes():
    labels, probabilities, _ = cohort(2, classes=2)
    disease = probabilities[:, 1]
    predicted = classification.predicted_at(disease, 0.5)
    assert multiclass.accuracy(labels, probabilities) == classification.accuracy(labels, predicted)
    balanced = classification.balanced_accuracy(labels, predicted)
    assert multiclass.balanced_accuracy(labels, probabilities) == pytest.approx(balanced, abs=1e-12)
    assert multiclass.macro_auroc(labels, probabilities) == pytest.approx(
        classification.auroc(labels, disease), abs=1e-12
    )
    assert multiclass.brier(labels, probabilities) == pytest.approx(
        2 * classification.brier(labels, disease), abs=1e-12
    )
    assert multiclass.log_loss(labels, probabilities) == pytest.approx(
        classification.log_loss(labels, disease), abs=1e-12
    )


@st.composite
def weighted_exams(draw):
    classes, size = draw(st.integers(2, 4)), draw(st.integers(2, 12))
    labels = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)))
    shares = st.lists(st.integers(0, 4), min_size=classes, max_size=classes).filter(any)
    odds = np.array(draw(st.lists(shares, min_size=size, max_size=size)), dtype=float)
    weights = np.array(
        draw(st.lists(st.lists(st.integers(0, 3), min_size=size, max_size=size), min_size=1, max_size=3))
    )
    weights[weights.sum(axis=1) == 0, 0] = 1
    return labels, odds / odds.sum(axis=1, keepdims=True), weights


@pytest.mark.parametrize("name", MEASURES)
@given(case=weighted_exams())
def test_weights_are_repetitions(name, case):
    labels, probabilities, weights = case
    measure, many = MEASURES[name]
    for row, value in zip(weights, many(labels, probabilities, weights.astype(float)), strict=True):
        try:
            wanted = measure(np.repeat(labels, row), np.repeat(probabilities, row, axis=0))
        except UndefinedMetricError:
            wanted = np.nan
        assert value == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_evaluation_holds_the_measures_and_intervals_over_patients():
    labels, probabilities, patients = cohort(4)
    found = evaluate_classes(labels, probabilities, patients, resamples=300, seed=6)
    for name, (measure, many) in MEASURES.items():
        assert found[name] == measure(labels, probabilities)
        draws = {name: lambda weights, many=many: many(labels, probabilities, weights)}
        interval = intervals.bootstrap_over_patients(draws, patients, 300, 6)[name]
        assert (found[f"{name}_ci_low"], found[f"{name}_ci_high"]) == (interval.low, interval.high)
        assert interval.low < found[name] < interval.high
    for number in range(4):
        assert found[f"exams_of_{number}"] == 30
        assert found[f"auroc_of_{number}"] == multiclass.auroc_of_class(labels, probabilities, number)
        assert found[f"auroc_of_{number}_ci_low"] < found[f"auroc_of_{number}"] < found[f"auroc_of_{number}_ci_high"]
        row = [found[f"confusion_{number}_as_{column}"] for column in range(4)]
        assert row == multiclass.confusion_matrix(labels, probabilities)[number].tolist()
        assert found[f"confusion_{number}_as_{number}_share"] == pytest.approx(row[number] / 30)
    as_if_own = evaluate_classes(labels, probabilities, np.arange(120), resamples=300, seed=6)
    width, narrower = (each["accuracy_ci_high"] - each["accuracy_ci_low"] for each in (found, as_if_own))
    assert width > 1.1 * narrower
    assert (found["exams"], found["patients"], found["classes"]) == (120, 60, 4)
    json.dumps(found, allow_nan=False)


def test_seed_repeats_and_the_order_of_exams_does_not_matter():
    labels, probabilities, patients = cohort(5, rounded=True)
    found = evaluate_classes(labels, probabilities, patients, resamples=200, seed=1)
    assert evaluate_classes(labels, probabilities, patients, resamples=200, seed=1) == found
    order = np.random.default_rng(0).permutation(labels.size)
    again = evaluate_classes(labels[order], probabilities[order], patients[order], resamples=200, seed=1)
    assert list(again) == list(found)
    assert list(again.values()) == [pytest.approx(value, abs=1e-12) for value in found.values()]
    assert evaluate_classes(labels, probabilities, patients, resamples=200, seed=2) != found


def test_a_class_without_exams_costs_the_measures_that_need_it():
    labels, probabilities, patients = cohort(6, classes=3)
    kept = labels != 2
    found = evaluate_classes(labels[kept], probabilities[kept], patients[kept], resamples=100)
    for name in ("balanced_accuracy", "macro_f1", "macro_auroc"):
        assert (found[name], found[f"{name}_ci_low"]) == (None, None)
        assert "got none of class 2 among 80" in found[f"{name}_undefined"]
    assert "got 0 of it and 80 of others" in found["auroc_of_2_undefined"]
    assert "got none among 80" in found["confusion_2_as_2_share_undefined"]
    assert found["confusion_2_as_2"] == 0
    assert found["accuracy_ci_low"] < found["accuracy"] < found["accuracy_ci_high"]
    assert found["auroc_of_1"] is not None


def test_a_class_that_is_never_called_has_no_precision():
    labels = np.array([0, 1, 2] * 4)
    probabilities = np.tile([0.5, 0.3, 0.2], (12, 1))
    probabilities[labels == 1] = [0.2, 0.6, 0.2]
    found = evaluate_classes(labels, probabilities, np.arange(12), resamples=100)
    assert found["macro_f1"] is None
    assert "none of 12 is called 2, so its precision has no value" in found["macro_f1_undefined"]
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)


def test_impossible_labels_and_single_patients_say_so():
    labels, probabilities = np.array([0, 1, 2]), np.array([[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 1.0]])
    found = evaluate_classes(labels, probabilities, ["a", "a", "a"], resamples=100)
    assert "infinite: 1 of 3" in found["log_loss_undefined"]
    assert "at least 2 patients" in found["accuracy_ci_undefined"]
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_equally_probable_classes_go_to_the_first():
    assert multiclass.confusion_matrix(np.array([1, 2]), np.full((2, 4), 0.25)).sum(axis=0).tolist() == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 3], [[0.2, 0.8, 0.0], [0.1, 0.1, 0.8]], "label 1 is 3; wanted 0 to 2"),
        ([0, -1], [[0.2, 0.8], [0.1, 0.9]], "label 1 is -1"),
        ([0.0, 1.0], [[0.2, 0.8], [0.1, 0.9]], "wanted a list of at least one whole number"),
        ([0, 1], [0.2, 0.8], "wanted a row for each of 2 labels"),
        ([0, 0], [[1.0], [1.0]], "at least 2 classes"),
        ([0, 1], [[0.2, 0.8], [0.5, 1.5]], "exam 1 and class 1 is 1.5; wanted numbers from 0 to 1"),
        ([0, 1], [[0.2, 0.8], [float("nan"), 0.5]], "exam 1 and class 0 is nan"),
        ([0, 1], [[0.2, 0.8], [0.4, 0.4]], "exam 1 add up to 0.8; wanted 1"),
        ([0, 1], [["a", "b"], ["c", "d"]], "wanted floating-point numbers"),
    ],
)
def test_what_cannot_be_right_is_refused_in_one_line(labels, probabilities, message):
    with pytest.raises(OctavoError, match=message) as refused:
        multiclass.check_classes(np.array(labels), np.array(probabilities))
    assert "\n" not in str(refused.value)


def test_classes_that_are_not_there_are_refused():
    labels, probabilities, _ = cohort(7, classes=3)
    with pytest.raises(OctavoError, match="class 3 is not there; wanted 0 to 2"):
        multiclass.auroc_of_class(labels, probabilities, 3)
    with pytest.raises(OctavoError, match="class -1 is not there"):
        multiclass.confusion_share(labels, probabilities, 0, -1)


def test_keys_are_the_documented_ones():
    labels, probabilities, patients = cohort(8, classes=3)
    keys = evaluate_classes(labels, probabilities, patients, resamples=100)
    plain = [re.sub(r"_\d_as_\d", "_k_as_j", re.sub(r"_of_\d", "_of_k", key)) for key in keys]
    section = DOCUMENT.read_text(encoding="utf-8").split("### Keys of `evaluate_classes`")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    with_interval = [*MEASURES, "auroc_of_k", "confusion_k_as_j_share"]
    wanted = []
    for name in documented:
        wanted += [name, f"{name}_ci_low", f"{name}_ci_high"] if name in with_interval else [name]
    # a share that is 0 in all draws brings a note that its interval has no width
    assert [key for key in dict.fromkeys(plain) if not key.endswith("_ci_note")] == wanted
