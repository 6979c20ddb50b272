"""Benchmark: several models on one cohort, on the same terms, and an honest table of it.

RUN/benchmark.json        the plan: models, seeds, budget, every recipe; and which cohort
RUN/splits.csv, splits/   who is learnt from, chosen by and tested; one file for each division
RUN/prepared/             scans as the networks read them, shared by all
RUN/cells/                every training
RUN/tuning.json           what was tried on validation, and what was chosen
RUN/predictions.csv ...   what was measured, and the tables; see `looks`, `measuring` and `writing`
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.machine import Machine
from octavo.training.recipe import pretrains, with_classes
from octavo.training.run import locked, provenance
from octavo.workflows.benchmark.cautions import cautions
from octavo.workflows.benchmark.cells import FAILED, Order, Outcome, Runner, known_outcome, run_here
from octavo.workflows.benchmark.division import divide_for_all, split_path, unlabelled_for_all
from octavo.workflows.benchmark.looks import (
    BEGUN,
    PLAN,
    begin_look,
    check_plan,
    claim,
    end_look,
    has_begun,
    looks_at,
)
from octavo.workflows.benchmark.measuring import Answer, measure, read_answers
from octavo.workflows.benchmark.plan import Cell, Plan
from octavo.workflows.benchmark.rows import NAMES, short_row
from octavo.workflows.benchmark.table import BenchmarkTable, tabulate
from octavo.workflows.benchmark.writing import Said, write_benchmark
from octavo.workflows.groups import covariates_of
from octavo.workflows.list_models import cost_of

TUNING = "tuning.json"
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
        # only what pretrains learns from scans without labels
        unlabelled = self.choice.unlabelled if pretrains(recipe) else None
        choice = replace(self.choice, split=split, unlabelled=unlabelled)
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
    if choice.unlabelled is not None:
        _require_use_of_unlabelled(plan)
    covariates_of(cohort.exams, groups, cohort.path.name)
    run = run.absolute()
    with locked(run, PLAN):
        looks = looks_at(run, again)
        check_plan(run, plan, looks, again)
        if not has_begun(run):
            write_json(run / PLAN, plan.to_json())
        ground = _Ground(plan, choice, run, prepared or run / "prepared", machine or Machine(), _threads(jobs))
        parts = divide_for_all(plan, choice, run, ground.prepared, keep=has_begun(run))
        unlabelled = unlabelled_for_all(plan, choice, parts, ground.prepared)
        claim(run, plan, choice, cohort, unlabelled, parts)
        if looks and looks[-1].state != BEGUN and not again:
            trained = _known(ground, parts)
            answers = read_answers(run, looks[-1])
        else:
            trained = _train_all(ground, parts, runner or (lambda orders: run_here(orders, jobs)))
            answers = _measured(ground, parts, trained.outcomes, again)
        costs = {name: _cost(plan, name, cohort) for name in plan.models}
        table = tabulate(plan, parts, answers, trained.outcomes, trained.others, costs, groups)
        told = cautions(run, plan, parts, answers, trained.every, groups, unlabelled)
        said = Said(told, _provenance(plan, cohort, parts))
        page = write_benchmark(run, plan, table, trained.every, said)
    return Benchmarked(run, plan, table, tuple(trained.every), said.warnings, page)


def _require_use_of_unlabelled(plan: Plan) -> None:
    """Refuse scans without labels that no model learns from, or that would show a site before it is tested."""
    if not any(pretrains(plan.recipe(name)[1]) for name in plan.models):
        raise OctavoError(
            f"--unlabelled was given, and none of {', '.join(plan.models)} learns from scans without labels; wanted one "
            "with pretraining, such as hemiretinal-reconstruct; add it, or drop --unlabelled"
        )
    if plan.transfer is not None:
        raise OctavoError(
            f"--unlabelled and --transfer {plan.transfer} were both given; wanted one of them, as scans without labels may "
            f"be of the {plan.transfer} that is tested; drop one of them"
        )


@dataclass(frozen=True)
class _Trained:
    """What became of the cells."""

    outcomes: list[Outcome]
    """Of those whose learning rate was chosen."""
    others: list[Outcome]
    """Of those that other learning rates were tried with."""

    @property
    def every(self) -> list[Outcome]:
        return [*self.outcomes, *self.others]


def _measured(ground: _Ground, parts: dict[str, Parts], outcomes: Sequence[Outcome], again: bool) -> list[Answer]:
    finished = [ground.order(one.cell) for one in outcomes if one.is_finished]
    if not finished:
        return []
    look = begin_look(ground.run, ground.plan, finished, parts, again)
    answers, fingerprint = measure(ground.run, finished, parts, ground.prepared)
    end_look(ground.run, look, fingerprint)
    return answers


def _train_all(ground: _Ground, parts: dict[str, Parts], runner: Runner) -> _Trained:
    """First the first seed of everything, with every learning rate; then the other seeds with the best of them."""
    plan = ground.plan
    trials = [cell for division in parts for cell in plan.trials(division)]
    tried = _run(ground, trials, runner, f"{len(trials)} trainings of the first seed")
    chosen = choose_rates(plan, tried)
    write_json(ground.run / TUNING, {"chosen": _tuning(tried, chosen)})
    cells = _cells(plan, parts, chosen)
    rest = [cell for cell in cells if cell not in trials]
    done = {one.cell: one for one in (*tried, *_run(ground, rest, runner, f"{len(rest)} trainings of other seeds"))}
    return _Trained([done[cell] for cell in cells], [one for one in tried if one.cell not in cells])


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


def _tuning(tried: Sequence[Outcome], chosen: dict[tuple[str, str], float | None]) -> list[dict[str, Any]]:
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
    took = "" if outcome.seconds is None else f" in {outcome.seconds:.0f} s"
    return f"{outcome.cell.name}: {outcome.epochs} epochs{took}, AUROC on validation {validation}"


def _known(ground: _Ground, parts: Iterable[str]) -> _Trained:
    """What became of every cell, as it was written down when the test part was measured."""
    parts = list(parts)
    told: Any = read_json(ground.run / TUNING)["chosen"]
    chosen = {(one["model"], one["division"]): one["learning_rate"] for one in told if one["chosen"]}
    cells = _cells(ground.plan, parts, chosen)
    trials = [cell for division in parts for cell in ground.plan.trials(division) if cell not in cells]
    return _Trained([_look(ground, cell) for cell in cells], [_look(ground, cell) for cell in trials])


def _look(ground: _Ground, cell: Cell) -> Outcome:
    known = known_outcome(ground.order(cell))
    return known or Outcome(cell, FAILED, "what became of it is not there any more", None, None, 0, 0, None)


def _threads(jobs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)


def _cost(plan: Plan, name: str, cohort: Cohort) -> tuple[int | None, float | None]:
    system, recipe = plan.recipe(name)
    try:
        return cost_of(with_classes(recipe, cohort.classes, system))
    except OctavoError:
        # what cannot be built failed as a cell, which says why
        return None, None


def _provenance(plan: Plan, cohort: Cohort, parts: dict[str, Parts]) -> dict[str, Any]:
    hashes = {"cohort_hash": cohort.content_hash, "voxels_hash": next(iter(parts.values())).voxels_hash}
    told = provenance(plan.seeds[0], hashes)
    told["seed"] = " ".join(map(str, plan.seeds))
    flat: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {inner}": None if known is None else str(known) for inner, known in value.items()}
        else:
            flat[name] = value
    return flat
