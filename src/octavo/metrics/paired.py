"""Two models on the same exams: is one of them better, and how sure is that?

What an exam has in common with itself cancels when both models read it, so a paired test sees what two separate
intervals hide. Which test is allowed follows from the exams: McNemar's takes every exam for a witness of its own and
needs patients with one exam each; where a patient has several, patients are drawn with replacement instead.

Whoever tests several things on one table corrects the p-values together, with `holm`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.special import bdtr

from octavo.errors import OctavoError
from octavo.metrics.delong import AurocDifference, auroc_difference
from octavo.metrics.exam_arrays import (
    Patients,
    UndefinedMetricError,
    check_labels,
    check_predicted,
    check_right,
    check_scores,
    index_patients,
)
from octavo.metrics.intervals import RESAMPLES, Statistic, draw_statistics, percentile_interval
from octavo.metrics.multiclass import MEASURES, check_classes

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test: the exams on which exactly one of two models is right."""

    only_first_right: int
    """Exams that the first model has right and the second wrong, often called b."""
    only_second_right: int
    """The other way round, often called c."""
    p_value: float
    """Two-sided, that either is as likely; 1 where no exam tells the models apart."""


@dataclass(frozen=True, slots=True)
class BootstrapDifference:
    """The difference of a measure between two models on the same exams, first minus second, with its 95 % interval."""

    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided, from the bootstrap over patients, that the models have the same."""
    resamples: int


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Two models on the same exams; what has no value is None and has its reason beside it, which else is empty."""

    exams: int
    patients: int
    auroc: AurocDifference | BootstrapDifference | None
    """By DeLong; of more than two classes the mean of each against all others, by the bootstrap over patients."""
    auroc_undefined: str
    accuracy: BootstrapDifference | None
    accuracy_undefined: str
    mcnemar: McNemar | None
    mcnemar_undefined: str

    @property
    def accuracy_p_value(self) -> float | None:
        """McNemar's p-value where every patient has one exam, else the bootstrap's, None where there is neither."""
        test = self.mcnemar or self.accuracy
        return None if test is None else test.p_value

    @property
    def accuracy_test(self) -> str:
        """Which test `accuracy_p_value` is from; empty where there is none."""
        if self.mcnemar is not None:
            return "McNemar, exact"
        return "bootstrap over patients" if self.accuracy is not None else ""


def mcnemar(
    first_right: Bool[np.ndarray, " exam"], second_right: Bool[np.ndarray, " exam"], patients: Patients
) -> McNemar:
    """Test whether two models are right equally often, when no patient has two exams.

    Exams that both models have right, or both wrong, say nothing. Of the others, half would go to either model if they
    were equally good: the p-value is that of the two-sided exact binomial test.

    Args:
        first_right: Whether the first model has an exam right, such as `labels == predicted`.
        second_right: The same for the second model.
        patients: Who each exam belongs to.

    Raises:
        UndefinedMetricError: If a patient has more than one exam: two eyes are no two witnesses, and the test would be
            too sure.
        OctavoError: If the arrays do not fit one another or are not True and False.

    Example:
        >>> first, second = np.array([True] * 9 + [False] * 3), np.array([False] * 7 + [True] * 3 + [False] * 2)
        >>> mcnemar(first, second, [f"P{number}" for number in range(12)])
        McNemar(only_first_right=7, only_second_right=1, p_value=0.0703125)
    """
    first_right, second_right = check_right(first_right, second_right)
    index, count = index_patients(patients, first_right.size)
    if count < first_right.size:
        several = int((np.bincount(index) > 1).sum())
        raise UndefinedMetricError(
            f"McNemar's test needs patients with one exam each; {several} of {count} have more; use the bootstrap over "
            "patients (octavo.metrics.paired.accuracy_difference)"
        )
    first_only = int((first_right & ~second_right).sum())
    second_only = int((second_right & ~first_right).sum())
    return McNemar(first_only, second_only, _sign_test(first_only, second_only))


def accuracy_difference(
    first_right: Bool[np.ndarray, " exam"],
    second_right: Bool[np.ndarray, " exam"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BootstrapDifference:
    """Compare the accuracies of two models by drawing patients with replacement.

    The p-value turns the percentile interval round. Of B draws, count those with a difference of at most 0 and those
    with at least 0; with k the smaller count, p = 2 (k + 1) / (B + 1), and 1 at most. The added ones keep a p-value of 0
    from being promised by a finite number of draws: the smallest that 2,000 can give is 0.001. A draw of exactly 0
    counts on both sides.

    Args:
        first_right: Whether the first model has an exam right, such as `labels == predicted`.
        second_right: The same for the second model.
        patients: Who each exam belongs to.
        resamples: How many times to draw.
        seed: What makes the draws repeatable.

    Returns:
        First minus second, with its 95 % percentile interval and p-value.

    Raises:
        UndefinedMetricError: If there is one patient only, or all draws give the same, as when both models are right on
            the same exams.
        OctavoError: If the arrays do not fit one another or are not True and False, or there are too few draws.

    Example:
        >>> first, second = np.array([True] * 54 + [False] * 6), np.array([False] * 12 + [True] * 48)
        >>> found = accuracy_difference(first, second, [f"P{number // 2}" for number in range(60)])
        >>> round(found.difference, 6), found.low < found.difference < found.high, found.p_value > 0.05
        (0.1, True, True)
    """
    first_right, second_right = check_right(first_right, second_right)
    index_patients(patients, first_right.size)
    gain = first_right.astype(np.float64) - second_right

    def difference(weights: Float[np.ndarray, "resample exam"]) -> Float[np.ndarray, " resample"]:
        return weights @ gain / weights.sum(axis=1)

    return _bootstrap_difference(float(gain.mean()), difference, "two accuracies", patients, resamples, seed)


def macro_auroc_difference(
    labels: Integer[np.ndarray, " exam"],
    first: Float[np.ndarray, "exam class"],
    second: Float[np.ndarray, "exam class"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BootstrapDifference:
    """Compare how two models rank several classes, each against all others, by drawing patients with replacement.

    Args:
        labels: 0 to K - 1.
        first: Probabilities of the first model.
        second: Probabilities of the second model.
        patients: Who each exam belongs to.
        resamples: How many times to draw.
        seed: What makes the draws repeatable.

    Returns:
        First minus second in macro AUROC, with its 95 % percentile interval and the p-value of `accuracy_difference`.

    Raises:
        UndefinedMetricError: If a class has no exam, there is one patient only, or all draws give the same.
        OctavoError: If the arrays do not fit one another or hold what they must not.
    """
    labels, first = check_classes(labels, first)
    labels, second = check_classes(labels, second)
    macro_auroc, many = MEASURES["macro_auroc"]

    def difference(weights: Float[np.ndarray, "resample exam"]) -> Float[np.ndarray, " resample"]:
        return many(labels, first, weights) - many(labels, second, weights)

    gap = macro_auroc(labels, first) - macro_auroc(labels, second)
    return _bootstrap_difference(gap, difference, "two macro AUROCs", patients, resamples, seed)


def _bootstrap_difference(
    gap: float, difference: Statistic, of: str, patients: Patients, resamples: int, seed: int
) -> BootstrapDifference:
    draws = draw_statistics({"difference": difference}, patients, resamples, seed)["difference"]
    interval = percentile_interval(draws, f"the difference of {of}")
    used = draws[~np.isnan(draws)]
    if np.ptp(used) < 1e-12:
        raise UndefinedMetricError(
            f"all {resamples} draws of patients give the same difference of {of}, {gap:g}: the patients do not differ in "
            "it, so they cannot say how sure it is"
        )
    smaller = int(min((used <= 0).sum(), (used >= 0).sum()))
    return BootstrapDifference(
        difference=gap,
        low=interval.low,
        high=interval.high,
        p_value=min(1.0, 2 * (smaller + 1) / (used.size + 1)),
        resamples=resamples,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number, by Holm's step-down (1979).

    The smallest of m is multiplied by m, the next by m - 1 and so on; none may come out smaller than one before it, nor
    above 1. Whoever then calls significant what is at most 5 % makes a single false claim in at most 5 % of such tables,
    whether the tests depend on one another or not.

    Args:
        p_values: From 0 to 1, or None for a test that has no value; such a test is not counted among the m.

    Returns:
        The adjusted p-values in the same order, None where None was given.

    Raises:
        OctavoError: If a p-value is not from 0 to 1.

    Example:
        >>> holm([0.03, None, 0.01, 0.04])
        [0.06, None, 0.03, 0.06]
    """
    for number, value in enumerate(p_values):
        if value is not None and not 0 <= value <= 1:
            raise OctavoError(
                f"p-value {number} is {value:g}; wanted numbers from 0 to 1, None for a test without value"
            )
    known = sorted((float(value), number) for number, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for place, (value, number) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - place) * value))
        adjusted[number] = largest
    return adjusted


def compare_models(
    labels: Integer[np.ndarray, " exam"],
    first: Float[np.ndarray, " exam"],
    second: Float[np.ndarray, " exam"],
    first_predicted: Integer[np.ndarray, " exam"],
    second_predicted: Integer[np.ndarray, " exam"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ModelComparison:
    """Compare two models on the same exams, by how they rank and by how often they are right.

    Args:
        labels: 0 or 1.
        first: Scores of the first model; what grows with suspicion.
        second: Scores of the second model.
        first_predicted: What the first model calls the exams at its own threshold, 0 or 1.
        second_predicted: The same for the second model.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Returns:
        The difference in AUROC (DeLong, clustered by patient), the difference in accuracy with its interval from the
        bootstrap over patients, and McNemar's test where every patient has one exam.

    Raises:
        OctavoError: If the arrays do not fit one another or hold what they must not.

    Example:
        >>> labels, patients = np.array([0, 0, 0, 1, 1, 1]), ["a", "b", "c", "d", "e", "e"]
        >>> first, second = np.array([0.1, 0.2, 0.6, 0.5, 0.7, 0.9]), np.array([0.4, 0.7, 0.2, 0.6, 0.3, 0.8])
        >>> found = compare_models(labels, first, second, (first > 0.5) * 1, (second > 0.5) * 1, patients)
        >>> round(found.auroc.difference, 3), found.accuracy.difference, found.accuracy_test
        (0.222, 0.0, 'bootstrap over patients')
        >>> found.mcnemar_undefined[:71]
        "McNemar's test needs patients with one exam each; 1 of 5 have more; use"
    """
    labels = check_labels(labels)
    first, second = check_scores(labels, first), check_scores(labels, second)
    first_right = check_predicted(labels, first_predicted) == labels
    second_right = check_predicted(labels, second_predicted) == labels
    _, count = index_patients(patients, labels.size)
    auroc, no_auroc = _found_or_reason(lambda: auroc_difference(labels, first, second, patients))
    accuracy, no_accuracy = _found_or_reason(
        lambda: accuracy_difference(first_right, second_right, patients, resamples, seed)
    )
    exact, no_exact = _found_or_reason(lambda: mcnemar(first_right, second_right, patients))
    return ModelComparison(labels.size, count, auroc, no_auroc, accuracy, no_accuracy, exact, no_exact)


def compare_models_of_classes(
    labels: Integer[np.ndarray, " exam"],
    first: Float[np.ndarray, "exam class"],
    second: Float[np.ndarray, "exam class"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ModelComparison:
    """Compare two models of several classes on the same exams: by macro AUROC, and by how often they are right.

    Args:
        labels: 0 to K - 1.
        first: Probabilities of the first model; what it says is the most probable class.
        second: Probabilities of the second model.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Returns:
        As `compare_models`, with macro AUROC compared by the bootstrap over patients.

    Raises:
        OctavoError: If the arrays do not fit one another or hold what they must not.
    """
    labels, first = check_classes(labels, first)
    labels, second = check_classes(labels, second)
    first_right, second_right = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    _, count = index_patients(patients, labels.size)
    auroc, no_auroc = _found_or_reason(lambda: macro_auroc_difference(labels, first, second, patients, resamples, seed))
    accuracy, no_accuracy = _found_or_reason(
        lambda: accuracy_difference(first_right, second_right, patients, resamples, seed)
    )
    exact, no_exact = _found_or_reason(lambda: mcnemar(first_right, second_right, patients))
    return ModelComparison(labels.size, count, auroc, no_auroc, accuracy, no_accuracy, exact, no_exact)


def _found_or_reason(measure: Callable[[], Found]) -> tuple[Found | None, str]:
    try:
        return measure(), ""
    except UndefinedMetricError as reason:
        return None, str(reason)


def _sign_test(one: int, other: int) -> float:
    """Two-sided exact binomial test of a half."""
    if one == other:  # the two tails overlap in the middle, and without any exam there is nothing to be surprised at
        return 1.0
    return min(1.0, 2 * float(bdtr(min(one, other), one + other, 0.5)))
