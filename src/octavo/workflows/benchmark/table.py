"""What a benchmark found: a row for each model, and each model against the reference."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from octavo.cohorts.exam import Exam
from octavo.cohorts.parts import Parts
from octavo.errors import OctavoError
from octavo.metrics.calibration import calibration_line
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.fairness import GroupReport
from octavo.metrics.model_table import (
    MEASURES,
    ModelRow,
    ReferenceComparison,
    SeedAnswers,
    compare_with_reference,
    tabulate_model,
)
from octavo.workflows.benchmark.cells import Outcome
from octavo.workflows.benchmark.measuring import Answer
from octavo.workflows.benchmark.plan import Plan
from octavo.workflows.groups import covariates_of, measure_groups


@dataclass(frozen=True)
class Cost:
    """What a model costs."""

    parameters: int | None
    gmac: float | None
    """For one volume; None where it reads slices."""
    seconds: float | None
    """To train once, the mean over its trainings of which that is known."""
    peak_memory_mib: float | None
    """The most that one of its processes held."""
    epochs: float | None
    """The mean over its trainings."""


@dataclass(frozen=True)
class TableRow:
    """One model."""

    name: str
    cells: int
    """How many trainings were wanted."""
    failures: tuple[str, ...]
    """Of those that failed, trials of learning rates too, which and why."""
    cost: Cost
    learning_rates: tuple[float, ...]
    """Chosen on validation, for each division; empty where none were tried."""
    measured: ModelRow | None
    """None where no seed is whole."""
    calibration_slope: float | None
    """Of the mean over seeds; 1 is neither too sure nor too timid."""
    comparison: ReferenceComparison | None
    """None for the reference, and where either is not measured."""
    by_division: Mapping[str, ModelRow]
    """The same measures on the test part of each fold or value; empty where there is one division."""
    by_group: Mapping[str, GroupReport | str]
    """For each covariate; a text says why there is nothing."""


@dataclass(frozen=True)
class BenchmarkTable:
    """Everything that is written down in the end."""

    rows: tuple[TableRow, ...]
    exams: int
    patients: int
    by_label: tuple[int, ...]
    """Exams of each label."""

    @property
    def measures(self) -> tuple[str, ...]:
        """What stands in the rows."""
        return next((tuple(row.measured.measures) for row in self.rows if row.measured), MEASURES)

    @property
    def ranking(self) -> str:
        """The measure of ranking that models are compared by."""
        return "auroc" if "auroc" in self.measures else "macro_auroc"

    def row(self, name: str) -> TableRow:
        """The row of a model."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class _Exams:
    """The exams of all test parts, in one order."""

    keys: tuple[tuple[str, str], ...]
    """Division and name."""
    exams: list[Exam]
    labels: np.ndarray
    patients: list[str]
    divisions: np.ndarray


def tabulate(
    plan: Plan,
    parts: Mapping[str, Parts],
    answers: Sequence[Answer],
    outcomes: Sequence[Outcome],
    trials: Sequence[Outcome],
    costs: Mapping[str, tuple[int | None, float | None]],
    covariates: Sequence[str],
) -> BenchmarkTable:
    """Make the table.

    Args:
        plan: What was compared.
        parts: Of each division; every exam of their test parts counts.
        answers: What every training answered on its test part.
        outcomes: Of the cells whose learning rate was chosen, failed ones too.
        trials: Of the cells that other learning rates were tried with.
        costs: Parameters and GMAC of each model.
        covariates: Columns of the manifest by which groups are told apart.

    Raises:
        OctavoError: If no training answered.
    """
    if not answers:
        reason = next((f"; the first: {one.reason}" for one in outcomes if not one.is_finished), "")
        raise OctavoError(f"no training was finished, so there is nothing to compare{reason}")
    exams = _exams_of(parts)
    given = {name: _by_seed(name, plan.seeds, answers, exams) for name in plan.models}
    used = {name: [one for one, _ in seeds] for name, seeds in given.items() if seeds}
    thresholds = {name: np.mean([cut for _, cut in given[name]], axis=0) for name in used}
    values = covariates_of(exams.exams, covariates, "the test part")
    comparisons = {}
    if plan.reference in used and len(used) > 1:
        found = compare_with_reference(exams.labels, used, plan.reference, thresholds, exams.patients)
        comparisons = {one.name: one for one in found}
    rows = []
    for name in plan.models:
        seeds = used.get(name, [])
        rows.append(
            TableRow(
                name=name,
                cells=sum(one.cell.model == name for one in outcomes),
                failures=tuple(
                    f"{one.cell.name}: {one.reason}"
                    for one in (*outcomes, *trials)
                    if one.cell.model == name and not one.is_finished
                ),
                cost=_cost([one for one in outcomes if one.cell.model == name], *costs[name]),
                learning_rates=_chosen_rates(name, outcomes),
                measured=tabulate_model(name, exams.labels, seeds, exams.patients) if seeds else None,
                calibration_slope=_slope(exams.labels, seeds) if seeds else None,
                comparison=comparisons.get(name),
                by_division=_by_division(name, exams, seeds),
                by_group=_by_group(exams, seeds, values) if seeds else {},
            )
        )
    return BenchmarkTable(
        rows=tuple(rows),
        exams=len(exams.keys),
        patients=len(set(exams.patients)),
        by_label=tuple(int(count) for count in np.bincount(exams.labels, minlength=_classes(answers))),
    )


def _classes(answers: Sequence[Answer]) -> int:
    return max(2, *(len(one.of_classes) for one in answers))


def _exams_of(parts: Mapping[str, Parts]) -> _Exams:
    by_key = {(name, one.exam.exam_id): one.exam for name, part in parts.items() for one in part.test}
    keys = tuple(sorted(by_key))
    return _Exams(
        keys=keys,
        exams=[by_key[key] for key in keys],
        labels=np.array([by_key[key].label for key in keys], dtype=np.int64),
        patients=[by_key[key].patient_id for key in keys],
        divisions=np.array([division for division, _ in keys], dtype=np.str_),
    )


def _by_seed(
    name: str, seeds: Sequence[int], answers: Sequence[Answer], exams: _Exams
) -> list[tuple[SeedAnswers, np.ndarray]]:
    """What each seed answers on all exams, with its thresholds; a seed that misses a division is left out."""
    by_seed: dict[int, dict[tuple[str, str], Answer]] = {seed: {} for seed in seeds}
    for one in answers:
        if one.model == name and one.seed in by_seed:
            by_seed[one.seed][one.division, one.exam_id] = one
    whole = [by_seed[seed] for seed in sorted(seeds) if set(by_seed[seed]) == set(exams.keys)]
    return [_answers_of([own[key] for key in exams.keys]) for own in whole]


def _answers_of(own: Sequence[Answer]) -> tuple[SeedAnswers, np.ndarray]:
    cuts = np.array([one.threshold for one in own])
    if own[0].of_classes:
        of_classes = np.array([one.of_classes for one in own])
        return SeedAnswers(of_classes, of_classes.argmax(axis=1).astype(np.int64)), cuts
    probabilities = np.array([one.probability for one in own], dtype=np.float64)
    return SeedAnswers(probabilities, (probabilities >= cuts).astype(np.int64)), cuts


def _cost(outcomes: Sequence[Outcome], parameters: int | None, gmac: float | None) -> Cost:
    done = [one for one in outcomes if one.is_finished]
    return Cost(
        parameters=parameters,
        gmac=gmac,
        seconds=_mean_of(one.seconds for one in done),
        peak_memory_mib=max((one.peak_memory_mib for one in done if one.peak_memory_mib is not None), default=None),
        epochs=_mean_of(one.epochs for one in done),
    )


def _mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _chosen_rates(name: str, outcomes: Sequence[Outcome]) -> tuple[float, ...]:
    chosen = {
        one.cell.division: one.cell.learning_rate
        for one in outcomes
        if one.cell.model == name and one.cell.learning_rate is not None
    }
    return tuple(rate for _, rate in sorted(chosen.items()) if rate is not None)


def _mean(seeds: Sequence[SeedAnswers]) -> np.ndarray:
    return np.asarray(np.mean([one.probabilities for one in seeds], axis=0))


def _slope(labels: np.ndarray, seeds: Sequence[SeedAnswers]) -> float | None:
    if seeds[0].probabilities.ndim > 1:
        return None
    mean = _mean(seeds).clip(1e-12, 1 - 1e-12)
    try:
        return calibration_line(labels, np.log(mean) - np.log1p(-mean)).slope
    except UndefinedMetricError:
        return None


def _by_division(name: str, exams: _Exams, seeds: Sequence[SeedAnswers]) -> dict[str, ModelRow]:
    names = sorted(set(exams.divisions.tolist()))
    if len(names) < 2 or not seeds:
        return {}
    found = {}
    for division in names:
        chosen = exams.divisions == division
        own = [SeedAnswers(one.probabilities[chosen], one.predicted[chosen]) for one in seeds]
        patients = [patient for patient, is_own in zip(exams.patients, chosen, strict=True) if is_own]
        found[division] = tabulate_model(name, exams.labels[chosen], own, patients)
    return found


def _by_group(
    exams: _Exams, seeds: Sequence[SeedAnswers], values: Mapping[str, Sequence[str]]
) -> dict[str, GroupReport | str]:
    mean = _mean(seeds)
    return measure_groups(exams.labels, None if mean.ndim > 1 else mean, exams.patients, values)
