"""Predict: a probability for each scan, and what speaks against believing it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octavo.cohorts.dataset import PreparedExams, evaluation_batches
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import PreparedExam, Preparer
from octavo.files import write_text
from octavo.training.inference import logit_margins
from octavo.workflows.models import Model, load_models

COLUMNS = (
    "exam_id",
    "patient_id",
    "path",
    "laterality",
    "label",
    "probability",
    "predicted",
    "threshold",
    "model",
    "warnings",
)


@dataclass(frozen=True)
class Prediction:
    """What the models say about one exam."""

    exam: Exam
    laterality: str
    """Which eye, as read from the scan or said by the manifest."""
    probability: float | None
    """Of the positive class, calibrated, averaged over seeds; None where the scan could not be used."""
    by_seed: tuple[float, ...]
    """The same of every seed."""
    threshold: float
    model: str
    warnings: tuple[str, ...]

    @property
    def predicted(self) -> int | None:
        """1 or 0 at the threshold."""
        return None if self.probability is None else int(self.probability >= self.threshold)

    def row(self) -> dict[str, str]:
        """The row of `predictions.csv`."""
        exam = self.exam
        return {
            "exam_id": exam.exam_id,
            "patient_id": exam.patient_id,
            "path": str(exam.path),
            "laterality": self.laterality,
            "label": "" if exam.label is None else str(exam.label),
            "probability": "" if self.probability is None else f"{self.probability:.6f}",
            "predicted": "" if self.predicted is None else str(self.predicted),
            "threshold": f"{self.threshold:.6f}",
            "model": self.model,
            "warnings": " | ".join(self.warnings),
        }


def predict(
    run: Path, exams: Sequence[Exam], prepared: Path, *, seed: int | None = None
) -> tuple[list[Prediction], list[tuple[Exam, str]]]:
    """Predict exams with the models of a run.

    Args:
        run: A run's folder, or a shared model.
        exams: What to predict; labels are not used.
        prepared: Where prepared scans are kept.
        seed: Only the model of that seed; by default the mean over all.

    Returns:
        A prediction for every exam, in order, and the exams that could not be used with the reason.
    """
    models = load_models(run, seed)
    preparer = Preparer(prepared, models[0].preparation)
    ready, failed = preparer.prepare_all(exams)
    by_exam = {one.exam.exam_id: one for one in predict_prepared(models, ready)}
    threshold, name = _threshold(models), _name(models)
    for exam, reason in failed:
        by_exam[exam.exam_id] = Prediction(
            exam, exam.laterality.value, None, (), threshold, name, (f"not predicted: {reason}",)
        )
    return [by_exam[exam.exam_id] for exam in exams], failed


def predict_prepared(models: Sequence[Model], exams: Sequence[PreparedExam]) -> list[Prediction]:
    """Predict prepared exams with each model and average the calibrated probabilities."""
    if not exams:
        return []
    recipe = models[0].recipe
    batches = evaluation_batches(PreparedExams(exams, recipe.grey_range), recipe.batch_size)
    each = np.stack([model.probabilities(logit_margins(model.network, batches)) for model in models])
    threshold, name = _threshold(models), _name(models)
    return [
        Prediction(
            exam=one.exam,
            laterality=one.facts.laterality,
            probability=float(each[:, index].mean()),
            by_seed=tuple(float(value) for value in each[:, index]),
            threshold=threshold,
            model=name,
            warnings=(*models[0].warnings(one.facts), *one.warnings),
        )
        for index, one in enumerate(exams)
    ]


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write `predictions.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(prediction.row() for prediction in predictions)
    write_text(path, text.getvalue())


def _threshold(models: Sequence[Model]) -> float:
    return float(np.mean([model.threshold for model in models]))


def _name(models: Sequence[Model]) -> str:
    if len(models) == 1:
        return models[0].name
    return f"{models[0].name.split('/')[0]} (mean of {len(models)} seeds)"
