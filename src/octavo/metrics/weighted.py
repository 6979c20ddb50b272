"""The measures of classification for many weightings of the same exams at once.

A bootstrap draws patients with replacement, which is the same as giving every exam a weight: how often its patient was
drawn. So each function takes `weights`, one row per resample, and returns one value per row; what needs sorting is
sorted once. A weight of one everywhere gives the measure itself, and `octavo.metrics.classification` is written so.
Where a measure has no value the answer is NaN here, for whoever draws to count; nothing public passes it on.
"""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Integer

Binning: TypeAlias = Literal["equal-count", "equal-width"]

Labels: TypeAlias = Integer[np.ndarray, " exam"]
Scores: TypeAlias = Float[np.ndarray, " exam"]
Weights: TypeAlias = Float[np.ndarray, "resample exam"]
Values: TypeAlias = Float[np.ndarray, " resample"]


def accuracy(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Share of exams whose prediction is their label."""
    return weights @ (labels == predicted) / weights.sum(axis=1)


def sensitivity(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Share of positive exams that are predicted positive."""
    return _ratio(weights @ (labels * predicted), weights @ labels)


def specificity(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Share of negative exams that are predicted negative."""
    return _ratio(weights @ ((1 - labels) * (1 - predicted)), weights @ (1 - labels))


def balanced_accuracy(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Mean of sensitivity and specificity."""
    return (sensitivity(labels, predicted, weights) + specificity(labels, predicted, weights)) / 2


def f1(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Harmonic mean of precision and sensitivity; undefined where either of the two is."""
    positive, flagged = weights @ labels, weights @ predicted
    hits = weights @ (labels * predicted)
    return np.where((positive > 0) & (flagged > 0), _ratio(2 * hits, positive + flagged), np.nan)


def brier(labels: Labels, probabilities: Scores, weights: Weights) -> Values:
    """Mean squared distance of probability and label."""
    return weights @ (probabilities - labels) ** 2 / weights.sum(axis=1)


def log_loss(labels: Labels, probabilities: Scores, weights: Weights) -> Values:
    """Mean negative log probability of the label; infinite becomes NaN, as undefined."""
    given = np.where(labels == 1, probabilities, 1 - probabilities)
    drawn_impossible = weights @ (given == 0)
    losses = -np.log(np.where(given == 0, 1.0, given))
    return np.where(drawn_impossible > 0, np.nan, weights @ losses / weights.sum(axis=1))


def auroc(labels: Labels, scores: Scores, weights: Weights) -> Values:
    """Area under the ROC curve: the chance that a positive exam scores above a negative one, a tie counting half."""
    positives, negatives = counts_by_score(labels, scores, weights)
    above = np.cumsum(positives, axis=1) - positives
    concordant = (negatives * (above + positives / 2)).sum(axis=1)
    return _ratio(concordant, positives.sum(axis=1) * negatives.sum(axis=1))


def auroc_of_hard_predictions(labels: Labels, predicted: Labels, weights: Weights) -> Values:
    """Area under the ROC curve when all that is kept of a score is the predicted class."""
    return auroc(labels, predicted.astype(np.float64), weights)


def auprc(labels: Labels, scores: Scores, weights: Weights) -> Values:
    """Average precision: the precision at each score, weighted by the positives found there."""
    positives, negatives = counts_by_score(labels, scores, weights)
    found = np.cumsum(positives, axis=1)
    flagged = found + np.cumsum(negatives, axis=1)
    precision = found / np.where(flagged > 0, flagged, 1.0)
    return _ratio((positives * precision).sum(axis=1), found[:, -1])


def sensitivity_at_specificity(
    labels: Labels, scores: Scores, weights: Weights, wanted_specificity: float = 0.95
) -> Values:
    """Highest sensitivity of any threshold whose specificity is at least the wanted one."""
    positives, negatives = counts_by_score(labels, scores, weights)
    total = negatives.sum(axis=1)
    # one part in 10^9 covers the rounding of 1 - 0.9, so that exactly one of ten negatives may be flagged
    allowed = (1 - wanted_specificity) * total[:, None] + 1e-9 * total[:, None]
    found = np.where(np.cumsum(negatives, axis=1) <= allowed, np.cumsum(positives, axis=1), 0.0)
    return np.where(total > 0, _ratio(found.max(axis=1), positives.sum(axis=1)), np.nan)


def calibration_error(
    labels: Labels, probabilities: Scores, weights: Weights, bins: int = 10, binning: Binning = "equal-count"
) -> Values:
    """Mean over exams of the distance between their bin's mean probability and its share of positives."""
    place = bin_of_exams(probabilities, weights, bins, binning)
    resamples = len(weights)
    cell = place + bins * np.arange(resamples)[:, None]
    excess = weights * (probabilities - labels)
    by_bin = np.bincount(cell.ravel(), excess.ravel(), minlength=bins * resamples).reshape(resamples, bins)
    return np.abs(by_bin).sum(axis=1) / weights.sum(axis=1)


def bin_of_exams(
    probabilities: Scores, weights: Weights, bins: int, binning: Binning
) -> Int[np.ndarray, "resample exam"]:
    """Sort exams into bins by their probability.

    Equal width: bin k holds probabilities from k / bins up to, but without, (k + 1) / bins; 1 goes to the last. Equal
    count: exams stand in a row by probability, those of equal probability as one block, and the middle of the block
    decides in which equal share of the row it lies. So equal probabilities never come into different bins.
    """
    if binning == "equal-width":
        place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
        return np.broadcast_to(place, weights.shape)
    order, starts, block = _blocks_by_score(probabilities)
    mass = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(mass, axis=1) - mass / 2
    place = np.minimum((middle * bins / weights.sum(axis=1)[:, None]).astype(np.int64), bins - 1)
    return place[:, block]


def counts_by_score(
    labels: Labels, scores: Scores, weights: Weights
) -> tuple[Float[np.ndarray, "resample score"], Float[np.ndarray, "resample score"]]:
    """Count the positive and the negative exams at every distinct score, from the highest score to the lowest."""
    order, starts, _ = _blocks_by_score(-scores)
    positives = np.add.reduceat((weights * labels)[:, order], starts, axis=1)
    return positives, np.add.reduceat(weights[:, order], starts, axis=1) - positives


def _blocks_by_score(
    scores: Scores,
) -> tuple[Int[np.ndarray, " exam"], Int[np.ndarray, " score"], Int[np.ndarray, " exam"]]:
    """The ascending order, where each distinct score starts in it, and the number of each exam's distinct score."""
    order = np.argsort(scores, kind="stable")
    _, starts, block = np.unique(scores[order], return_index=True, return_inverse=True)
    of_exam = np.empty_like(block)
    of_exam[order] = block
    return order, starts, of_exam


def _ratio(numerator: Values, denominator: Values) -> Values:
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), np.nan)
