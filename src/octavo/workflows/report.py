"""Report: an evaluation as one page for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.reference import OUTSIDE, PHANTOMS
from octavo.errors import OctavoError
from octavo.figures.class_sections import class_confusion_section, class_metrics, class_prevalence_section
from octavo.figures.curves import Reliability
from octavo.figures.evaluation_sections import (
    Part,
    calibration_section,
    confusion_section,
    confusions_of,
    curves_section,
    headline_metrics,
    prevalence_section,
    seeds_section,
    training_section,
)
from octavo.figures.framing import THUMBNAIL, encode_png
from octavo.figures.group_sections import group_sections
from octavo.figures.overlay import most_salient_bscans, picture_bscan
from octavo.figures.report import Cell, ExamRow, Picture, Report, Section, write_report
from octavo.figures.training_curves import read_training_history
from octavo.files import read_json
from octavo.metrics.calibration import calibration_error, reliability_curve
from octavo.metrics.classification import precision_recall_curve, roc_curve
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.training.recipe import pretrains
from octavo.training.run import COHORT
from octavo.volume import Volume
from octavo.workflows.evaluate import Evaluated
from octavo.workflows.explain import explain_exam
from octavo.workflows.predict import Prediction, SliceWeights
from octavo.workflows.reporting.run_in_words import pretraining

PICTURES = 200
"""At most so many exams of the table get a picture; the others keep their row."""


def report(evaluated: Evaluated) -> Path:
    """Write `report.html` into the run.

    Returns:
        Where it is.
    """
    run, predictions = evaluated.run, evaluated.predictions
    models = evaluated.models
    several = bool(models[0].classes)
    sections = [
        *(_of_several_classes(evaluated) if several else _of_two_classes(evaluated)),
        *group_sections(
            {covariate: {predictions[0].model: one} for covariate, one in evaluated.by_group.items()},
            "the mean over seeds" if len(models) > 1 else "the model",
        ),
        *_training(run, models[0].name.split("/")[-1]),
    ]
    chosen = "the temperature was" if several else "thresholds and temperature were"
    path = run / "report.html"
    write_report(
        path,
        Report(
            title=f"Evaluation of {run.resolve().name}",
            summary=(
                f"{len(predictions)} exams of patients the models never saw, answered by {predictions[0].model}. "
                f"Intervals are 95 %, from a bootstrap over patients; {chosen} fixed on validation.",
                *(("Probabilities in the table of exams are those of the predicted class.",) if several else ()),
            ),
            warnings=_warnings(evaluated),
            metrics=class_metrics(evaluated.evaluation) if several else headline_metrics(evaluated.evaluation),
            sections=tuple(sections),
            exams=tuple(_row(one, evaluated, number) for number, one in enumerate(predictions)),
            provenance=_provenance(run, models[0].name.split("/")[-1]),
        ),
    )
    return path


def _of_two_classes(evaluated: Evaluated) -> list[Section]:
    labels = np.array([one.exam.label for one in evaluated.predictions], dtype=np.int64)
    probabilities = np.array([one.probability for one in evaluated.predictions], dtype=np.float64)
    return [
        *_curves(labels, probabilities, evaluated.evaluation),
        *_calibration(evaluated, labels, probabilities),
        confusion_section(confusions_of(evaluated.evaluation)),
        _prevalence(evaluated),
        *([seeds_section(evaluated.by_seed)] if len(evaluated.by_seed) > 1 else []),
    ]


def _of_several_classes(evaluated: Evaluated) -> list[Section]:
    found, parts, names = evaluated.evaluation, evaluated.parts, evaluated.models[0].classes
    note = (
        f"The temperature, {found['temperature']:.3g}, was fitted on validation. Brier score, from 0 to 2, "
        f"{found['brier_before_temperature']:.3f} before it, {found['brier']:.3f} after."
    )
    rows = {
        part: [
            int(counted["patients"]),
            *(int(counted[f"exams_of_{number}"]) for number in range(len(names))),
        ]
        for part, counted in parts.prevalences().items()
    }
    seeds = [seeds_section(evaluated.by_seed, ("macro_auroc", "accuracy", "macro_f1"))]
    return [
        class_confusion_section(_flat(found)),
        Section("Calibration", paragraphs=(note,)),
        class_prevalence_section(rows, names, _balanced(evaluated)),
        *(seeds if len(evaluated.by_seed) > 1 else []),
    ]


def _warnings(evaluated: Evaluated) -> tuple[str, ...]:
    said = []
    if any(PHANTOMS in one.warnings for one in evaluated.predictions):
        said.append(PHANTOMS)
    outside = sum(any(text.startswith(OUTSIDE) for text in one.warnings) for one in evaluated.predictions)
    if outside:
        said.append(f"{outside} of {len(evaluated.predictions)} exams are {OUTSIDE}")
    unknown = sum(any(text.startswith("eye unknown") for text in one.warnings) for one in evaluated.predictions)
    if unknown:
        said.append(
            f"in {unknown} of {len(evaluated.predictions)} exams the eye is unknown and was taken as a right one"
        )
    return tuple(said)


def _curves(labels: np.ndarray, probabilities: np.ndarray, evaluation: Mapping[str, Any]) -> list[Section]:
    try:
        roc, recall = roc_curve(labels, probabilities), precision_recall_curve(labels, probabilities)
    except UndefinedMetricError as reason:
        return [Section("Curves", paragraphs=(f"Not drawn: {reason}.",))]
    return [
        curves_section(roc.false_positive_rate, roc.sensitivity, recall.recall, recall.precision, _flat(evaluation))
    ]


def _calibration(evaluated: Evaluated, labels: np.ndarray, probabilities: np.ndarray) -> list[Section]:
    curves = []
    for name, given in (("before the temperature", evaluated.before_temperature), ("after it", probabilities)):
        curve = reliability_curve(labels, given)
        error = calibration_error(labels, given)
        curves.append(Reliability(name, curve.mean_probability, curve.positive_share, curve.exams, error))
    found = evaluated.evaluation
    note = (
        f"The temperature, {found['temperature']:.3g}, was fitted on validation. Expected calibration error "
        f"{found['calibration_error_before_temperature']:.3f} before it, {found['calibration_error']:.3f} after; Brier "
        f"score {found['brier_before_temperature']:.3f} before, {found['brier']:.3f} after."
    )
    return [calibration_section(curves, note)]


def _prevalence(evaluated: Evaluated) -> Section:
    counted = evaluated.parts.prevalences()
    rows = [
        Part(name, int(part["exams"]), int(part["patients"]), int(part["positives"])) for name, part in counted.items()
    ]
    return prevalence_section(rows, _balanced(evaluated))


def _balanced(evaluated: Evaluated) -> str:
    recipe = evaluated.models[0].recipe
    said = f"Classes of the training part were balanced by: {recipe.balance}."
    if pretrains(recipe) and recipe.balance != "none":
        how = pretraining(read_json(evaluated.run / COHORT))
        said += f" {how[0].upper()}{how[1:]}."
    return said


def _training(run: Path, seed: str) -> list[Section]:
    histories = {
        path.parent.name: read_training_history(path) for path in sorted((run / seed).glob("stage-*/metrics.csv"))
    }
    return [training_section(histories, "val_classification")] if histories else []


def _row(prediction: Prediction, evaluated: Evaluated, number: int) -> ExamRow:
    exam = prediction.exam
    return ExamRow(
        exam_id=exam.exam_id,
        patient_id=exam.patient_id,
        laterality=prediction.laterality,
        label=prediction.name_of(exam.label),
        predicted=prediction.name_of(prediction.predicted),
        probability=max(prediction.probabilities) if prediction.classes else prediction.probability,
        warnings=tuple(text for text in prediction.warnings if text != PHANTOMS),
        picture=_thumbnail(prediction, evaluated, evaluated.exams[number]) if number < PICTURES else None,
    )


def _volume(exam: Exam, one: PreparedExam) -> Volume:
    """The scan, or what was prepared from it where a packed cohort came without its scans."""
    try:
        return read_exam(exam)
    except OctavoError:
        return one.volume()


def _thumbnail(prediction: Prediction, evaluated: Evaluated, one: PreparedExam) -> Picture | None:
    """The most salient B-scan under the first model's Grad-CAM, or the middle one where the map is empty.

    Of a network that weighs slices it is the slice that counted most, as far as slices are B-scans.
    """
    if prediction.slice_weights:
        return _heaviest_slice(prediction.exam, prediction.slice_weights, one)
    try:
        explanation = explain_exam(evaluated.models[0], prediction.exam, by=("grad-cam",))
    except OctavoError:
        volume = _volume(prediction.exam, one)
        picture = picture_bscan(volume, volume.shape[0] // 2, style=THUMBNAIL)
        return Picture(encode_png(picture), f"Middle B-scan of exam {prediction.exam.exam_id}.")
    heat = explanation.heats["grad-cam"]
    chosen = most_salient_bscans(heat, 1) or (explanation.volume.shape[0] // 2,)
    picture = picture_bscan(explanation.volume, chosen[0], heat, style=THUMBNAIL)
    alt = f"B-scan {chosen[0] + 1} of exam {prediction.exam.exam_id} with Grad-CAM laid over it."
    return Picture(encode_png(picture), alt)


def _heaviest_slice(exam: Exam, slices: SliceWeights, one: PreparedExam) -> Picture:
    volume = _volume(exam, one)
    index, weight = max(slices.weights, key=lambda index_and_weight: index_and_weight[1])
    is_bscan = slices.axis == "bscan"
    bscan = index if is_bscan else volume.shape[0] // 2
    said = f"B-scan {bscan + 1} of exam {exam.exam_id}"
    alt = f"{said}, which counted most ({weight:.1%})." if is_bscan else f"{said}, the middle one."
    return Picture(encode_png(picture_bscan(volume, bscan, style=THUMBNAIL)), alt)


def _provenance(run: Path, seed: str) -> dict[str, Cell]:
    path = run / seed / "provenance.json"
    if not path.exists():
        return {}
    stored: dict[str, Any] = read_json(path)
    flat: dict[str, Cell] = {}
    for name, value in stored.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {inner}": None if known is None else str(known) for inner, known in value.items()}
        else:
            flat[name] = value
    return flat


def _flat(evaluation: Mapping[str, Any]) -> dict[str, float | int | str | None]:
    return {name: value for name, value in evaluation.items() if not isinstance(value, dict)}
