"""How sure the area under the ROC curve is, in closed form, where a patient may have several exams.

DeLong, DeLong and Clarke-Pearson (1988) write the variance of the area with one component per exam: the share of the
other class that it is ranked rightly against. Obuchowski (1997) sums the components over each patient first, so that
two eyes are no two witnesses. With one exam per patient the second is the first, to the last digit.

The interval is made on the logit scale and brought back, so it lies between 0 and 1. At an area of exactly 1 or 0 the
variance estimate is zero, which is no certainty. There the bound is exact instead: m pairs of a diseased and a healthy
patient, no patient in two of them, are all ranked rightly with a chance of at most auroc ** m, so the lower bound is
the area at which this chance is 2.5 %: 0.025 ** (1 / m). It holds for any distribution of scores.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.metrics.exam_arrays import (
    Patients,
    UndefinedMetricError,
    check_labels,
    check_scores,
    index_patients,
    need_both_classes,
)

_TAIL = 0.025
_Z = NormalDist().inv_cdf(1 - _TAIL)


@dataclass(frozen=True, slots=True)
class AurocInterval:
    """The area under the ROC curve with its 95 % interval."""

    auroc: float
    low: float
    high: float
    standard_error: float
    """Zero at an area of exactly 0 or 1, where it says nothing."""
    is_exact_bound: bool
    """Whether the classes are perfectly separated, so that the interval is the exact bound and not DeLong's."""


@dataclass(frozen=True, slots=True)
class AurocDifference:
    """The difference between two areas on the same exams, first minus second, with its 95 % interval."""

    difference: float
    low: float
    high: float
    standard_error: float
    p_value: float
    """Two-sided, that the areas are the same."""


@dataclass(frozen=True, slots=True)
class _Components:
    """What DeLong's variance is made of, summed over each patient, as differences from the area.

    `positive[k]` and `negative[k]` are patient k's sums; a patient without exams of that class has zero.
    """

    auroc: float
    positive: Float[np.ndarray, " patient"]
    negative: Float[np.ndarray, " patient"]


def auroc_interval(
    labels: Integer[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"], patients: Patients
) -> AurocInterval:
    """Measure the area under the ROC curve and how sure it is.

    Args:
        labels: 0 or 1.
        scores: What grows with suspicion; ties count half.
        patients: Who each exam belongs to.

    Returns:
        The area and its 95 % interval: clustered DeLong on the logit scale, or the exact bound at 0 and 1.

    Raises:
        UndefinedMetricError: If a class has exams of fewer than two patients, or the scores are all equal.
        OctavoError: If the arrays do not fit one another or hold what they must not.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1, 1])
        >>> found = auroc_interval(labels, np.array([0.1, 0.2, 0.6, 0.5, 0.7, 0.9]), ["a", "b", "c", "d", "e", "f"])
        >>> round(found.auroc, 4), round(found.low, 4), round(found.high, 4)
        (0.8889, 0.2614, 0.9945)
        >>> auroc_interval(labels, labels.astype(float), ["a", "b", "c", "d", "e", "f"]).low
        0.2924...
    """
    labels = check_labels(labels)
    index, count = index_patients(patients, labels.size)
    parts = _components(labels, check_scores(labels, scores), index, count)
    if parts.auroc in (0.0, 1.0):
        bound = _TAIL ** (1 / _disjoint_pairs(labels, index, count))
        low, high = (bound, 1.0) if parts.auroc == 1.0 else (0.0, 1 - bound)
        return AurocInterval(parts.auroc, low, high, 0.0, is_exact_bound=True)
    error = _standard_error(_variance(labels, index, parts), "AUROC")
    centre = math.log(parts.auroc / (1 - parts.auroc))
    reach = _Z * error / (parts.auroc * (1 - parts.auroc))
    low, high = (0.5 * (1 + math.tanh(end / 2)) for end in (centre - reach, centre + reach))
    return AurocInterval(parts.auroc, low, high, error, is_exact_bound=False)


def auroc_difference(
    labels: Integer[np.ndarray, " exam"],
    first: Float[np.ndarray, " exam"],
    second: Float[np.ndarray, " exam"],
    patients: Patients,
) -> AurocDifference:
    """Compare the areas of two models on the same exams.

    Args:
        labels: 0 or 1.
        first: Scores of the first model.
        second: Scores of the second model.
        patients: Who each exam belongs to.

    Returns:
        The difference with its 95 % interval on the plain scale, cut off at -1 and 1, and the normal test's p-value.

    Raises:
        UndefinedMetricError: If a class has exams of fewer than two patients, or the variance of the difference is
            zero, as when both models rank all exams alike.
        OctavoError: If the arrays do not fit one another or hold what they must not.
    """
    labels = check_labels(labels)
    index, count = index_patients(patients, labels.size)
    one = _components(labels, check_scores(labels, first), index, count)
    other = _components(labels, check_scores(labels, second), index, count)
    # the variance of the difference is that of the components' differences: fewer digits lost than by four covariances
    gap = _Components(one.auroc - other.auroc, one.positive - other.positive, one.negative - other.negative)
    error = _standard_error(_variance(labels, index, gap), "the difference of two AUROCs")
    return AurocDifference(
        difference=gap.auroc,
        low=max(-1.0, gap.auroc - _Z * error),
        high=min(1.0, gap.auroc + _Z * error),
        standard_error=error,
        p_value=math.erfc(abs(gap.auroc) / error / math.sqrt(2)),
    )


def _components(
    labels: Int[np.ndarray, " exam"], scores: Float[np.ndarray, " exam"], index: Int[np.ndarray, " exam"], count: int
) -> _Components:
    need_both_classes(labels, "AUROC")
    positive, negative = labels == 1, labels == 0
    for name, of_class in (("positive", positive), ("negative", negative)):
        if len(np.unique(index[of_class])) < 2:
            raise UndefinedMetricError(f"DeLong's variance needs {name} exams of at least 2 patients; got 1")
    right_of_positive = _share_below(scores[positive], scores[negative])
    right_of_negative = _share_below(-scores[negative], -scores[positive])
    area = float(right_of_positive.mean())
    return _Components(
        auroc=area,
        positive=np.bincount(index[positive], right_of_positive - area, minlength=count),
        negative=np.bincount(index[negative], right_of_negative - area, minlength=count),
    )


def _share_below(
    values: Float[np.ndarray, " value"], others: Float[np.ndarray, " other"]
) -> Float[np.ndarray, " value"]:
    """For each value, the share of the others that lie below it, equal ones counting half."""
    ordered = np.sort(others)
    twice = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return twice / (2 * ordered.size)


def _variance(labels: Int[np.ndarray, " exam"], index: Int[np.ndarray, " exam"], parts: _Components) -> float:
    """Obuchowski's clustered variance of an area, or of a difference of areas."""
    positives, negatives = int(labels.sum()), int((1 - labels).sum())
    with_positives = len(np.unique(index[labels == 1]))
    with_negatives = len(np.unique(index[labels == 0]))
    patients = parts.positive.size
    between_positives = with_positives / (with_positives - 1) * (parts.positive @ parts.positive) / positives**2
    between_negatives = with_negatives / (with_negatives - 1) * (parts.negative @ parts.negative) / negatives**2
    across = 2 * patients / (patients - 1) * (parts.positive @ parts.negative) / (positives * negatives)
    return float(between_positives + between_negatives + across)


def _standard_error(variance: float, name: str) -> float:
    # components are shares of a count, so what is zero but for rounding lies far below one part in 10^12
    if variance <= 1e-15:
        raise UndefinedMetricError(
            f"the estimated variance of {name} is not above zero on these exams (scores all equal, rankings alike, or too "
            "few patients), so there is no DeLong interval"
        )
    return math.sqrt(variance)


def _disjoint_pairs(labels: Int[np.ndarray, " exam"], index: Int[np.ndarray, " exam"], patients: int) -> int:
    """How many pairs of a patient with a positive and another with a negative exam can be formed, each used once."""
    with_positives = len(np.unique(index[labels == 1]))
    with_negatives = len(np.unique(index[labels == 0]))
    return min(with_positives, with_negatives, patients // 2)
