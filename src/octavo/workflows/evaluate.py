"""Evaluate: what a finished run is worth on patients it never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.parts import Parts, divide, undersample_cohort
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.metrics.calibration import apply_temperature, calibration_error
from octavo.metrics.classification import brier
from octavo.metrics.fairness import GroupReport
from octavo.metrics.summary import evaluate_classifier
from octavo.training.run import COHORT
from octavo.training.tracking import mirror_evaluation
from octavo.workflows import several_classes
from octavo.workflows.groups import covariates_of, measure_groups
from octavo.workflows.models import Model, load_models
from octavo.workflows.predict import Prediction, predict_prepared, write_predictions
from octavo.workflows.reporting.refresh import refresh_card

OVER_SEEDS = ("auroc", "auprc", "accuracy", "sensitivity", "specificity", "f1", "brier", "calibration_error")
"""The measures whose mean and standard deviation over seeds are given."""


@dataclass(frozen=True)
class Evaluated:
    """Everything an evaluation found, for the report."""

    run: Path
    models: list[Model]
    parts: Parts
    exams: list[PreparedExam]
    predictions: list[Prediction]
    evaluation: Mapping[str, Any]
    by_seed: Mapping[str, Mapping[str, Any]]
    by_group: Mapping[str, GroupReport | str] = field(default_factory=dict)
    """For each covariate asked for, the AUROC in its groups, or why there is none."""

    @property
    def before_temperature(self) -> Float[np.ndarray, " exam"]:
        """The probabilities as the networks gave them, averaged over seeds."""
        return _before_temperature(self.models, self.predictions)


def evaluate(
    run: Path, *, seed: int | None = None, prepared: Path | None = None, groups: Sequence[str] = ()
) -> Evaluated:
    """Measure a run on its test part and write what was found.

    `evaluation.json` and `predictions.csv` appear in the run, for the mean over seeds, and in each seed's folder; the model
    card takes up the measures, and the checklists of the reporting guidelines are written. Nothing is chosen on the test
    part: thresholds and temperature were fixed on validation.

    Args:
        run: A finished run.
        seed: Only the model of that seed.
        prepared: Where prepared scans are kept; by default in the run.
        groups: Columns of the manifest by which the AUROC is told apart, in `groups.json`.

    Raises:
        OctavoError: If the run is not finished, its cohort has changed, its test part is empty, or a column is not there.
    """
    models = load_models(run, seed)
    parts = divided_again(run, models[0], prepared)
    if not parts.test:
        raise OctavoError(f"{run}: its test part is empty; wanted patients never seen; train with a test fraction")
    labels = np.array([one.exam.label for one in parts.test], dtype=np.int64)
    patients = [one.exam.patient_id for one in parts.test]
    values = covariates_of([one.exam for one in parts.test], groups, "the test part")
    by_seed = {}
    for model in models:
        predictions = predict_prepared([model], parts.test)
        folder = run / model.name.split("/")[-1]
        found = _measure(labels, patients, predictions, [model])
        write_predictions(folder / "predictions.csv", predictions)
        write_json(folder / "evaluation.json", found)
        by_seed[folder.name] = found
    predictions = predict_prepared(models, parts.test)
    evaluation = {**_measure(labels, patients, predictions, models), **_over_seeds(by_seed)}
    evaluation["outside_reference"] = sum(any("outside what" in text for text in one.warnings) for one in predictions)
    evaluation["caution"] = (models[0].reference.phantom_caution if models[0].reference else "") or None
    for part, counted in parts.prevalences().items():
        evaluation |= {f"{part}_{name}": value for name, value in counted.items()}
    write_predictions(run / "predictions.csv", predictions)
    write_json(run / "evaluation.json", evaluation)
    probabilities = None if models[0].classes else np.array([one.probability for one in predictions], dtype=np.float64)
    by_group = measure_groups(labels, probabilities, patients, values)
    (run / "groups.json").unlink(missing_ok=True)
    if by_group:
        write_json(run / "groups.json", {name: _plain(one) for name, one in by_group.items()})
    refresh_card(run, checklists=True)
    mirror_evaluation(run, by_seed)
    return Evaluated(run, models, parts, parts.test, predictions, evaluation, by_seed, by_group)


def _plain(found: GroupReport | str) -> dict[str, Any]:
    return {"undefined": found} if isinstance(found, str) else asdict(found)


def divided_again(run: Path, model: Model, prepared: Path | None = None) -> Parts:
    """The parts of a run's cohort, as training divided them.

    Raises:
        OctavoError: If the manifest says something else than it did in training, or a scan was replaced since.
    """
    stored: dict[str, Any] = read_json(run / COHORT)
    choice = CohortChoice(
        cohort=str(stored["manifest"]),
        positive=stored["positive"],
        negative=stored.get("negative"),
        classes=tuple(stored.get("classes", ())),
        each_row_its_own_patient=stored["each_row_its_own_patient"],
        axes=stored["axes"],
        key=stored["key"],
    )
    recipe = model.recipe
    cohort = choice.read()
    if recipe.balance_before_split:
        cohort = undersample_cohort(cohort, recipe.split_seed)
    if cohort.content_hash != stored["content_hash"]:
        raise OctavoError(
            f"{choice.cohort}: says something else than when {run} was trained; wanted the same exams, labels and patients; "
            "bring the old manifest back, or train anew"
        )
    source = choice.source(prepared or run / "prepared", recipe.preparation)
    split = read_split(run / "splits.csv")
    told = read_json(run / model.name.split("/")[-1] / "provenance.json")
    if split.content_hash != told.get("split_hash"):
        raise OctavoError(
            f"{run / 'splits.csv'}: is not the split that {model.name} was trained with; wanted that one, or patients that "
            "were learnt from could be measured; bring the old one back, or train anew"
        )
    parts = divide(cohort, source, split=split, fractions=recipe.split_fractions, seed=recipe.split_seed)
    if parts.voxels_hash != told.get("voxels_hash"):
        raise OctavoError(
            f"{choice.cohort}: its scans hold other voxels than when {run} was trained; wanted the same scans; "
            "bring the old ones back, or train anew"
        )
    return parts


def _measure(
    labels: np.ndarray, patients: Sequence[str], predictions: Sequence[Prediction], models: Sequence[Model]
) -> dict[str, Any]:
    if models[0].classes:
        of_classes = np.array([one.of_classes for one in predictions], dtype=np.float64)
        temperatures = [model.temperature for model in models]
        return several_classes.measure_classes(labels, of_classes, patients, temperatures, models[0].classes)
    probabilities = np.array([one.probability for one in predictions], dtype=np.float64)
    thresholds = {"youden": predictions[0].threshold, "half": 0.5}
    found: dict[str, Any] = dict(evaluate_classifier(labels, probabilities, patients, thresholds))
    uncalibrated = _before_temperature(models, predictions)
    found["temperature"] = float(np.mean([model.temperature for model in models]))
    found["brier_before_temperature"] = brier(labels, uncalibrated)
    found["calibration_error_before_temperature"] = calibration_error(labels, uncalibrated)
    return found


def _before_temperature(models: Sequence[Model], predictions: Sequence[Prediction]) -> Float[np.ndarray, " exam"]:
    """Undo each model's temperature, and average."""
    each = np.array([one.by_seed for one in predictions], dtype=np.float64).clip(1e-15, 1 - 1e-15)
    margins = (np.log(each) - np.log1p(-each)) * np.array([model.temperature for model in models])
    return np.stack([apply_temperature(margins[:, k]) for k in range(len(models))]).mean(axis=0)


def _over_seeds(by_seed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of the seeds' own measures."""
    found: dict[str, Any] = {"seeds": len(by_seed)}
    several = any("macro_auroc" in one for one in by_seed.values())
    for name in several_classes.OVER_SEEDS if several else OVER_SEEDS:
        values = [one[name] for one in by_seed.values() if one.get(name) is not None]
        found[f"{name}_mean"] = float(np.mean(values)) if values else None
        found[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return found
