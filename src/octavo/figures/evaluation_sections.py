"""The sections of a report about a classifier, made from flat measures and plain arrays.

Each function takes what one part of an evaluation is and returns what the report says about it, pictures with their
alternative texts included, so that an evaluation and a demo say the same things in the same words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from octavo.errors import OctavoError
from octavo.figures import curves
from octavo.figures.curves import Confusion, OperatingPoint, Reliability, RocBand
from octavo.figures.report import Cell, Metric, Picture, Section, Table
from octavo.figures.report_html import number_text
from octavo.figures.training_curves import TrainingHistory, training_png

MEASURES = {
    "auroc": "AUROC",
    "macro_auroc": "Macro AUROC",
    "auprc": "AUPRC (average precision)",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "sensitivity_at_95_specificity": "Sensitivity at 95 % specificity",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "calibration_error": "Expected calibration error",
    "auroc_of_hard_predictions": "AUROC of hard predictions",
}
"""The measures a report shows, in order, by their keys in `evaluation.json`; some are those of more than two classes."""

Evaluation = Mapping[str, float | int | str | None]
"""Flat measures: `auroc`, `auroc_ci_low`, `auroc_ci_high`, `auroc_undefined`, and endings such as `_at_half`."""


def headline_metrics(evaluation: Evaluation) -> tuple[Metric, ...]:
    """Pick the measures for the table at the top, first those of the model's own threshold, then those of others.

    Args:
        evaluation: Flat measures; what is missing is left out, what is None is shown with its reason.

    Example:
        >>> headline_metrics({"auroc": 0.9, "auroc_ci_low": 0.85, "auroc_ci_high": 0.94})
        (Metric(name='AUROC', value=0.9, low=0.85, high=0.94, note=''),)
    """
    metrics = [measure_of(evaluation, key, name) for key, name in MEASURES.items() if key in evaluation]
    for ending in _endings(evaluation):
        threshold = _number(evaluation, f"threshold{ending}")
        at = "" if threshold is None else f" at threshold {threshold:.3g}"
        metrics += [
            measure_of(evaluation, key + ending, name + at)
            for key, name in MEASURES.items()
            if key + ending in evaluation
        ]
    return tuple(metrics)


def _endings(evaluation: Evaluation) -> list[str]:
    """The endings of measures at thresholds other than the model's own."""
    beginning = "threshold_name_at_"
    return [key.removeprefix("threshold_name") for key in evaluation if key.startswith(beginning)]


def _number(evaluation: Evaluation, key: str) -> float | None:
    value = evaluation.get(key)
    return None if value is None or isinstance(value, str) else float(value)


def measure_of(evaluation: Evaluation, key: str, name: str) -> Metric:
    """One measure with its interval, and what must be known of it."""
    notes = [
        str(evaluation[f"{key}_{end}"])
        for end in ("undefined", "ci_undefined", "ci_note")
        if f"{key}_{end}" in evaluation
    ]
    low, high = _number(evaluation, f"{key}_delong_ci_low"), _number(evaluation, f"{key}_delong_ci_high")
    if low is not None and high is not None:
        notes.append(f"DeLong: {number_text(low)} to {number_text(high)}")
    threshold = _number(evaluation, "threshold")
    if key in {"accuracy", "sensitivity", "specificity", "f1"} and threshold is not None:
        notes.append(f"at threshold {threshold:.3g} ({evaluation.get('threshold_name', 'of the model')})")
    return Metric(
        name,
        _number(evaluation, key),
        _number(evaluation, f"{key}_ci_low"),
        _number(evaluation, f"{key}_ci_high"),
        "; ".join(notes),
    )


def confusions_of(evaluation: Evaluation) -> tuple[Confusion, ...]:
    """The confusion matrices that flat measures hold, one for each threshold."""
    found = []
    for ending in ["", *_endings(evaluation)]:
        threshold = _number(evaluation, f"threshold{ending}")
        counts = [
            evaluation.get(f"{kind}{ending}")
            for kind in ("true_negatives", "false_positives", "false_negatives", "true_positives")
        ]
        if threshold is not None and all(isinstance(count, int) for count in counts):
            name = f"Threshold {threshold:.3g} ({evaluation.get(f'threshold_name{ending}', 'unnamed')})"
            found.append(Confusion(name, *(int(count or 0) for count in counts)))
    return tuple(found)


def curves_section(
    false_positive_rate: Float[np.ndarray, " roc"],
    sensitivity: Float[np.ndarray, " roc"],
    recall: Float[np.ndarray, " pr"],
    precision: Float[np.ndarray, " pr"],
    evaluation: Evaluation,
    band: RocBand | None = None,
) -> Section:
    """ROC and precision-recall curves, with the thresholds in use as points on the first."""
    auroc, auprc = measure_of(evaluation, "auroc", "AUROC"), measure_of(evaluation, "auprc", "AUPRC")
    points = [
        OperatingPoint(
            matrix.name,
            matrix.false_positives / (matrix.false_positives + matrix.true_negatives),
            matrix.true_positives / (matrix.true_positives + matrix.false_negatives),
        )
        for matrix in confusions_of(evaluation)
        if matrix.false_positives + matrix.true_negatives and matrix.true_positives + matrix.false_negatives
    ]
    prevalence = _number(evaluation, "prevalence")
    if prevalence is None:
        raise OctavoError("the measures hold no prevalence; wanted it, as the line that chance would give")
    roc = curves.roc_png(
        false_positive_rate,
        sensitivity,
        auroc=auroc.value,
        interval=_interval(auroc),
        band=band,
        operating_points=points,
    )
    precision_recall = curves.precision_recall_png(
        recall, precision, prevalence=prevalence, auprc=auprc.value, interval=_interval(auprc)
    )
    return Section(
        "Curves",
        pictures=(
            Picture(roc, f"ROC curve. {_sentence(auroc)}", "Sensitivity against false positives, over all thresholds."),
            Picture(
                precision_recall,
                f"Precision-recall curve. {_sentence(auprc)} Chance would give {number_text(prevalence)}.",
                "How many of those called positive are, against how many of the positive are found.",
            ),
        ),
    )


def _interval(metric: Metric) -> tuple[float, float] | None:
    return None if metric.low is None or metric.high is None else (metric.low, metric.high)


def _sentence(metric: Metric) -> str:
    if metric.value is None:
        return f"{metric.name} is not defined."
    interval = _interval(metric)
    between = "" if interval is None else f", 95 % interval {number_text(interval[0])} to {number_text(interval[1])}"
    return f"{metric.name} {number_text(metric.value)}{between}."


def calibration_section(reliabilities: Sequence[Reliability], note: str = "") -> Section:
    """How far probabilities can be taken at their word, before and after a temperature.

    Args:
        reliabilities: Before and after, in this order.
        note: Where the temperature comes from and what it is.

    Raises:
        OctavoError: If there is no curve.
    """
    errors = [
        f"{curve.name}: {number_text(curve.calibration_error)}"
        for curve in reliabilities
        if curve.calibration_error is not None
    ]
    alt = "Reliability diagram." + (f" Expected calibration error {'; '.join(errors)}." if errors else "")
    rows: list[tuple[Cell, ...]] = [
        (curve.name, float(predicted), float(observed), int(count))
        for curve in reliabilities
        for predicted, observed, count in zip(curve.predicted, curve.observed, curve.counts, strict=True)
        if count
    ]
    return Section(
        "Calibration",
        paragraphs=(note,) if note else (),
        pictures=(
            Picture(
                curves.reliability_png(reliabilities),
                alt,
                "On the dotted line a probability of 0.7 comes true in seven of ten exams. Below: exams in a group.",
            ),
        ),
        tables=(
            Table(
                "The same as numbers",
                ("Curve", "Mean predicted probability", "Share of positives", "Exams"),
                tuple(rows),
            ),
        ),
    )


def confusion_section(
    confusions: Sequence[Confusion], negative: str = "negative", positive: str = "positive"
) -> Section:
    """What became of the positive and the negative exams at each threshold, as a picture and as numbers.

    Args:
        confusions: One for each threshold.
        negative: The name of class 0.
        positive: The name of class 1.

    Raises:
        OctavoError: If there is no matrix.
    """
    picture = curves.confusion_png(confusions, negative, positive)
    alt = "Confusion matrices. " + " ".join(f"{matrix.name}: {matrix}." for matrix in confusions)
    rows = tuple(
        (matrix.name, matrix.true_positives, matrix.false_negatives, matrix.true_negatives, matrix.false_positives)
        for matrix in confusions
    )
    columns = ("Threshold", "True positives", "False negatives", "True negatives", "False positives")
    return Section(
        "Confusion",
        pictures=(Picture(picture, alt),),
        tables=(Table("The same as numbers", columns, rows),),
    )


@dataclass(frozen=True)
class Part:
    """How many exams, patients and positives a part of the cohort has."""

    name: str
    exams: int
    patients: int
    positives: int


def prevalence_section(parts: Sequence[Part], note: str = "") -> Section:
    """How many exams of each part are positive, since precision and calibration hold for one prevalence only.

    Args:
        parts: Training, validation, test.
        note: How the classes of the training part were balanced.
    """
    rows = tuple(
        (part.name, part.exams, part.patients, part.positives, part.positives / part.exams if part.exams else None)
        for part in parts
    )
    columns = ("Part", "Exams", "Patients", "Positive exams", "Prevalence")
    return Section(
        "Prevalence",
        paragraphs=(note,) if note else (),
        tables=(Table("Exams of each part; no patient is in two parts", columns, rows),),
    )


def seeds_section(by_seed: Mapping[str, Evaluation], keys: Sequence[str] = ("auroc", "accuracy", "f1")) -> Section:
    """How much the same recipe varies from seed to seed.

    Args:
        by_seed: The measures of each seed by its name.
        keys: Which measures, by their keys.

    Raises:
        OctavoError: If there is no seed.
    """
    if not by_seed:
        raise OctavoError("no seed was given; wanted the measures of one or more")
    rows: list[tuple[Cell, ...]] = []
    for key in keys:
        values = [_number(evaluation, key) for evaluation in by_seed.values()]
        known = [value for value in values if value is not None]
        mean = math.fsum(known) / len(known) if known else None
        spread = None
        if mean is not None and len(known) > 1:
            spread = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))
        rows.append((MEASURES.get(key, key), *values, mean, spread))
    columns = ("Measure", *by_seed, "Mean", "Standard deviation")
    return Section("Spread over seeds", tables=(Table("The same recipe with other seeds", columns, tuple(rows)),))


def training_section(stages: Mapping[str, TrainingHistory], selected_by: str = "") -> Section:
    """How the losses of each stage went.

    Args:
        stages: Histories by the name of their stage.
        selected_by: The loss whose lowest epoch was kept.

    Raises:
        OctavoError: If nothing was logged.
    """
    kept = [
        f"{name} kept epoch {history.best_epoch(selected_by)}"
        for name, history in stages.items()
        if history.best_epoch(selected_by) is not None
    ]
    alt = "Losses by epoch. " + ("; ".join(kept) + "." if kept else "")
    return Section("Training", pictures=(Picture(training_png(stages, selected_by), alt.strip()),))
