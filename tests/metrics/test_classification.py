import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from octavo.errors import OctavoError
from octavo.metrics import classification
from octavo.metrics.exam_arrays import UndefinedMetricError


@st.composite
def exams(draw, levels: int = 8):
    """Labels of both classes, and scores on so few levels that ties are common."""
    size = draw(st.integers(2, 25))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    labels[0], labels[1] = 0, 1
    scores = draw(st.lists(st.integers(0, levels), min_size=size, max_size=size))
    return np.array(labels), np.array(scores) / levels


def by_pairs(labels, scores):
    positive, negative = scores[labels == 1], scores[labels == 0]
    return np.mean([(p > n) + 0.5 * (p == n) for p in positive for n in negative])


@given(exams())
@settings(deadline=None)
def test_auroc_is_the_share_of_right_pairs(case):
    labels, scores = case
    assert classification.auroc(labels, scores) == pytest.approx(by_pairs(labels, scores), abs=1e-14)
    assert classification.auroc(labels, -scores) == pytest.approx(1 - by_pairs(labels, scores), abs=1e-14)
    assert classification.auroc(labels, scores**3 * 7 - 2) == classification.auroc(labels, scores)


@given(exams())
@settings(deadline=None)
def test_measures_of_scores_agree_with_scikit_learn(case):
    labels, scores = case
    assert classification.auroc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert classification.auprc(labels, scores) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )
    assert classification.brier(labels, scores) == pytest.approx(reference.brier_score_loss(labels, scores), abs=1e-12)
    softer = 0.01 + 0.98 * scores
    assert classification.log_loss(labels, softer) == pytest.approx(reference.log_loss(labels, softer), abs=1e-12)


@given(exams())
@settings(deadline=None)
def test_measures_of_predictions_agree_with_scikit_learn(case):
    labels, scores = case
    predicted = classification.predicted_at(scores, 0.5)
    assert classification.accuracy(labels, predicted) == pytest.approx(reference.accuracy_score(labels, predicted))
    assert classification.sensitivity(labels, predicted) == pytest.approx(reference.recall_score(labels, predicted))
    assert classification.specificity(labels, predicted) == pytest.approx(
        reference.recall_score(labels, predicted, pos_label=0)
    )
    balanced = reference.balanced_accuracy_score(labels, predicted)
    assert classification.balanced_accuracy(labels, predicted) == pytest.approx(balanced)
    assert classification.auroc_of_hard_predictions(labels, predicted) == pytest.approx(balanced)
    if predicted.any():
        assert classification.f1(labels, predicted) == pytest.approx(reference.f1_score(labels, predicted))
    counts = classification.confusion(labels, predicted)
    assert [
        [counts.true_negatives, counts.false_positives],
        [counts.false_negatives, counts.true_positives],
    ] == reference.confusion_matrix(labels, predicted, labels=[0, 1]).tolist()


@given(exams())
@settings(deadline=None)
def test_curves_agree_with_scikit_learn(case):
    labels, scores = case
    false_alarms, hits, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    roc = classification.roc_curve(labels, scores)
    np.testing.assert_allclose(roc.false_positive_rate, false_alarms, atol=1e-15)
    np.testing.assert_allclose(roc.sensitivity, hits, atol=1e-15)
    np.testing.assert_array_equal(roc.thresholds, thresholds)
    assert np.trapezoid(roc.sensitivity, roc.false_positive_rate) == pytest.approx(classification.auroc(labels, scores))

    precision, recall, thresholds = reference.precision_recall_curve(labels, scores)
    curve = classification.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_array_equal(curve.thresholds[::-1], thresholds)


@given(exams(), st.sampled_from([0.0, 0.5, 0.8, 0.9, 0.95, 1.0]))
@settings(deadline=None)
def test_sensitivity_at_specificity_tries_every_threshold(case, wanted):
    labels, scores = case
    best = 0.0
    for threshold in [*np.unique(scores), np.inf]:
        flagged = scores >= threshold
        alarms = int((flagged & (labels == 0)).sum())
        # in whole percent, so that 1 - 0.9 is a tenth
        if 100 * alarms <= (100 - round(100 * wanted)) * int((labels == 0).sum()):
            best = max(best, (flagged & (labels == 1)).sum() / (labels == 1).sum())
    assert classification.sensitivity_at_specificity(labels, scores, wanted) == best


def test_one_of_twenty_false_alarms_is_95_percent():
    labels = np.array([0] * 20 + [1] * 4)
    scores = np.array([0.1] * 18 + [0.5, 0.7] + [0.2, 0.6, 0.65, 0.9])
    assert classification.sensitivity_at_specificity(labels, scores, 0.95) == 0.75
    assert classification.sensitivity_at_specificity(labels[1:], scores[1:], 0.95) == 0.25


@given(exams())
@settings(deadline=None)
def test_youden_is_the_best_of_all_thresholds_and_the_lowest_of_the_best(case):
    labels, scores = case
    distinct = np.unique(scores)
    middles = (distinct[1:] + distinct[:-1]) / 2

    def gain(threshold):
        predicted = classification.predicted_at(scores, threshold)
        return classification.confusion(labels, predicted)

    def index(threshold):
        counts = gain(threshold)
        negatives, positives = int((labels == 0).sum()), int(labels.sum())
        return counts.true_positives * negatives - counts.false_positives * positives

    gains = [index(middle) for middle in middles]
    if not gains or max(gains) <= 0:
        with pytest.raises(UndefinedMetricError, match="does better than chance"):
            classification.youden_threshold(labels, scores)
        return
    assert classification.youden_threshold(labels, scores) == middles[int(np.argmax(gains))]


def test_lowest_of_two_equally_good_thresholds_is_taken():
    # 0.25 finds all three of the diseased at one false alarm, 0.65 finds two at none, in a world of three healthy ones
    labels, scores = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.2, 0.5, 0.3, 0.8, 0.9])
    assert classification.youden_threshold(labels, scores) == 0.25


@given(
    st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=6),
    st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_youden_separates_what_can_be_separated(low, high):
    # neighbouring floating-point numbers have no number between them, and huge ones no finite sum
    border = max(low)
    high = [value for value in high if value > border] or [np.nextafter(border, np.inf)]
    labels = np.array([0] * len(low) + [1] * len(high))
    scores = np.array(low + high)
    threshold = classification.youden_threshold(labels, scores)
    assert classification.accuracy(labels, classification.predicted_at(scores, threshold)) == 1


def test_predictions_start_at_the_threshold():
    assert classification.predicted_at(np.array([0.3, 0.5, 0.7]), 0.5).tolist() == [0, 1, 1]
    with pytest.raises(OctavoError, match="NaN"):
        classification.predicted_at(np.array([0.3]), float("nan"))


ALL_POSITIVE, ALL_NEGATIVE = np.ones(4, dtype=int), np.zeros(4, dtype=int)
SCORES = np.array([0.1, 0.2, 0.3, 0.9])
BOTH = np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("measure", "labels", "other", "reason"),
    [
        (classification.auroc, ALL_POSITIVE, SCORES, "4 positive and 0 negative"),
        (classification.auroc, ALL_NEGATIVE, SCORES, "0 positive and 4 negative"),
        (classification.roc_curve, ALL_NEGATIVE, SCORES, "both classes"),
        (classification.auprc, ALL_NEGATIVE, SCORES, "needs positive exams"),
        (classification.precision_recall_curve, ALL_NEGATIVE, SCORES, "needs positive exams"),
        (classification.sensitivity_at_specificity, ALL_POSITIVE, SCORES, "0.95 specificity needs exams of both"),
        (classification.youden_threshold, ALL_POSITIVE, SCORES, "both classes"),
        (classification.youden_threshold, BOTH, np.full(4, 0.5), "better than chance"),
        (classification.sensitivity, ALL_NEGATIVE, BOTH, "needs positive exams"),
        (classification.specificity, ALL_POSITIVE, BOTH, "needs negative exams"),
        (classification.balanced_accuracy, ALL_POSITIVE, BOTH, "both classes"),
        (classification.auroc_of_hard_predictions, ALL_POSITIVE, BOTH, "both classes"),
        (classification.f1, ALL_NEGATIVE, BOTH, "needs positive exams"),
        (classification.f1, BOTH, ALL_NEGATIVE, "needs exams predicted positive"),
        (classification.log_loss, BOTH, np.array([0.1, 1.0, 0.3, 0.9]), "infinite: 1 of 4"),
        (classification.log_loss, BOTH, np.array([0.1, 0.2, 0.0, 0.0]), "infinite: 2 of 4"),
    ],
)
def test_what_has_no_value_says_why(measure, labels, other, reason):
    with pytest.raises(UndefinedMetricError, match=reason):
        measure(labels, other)


def test_what_has_a_value_with_one_class_is_given():
    assert classification.accuracy(ALL_POSITIVE, BOTH) == 0.5
    assert classification.sensitivity(ALL_POSITIVE, BOTH) == 0.5
    assert classification.auprc(ALL_POSITIVE, SCORES) == 1
    assert classification.brier(ALL_NEGATIVE, np.full(4, 0.5)) == 0.25
    assert classification.log_loss(ALL_NEGATIVE, np.zeros(4)) == 0


@pytest.mark.parametrize("wanted", [-0.1, 1.5, float("nan")])
def test_specificity_is_a_share(wanted):
    with pytest.raises(OctavoError, match="from 0 to 1"):
        classification.sensitivity_at_specificity(BOTH, SCORES, wanted)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_single_precision_scores_are_ranked_as_they_are(kind):
    scores = np.array([0.1, 0.3, 0.3, 0.7]).astype(kind)
    assert classification.auroc(BOTH, scores) == 0.875
    assert classification.brier(BOTH, scores) == pytest.approx(np.mean((scores.astype(float) - BOTH) ** 2))
