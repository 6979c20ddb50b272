"""How sure a measure is, by drawing patients with replacement.

Two eyes of a patient are no two witnesses, so patients are drawn, each with all their exams. The interval holds the
middle 95 % of what the draws give (percentile bootstrap). A draw in which a measure has no value, such as one without
any diseased exam, is left out and counted.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Integer

from octavo.errors import OctavoError
from octavo.metrics.exam_arrays import Patients, UndefinedMetricError, check_labels, check_scores, index_patients

RESAMPLES = 2000
CONFIDENCE = 0.95

Statistic: TypeAlias = Callable[[Float[np.ndarray, "resample exam"]], Float[np.ndarray, " resample"]]
"""A measure of the exams as a function of how often each was drawn; NaN where it has no value."""

_NUMBERS_AT_ONCE = 500_000
"""Weights held at a time, so that a large cohort costs time and no memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval and the draws it rests on."""

    low: float
    high: float
    resamples_used: int
    """Draws in which the measure had a value."""
    undefined: int
    """Draws in which it had none, which the interval leaves out."""


def bootstrap_over_patients(
    statistics: Mapping[str, Statistic], patients: Patients, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Give every measure its 95 % interval, all from the same draws of patients.

    Measures come as functions of the weights alone; those of `octavo.metrics.weighted` become such by leaving their
    last argument open.

    Args:
        statistics: The measures by name.
        patients: Who each exam belongs to.
        resamples: How many times to draw.
        seed: What makes the draws repeatable; neither the order of the exams nor the names of the measures matter.

    Returns:
        An interval for each name.

    Raises:
        UndefinedMetricError: If there is one patient only, or a measure has no value in most draws.
        OctavoError: If an exam has no patient, or `resamples` is too small for a tail of 2.5 %.

    Example:
        >>> from octavo.metrics import weighted
        >>> labels, predicted = np.array([0, 1] * 20), np.array([0, 1, 1, 1] * 10)
        >>> patients = [f"P{number // 2}" for number in range(40)]
        >>> accuracy = lambda weights: weighted.accuracy(labels, predicted, weights)
        >>> interval = bootstrap_over_patients({"accuracy": accuracy}, patients)["accuracy"]
        >>> interval.low, interval.high, interval.resamples_used
        (0.625, 0.875, 2000)
    """
    draws = draw_statistics(statistics, patients, resamples, seed)
    return {name: percentile_interval(values, name) for name, values in draws.items()}


def bootstrap_difference(
    statistic: Callable[
        [Integer[np.ndarray, " exam"], Float[np.ndarray, " exam"], Float[np.ndarray, "resample exam"]],
        Float[np.ndarray, " resample"],
    ],
    labels: Integer[np.ndarray, " exam"],
    first: Float[np.ndarray, " exam"],
    second: Float[np.ndarray, " exam"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Give the difference of a measure between two models its 95 % interval, on the same exams and the same draws.

    Args:
        statistic: A measure of labels, scores and weights, such as `octavo.metrics.weighted.auroc`.
        labels: 0 or 1.
        first: Scores of the first model.
        second: Scores of the second model; the difference is first minus second.
        patients: Who each exam belongs to.
        resamples: How many times to draw.
        seed: What makes the draws repeatable.

    Raises:
        UndefinedMetricError: If there is one patient only, or the measure has no value in most draws.
        OctavoError: If the arrays do not fit one another or hold what they must not.
    """
    labels = check_labels(labels)
    first, second = check_scores(labels, first), check_scores(labels, second)
    index_patients(patients, labels.size)

    def difference(weights: Float[np.ndarray, "resample exam"]) -> Float[np.ndarray, " resample"]:
        return statistic(labels, first, weights) - statistic(labels, second, weights)

    return bootstrap_over_patients({"the difference": difference}, patients, resamples, seed)["the difference"]


def mean_interval(
    values: Float[np.ndarray, " exam"], patients: Patients, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Give the mean over exams its 95 % interval.

    For a paired comparison give the differences, exam by exam: what an exam has in common with itself then cancels.

    Args:
        values: One number per exam. Exams for which there is none are left out first, and their number reported.
        patients: Who each exam belongs to.
        resamples: How many times to draw.
        seed: What makes the draws repeatable.

    Raises:
        UndefinedMetricError: If there is one patient only.
        OctavoError: If a value is not finite, or an exam has no patient.
    """
    values = check_scores(values, values)
    index_patients(patients, values.size)

    def mean(weights: Float[np.ndarray, "resample exam"]) -> Float[np.ndarray, " resample"]:
        return weights @ values / weights.sum(axis=1)

    return bootstrap_over_patients({"the mean": mean}, patients, resamples, seed)["the mean"]


def draw_statistics(
    statistics: Mapping[str, Statistic], patients: Patients, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Float[np.ndarray, " resample"]]:
    """Measure everything in every draw of patients; NaN where a measure has no value in a draw.

    Raises:
        UndefinedMetricError: If there is one patient only.
        OctavoError: If an exam has no patient, or `resamples` is too small for a tail of 2.5 %.
    """
    if resamples < 100:
        raise OctavoError(f"resamples is {resamples}; wanted at least 100 for a 95 % interval, {RESAMPLES} are usual")
    index, count = index_patients(patients, len(patients))
    if count < 2:
        raise UndefinedMetricError(f"a bootstrap over patients needs at least 2 patients; got {count}")
    draws: dict[str, list[Float[np.ndarray, " part"]]] = {name: [] for name in statistics}
    for weights in _draws_of_patients(index, count, resamples, seed):
        for name, statistic in statistics.items():
            draws[name].append(statistic(weights))
    return {name: np.concatenate(parts) for name, parts in draws.items()}


def percentile_interval(draws: Float[np.ndarray, " resample"], name: str) -> Interval:
    """Take the middle 95 % of the draws in which the measure has a value.

    Args:
        draws: The measure in every draw, NaN where it has no value.
        name: What is measured, for the message.

    Raises:
        UndefinedMetricError: If it has no value in more than half of the draws: the rest would be a chosen few.
    """
    used = draws[~np.isnan(draws)]
    undefined = draws.size - used.size
    if used.size * 2 < draws.size:
        raise UndefinedMetricError(
            f"{name} has no value in {undefined} of {draws.size} draws of patients; more patients of both classes "
            "are needed for an interval"
        )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(used, [tail, 1 - tail])
    return Interval(float(low), float(high), int(used.size), int(undefined))


def _draws_of_patients(
    index: Integer[np.ndarray, " exam"], count: int, resamples: int, seed: int
) -> Iterator[Float[np.ndarray, "part exam"]]:
    """How often each exam is drawn, some draws at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // index.size)
    for start in range(0, resamples, at_once):
        part = min(at_once, resamples - start)
        drawn = generator.integers(count, size=(part, count)) + count * np.arange(part)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * part).reshape(part, count)
        yield times[:, index].astype(np.float64)
