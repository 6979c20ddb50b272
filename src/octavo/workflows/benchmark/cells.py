"""Cells: each training in a process of its own, so that what kills one leaves the others alone.

RUN/cells/MODEL/seed-100/         a run, as `octavo train` makes it
RUN/cells/MODEL/seed-100.json     what became of it, and what it cost
RUN/cells/MODEL/seed-100.log      what it said
"""

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.machine import Machine
from octavo.training.run import RunTakenError
from octavo.workflows.benchmark.plan import Cell

FINISHED, FAILED = "finished", "failed"


@dataclass(frozen=True)
class Order:
    """Everything a process needs to train one cell."""

    cell: Cell
    system: str
    recipe: Any
    choice: CohortChoice
    folder: Path
    """The run's folder."""
    prepared: Path
    machine: Machine
    threads: int
    """How many cores it may use."""

    @property
    def outcome_path(self) -> Path:
        """Where it says what became of it."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def log_path(self) -> Path:
        """Where everything it says goes."""
        return self.folder.with_name(f"{self.folder.name}.log")


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    cell: Cell
    status: str
    reason: str
    """Why it failed; empty where it did not."""
    seconds: float
    """That it took to train, in all attempts together."""
    peak_memory_mib: float
    """Of its process."""
    threads: int
    epochs: int
    validation_auroc: float | None

    @property
    def is_finished(self) -> bool:
        """Whether there is a model."""
        return self.status == FINISHED


Runner = Callable[[Sequence[Order]], Iterator[Outcome]]
"""Runs cells, wherever that may be, and gives each outcome as it comes."""


def known_outcome(order: Order) -> Outcome | None:
    """What an earlier call found, if it came to an end."""
    if not order.outcome_path.exists():
        return None
    content: dict[str, Any] = read_json(order.outcome_path)
    try:
        return Outcome(**{**content, "cell": Cell(**content["cell"])})
    except (TypeError, KeyError):
        raise OctavoError(
            f"{order.outcome_path}: is no outcome of a cell; wanted what octavo wrote; remove it, and the cell is run again"
        ) from None


def run_here(orders: Sequence[Order], jobs: int) -> Iterator[Outcome]:
    """Run cells on this machine, some at a time.

    Whatever ends this process ends those it started.
    """
    running: set[BaseProcess] = set()
    stopping = Event()
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(_run_apart, order, running, stopping) for order in orders]):
            yield future.result()
    finally:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.kill()


def _run_apart(order: Order, running: set[BaseProcess], stopping: Event) -> Outcome:
    order.folder.parent.mkdir(parents=True, exist_ok=True)
    before = known_outcome(order)
    started = time.perf_counter()
    process = get_context("spawn").Process(target=run_cell, args=(order,))
    process.start()
    running.add(process)
    process.join()
    running.discard(process)
    after = known_outcome(order)
    if after is not None and after != before:
        return after
    outcome = _failed(
        order,
        f"its process was ended by {_how(process.exitcode)}; wanted it to end by itself; the machine may have too little "
        f"memory for it, or run fewer at once",
        time.perf_counter() - started + (before.seconds if before else 0),
    )
    if not stopping.is_set():
        # what this process ended itself has not failed
        write_json(order.outcome_path, asdict(outcome))
    return outcome


def run_on_ray(orders: Sequence[Order], address: str) -> Iterator[Outcome]:
    """Run cells as tasks of a Ray cluster, whose machines share the benchmark's folder and the scans.

    A cell whose machine is lost goes on elsewhere from its last epoch.
    """
    from octavo.workflows.on_ray import map_on_ray

    cores = max((order.threads for order in orders), default=1)
    for _, outcome in map_on_ray(run_cell, orders, address, cores=cores, failed=_lost):
        yield outcome


def _lost(order: Order, reason: str) -> Outcome:
    before = known_outcome(order)
    order.folder.parent.mkdir(parents=True, exist_ok=True)
    outcome = _failed(order, f"was not trained by any machine ({reason})", before.seconds if before else 0.0)
    write_json(order.outcome_path, asdict(outcome))
    return outcome


def _how(exitcode: int | None) -> str:
    return f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"


def run_cell(order: Order) -> Outcome:
    """Train one cell in this process, and write down what became of it."""
    earlier = known_outcome(order)
    spent = earlier.seconds if earlier else 0.0
    order.folder.parent.mkdir(parents=True, exist_ok=True)
    with order.log_path.open("a", encoding="utf-8") as log, _everything_to(log):
        started = time.perf_counter()
        try:
            summary = _train_patiently(order)
            outcome = _finished(order, summary, spent + time.perf_counter() - started)
        except OctavoError as refusal:
            outcome = _failed(order, str(refusal), spent + time.perf_counter() - started)
        except MemoryError:
            outcome = _failed(order, "does not fit into memory", spent + time.perf_counter() - started)
        except OSError as error:
            reason = f"{error.strerror or type(error).__name__}; wanted a folder with room that can be written to"
            outcome = _failed(order, reason, spent + time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - whatever ends one cell must not end the others
            traceback.print_exc()
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a word'}"
            outcome = _failed(order, f"{reason}; see {order.log_path.name}", spent + time.perf_counter() - started)
    write_json(order.outcome_path, asdict(outcome))
    return outcome


_PATIENCE_SECONDS = 120
"""How long a process may outlive the machine that was lost, before a cell is given up that it still writes."""


def _train_patiently(order: Order) -> dict[str, Any]:
    """Train, waiting for whoever still writes the cell: the one whose machine was taken for lost ends soon."""
    waited = 0
    while True:
        try:
            return _train(order)
        except RunTakenError:
            if waited >= _PATIENCE_SECONDS:
                raise
            time.sleep(5)
            waited += 5


def _train(order: Order) -> dict[str, Any]:
    import torch
    from threadpoolctl import threadpool_limits

    from octavo.workflows.train import train

    told = order.folder / "summary.json"
    if told.exists() and order.cell.seed in read_json(told)["seeds"]:  # type: ignore[operator]
        # killed between the end of the training and the note of it
        return read_json(told)
    torch.set_num_threads(order.threads)
    with threadpool_limits(order.threads):
        return train(
            order.system,
            order.recipe,
            order.choice,
            order.folder,
            seeds=(order.cell.seed,),
            machine=order.machine,
            prepared=order.prepared,
        )


def _finished(order: Order, summary: dict[str, Any], seconds: float) -> Outcome:
    stages = summary["stages"][f"seed-{order.cell.seed}"]
    return Outcome(
        cell=order.cell,
        status=FINISHED,
        reason="",
        seconds=seconds,
        peak_memory_mib=_peak_memory(),
        threads=order.threads,
        epochs=sum(stage["epochs"] for stage in stages.values()),
        validation_auroc=summary["validation_auroc_mean"],
    )


def _failed(order: Order, reason: str, seconds: float) -> Outcome:
    return Outcome(order.cell, FAILED, reason, seconds, _peak_memory(), order.threads, 0, None)


def _peak_memory() -> float:
    """The most memory this process held at once, in MiB."""
    try:
        import resource
    except ImportError:
        return 0.0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes
    return held / 2**20 if os.uname().sysname == "Darwin" else held / 2**10


@contextlib.contextmanager
def _everything_to(log: Any) -> Iterator[None]:
    """Send what this process prints and logs to a file."""
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
