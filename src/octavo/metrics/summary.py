"""Everything that `evaluation.json` says about how well a model tells the classes apart, as flat keys.

Each measure `m` brings `m`, `m_ci_low` and `m_ci_high` (95 %, patients drawn with replacement, the same draws for all).
What has no value is None, and `m_undefined` or `m_ci_undefined` says why, so that one class missing from a test part
costs the measures that need it and not the report.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError
from octavo.metrics import calibration, classification, weighted
from octavo.metrics.delong import auroc_interval
from octavo.metrics.exam_arrays import (
    Patients,
    UndefinedMetricError,
    check_labels,
    check_probabilities,
    index_patients,
)
from octavo.metrics.flat_keys import Evaluation, value_or_reason, with_intervals
from octavo.metrics.intervals import RESAMPLES, Statistic

OF_PROBABILITIES: dict[str, tuple[Callable[..., float], Callable[..., Float[np.ndarray, " resample"]]]] = {
    "auroc": (classification.auroc, weighted.auroc),
    "auprc": (classification.auprc, weighted.auprc),
    "brier": (classification.brier, weighted.brier),
    "log_loss": (classification.log_loss, weighted.log_loss),
    "calibration_error": (calibration.calibration_error, weighted.calibration_error),
    "sensitivity_at_95_specificity": (
        classification.sensitivity_at_specificity,
        weighted.sensitivity_at_specificity,
    ),
}
"""Measures that need no threshold: the measure, and the same for many weightings."""

OF_PREDICTIONS: dict[str, tuple[Callable[..., float], Callable[..., Float[np.ndarray, " resample"]]]] = {
    "accuracy": (classification.accuracy, weighted.accuracy),
    "sensitivity": (classification.sensitivity, weighted.sensitivity),
    "specificity": (classification.specificity, weighted.specificity),
    "f1": (classification.f1, weighted.f1),
    "auroc_of_hard_predictions": (
        classification.auroc_of_hard_predictions,
        weighted.auroc_of_hard_predictions,
    ),
}
"""Measures at a threshold."""


def evaluate_classifier(
    labels: Integer[np.ndarray, " exam"],
    probabilities: Float[np.ndarray, " exam"],
    patients: Patients,
    thresholds: Mapping[str, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure a model on exams whose labels are known.

    Args:
        labels: 0 or 1.
        probabilities: Of the disease, from 0 to 1.
        patients: Who each exam belongs to.
        thresholds: By name. The first is the model's own (`{"youden": 0.37, "half": 0.5}`) and its measures bear plain
            names; those of any other end in `_at_` and its name. Thresholds come from the validation part, never from
            these exams.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Returns:
        Flat keys, documented in `docs/metrics.md`.

    Raises:
        OctavoError: If the arrays do not fit one another or hold what they must not, or there is no threshold.

    Example:
        >>> labels = np.array([0, 1] * 20)
        >>> found = evaluate_classifier(labels, 0.25 + labels / 2, [f"P{i}" for i in range(40)], {"half": 0.5})
        >>> found["auroc"], round(found["auroc_delong_ci_low"], 3), found["accuracy"], found["exams"]
        (1.0, 0.832, 1.0, 40)
        >>> found["calibration_slope"], found["calibration_slope_undefined"]
        (None, 'the logits separate the classes perfectly, so the best calibration slope is infinite')
    """
    labels = check_labels(labels)
    probabilities = check_probabilities(labels, probabilities)
    _, patient_count = index_patients(patients, labels.size)
    _check_thresholds(thresholds)
    found: Evaluation = {
        "exams": labels.size,
        "patients": patient_count,
        "positives": int(labels.sum()),
        "prevalence": float(labels.mean()),
        "bootstrap_resamples": resamples,
        "bootstrap_seed": seed,
    }
    statistics: dict[str, Statistic] = {}
    for name, (measure, many) in OF_PROBABILITIES.items():
        found.update(value_or_reason(name, partial(measure, labels, probabilities)))
        statistics[name] = partial(many, labels, probabilities)
    found.update(_delong(labels, probabilities, patients))
    found.update(_calibration_line(labels, probabilities))
    for number, (threshold_name, threshold) in enumerate(thresholds.items()):
        ending = f"_at_{threshold_name}" if number else ""
        predicted = classification.predicted_at(probabilities, threshold)
        found |= {f"threshold{ending}": float(threshold), f"threshold_name{ending}": threshold_name}
        found.update(_counts(labels, predicted, ending))
        for name, (measure, many) in OF_PREDICTIONS.items():
            found.update(value_or_reason(name + ending, partial(measure, labels, predicted)))
            statistics[name + ending] = partial(many, labels, predicted)
    return with_intervals(found, statistics, patients, resamples, seed)


def _delong(
    labels: Int[np.ndarray, " exam"], probabilities: Float[np.ndarray, " exam"], patients: Patients
) -> Evaluation:
    low, high, method = "auroc_delong_ci_low", "auroc_delong_ci_high", "auroc_delong_method"
    try:
        interval = auroc_interval(labels, probabilities, patients)
    except UndefinedMetricError as reason:
        return {low: None, high: None, method: None, "auroc_delong_ci_undefined": str(reason)}
    said = "exact bound for perfect separation" if interval.is_exact_bound else "clustered by patient, logit scale"
    return {low: interval.low, high: interval.high, method: said}


def _calibration_line(labels: Int[np.ndarray, " exam"], probabilities: Float[np.ndarray, " exam"]) -> Evaluation:
    slope, intercept, large = "calibration_slope", "calibration_intercept", "calibration_in_the_large"
    try:
        certain = int(((probabilities == 0) | (probabilities == 1)).sum())
        if certain:
            raise UndefinedMetricError(f"{certain} of {labels.size} probabilities are exactly 0 or 1 and have no logit")
        line = calibration.calibration_line(labels, np.log(probabilities) - np.log1p(-probabilities))
    except UndefinedMetricError as reason:
        return {slope: None, intercept: None, large: None, "calibration_slope_undefined": str(reason)}
    return {slope: line.slope, intercept: line.intercept, large: line.intercept_at_slope_one}


def _counts(labels: Int[np.ndarray, " exam"], predicted: Int[np.ndarray, " exam"], ending: str) -> Evaluation:
    counts = classification.confusion(labels, predicted)
    return {
        f"true_positives{ending}": counts.true_positives,
        f"false_positives{ending}": counts.false_positives,
        f"true_negatives{ending}": counts.true_negatives,
        f"false_negatives{ending}": counts.false_negatives,
    }


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    if not thresholds:
        raise OctavoError("no threshold was given; wanted at least one, such as {'half': 0.5}")
    for name, threshold in thresholds.items():
        if not name.replace("_", "").isalnum():
            raise OctavoError(f"threshold name {name!r} cannot end a key; wanted letters, digits and underscores")
        if not np.isfinite(threshold):
            raise OctavoError(f"threshold {name} is {threshold}; wanted a finite number")
