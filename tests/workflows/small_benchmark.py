"""Small benchmarks whose trainings run in this process, for tests that are not about processes."""

import csv

from octavo.cohorts.choice import CohortChoice
from octavo.training.machine import Machine
from octavo.workflows.benchmark import Budget, Plan, benchmark
from octavo.workflows.benchmark.cells import run_cell

SIZE = (16, 32, 16)
QUICK = Machine(accelerator="cpu", track="none")


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def in_this_process(orders):
    yield from map(run_cell, orders)


def plan_of(*models, epochs, **changes):
    told = {"seeds": (1, 2), "reference": models[0], "budget": Budget(epochs=epochs, size=SIZE), **changes}
    return Plan(models=models, **told)


def compare(plan, manifest, run, unlabelled=None, **options):
    options = {"runner": in_this_process, "machine": QUICK, **options}
    return benchmark(plan, CohortChoice(str(manifest), unlabelled=unlabelled), run, **options)
