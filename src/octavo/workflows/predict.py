"""Predict: a probability for each scan, and what speaks against believing it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from octavo.cohorts.dataset import evaluation_batches
from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.prepared import PreparedExam, Preparer
from octavo.cohorts.reference import is_caution
from octavo.encoders.slices import SliceChoice
from octavo.figures.slice_weights import draw_slice_weights
from octavo.files import plain_name, write_bytes, write_text
from octavo.training.inference import Readings, read_exams
from octavo.volume import AXES
from octavo.workflows.models import Model, load_models

MOST_PICTURES = 50
"""Of slices and their weights: whoever asks for a whole cohort wants its table."""

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
class SliceWeights:
    """How much each slice of a volume counted."""

    axis: str
    """Along which slices follow one another."""
    weights: tuple[tuple[int, float], ...]
    """Index of each slice that was read, counted from 0 in the scan as it is stored, and its weight; they add up to 1."""


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
    slice_weights: SliceWeights | None = None
    """How much each slice counted, averaged over seeds; None where the system does not weigh slices."""

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
    batches = evaluation_batches(models[0].inputs(exams), models[0].recipe.batch_size)
    readings = [read_exams(model.network, batches) for model in models]
    each = np.stack([model.probabilities(one.margins) for model, one in zip(models, readings, strict=True)])
    weights = _mean_slice_weights(readings)
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
            slice_weights=None if weights is None else in_scan_order(weights[index], models[0].recipe, one),
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


def write_slice_weights(out: Path, predictions: Sequence[Prediction]) -> list[Path]:
    """Write how much each slice counted, beside the answers: `OUT.slices/weights.csv`, and pictures of the first exams.

    Args:
        out: The file of answers.
        predictions: Those of a system that does not weigh slices are passed over.

    Returns:
        The files; none where no slices were weighed.
    """
    weighed = [(one, one.slice_weights) for one in predictions if one.slice_weights]
    if not weighed:
        return []
    folder = out.with_name(f"{out.stem}.slices")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("exam_id", "axis", "slice", "weight"))
    for one, slices in weighed:
        writer.writerows((one.exam.exam_id, slices.axis, index, f"{weight:.6f}") for index, weight in slices.weights)
    write_text(folder / "weights.csv", text.getvalue())
    files = [folder / "weights.csv"]
    for number, (one, slices) in enumerate(weighed[:MOST_PICTURES], start=1):
        title = f"{one.exam.exam_id}: probability {one.probability:.3f}"
        cautions = [f"{text[0].upper()}{text[1:]}." for text in one.warnings if is_caution(text)]
        picture = draw_slice_weights(read_exam(one.exam), slices.axis, slices.weights, title, cautions)
        files.append(folder / f"{number:03d}-{plain_name(one.exam.exam_id)}.png")
        write_bytes(files[-1], picture)
    return files


def _mean_slice_weights(readings: Sequence[Readings]) -> list[np.ndarray] | None:
    weights = [one.slice_weights for one in readings if one.slice_weights is not None]
    return [np.mean(of_seeds, axis=0) for of_seeds in zip(*weights, strict=True)] if weights else None


def in_scan_order(weights: np.ndarray, recipe: Any, exam: PreparedExam) -> SliceWeights:
    """Which slice of the scan as it was stored each weight belongs to; an eye may have been turned over before."""
    chosen = SliceChoice(recipe.slice_axis, recipe.slices).indices(exam.facts.shape)
    size = exam.facts.shape[AXES.index(recipe.slice_axis)]
    turned = {"bscan": exam.flips.bscan, "ascan": exam.flips.ascan}.get(recipe.slice_axis, False)
    places = [size - 1 - index if turned else index for index in chosen]
    return SliceWeights(recipe.slice_axis, tuple(sorted(zip(places, map(float, weights), strict=True))))


def _threshold(models: Sequence[Model]) -> float:
    return float(np.mean([model.threshold for model in models]))


def _name(models: Sequence[Model]) -> str:
    if len(models) == 1:
        return models[0].name
    return f"{models[0].name.split('/')[0]} (mean of {len(models)} seeds)"
