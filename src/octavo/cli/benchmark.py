"""`octavo benchmark`."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError
from octavo.training.machine import Machine


@dataclass(frozen=True)
class Benchmark:
    """Compare models on one cohort, on the same terms: patients, seeds, epochs, and one look at the test part.

    Every model is trained from every seed in a process of its own; one that fails is a row with its reason. When all are
    trained the test part is measured, once. The folder gets report.html, the table as .csv, .tex and .md, cells.csv,
    results.json and forest.png. The same command goes on with an unfinished benchmark.
    """

    choice: CohortChoice
    folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The benchmark's folder: new, empty, or an earlier one of the same command."""
    models: tuple[str, ...]
    """Which to compare; octavo models lists them."""
    seeds: tuple[int, ...] = (5,)
    """How many trainings of each model, from the seeds 100, 200 and so on; or, with several numbers, from which seeds."""
    reference: str | None = None
    """What the others are compared with; by default the first."""
    folds: int | None = None
    """Cross-validation by patient in so many folds; by default one division."""
    transfer: str | None = None
    """A column of the manifest, such as site: each of its values is tested by what was learnt from the others."""
    groups: tuple[str, ...] = ()
    """Columns of the manifest, such as sex or age, by which the AUROC is told apart."""
    epochs: int | None = None
    """At most so many for each training, all stages together; by default each recipe's own."""
    size: tuple[int, int, int] | None = None
    """B-scans, depth samples and A-scans that volumes are brought to; by default each recipe's own."""
    learning_rates: tuple[float, ...] = ()
    """Each model tries all of them with the first seed and keeps the best on validation; by default none is tried."""
    settings: Path | None = None
    """A JSON file of further recipe fields: {"MODEL": {"FIELD": value}}, with "all" for every model that has the field."""
    division_seed: int = 100
    """Seed of the division of patients."""
    prepared: Path | None = None
    """Where prepared scans are kept; by default in the folder."""
    jobs: int = 1
    """How many trainings run at once."""
    ray: str | None = None
    """Train on the machines of a Ray cluster, such as 10.0.0.1:6379, which share the folders; local is this machine."""
    again: bool = False
    """Measure the test part again though it was measured before; the report says so."""
    machine: Machine = field(default_factory=lambda: Machine(progress="lines", track="none"))

    def run(self) -> int:
        """Compare, and print the table."""
        from octavo.workflows.benchmark import Budget, Plan, benchmark, read_settings, run_on_ray

        plan = Plan(
            models=self.models,
            seeds=seeds_of(self.seeds),
            reference=self.reference or (self.models[0] if self.models else ""),
            budget=Budget(self.epochs, self.size, self.learning_rates),
            settings=read_settings(self.settings),
            folds=self.folds,
            transfer=self.transfer,
            division_seed=self.division_seed,
        )
        done = benchmark(
            plan,
            self.choice,
            self.folder,
            prepared=self.prepared,
            jobs=self.jobs,
            machine=self.machine,
            groups=self.groups,
            again=self.again,
            runner=None if self.ray is None else partial(run_on_ray, address=self.ray),
        )
        print(done.describe())
        for warning in done.warnings:
            print(f"  {warning}")
        print(f"research software, not a medical device; see {self.folder / done.page.name}")
        return 1 if done.failed else 0


def seeds_of(told: tuple[int, ...]) -> tuple[int, ...]:
    """The seeds that are meant: one number is how many, several are the seeds themselves.

    Raises:
        OctavoError: If less than one is wanted.

    Example:
        >>> seeds_of((3,)), seeds_of((7, 8))
        ((100, 200, 300), (7, 8))
    """
    if len(told) != 1:
        return told
    if told[0] < 1:
        raise OctavoError(f"seeds is {told[0]}; wanted how many, at least 1, or several seeds")
    return tuple(100 * number for number in range(1, told[0] + 1))
