"""More than two classes: what is chosen on the validation part, and how answers are measured on the test part.

What is predicted is the most probable class, so there is no threshold to choose. One temperature is, for all classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from octavo.metrics.class_temperature import apply_class_temperature, fit_class_temperature
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.multiclass import brier, evaluate_classes, macro_auroc

OVER_SEEDS = ("macro_auroc", "accuracy", "balanced_accuracy", "macro_f1", "brier", "log_loss")
"""The measures whose mean and standard deviation over seeds are given."""


def calibrate_classes(labels: Int[np.ndarray, " exam"], logits: Float[np.ndarray, "exam class"]) -> dict[str, Any]:
    """The temperature from the validation part.

    Args:
        labels: 0 to K - 1.
        logits: Of the same exams.

    Returns:
        `temperature`, with a note where none could be fitted, and the rule by which a class is predicted.

    Example:
        >>> calibrate_classes(np.array([0, 0]), np.eye(3)[:2])["temperature_note"]
        'no temperature could be fitted, 1 stands: a temperature needs exams of several classes; all 2 are of 0'
    """
    chosen: dict[str, Any] = {"temperature": 1.0, "prediction": "the most probable class", "exams": len(labels)}
    try:
        fitted = fit_class_temperature(labels, logits)
        chosen["temperature"] = fitted.temperature
        if fitted.note:
            chosen["temperature_note"] = fitted.note
    except UndefinedMetricError as reason:
        chosen["temperature_note"] = f"no temperature could be fitted, 1 stands: {reason}"
    return chosen


def validation_of_classes(labels: Int[np.ndarray, " exam"], logits: Float[np.ndarray, "exam class"]) -> dict[str, Any]:
    """The mean AUROC of the classes, each against all others, under the name that AUROC has with two classes."""
    try:
        return {"validation_auroc": macro_auroc(labels, apply_class_temperature(logits))}
    except UndefinedMetricError as reason:
        return {"validation_auroc": None, "validation_auroc_undefined": str(reason)}


def measure_classes(
    labels: Int[np.ndarray, " exam"],
    probabilities: Float[np.ndarray, "exam seed class"],
    patients: Sequence[str],
    temperatures: Sequence[float],
    names: Sequence[str],
) -> dict[str, Any]:
    """Measure the mean of one or more models on exams whose labels are known.

    Args:
        labels: 0 to K - 1.
        probabilities: Calibrated ones, of each model.
        patients: Who each exam belongs to.
        temperatures: Of each model.
        names: Of the classes.

    Returns:
        The keys of `evaluate_classes`; `name_of_k`; `temperature`, the mean, and `brier_before_temperature`.
    """
    found: dict[str, Any] = dict(evaluate_classes(labels, probabilities.mean(axis=1), patients))
    found |= {f"name_of_{number}": name for number, name in enumerate(names)}
    found["temperature"] = float(np.mean(temperatures))
    found["brier_before_temperature"] = brier(labels, before_temperature(probabilities, temperatures))
    return found


def before_temperature(
    probabilities: Float[np.ndarray, "exam seed class"], temperatures: Sequence[float]
) -> Float[np.ndarray, "exam class"]:
    """Undo each model's temperature, and average.

    Example:
        >>> cold = apply_class_temperature(np.array([[0.0, 1.0, 3.0]]), 0.5)
        >>> bool(np.allclose(before_temperature(cold[:, None], [0.5]), apply_class_temperature(np.array([[0.0, 1.0, 3.0]]))))
        True
    """
    # up to what is the same for all classes of an exam, the logits are the logarithms times the temperature
    logits = np.log(probabilities.clip(1e-15)) * np.asarray(temperatures, dtype=np.float64)[:, None]
    each = [apply_class_temperature(logits[:, number]) for number in range(len(temperatures))]
    return np.mean(each, axis=0)
