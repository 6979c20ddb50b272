"""Several models on the same exams, each trained from several seeds: one row each, and each against a reference.

Two different things are asked. *What does one training give?* Mean and standard deviation over seeds; the interval is that
of the mean over seeds, from drawing patients with replacement, the same draws for all models. *Is one model better than
another?* Both are taken as they would be used, by the mean of their seeds' probabilities, and compared on the same exams.
All p-values of a table, for AUROC and for accuracy, are one family and are corrected together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError
from octavo.metrics import calibration, classification, multiclass, weighted
from octavo.metrics.exam_arrays import Patients, UndefinedMetricError, check_labels
from octavo.metrics.intervals import RESAMPLES, Statistic, draw_statistics, percentile_interval
from octavo.metrics.paired import ModelComparison, compare_models, compare_models_of_classes, holm

OF_PROBABILITIES = {
    "auroc": (classification.auroc, weighted.auroc),
    "auprc": (classification.auprc, weighted.auprc),
    "brier": (classification.brier, weighted.brier),
    "calibration_error": (calibration.calibration_error, weighted.calibration_error),
}
OF_PREDICTIONS = {
    "accuracy": (classification.accuracy, weighted.accuracy),
    "sensitivity": (classification.sensitivity, weighted.sensitivity),
    "specificity": (classification.specificity, weighted.specificity),
}
MEASURES = (*OF_PROBABILITIES, *OF_PREDICTIONS)
"""What stands in a row, in order."""

MEASURES_OF_CLASSES = tuple(multiclass.MEASURES)
"""What stands in a row where there are more than two classes."""


@dataclass(frozen=True, eq=False)
class SeedAnswers:
    """What one training answers on the exams.

    Args:
        probabilities: Of the disease, calibrated; of more than two classes those of each.
        predicted: 0 or 1, at the threshold chosen on validation; of more than two classes the most probable one.
    """

    probabilities: Float[np.ndarray, " exam"] | Float[np.ndarray, "exam class"]
    predicted: Int[np.ndarray, " exam"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over the seeds of a model."""

    values: tuple[float, ...]
    """One for each seed in which it has a value."""
    mean: float | None
    sd: float | None
    """Over seeds; None with fewer than two."""
    low: float | None
    high: float | None
    """95 %, of the mean over seeds, patients drawn with replacement."""
    undefined: str
    """Why there is no mean or no interval; empty else."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model's measures."""

    name: str
    seeds: int
    measures: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class ReferenceComparison:
    """A model against the reference; differences are the model's minus the reference's."""

    name: str
    reference: str
    comparison: ModelComparison
    auroc_p_value: float | None
    auroc_p_value_holm: float | None
    accuracy_p_value: float | None
    accuracy_p_value_holm: float | None


def tabulate_model(
    name: str,
    labels: Integer[np.ndarray, " exam"],
    seeds: Sequence[SeedAnswers],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ModelRow:
    """Measure a model on exams whose labels are known, over its seeds.

    Args:
        name: Of the model.
        labels: 0 or 1, or 0 to K - 1 where there are probabilities of K classes.
        seeds: What each training answers on the same exams.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Raises:
        OctavoError: If there is no seed, or the arrays do not fit one another or hold what they must not.

    Example:
        >>> labels = np.array([0, 0, 1, 1] * 10)
        >>> seeds = [SeedAnswers(np.where(labels == 1, 0.8, cut), labels) for cut in (0.2, 0.4)]
        >>> row = tabulate_model("both", labels, seeds, [f"P{k}" for k in range(40)])
        >>> row.seeds, row.measures["auroc"].mean, round(row.measures["brier"].mean, 3), round(row.measures["brier"].sd, 4)
        (2, 1.0, 0.07, 0.0424)
    """
    if not seeds:
        raise OctavoError(f"{name}: no seed was given; wanted the answers of at least one training")
    labels = _checked(labels, seeds[0])
    measures = measures_of(seeds[0])
    statistics: dict[str, Statistic] = {}
    values: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    for measure in measures:
        try:
            values[measure] = [_measure(measure, labels, one) for one in seeds]
        except UndefinedMetricError as reason:
            values[measure], reasons[measure] = [], str(reason)
            continue
        statistics[measure] = _mean_over_seeds(measure, labels, seeds)
    try:
        draws = draw_statistics(statistics, patients, resamples, seed)
    except UndefinedMetricError as reason:
        draws, reasons = {}, {measure: str(reason) for measure in measures} | reasons
    spreads = {measure: _spread(measure, values[measure], draws, reasons) for measure in measures}
    return ModelRow(name, len(seeds), spreads)


def compare_with_reference(
    labels: Integer[np.ndarray, " exam"],
    models: Mapping[str, Sequence[SeedAnswers]],
    reference: str,
    thresholds: Mapping[str, Float[np.ndarray, " exam"]],
    patients: Patients,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[ReferenceComparison]:
    """Compare every model with the reference, each by the mean of its seeds' probabilities.

    Args:
        labels: 0 or 1, or 0 to K - 1 where there are probabilities of K classes.
        models: What the trainings of each model answer on the same exams.
        reference: One of the models.
        thresholds: For each model and exam, the mean of its seeds' thresholds; of more than two classes not looked at.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Returns:
        One comparison for each other model, in order, with p-values corrected by Holm over all of them together.

    Raises:
        OctavoError: If the reference is none of the models, or the arrays do not fit one another.
    """
    if reference not in models:
        raise OctavoError(f"{reference}: has no answers to compare with; wanted a reference that was trained")

    means = {name: np.asarray(np.mean([one.probabilities for one in seeds], axis=0)) for name, seeds in models.items()}
    theirs = means[reference]
    found = {}
    for name, ours in means.items():
        if name == reference:
            continue
        if ours.ndim > 1:
            found[name] = compare_models_of_classes(labels, ours, theirs, patients, resamples, seed)
            continue
        we_say, they_say = ((means[one] >= thresholds[one]).astype(np.int64) for one in (name, reference))
        found[name] = compare_models(labels, ours, theirs, we_say, they_say, patients, resamples, seed)
    raw = [
        [None if one.auroc is None else one.auroc.p_value for one in found.values()],
        [one.accuracy_p_value for one in found.values()],
    ]
    corrected = holm([*raw[0], *raw[1]])
    rows = zip(found, *raw, corrected[: len(found)], corrected[len(found) :], strict=True)
    return [
        ReferenceComparison(name, reference, found[name], area, area_holm, share, share_holm)
        for name, area, share, area_holm, share_holm in rows
    ]


def measures_of(answers: SeedAnswers) -> tuple[str, ...]:
    """The measures that stand in a row, which depend on how many classes there are."""
    return MEASURES if answers.probabilities.ndim == 1 else MEASURES_OF_CLASSES


def _checked(labels: Integer[np.ndarray, " exam"], answers: SeedAnswers) -> Int[np.ndarray, " exam"]:
    if answers.probabilities.ndim == 1:
        return check_labels(labels)
    return multiclass.check_classes(labels, answers.probabilities)[0]


def _measure(measure: str, labels: Int[np.ndarray, " exam"], answers: SeedAnswers) -> float:
    if answers.probabilities.ndim > 1:
        return float(multiclass.MEASURES[measure][0](labels, answers.probabilities))
    if measure in OF_PROBABILITIES:
        return float(OF_PROBABILITIES[measure][0](labels, answers.probabilities))
    return float(OF_PREDICTIONS[measure][0](labels, answers.predicted))


def _mean_over_seeds(measure: str, labels: Int[np.ndarray, " exam"], seeds: Sequence[SeedAnswers]) -> Statistic:
    many: Callable[..., Float[np.ndarray, " resample"]]
    if seeds[0].probabilities.ndim > 1:
        many, given = multiclass.MEASURES[measure][1], [one.probabilities for one in seeds]
    elif measure in OF_PROBABILITIES:
        many, given = OF_PROBABILITIES[measure][1], [one.probabilities for one in seeds]
    else:
        many, given = OF_PREDICTIONS[measure][1], [one.predicted for one in seeds]
    return lambda weights: np.mean([many(labels, one, weights) for one in given], axis=0)


def _spread(
    measure: str,
    values: list[float],
    draws: Mapping[str, Float[np.ndarray, " resample"]],
    reasons: Mapping[str, str],
) -> Spread:
    low = high = None
    undefined = reasons.get(measure, "")
    if measure in draws:
        try:
            interval = percentile_interval(draws[measure], measure)
            low, high = interval.low, interval.high
        except UndefinedMetricError as reason:
            undefined = str(reason)
    return Spread(
        values=tuple(values),
        mean=float(np.mean(values)) if values else None,
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        low=low,
        high=high,
        undefined=undefined,
    )
