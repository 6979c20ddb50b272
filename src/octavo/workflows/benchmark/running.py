"""Benchmark: several models on one cohort, on the same terms, and an honest table of it.

RUN/benchmark.json        the plan: models, seeds, budget, every recipe
RUN/splits.csv, splits/   who is learnt from, chosen by and tested; one file for each division
RUN/prepared/             scans as the networks read them, shared by all
RUN/cells/                every training
RUN/tuning.json           what was tried on validation, and what was chosen
RUN/predictions.csv ...   what was measured, and the tables; see `measuring` and `writing`
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts
from octavo.errors import OctavoError, unknown_name
from octavo.files import read_json, write_json
from octavo.training.machine import Machine
from octavo.training.run import locked, provenance
from octavo.workflows.benchmark.cells import Order, Outcome, Runner, known_outcome, run_here
from octavo.workflows.benchmark.division import divide_for_all, split_path
from octavo.workflows.benchmark.measuring import (
    Answer,
    hash_of_test_part,
    measure_once,
    measured_elsewhere,
    read_answers,
    touches,
)
from octavo.workflows.benchmark.plan import Cell, Plan
from octavo.workflows.benchmark.rows import NAMES, short_row
from octavo.workflows.benchmark.table import BenchmarkTable, tabulate
from octavo.workflows.benchmark.writing import Said, write_benchmark
from octavo.workflows.list_models import cost_of

PLAN = "benchmark.json"
TUNING = "tuning.json"
_MAY_GROW = ("models", "seeds", "recipes")
"""What a benchmark may get more of; whatever else changes makes it another."""
_log = logging.getLogger("octavo.benchmark")


@dataclass(frozen=True)
class Benchmarked:
    """What a benchmark found."""

    run: Path
    plan: Plan
    table: BenchmarkTable
    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...]
    page: Path

    @property
    def failed(self) -> list[Outcome]:
        """The trainings that failed."""
        return [one for one in self.outcomes if not one.is_finished]

    def describe(self) -> str:
        """The table in short, for a terminal."""
        heads = ("model", "seeds", NAMES[self.table.ranking], f"minus {self.plan.reference}", "p (Holm)", "s")
        rows = [heads, *(short_row(row, self.table.ranking) for row in self.table.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@dataclass(frozen=True)
class _Ground:
    """What all cells share."""

    plan: Plan
    choice: CohortChoice
    run: Path
    prepared: Path
    machine: Machine
    threads: int

    def order(self, cell: Cell) -> Order:
        system, recipe = self.plan.recipe(cell.model, cell.learning_rate)
        split = split_path(self.run, cell.division)
        choice = CohortChoice(**{**vars(self.choice), "split": split})
        folder = self.run / "cells" / cell.name
        return Order(cell, system, recipe, choice, folder, self.prepared, self.machine, self.threads)


def benchmark(
    plan: Plan,
    choice: CohortChoice,
    run: Path,
    *,
    prepared: Path | None = None,
    jobs: int = 1,
    machine: Machine | None = None,
    groups: Sequence[str] = (),
    again: bool = False,
    runner: Runner | None = None,
) -> Benchmarked:
    """Train every model from every seed on every division, measure all of them once, and write the tables.

    The same call goes on with an unfinished benchmark; what is finished is not trained again. When everything is trained or
    has failed, the test part is measured, once: a later call shows what was found and touches it no more.

    Args:
        plan: What is compared, and on what terms.
        choice: Which exams.
        run: The benchmark's folder.
        prepared: Where prepared scans are kept; by default in the folder.
        jobs: How many trainings run at once.
        machine: Where each of them trains.
        groups: Covariates by which measures are told apart.
        again: Train what is missing and measure the test part again, though it was measured before; that is written down.
        runner: Runs the trainings; by default in processes of this machine.

    Raises:
        OctavoError: If anything is refused; what was there is left as it was.
    """
    if jobs < 1:
        raise OctavoError(f"jobs is {jobs}; wanted at least 1")
    cohort = choice.read()
    covariates = _covariates(cohort, groups)
    run = run.absolute()
    with locked(run, PLAN):
        before = touches(run)
        _claim(run, plan, before, again)
        ground = _Ground(plan, choice, run, prepared or run / "prepared", machine or Machine(), _threads(jobs))
        parts = divide_for_all(plan, choice, run, ground.prepared)
        if before and not again:
            outcomes, answers = _known(ground, parts), read_answers(run)
        else:
            outcomes = _train_all(ground, parts, runner or (lambda orders: run_here(orders, jobs)))
            finished = [ground.order(one.cell) for one in outcomes if one.is_finished]
            answers = measure_once(run, finished, parts, ground.prepared) if finished else []
        costs = {name: _cost(plan, name) for name in plan.models}
        table = tabulate(plan, answers, outcomes, costs, covariates)
        said = Said(_warnings(run, parts, answers, outcomes), _provenance(plan, cohort, parts))
        page = write_benchmark(run, plan, table, outcomes, said)
    return Benchmarked(run, plan, table, tuple(outcomes), said.warnings, page)


def _claim(run: Path, plan: Plan, before: Sequence[dict[str, Any]], again: bool) -> None:
    """Take the folder for a plan: a new benchmark, the same again, or one that grows."""
    wanted = plan.to_json()
    path = run / PLAN
    if not path.exists():
        write_json(path, wanted)
        return
    stored: dict[str, Any] = read_json(path)
    different = [name for name in wanted if name not in _MAY_GROW and stored.get(name) != wanted[name]]
    for name, recipe in wanted["recipes"].items():
        if name in stored["recipes"] and stored["recipes"][name] != recipe:
            fields = [field for field in recipe if stored["recipes"][name].get(field) != recipe[field]]
            different.append(f"{fields[0]} of {name}" if fields else f"the recipe of {name}")
    if different and before:
        raise OctavoError(
            f"{run}: its test part was measured on {before[-1]['when']}, and {different[0]} is another now; to choose by "
            "what was measured is tuning on the test part; repeat the first command, or divide other patients elsewhere"
        )
    if different:
        raise OctavoError(
            f"{run}: this benchmark was begun with another {different[0]}; repeat the first command to go on with it, or "
            "choose another folder"
        )
    new = [f"model {name}" for name in wanted["models"] if name not in stored["models"]]
    new += [f"seed {seed}" for seed in wanted["seeds"] if seed not in stored["seeds"]]
    if new and before and not again:
        raise OctavoError(
            f"{run}: its test part was measured on {before[-1]['when']}, and {new[0]} is new; wanted no second look; "
            "--again measures it again and the report says so, or divide other patients in another folder"
        )
    write_json(path, wanted)


def _train_all(ground: _Ground, parts: dict[str, Parts], runner: Runner) -> list[Outcome]:
    """First the first seed of everything, with every learning rate; then the other seeds with the best of them."""
    plan = ground.plan
    trials = [cell for division in parts for cell in plan.trials(division)]
    tried = _run(ground, trials, runner, f"{len(trials)} trainings of the first seed")
    chosen = choose_rates(plan, tried)
    write_json(ground.run / TUNING, {"chosen": _tuning(plan, tried, chosen)})
    cells = _cells(plan, parts, chosen)
    rest = [cell for cell in cells if cell not in trials]
    done = {one.cell: one for one in (*tried, *_run(ground, rest, runner, f"{len(rest)} trainings of other seeds"))}
    return [done[cell] for cell in cells]


def choose_rates(plan: Plan, tried: Iterable[Outcome]) -> dict[tuple[str, str], float | None]:
    """The learning rate of the highest AUROC on validation, for each model and division; the first of equals."""
    best: dict[tuple[str, str], Outcome] = {}
    for one in tried:
        place = (one.cell.model, one.cell.division)
        if place not in best or _merit(one) > _merit(best[place]):
            best[place] = one
    return {place: one.cell.learning_rate for place, one in best.items()}


def _merit(one: Outcome) -> float:
    """What a trial is worth: nothing that failed is chosen before anything that did not."""
    if not one.is_finished:
        return -2.0
    return -1.0 if one.validation_auroc is None else one.validation_auroc


def _cells(plan: Plan, parts: Iterable[str], chosen: dict[tuple[str, str], float | None]) -> list[Cell]:
    return [
        Cell(name, division, seed, chosen.get((name, division)))
        for name in plan.models
        for division in parts
        for seed in plan.seeds
    ]


def _tuning(plan: Plan, tried: Sequence[Outcome], chosen: dict[tuple[str, str], float | None]) -> list[dict[str, Any]]:
    return [
        {
            "model": one.cell.model,
            "division": one.cell.division,
            "learning_rate": one.cell.learning_rate,
            "validation_auroc": one.validation_auroc,
            "status": one.status,
            "chosen": chosen[one.cell.model, one.cell.division] == one.cell.learning_rate,
        }
        for one in tried
        if plan.is_tuned(one.cell.model)
    ]


def _run(ground: _Ground, cells: Sequence[Cell], runner: Runner, what: str) -> list[Outcome]:
    """Run what is not finished; failed cells are tried again."""
    orders = {cell: ground.order(cell) for cell in cells}
    done = {cell: known for cell, order in orders.items() if (known := known_outcome(order)) and known.is_finished}
    left = [order for cell, order in orders.items() if cell not in done]
    if not left:
        return [done[cell] for cell in cells]
    _log.info("%s, %d of them to do", what, len(left))
    for number, outcome in enumerate(runner(left), start=1):
        done[outcome.cell] = outcome
        _log.info("  %d of %d: %s", number, len(left), describe_outcome(outcome))
    return [done[cell] for cell in cells]


def describe_outcome(outcome: Outcome) -> str:
    """A training in a line."""
    if not outcome.is_finished:
        return f"{outcome.cell.name} failed: {outcome.reason}"
    validation = "not defined" if outcome.validation_auroc is None else f"{outcome.validation_auroc:.3f}"
    return f"{outcome.cell.name}: {outcome.epochs} epochs in {outcome.seconds:.0f} s, AUROC on validation {validation}"


def _known(ground: _Ground, parts: Iterable[str]) -> list[Outcome]:
    """What became of every cell, as it was written down."""
    parts = list(parts)
    tried = [known for division in parts for cell in ground.plan.trials(division) if (known := _look(ground, cell))]
    chosen = choose_rates(ground.plan, tried)
    return [known for cell in _cells(ground.plan, parts, chosen) if (known := _look(ground, cell))]


def _look(ground: _Ground, cell: Cell) -> Outcome | None:
    return known_outcome(ground.order(cell))


def _threads(jobs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)


def _cost(plan: Plan, name: str) -> tuple[int | None, float | None]:
    try:
        return cost_of(plan.recipe(name)[1])
    except OctavoError:
        # what cannot be built failed as a cell, which says why
        return None, None


def _covariates(cohort: Cohort, groups: Sequence[str]) -> dict[str, dict[str, str]]:
    known = list(dict.fromkeys(name for exam in cohort.exams for name in exam.covariates))
    for name in groups:
        if name not in known:
            raise OctavoError(f"{cohort.path.name}: {unknown_name('a covariate', name, known)}")
    return {name: {exam.exam_id: exam.covariates.get(name, "") for exam in cohort.exams} for name in groups}


def _warnings(
    run: Path, parts: dict[str, Parts], answers: Sequence[Answer], outcomes: Sequence[Outcome]
) -> tuple[str, ...]:
    said = []
    looks = touches(run)
    if len(looks) > 1:
        when = ", ".join(str(look["when"]) for look in looks)
        said.append(
            f"the test part was measured {len(looks)} times ({when}): what was chosen after the first is not unseen"
        )
    alone = sorted({str(cell) for look in looks for cell in look["measured_alone"]})
    if alone:
        said.append(f"{len(alone)} trainings were measured on the test part by themselves, {alone[0]} among them")
    said += [
        f"the same test part was measured by the benchmark {other['benchmark']} on {other['when']}: whoever chooses between "
        "the two chooses on the test part"
        for other in measured_elsewhere(run, hash_of_test_part(parts))
    ]
    failed = [one for one in outcomes if not one.is_finished]
    if failed:
        said.append(f"{len(failed)} of {len(outcomes)} trainings failed; the table says which")
    cautions = [text for one in answers for text in one.cautions.split(" | ") if text]
    for text in dict.fromkeys(cautions):
        models = {one.model for one in answers if text in one.cautions.split(" | ")}
        share = sum(text == other for other in cautions)
        said.append(f"{', '.join(sorted(models))}: {text} ({share} answers)")
    return tuple(said)


def _provenance(plan: Plan, cohort: Cohort, parts: dict[str, Parts]) -> dict[str, Any]:
    hashes = {"cohort_hash": cohort.content_hash, "test_part": hash_of_test_part(parts)}
    told = provenance(plan.seeds[0], hashes)
    told["seed"] = " ".join(map(str, plan.seeds))
    flat: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {inner}": None if known is None else str(known) for inner, known in value.items()}
        else:
            flat[name] = value
    return flat
