"""How well the two classes are told apart.

Labels are 0 and 1, 1 being the disease. `scores` may be any numbers that grow with suspicion; `probabilities` lie
between 0 and 1; `predicted` is 0 or 1. A measure without a value raises `UndefinedMetricError` with the reason: half of
the published tables in which something reads 0.00 or 0.50 hide such a case.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError
from octavo.metrics import weighted
from octavo.metrics.exam_arrays import (
    UndefinedMetricError,
    check_labels,
    check_predicted,
    check_probabilities,
    check_scores,
    need_both_classes,
)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many exams of either class are called what."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


@dataclass(frozen=True, slots=True)
class RocCurve:
    """The points of the empirical ROC curve, from nothing flagged to everything flagged.

    Point k is what `score >= thresholds[k]` gives. The first threshold is infinite: nothing is flagged.
    """

    false_positive_rate: Float[np.ndarray, " point"]
    sensitivity: Float[np.ndarray, " point"]
    thresholds: Float[np.ndarray, " point"]


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Precision and recall at every distinct score, from the highest down; no point is made up for recall 0."""

    precision: Float[np.ndarray, " point"]
    recall: Float[np.ndarray, " point"]
    thresholds: Float[np.ndarray, " point"]


def predicted_at(scores: Float[np.ndarray, " exam"], threshold: float) -> Int[np.ndarray, " exam"]:
    """Call an exam positive where its score reaches the threshold.

    Raises:
        OctavoError: If the threshold is not a number.

    Example:
        >>> predicted_at(np.array([0.2, 0.5, 0.9]), 0.5)
        array([0, 1, 1])
    """
    if np.isnan(threshold):
        raise OctavoError("threshold is not a number (NaN); wanted a number on the scale of the scores")
    return (np.asarray(scores, dtype=np.float64) >= threshold).astype(np.int64)


def confusion(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> Confusion:
    """Count hits, misses and false alarms.

    Raises:
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    return Confusion(
        true_positives=int((labels & predicted).sum()),
        false_positives=int(((1 - labels) & predicted).sum()),
        true_negatives=int(((1 - labels) & (1 - predicted)).sum()),
        false_negatives=int((labels & (1 - predicted)).sum()),
    )


def accuracy(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Share of exams whose prediction is their label.

    Raises:
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    return float(weighted.accuracy(labels, predicted, _once(labels))[0])


def sensitivity(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Share of positive exams that are predicted positive.

    Raises:
        UndefinedMetricError: If no exam is positive.
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    if not labels.any():
        raise UndefinedMetricError(f"sensitivity needs positive exams; got none among {labels.size}")
    return float(weighted.sensitivity(labels, predicted, _once(labels))[0])


def specificity(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Share of negative exams that are predicted negative.

    Raises:
        UndefinedMetricError: If no exam is negative.
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    if labels.all():
        raise UndefinedMetricError(f"specificity needs negative exams; got none among {labels.size}")
    return float(weighted.specificity(labels, predicted, _once(labels))[0])


def balanced_accuracy(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Mean of sensitivity and specificity.

    Raises:
        UndefinedMetricError: If only one class is there.
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    need_both_classes(labels, "balanced accuracy")
    return float(weighted.balanced_accuracy(labels, predicted, _once(labels))[0])


def f1(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Harmonic mean of precision and sensitivity.

    Raises:
        UndefinedMetricError: If no exam is positive, or none is predicted positive: then one of the two has no value,
            although the usual shortcut with counts would give 0.
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    if not labels.any():
        raise UndefinedMetricError(f"F1 needs positive exams; got none among {labels.size}")
    if not predicted.any():
        raise UndefinedMetricError(
            f"F1 needs exams predicted positive; got none among {labels.size}, so precision has no value"
        )
    return float(weighted.f1(labels, predicted, _once(labels))[0])


def auroc(labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"]) -> float:
    """Area under the ROC curve: the chance that a positive exam scores above a negative one, a tie counting half.

    Raises:
        UndefinedMetricError: If only one class is there.
        OctavoError: If labels are not 0 or 1, or scores not finite.

    Example:
        >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    labels, scores = _labels_and_scores(labels, scores)
    need_both_classes(labels, "AUROC")
    return float(weighted.auroc(labels, scores, _once(labels))[0])


def auroc_of_hard_predictions(labels: Integer[np.ndarray, " exam"], predicted: Integer[np.ndarray, " exam"]) -> float:
    """Area under the ROC curve when all that is kept of a score is the predicted class.

    It equals balanced accuracy and says nothing about ranking. It stands here to compare with results whose AUROC was
    computed from rounded predictions; it is no substitute for `auroc`.

    Raises:
        UndefinedMetricError: If only one class is there.
        OctavoError: If labels or predictions are not 0 or 1.
    """
    labels, predicted = _labels_and_predicted(labels, predicted)
    need_both_classes(labels, "AUROC of hard predictions")
    return float(weighted.auroc_of_hard_predictions(labels, predicted, _once(labels))[0])


def auprc(labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"]) -> float:
    """Area under the precision-recall curve, as average precision.

    The sum, over distinct scores from the highest down, of precision times the gain in recall. Nothing is interpolated:
    straight lines between points of this curve promise more than any threshold can give. What a guess reaches is the
    prevalence.

    Raises:
        UndefinedMetricError: If no exam is positive.
        OctavoError: If labels are not 0 or 1, or scores not finite.
    """
    labels, scores = _labels_and_scores(labels, scores)
    if not labels.any():
        raise UndefinedMetricError(f"AUPRC needs positive exams; got none among {labels.size}")
    return float(weighted.auprc(labels, scores, _once(labels))[0])


def brier(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, " exam"]) -> float:
    """Mean squared distance of probability and label; 0.25 is what always saying one half gives.

    Raises:
        OctavoError: If labels are not 0 or 1, or probabilities not from 0 to 1.
    """
    labels = check_labels(labels)
    return float(weighted.brier(labels, check_probabilities(labels, probabilities), _once(labels))[0])


def log_loss(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, " exam"]) -> float:
    """Mean negative natural logarithm of the probability given to the label.

    Raises:
        UndefinedMetricError: If an exam's label was given probability 0, which makes the loss infinite.
        OctavoError: If labels are not 0 or 1, or probabilities not from 0 to 1.
    """
    labels = check_labels(labels)
    probabilities = check_probabilities(labels, probabilities)
    impossible = int((np.where(labels == 1, probabilities, 1 - probabilities) == 0).sum())
    if impossible:
        raise UndefinedMetricError(
            f"log loss is infinite: {impossible} of {labels.size} exams have a label that was given probability 0"
        )
    return float(weighted.log_loss(labels, probabilities, _once(labels))[0])


def sensitivity_at_specificity(
    labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"], wanted_specificity: float = 0.95
) -> float:
    """Highest sensitivity of any threshold that keeps specificity at or above the wanted one.

    Only thresholds that exist count: the points of the empirical ROC curve, nothing in between. So with fewer than
    1 / (1 - wanted) negative exams no false alarm at all is allowed.

    Raises:
        UndefinedMetricError: If only one class is there.
        OctavoError: If labels are not 0 or 1, scores not finite, or the specificity not from 0 to 1.

    Example:
        >>> sensitivity_at_specificity(np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.8]), 0.95)
        0.6666666666666666
    """
    labels, scores = _labels_and_scores(labels, scores)
    if not 0 <= wanted_specificity <= 1:
        raise OctavoError(f"specificity is {wanted_specificity}; wanted a number from 0 to 1, such as 0.95")
    need_both_classes(labels, f"sensitivity at {wanted_specificity:g} specificity")
    return float(weighted.sensitivity_at_specificity(labels, scores, _once(labels), wanted_specificity)[0])


def roc_curve(labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"]) -> RocCurve:
    """Trace sensitivity against false alarms, one point for every distinct score.

    Raises:
        UndefinedMetricError: If only one class is there.
        OctavoError: If labels are not 0 or 1, or scores not finite.
    """
    labels, scores = _labels_and_scores(labels, scores)
    need_both_classes(labels, "the ROC curve")
    positives, negatives = weighted.counts_by_score(labels, scores, _once(labels))
    return RocCurve(
        false_positive_rate=np.concatenate([[0.0], np.cumsum(negatives[0]) / negatives.sum()]),
        sensitivity=np.concatenate([[0.0], np.cumsum(positives[0]) / positives.sum()]),
        thresholds=np.concatenate([[np.inf], np.unique(scores)[::-1]]),
    )


def precision_recall_curve(
    labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"]
) -> PrecisionRecallCurve:
    """Trace precision against recall, one point for every distinct score.

    Raises:
        UndefinedMetricError: If no exam is positive.
        OctavoError: If labels are not 0 or 1, or scores not finite.
    """
    labels, scores = _labels_and_scores(labels, scores)
    if not labels.any():
        raise UndefinedMetricError(f"the precision-recall curve needs positive exams; got none among {labels.size}")
    positives, negatives = weighted.counts_by_score(labels, scores, _once(labels))
    found, flagged = np.cumsum(positives[0]), np.cumsum(positives[0] + negatives[0])
    return PrecisionRecallCurve(found / flagged, found / found[-1], np.unique(scores)[::-1])


def youden_threshold(labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"]) -> float:
    """Find the threshold with the largest sum of sensitivity and specificity.

    It lies half-way between two neighbouring scores, so that a score rounded on its way through a file is not moved to
    the other side. Of equally good thresholds the lowest is taken: it misses the fewest.

    Raises:
        UndefinedMetricError: If only one class is there, or no threshold does better than chance.
        OctavoError: If labels are not 0 or 1, or scores not finite.

    Example:
        >>> youden_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.5, 0.9]))
        0.4
    """
    labels, scores = _labels_and_scores(labels, scores)
    need_both_classes(labels, "Youden's threshold")
    positives, negatives = weighted.counts_by_score(labels, scores, _once(labels))
    found, alarms = np.cumsum(positives[0]), np.cumsum(negatives[0])
    # in whole numbers, sensitivity + specificity - 1 times both class sizes, so that ties are ties
    gain = (found * alarms[-1] - alarms * found[-1])[:-1]
    if gain.size == 0 or gain.max() <= 0:
        raise UndefinedMetricError(
            f"no threshold on these {labels.size} scores does better than chance (Youden's index is at most 0)"
        )
    best = int(np.flatnonzero(gain == gain.max())[-1])
    distinct = np.unique(scores)[::-1]
    above, below = distinct[best], distinct[best + 1]
    middle = below / 2 + above / 2
    return float(middle if below < middle <= above else above)


def _labels_and_predicted(
    labels: np.ndarray, predicted: np.ndarray
) -> tuple[Int[np.ndarray, " exam"], Int[np.ndarray, " exam"]]:
    labels = check_labels(labels)
    return labels, check_predicted(labels, predicted)


def _labels_and_scores(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[Int[np.ndarray, " exam"], Float[np.ndarray, " exam"]]:
    labels = check_labels(labels)
    return labels, check_scores(labels, scores)


def _once(labels: Int[np.ndarray, " exam"]) -> Float[np.ndarray, "1 exam"]:
    """Every exam counted once, as the weighted measures want it."""
    return np.ones((1, labels.size))
