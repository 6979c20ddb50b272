"""Predict: a probability for each scan, and what speaks against believing it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from octavo.cohorts.dataset import evaluation_batches
from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.prepared import PreparedExam, Preparer
from octavo.cohorts.reference import is_caution
from octavo.encoders.slices import SliceChoice
from octavo.errors import OctavoError
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


def columns_of(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of `predictions.csv`: of more than two classes a probability of each by its name, and no threshold.

    Example:
        >>> columns_of(("NL", "MCI", "AD"))[4:9]
        ('label', 'probability_NL', 'probability_MCI', 'probability_AD', 'predicted')
    """
    if not classes:
        return COLUMNS
    at = COLUMNS.index("probability")
    kept = [name for name in COLUMNS[at + 1 :] if name != "threshold"]
    return (*COLUMNS[:at], *(f"probability_{name}" for name in classes), *kept)


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
    """Of the positive class, calibrated, averaged over seeds; None where the scan could not be used, and of more than two
    classes, of which none is the positive one."""
    by_seed: tuple[float, ...]
    """The same of every seed."""
    threshold: float
    model: str
    warnings: tuple[str, ...]
    slice_weights: SliceWeights | None = None
    """How much each slice counted, averaged over seeds; None where the system does not weigh slices."""
    classes: tuple[str, ...] = ()
    """The names of the classes, where there are more than two."""
    of_classes: tuple[tuple[float, ...], ...] = ()
    """Of more than two classes: the calibrated probabilities of all, from every seed; empty where there is no answer."""

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of more than two classes: the probability of each, averaged over seeds."""
        return tuple(float(np.mean(of_seeds)) for of_seeds in zip(*self.of_classes, strict=True))

    @property
    def predicted(self) -> int | None:
        """1 or 0 at the threshold; of more than two classes the place of the most probable one."""
        if self.of_classes:
            return int(np.argmax(self.probabilities))
        return None if self.probability is None else int(self.probability >= self.threshold)

    @property
    def said(self) -> str:
        """The answer in a few words."""
        if self.of_classes:
            return f"{self.classes[int(self.predicted or 0)]} with probability {max(self.probabilities):.3f}"
        return f"probability {self.probability:.3f}"

    def name_of(self, label: int | None) -> str:
        """What a label is called: its number, or of more than two classes its name; empty where there is none."""
        if label is None:
            return ""
        return self.classes[label] if self.classes else str(label)

    def row(self) -> dict[str, str]:
        """The row of `predictions.csv`."""
        exam = self.exam
        of_each = [f"{value:.6f}" for value in self.probabilities] or [""] * len(self.classes)
        told = {
            "exam_id": exam.exam_id,
            "patient_id": exam.patient_id,
            "path": str(exam.path),
            "laterality": self.laterality,
            "label": self.name_of(exam.label),
            **{f"probability_{name}": value for name, value in zip(self.classes, of_each, strict=True)},
            "probability": "" if self.probability is None else f"{self.probability:.6f}",
            "predicted": self.name_of(self.predicted),
            "threshold": f"{self.threshold:.6f}",
            "model": self.model,
            "warnings": " | ".join(self.warnings),
        }
        return {name: told[name] for name in columns_of(self.classes)}


def unanswered(exam: Exam, reason: str, like: Prediction) -> Prediction:
    """What is said of an exam that could not be used, beside an answer of the same models."""
    warnings = (f"not predicted: {reason}",)
    return Prediction(exam, exam.laterality.value, None, (), like.threshold, like.model, warnings, classes=like.classes)


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
        warnings = (f"not predicted: {reason}",)
        by_exam[exam.exam_id] = Prediction(
            exam, exam.laterality.value, None, (), threshold, name, warnings, classes=models[0].classes
        )
    return [by_exam[exam.exam_id] for exam in exams], failed


def predict_on_ray(
    run: Path, exams: Sequence[Exam], prepared: Path, address: str, *, seed: int | None = None
) -> tuple[list[Prediction], list[tuple[Exam, str]]]:
    """As `predict`, some exams at a time as tasks of a Ray cluster.

    Args:
        run: As for `predict`; the machines of the cluster share it, the scans and `prepared`.
        exams: As for `predict`.
        prepared: As for `predict`.
        address: Of the cluster.
        seed: As for `predict`.

    Returns:
        As `predict`, in the same order.

    Raises:
        OctavoError: If a part of the exams could not be answered by any machine.
    """
    from octavo.workflows.on_ray import map_on_ray

    parts = [exams[start : start + _AT_ONCE] for start in range(0, len(exams), _AT_ONCE)]
    work = partial(_predict_part, run, prepared, seed)
    answered: dict[int, tuple[list[Prediction], list[tuple[Exam, str]]]] = {}
    for place, (found, reason) in map_on_ray(work, parts, address, failed=_not_answered):
        if found is None:
            raise OctavoError(
                f"{run}: {len(parts[place])} exams, {parts[place][0].exam_id!r} first, were not answered by any machine "
                f"({reason}); wanted them to share the run, the scans and the prepared folder; check what they share"
            )
        answered[place] = found
    predictions = [one for place in range(len(parts)) for one in answered[place][0]]
    return predictions, [one for place in range(len(parts)) for one in answered[place][1]]


_AT_ONCE = 16
"""Exams in a task: enough to pay for loading the models, few enough to be done again elsewhere."""


_Answered = tuple[tuple[list[Prediction], list[tuple[Exam, str]]] | None, str]
"""What `predict` gives, or None and why."""


def _not_answered(exams: Sequence[Exam], reason: str) -> _Answered:
    return None, reason


def _predict_part(run: Path, prepared: Path, seed: int | None, exams: Sequence[Exam]) -> _Answered:
    try:
        return predict(run, exams, prepared, seed=seed), ""
    except OctavoError as refusal:
        return None, str(refusal)


def predict_prepared(models: Sequence[Model], exams: Sequence[PreparedExam]) -> list[Prediction]:
    """Predict prepared exams with each model and average the calibrated probabilities.

    Raises:
        OctavoError: If the models do not tell the same classes apart.
    """
    if not exams:
        return []
    if len({model.classes for model in models}) > 1:
        told = " and ".join(sorted({", ".join(model.classes) or "0, 1" for model in models}))
        raise OctavoError(f"the models tell {told} apart; wanted one set of classes; answer with one seed alone")
    batches = evaluation_batches(models[0].inputs(exams), models[0].recipe.batch_size)
    readings = [read_exams(model.network, batches) for model in models]
    each, of_classes = _probabilities(models, readings)
    weights = _mean_slice_weights(readings)
    threshold, name = _threshold(models), _name(models)
    return [
        Prediction(
            exam=one.exam,
            laterality=one.facts.laterality,
            probability=float(each[:, index].mean()) if each.size else None,
            by_seed=tuple(float(value) for value in each[:, index]),
            threshold=threshold,
            model=name,
            warnings=(*models[0].warnings(one.facts), *one.warnings),
            slice_weights=None if weights is None else in_scan_order(weights[index], models[0].recipe, one),
            classes=models[0].classes,
            of_classes=tuple(tuple(map(float, of_seed[index])) for of_seed in of_classes),
        )
        for index, one in enumerate(exams)
    ]


def _probabilities(
    models: Sequence[Model], readings: Sequence[Readings]
) -> tuple[Float[np.ndarray, "seed exam"], list[Float[np.ndarray, "exam class"]]]:
    """Of the positive class, or of each of more than two; the other is empty."""
    pairs = list(zip(models, readings, strict=True))
    if models[0].classes:
        of_classes = [model.class_probabilities(one.logits) for model, one in pairs]
        return np.zeros((0, len(of_classes[0]))), of_classes
    return np.stack([model.probabilities(one.margins) for model, one in pairs]), []


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write `predictions.csv`."""
    text = io.StringIO()
    columns = columns_of(predictions[0].classes if predictions else ())
    writer = csv.DictWriter(text, columns, lineterminator="\n")
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
        title = f"{one.exam.exam_id}: {one.said}"
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
