"""How well more than two classes are told apart.

Labels are 0 to K - 1 and probabilities have one column for each class. What is predicted is the most probable class; of
equally probable ones the first. A mean over classes counts a rare class like a common one, and has no value where one
of the classes has none: a mean over the other classes would be a mean of something else.

As with two classes there is one implementation, on many weightings of the exams at once, and the measure itself is that
with every exam counted once.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError
from octavo.metrics import weighted
from octavo.metrics.exam_arrays import Patients, UndefinedMetricError, index_patients
from octavo.metrics.flat_keys import Evaluation, value_or_reason, with_intervals
from octavo.metrics.intervals import RESAMPLES, Statistic

Labels: TypeAlias = Integer[np.ndarray, " exam"]
Probabilities: TypeAlias = Float[np.ndarray, "exam class"]
Weights: TypeAlias = Float[np.ndarray, "resample exam"]
Values: TypeAlias = Float[np.ndarray, " resample"]

_SUM_TOLERANCE = 1e-3
"""How far probabilities of an exam may be from adding up to one: they may come in half precision or four decimals."""


def evaluate_classes(
    labels: Integer[np.ndarray, " exam"],
    probabilities: Float[np.ndarray, "exam class"],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure a model of several classes on exams whose labels are known.

    Args:
        labels: 0 to K - 1.
        probabilities: Of each class, adding up to one for each exam.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Returns:
        Flat keys, documented in `docs/metrics.md`.

    Raises:
        OctavoError: If the arrays do not fit one another or hold what they must not.

    Example:
        >>> labels = np.array([0, 1, 2] * 10)
        >>> probabilities = 0.2 + 0.4 * np.eye(3)[np.where(np.arange(30) < 27, labels, 0)]
        >>> found = evaluate_classes(labels, probabilities, [f"P{number}" for number in range(30)])
        >>> found["accuracy"] == 28 / 30, found["confusion_2_as_0"], found["confusion_2_as_0_share"]
        (True, 1, 0.1)
        >>> found["auroc_of_2"], found["accuracy_ci_low"] < found["accuracy"]
        (0.95, True)
    """
    labels, probabilities = check_classes(labels, probabilities)
    _, patient_count = index_patients(patients, labels.size)
    classes = probabilities.shape[1]
    found: Evaluation = {"exams": labels.size, "patients": patient_count, "classes": classes}
    found |= {f"exams_of_{number}": int((labels == number).sum()) for number in range(classes)}
    found |= {"bootstrap_resamples": resamples, "bootstrap_seed": seed}
    statistics: dict[str, Statistic] = {}
    for name, (measure, many) in MEASURES.items():
        found |= value_or_reason(name, partial(measure, labels, probabilities))
        statistics[name] = partial(many, labels, probabilities)
    for number in range(classes):
        name = f"auroc_of_{number}"
        found |= value_or_reason(name, partial(auroc_of_class, labels, probabilities, number))
        statistics[name] = partial(_auroc_of_class, labels, probabilities, number)
    counts = confusion_matrix(labels, probabilities)
    for row, column in np.ndindex(classes, classes):
        name = f"confusion_{row}_as_{column}"
        found[name] = int(counts[row, column])
        found |= value_or_reason(f"{name}_share", partial(confusion_share, labels, probabilities, row, column))
        statistics[f"{name}_share"] = partial(_confusion_share, labels, probabilities, row, column)
    return with_intervals(found, statistics, patients, resamples, seed)


def accuracy(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Share of exams whose most probable class is their label.

    Raises:
        OctavoError: If labels or probabilities are not those of one set of classes.
    """
    return _once(_accuracy, *check_classes(labels, probabilities))


def balanced_accuracy(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Mean over classes of the share of its exams that are called by it.

    Raises:
        UndefinedMetricError: If a class has no exam.
        OctavoError: If labels or probabilities are not those of one set of classes.
    """
    labels, probabilities = check_classes(labels, probabilities)
    _need_every_class(labels, probabilities, "balanced accuracy")
    return _once(_balanced_accuracy, labels, probabilities)


def macro_f1(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Mean over classes of the harmonic mean of precision and sensitivity.

    Raises:
        UndefinedMetricError: If a class has no exam, or no exam is called by it: then one of its two has no value,
            although the usual shortcut with counts would give 0.
        OctavoError: If labels or probabilities are not those of one set of classes.

    Example:
        >>> macro_f1(np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 2, 2]])
        1.0
        >>> macro_f1(np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 0, 1]])
        Traceback (most recent call last):
        octavo.metrics.exam_arrays.UndefinedMetricError: macro F1 needs exams called by every class; none of 4 is called 2...
    """
    labels, probabilities = check_classes(labels, probabilities)
    _need_every_class(labels, probabilities, "macro F1")
    called = np.bincount(_predicted(probabilities), minlength=probabilities.shape[1])
    if not called.all():
        raise UndefinedMetricError(
            f"macro F1 needs exams called by every class; none of {labels.size} is called {int(np.argmin(called))}, so its "
            "precision has no value"
        )
    return _once(_macro_f1, labels, probabilities)


def auroc_of_class(
    labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"], number: int
) -> float:
    """Area under the ROC curve of one class against all others, by the probability of that class.

    Args:
        labels: 0 to K - 1.
        probabilities: Of each class.
        number: The class.

    Raises:
        UndefinedMetricError: If all exams are of the class, or none is.
        OctavoError: If labels or probabilities are not those of one set of classes, or there is no such class.
    """
    labels, probabilities = check_classes(labels, probabilities)
    _check_class(number, probabilities)
    exams = int((labels == number).sum())
    if exams in (0, labels.size):
        raise UndefinedMetricError(
            f"AUROC of class {number} needs exams of it and of others; got {exams} of it and {labels.size - exams} of others"
        )
    return _once(partial(_auroc_of_class, number=number), labels, probabilities)


def macro_auroc(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Mean over classes of the area under the ROC curve of each class against all others.

    Raises:
        UndefinedMetricError: If a class has no exam.
        OctavoError: If labels or probabilities are not those of one set of classes.
    """
    labels, probabilities = check_classes(labels, probabilities)
    _need_every_class(labels, probabilities, "macro AUROC")
    return _once(_macro_auroc, labels, probabilities)


def brier(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Mean over exams of the squared distances of probability and label, summed over classes: from 0 to 2.

    With two classes it is twice `octavo.metrics.classification.brier`, which looks at one of them.

    Raises:
        OctavoError: If labels or probabilities are not those of one set of classes.

    Example:
        >>> brier(np.array([0, 1]), np.array([[1.0, 0.0], [0.5, 0.5]]))
        0.25
    """
    return _once(_brier, *check_classes(labels, probabilities))


def log_loss(labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]) -> float:
    """Mean negative natural logarithm of the probability given to the label.

    Raises:
        UndefinedMetricError: If an exam's label was given probability 0, which makes the loss infinite.
        OctavoError: If labels or probabilities are not those of one set of classes.
    """
    labels, probabilities = check_classes(labels, probabilities)
    impossible = int((_given(labels, probabilities) == 0).sum())
    if impossible:
        raise UndefinedMetricError(
            f"log loss is infinite: {impossible} of {labels.size} exams have a label that was given probability 0"
        )
    return _once(_log_loss, labels, probabilities)


def confusion_matrix(
    labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"]
) -> Int[np.ndarray, "class class"]:
    """Count the exams of each class (row) by what they are called (column).

    Raises:
        OctavoError: If labels or probabilities are not those of one set of classes.

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]]))
        array([[1, 0],
               [1, 1]])
    """
    labels, probabilities = check_classes(labels, probabilities)
    classes = probabilities.shape[1]
    cells = np.bincount(labels * classes + _predicted(probabilities), minlength=classes**2)
    return cells.reshape(classes, classes).astype(np.int64)


def confusion_share(
    labels: Integer[np.ndarray, " exam"], probabilities: Float[np.ndarray, "exam class"], row: int, column: int
) -> float:
    """Share of the exams of one class that are called by another, or by the same: then it is its sensitivity.

    Args:
        labels: 0 to K - 1.
        probabilities: Of each class.
        row: What the exams are.
        column: What they are called.

    Raises:
        UndefinedMetricError: If no exam is of the class.
        OctavoError: If labels or probabilities are not those of one set of classes, or there is no such class.
    """
    labels, probabilities = check_classes(labels, probabilities)
    _check_class(row, probabilities)
    _check_class(column, probabilities)
    if not (labels == row).any():
        raise UndefinedMetricError(
            f"the share called {column} needs exams of class {row}; got none among {labels.size}"
        )
    return _once(partial(_confusion_share, row=row, column=column), labels, probabilities)


def check_classes(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[Int[np.ndarray, " exam"], Float[np.ndarray, "exam class"]]:
    """Let pass labels from 0 to K - 1 with K probabilities for each that add up to one.

    Raises:
        OctavoError: If they are not, or there is no exam, or fewer than two classes.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise OctavoError(
            f"labels have shape {labels.shape} and type {labels.dtype}; wanted a list of at least one whole number"
        )
    if probabilities.ndim != 2 or len(probabilities) != labels.size or probabilities.shape[1] < 2:
        raise OctavoError(
            f"probabilities have shape {probabilities.shape}; wanted a row for each of {labels.size} labels and a column "
            "for each of at least 2 classes"
        )
    if probabilities.dtype.kind not in "fiu":
        raise OctavoError(f"probabilities are of type {probabilities.dtype}; wanted floating-point numbers")
    classes = probabilities.shape[1]
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if bad.size:
        raise OctavoError(
            f"label {bad[0]} is {labels[bad[0]]}; wanted 0 to {classes - 1}, as there are {classes} columns of probabilities"
        )
    outside = np.argwhere(~((probabilities >= 0) & (probabilities <= 1)))
    if len(outside):
        exam, number = outside[0]
        raise OctavoError(
            f"probability of exam {exam} and class {number} is {probabilities[exam, number]:g}; wanted numbers from 0 to 1; "
            "turn logits into probabilities with a softmax"
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    bad = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if bad.size:
        raise OctavoError(
            f"probabilities of exam {bad[0]} add up to {sums[bad[0]]:g}; wanted 1; where classes do not exclude one "
            "another, evaluate each of them alone"
        )
    return labels.astype(np.int64), probabilities.astype(np.float64)


def _accuracy(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    return weighted.accuracy(labels, _predicted(probabilities), weights)


def _balanced_accuracy(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    classes = range(probabilities.shape[1])
    return np.mean([_confusion_share(labels, probabilities, number, number, weights) for number in classes], axis=0)


def _macro_f1(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    predicted = _predicted(probabilities)
    of_class = [
        weighted.f1((labels == number).astype(np.int64), (predicted == number).astype(np.int64), weights)
        for number in range(probabilities.shape[1])
    ]
    return np.mean(of_class, axis=0)


def _auroc_of_class(labels: Labels, probabilities: Probabilities, number: int, weights: Weights) -> Values:
    return weighted.auroc((labels == number).astype(np.int64), probabilities[:, number], weights)


def _macro_auroc(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    classes = range(probabilities.shape[1])
    return np.mean([_auroc_of_class(labels, probabilities, number, weights) for number in classes], axis=0)


def _brier(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    distances = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)
    return weights @ distances / weights.sum(axis=1)


def _log_loss(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    # a loss of the label's own probability alone is that of two classes in which every exam is positive
    return weighted.log_loss(np.ones_like(labels), _given(labels, probabilities), weights)


def _confusion_share(labels: Labels, probabilities: Probabilities, row: int, column: int, weights: Weights) -> Values:
    of_row, called = (labels == row).astype(np.int64), (_predicted(probabilities) == column).astype(np.int64)
    return weighted.sensitivity(of_row, called, weights)


MEASURES: dict[
    str, tuple[Callable[[Labels, Probabilities], float], Callable[[Labels, Probabilities, Weights], Values]]
] = {
    "accuracy": (accuracy, _accuracy),
    "balanced_accuracy": (balanced_accuracy, _balanced_accuracy),
    "macro_f1": (macro_f1, _macro_f1),
    "macro_auroc": (macro_auroc, _macro_auroc),
    "brier": (brier, _brier),
    "log_loss": (log_loss, _log_loss),
}
"""Measures of all classes together: the measure, and the same for many weightings."""


def _once(many: Callable[..., Values], labels: Labels, probabilities: Probabilities) -> float:
    """A measure with every exam counted once."""
    return float(many(labels, probabilities, weights=np.ones((1, labels.size)))[0])


def _predicted(probabilities: Probabilities) -> Int[np.ndarray, " exam"]:
    return probabilities.argmax(axis=1).astype(np.int64)


def _given(labels: Labels, probabilities: Probabilities) -> Float[np.ndarray, " exam"]:
    """The probability that was given to each exam's label."""
    return probabilities[np.arange(labels.size), labels]


def _check_class(number: int, probabilities: Probabilities) -> None:
    if not 0 <= number < probabilities.shape[1]:
        raise OctavoError(f"class {number} is not there; wanted 0 to {probabilities.shape[1] - 1}")


def _need_every_class(labels: Labels, probabilities: Probabilities, measure: str) -> None:
    exams = np.bincount(labels, minlength=probabilities.shape[1])
    if not exams.all():
        raise UndefinedMetricError(
            f"{measure} needs exams of every class; got none of class {int(np.argmin(exams))} among {labels.size}"
        )
