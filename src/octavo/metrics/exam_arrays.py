"""What every measure expects of its arrays, and how it says that it is undefined."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from octavo.errors import OctavoError

Patients: TypeAlias = Sequence[str] | Shaped[np.ndarray, " exam"]
"""Who each exam belongs to: names, or whole numbers in an array."""


class UndefinedMetricError(OctavoError):
    """A measure that has no value on these exams; the message is the reason, and no number stands in for it."""


def check_labels(labels: np.ndarray) -> Int[np.ndarray, " exam"]:
    """Let pass a list of labels that are 0 or 1.

    Raises:
        OctavoError: If there are none, or they are no whole numbers, or others than 0 and 1.
    """
    return _zeros_and_ones(labels, "label")


def check_predicted(labels: np.ndarray, predicted: np.ndarray) -> Int[np.ndarray, " exam"]:
    """Let pass predictions that are 0 or 1, one for each label.

    Raises:
        OctavoError: If they are not as many as the labels, or others than 0 and 1.
    """
    checked = _zeros_and_ones(predicted, "prediction")
    _same_length(labels, checked, "predictions")
    return checked


def check_right(
    first_right: np.ndarray, second_right: np.ndarray
) -> tuple[Bool[np.ndarray, " exam"], Bool[np.ndarray, " exam"]]:
    """Let pass whether two models are right, for each of the same exams.

    Raises:
        OctavoError: If there are none, or they are not True and False, or not as many for either model.
    """
    first, second = np.asarray(first_right), np.asarray(second_right)
    for name, right in (("first_right", first), ("second_right", second)):
        # predictions of 0 and 1 taken for wrong and right would give a number without a word
        if right.dtype.kind != "b":
            raise OctavoError(
                f"{name} is of type {right.dtype}; wanted True where the model is right; use labels == predicted"
            )
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise OctavoError(
            f"first_right has shape {first.shape} and second_right {second.shape}; wanted one each for the same exams"
        )
    return first, second


def check_scores(labels: np.ndarray, scores: np.ndarray) -> Float[np.ndarray, " exam"]:
    """Let pass finite scores, one for each label, in double precision.

    Raises:
        OctavoError: If they are not as many as the labels, or any is not a finite number.
    """
    scores = np.asarray(scores)
    _same_length(labels, scores, "scores")
    if scores.dtype.kind not in "fiu":
        raise OctavoError(f"scores are of type {scores.dtype}; wanted floating-point numbers")
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise OctavoError(
            f"score {bad[0]} is {scores[bad[0]]} ({bad.size} of {scores.size} are not finite); wanted finite numbers; "
            "leave such exams out and report how many"
        )
    return scores.astype(np.float64)


def check_probabilities(labels: np.ndarray, probabilities: np.ndarray) -> Float[np.ndarray, " exam"]:
    """Let pass probabilities between 0 and 1, one for each label, in double precision.

    Raises:
        OctavoError: If they are not as many as the labels, or any is not a number between 0 and 1.
    """
    checked = check_scores(labels, probabilities)
    bad = np.flatnonzero((checked < 0) | (checked > 1))
    if bad.size:
        raise OctavoError(
            f"probability {bad[0]} is {checked[bad[0]]:g}; wanted numbers from 0 to 1; turn logits into probabilities "
            "with octavo.metrics.calibration.apply_temperature"
        )
    return checked


def index_patients(patients: Patients, exams: int) -> tuple[Int[np.ndarray, " exam"], int]:
    """Number the patients.

    The numbers follow the sorted names, not the order of the exams, so that a shuffled table draws the same patients.

    Args:
        patients: Who each exam belongs to.
        exams: How many exams there are.

    Returns:
        The patient's number for every exam, and how many patients there are.

    Raises:
        OctavoError: If there are not as many as exams, or any is missing.

    Example:
        >>> index_patients(["mia", "ada", "mia"], 3)
        (array([1, 0, 1]), 2)
    """
    names = np.asarray(patients)
    if names.shape != (exams,):
        raise OctavoError(f"patients have shape {names.shape}; wanted one for each of {exams} exams")
    if names.dtype.kind == "O" and all(isinstance(name, str) for name in names):
        names = names.astype(np.str_)
    if names.dtype.kind not in "iuU":
        raise OctavoError(
            f"patients are of type {names.dtype}; wanted names or whole numbers, none missing; where the patient is "
            "unknown, decide first whether the exam is its own patient"
        )
    if names.dtype.kind == "U" and (np.char.strip(names) == "").any():
        empty = int(np.flatnonzero(np.char.strip(names) == "")[0])
        raise OctavoError(f"exam {empty} has no patient (an empty name); wanted one; name it or leave the exam out")
    unique, index = np.unique(names, return_inverse=True)
    return index.astype(np.int64), len(unique)


def need_both_classes(labels: Int[np.ndarray, " exam"], measure: str) -> None:
    """Say that a measure compares two classes where only one is there.

    Raises:
        UndefinedMetricError: If all labels are the same.
    """
    positives = int(labels.sum())
    if positives in (0, labels.size):
        raise UndefinedMetricError(
            f"{measure} needs exams of both classes; got {positives} positive and {labels.size - positives} negative"
        )


def _zeros_and_ones(values: np.ndarray, kind: str) -> Int[np.ndarray, " exam"]:
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0:
        raise OctavoError(f"{kind}s have shape {values.shape}; wanted a list of at least one {kind}")
    if values.dtype.kind not in "iu":
        raise OctavoError(f"{kind}s are of type {values.dtype}; wanted the whole numbers 0 and 1; use astype(int)")
    bad = np.flatnonzero((values != 0) & (values != 1))
    if bad.size:
        raise OctavoError(f"{kind} {bad[0]} is {values[bad[0]]}; wanted 0 or 1")
    return values.astype(np.int64)


def _same_length(labels: np.ndarray, values: np.ndarray, kind: str) -> None:
    if values.shape != np.shape(labels):
        raise OctavoError(f"{kind} have shape {values.shape} and labels {np.shape(labels)}; wanted one for each label")
