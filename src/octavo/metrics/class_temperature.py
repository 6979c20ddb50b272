"""The temperature of more than two classes: one number that all logits are divided by.

With two classes it is that of `octavo.metrics.calibration`, which looks at the margin alone.
"""

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError
from octavo.metrics.calibration import TEMPERATURES, TemperatureFit, rising_root
from octavo.metrics.exam_arrays import UndefinedMetricError


def fit_class_temperature(
    labels: Integer[np.ndarray, " exam"], logits: Float[np.ndarray, "exam class"]
) -> TemperatureFit:
    """Find the temperature that gives the labels the highest probability.

    The log loss is convex in 1 / temperature, so there is one answer. Where every exam's own class has the highest logit
    the loss would fall for ever. There the target of a class of n exams is (n + 1) / (n + K) instead of 1 and 1 / (n + K)
    for each of the others, Laplace's rule of succession, which with two classes is that of `calibration.fit_temperature`.

    Args:
        labels: 0 to K - 1, of the validation part.
        logits: Of each class.

    Returns:
        The temperature, between 0.05 and 20, with the log loss before and after.

    Raises:
        UndefinedMetricError: If only one class is there, or the logits of every exam are all equal.
        OctavoError: If labels and logits are not those of one set of classes, or a logit is not finite.

    Example:
        >>> labels = np.array([0, 1, 2] * 6)
        >>> said = np.where(np.arange(18) < 15, labels, 0)
        >>> fit = fit_class_temperature(labels, 9.0 * np.eye(3)[said])
        >>> fit.temperature > 2, fit.log_loss_after < fit.log_loss_before
        (True, True)
    """
    labels, logits = _checked(labels, logits)
    if len(set(labels.tolist())) < 2:
        raise UndefinedMetricError(
            f"a temperature needs exams of several classes; all {labels.size} are of {labels[0]}"
        )
    if not np.ptp(logits, axis=1).any():
        raise UndefinedMetricError("a temperature needs logits that differ; those of every exam are all equal")
    targets, notes = _targets(labels, logits)

    def slope(inverse: float) -> float:
        return float((logits * (_softmax(inverse * logits) - targets)).sum())

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(low) >= 0 or slope(high) <= 0:
        inverse = low if slope(low) >= 0 else high
        notes.append(
            f"the best temperature lies outside {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g}; the nearer end is given"
        )
    else:
        inverse = rising_root(slope, low, high)
    before, after = _log_loss(labels, logits), _log_loss(labels, logits * inverse)
    return TemperatureFit(1 / inverse, before, after, "; ".join(notes))


def apply_class_temperature(
    logits: Float[np.ndarray, "exam class"], temperature: float = 1.0
) -> Float[np.ndarray, "exam class"]:
    """Turn logits into probabilities at a temperature.

    Raises:
        OctavoError: If the temperature is not a positive number, or a logit is not finite.

    Example:
        >>> apply_class_temperature(np.array([[0.0, 0.0, 2.0]]), 2.0).round(3)
        array([[0.212, 0.212, 0.576]])
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise OctavoError(f"temperature is {temperature}; wanted a positive number, 1 for none")
    return _softmax(_finite(logits) / temperature)


def _targets(
    labels: Int[np.ndarray, " exam"], logits: Float[np.ndarray, "exam class"]
) -> tuple[Float[np.ndarray, "exam class"], list[str]]:
    """What the probabilities should be: 1 for the own class, or less where that would be without end, and a note."""
    classes = logits.shape[1]
    own = np.eye(classes)[labels]
    if not (logits.max(axis=1) == logits[np.arange(labels.size), labels]).all():
        return own, []
    exams = np.bincount(labels, minlength=classes)[labels][:, None]
    note = (
        f"all {labels.size} exams lie on the right side, so no temperature is best; the one given follows from "
        f"trusting a class of n exams up to (n + 1) / (n + {classes})"
    )
    return (1 + exams * own) / (exams + classes), [note]


def _checked(
    labels: np.ndarray, logits: np.ndarray
) -> tuple[Int[np.ndarray, " exam"], Float[np.ndarray, "exam class"]]:
    logits = _finite(logits)
    labels = np.asarray(labels)
    if labels.shape != logits.shape[:1] or labels.size == 0 or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise OctavoError(
            f"labels have shape {labels.shape} and logits {logits.shape}; wanted a row for each label and a column for each "
            "class, and labels from 0"
        )
    return labels.astype(np.int64), logits


def _finite(logits: np.ndarray) -> Float[np.ndarray, "exam class"]:
    if not np.isfinite(logits).all():
        exam, number = np.argwhere(~np.isfinite(logits))[0]
        raise OctavoError(f"logit of exam {exam} and class {number} is {logits[exam, number]}; wanted finite numbers")
    return np.asarray(logits, dtype=np.float64)


def _softmax(logits: Float[np.ndarray, "exam class"]) -> Float[np.ndarray, "exam class"]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _log_loss(labels: Int[np.ndarray, " exam"], logits: Float[np.ndarray, "exam class"]) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    given = shifted[np.arange(labels.size), labels] - np.log(np.exp(shifted).sum(axis=1))
    return float(-given.mean())
