"""Cells: each training in a process of its own, so that what kills one leaves the others alone.

RUN/cells/MODEL/seed-100/         a run, as `octavo train` makes it
RUN/cells/MODEL/seed-100.json     what became of it, and what it cost
RUN/cells/MODEL/seed-100.log      what it said
"""

import contextlib
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from threading import Event, Thread
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.machine import Machine
from octavo.training.run import RunTakenError
from octavo.workflows.benchmark.plan import Cell

RUNNING, FINISHED, FAILED = "running", "finished", "failed"


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
    seconds: float | None
    """That it took to train, in all attempts together; None where one was ended and nobody knows how long it took."""
    peak_memory_mib: float | None
    """The most that its process held of the machine's memory, without what a GPU holds; None as before."""
    threads: int
    epochs: int
    validation_auroc: float | None

    @property
    def has_ended(self) -> bool:
        """Whether it is not still being trained, or was when its process was ended."""
        return self.status != RUNNING

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
    process = get_context("spawn").Process(target=_run_as_child, args=(order,))
    process.start()
    running.add(process)
    process.join()
    running.discard(process)
    outcome = known_outcome(order)
    if process.exitcode == 0 and outcome is not None and outcome.has_ended:
        return outcome
    if process.exitcode == _TAKEN:
        raise OctavoError(
            f"{order.folder}: another process is training this cell; wanted nobody else; wait for it, or end it, and repeat "
            "the command"
        )
    outcome = _failed(
        order,
        f"its process was ended by {_how(process.exitcode)}; wanted it to end by itself; the machine may have too little "
        "memory for it, or run fewer at once",
        None,
    )
    if not stopping.is_set():
        # what this process ended itself has not failed
        _note(order, outcome)
    return outcome


_TAKEN = 3
"""Exit code of a process that found another one at work on its cell."""


def _run_as_child(order: Order) -> None:
    """Run a cell in a process that ends with the one that started it, however that one ends."""
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        run_cell(order)
    except RunTakenError:
        os._exit(_TAKEN)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run_on_ray(orders: Sequence[Order], address: str) -> Iterator[Outcome]:
    """Run cells as tasks of a Ray cluster, whose machines share the benchmark's folder and the scans.

    A cell whose machine is lost goes on elsewhere from its last epoch.
    """
    from octavo.workflows.on_ray import map_on_ray

    cores = max((order.threads for order in orders), default=1)
    for _, outcome in map_on_ray(run_cell, orders, address, cores=cores, failed=_lost):
        yield outcome


def _lost(order: Order, reason: str) -> Outcome:
    outcome = known_outcome(order)
    if outcome is None or not outcome.is_finished:
        outcome = _failed(order, f"was not trained by any machine ({reason})", None)
        _note(order, outcome)
    return outcome


def _note(order: Order, outcome: Outcome) -> None:
    order.folder.parent.mkdir(parents=True, exist_ok=True)
    write_json(order.outcome_path, asdict(outcome))


def _how(exitcode: int | None) -> str:
    return f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"


def run_cell(order: Order) -> Outcome:
    """Train one cell in this process, and write down what became of it.

    Raises:
        RunTakenError: If another process is training it, and goes on.
    """
    earlier = known_outcome(order)
    spent = _spent(order, earlier)
    _note(order, Outcome(order.cell, RUNNING, "was ended before it was trained", None, None, order.threads, 0, None))
    with order.log_path.open("a", encoding="utf-8") as log, _everything_to(log):
        started = time.perf_counter()
        try:
            summary = _train_patiently(order)
            reason = ""
        except RunTakenError:
            raise
        except OctavoError as refusal:
            reason = str(refusal)
        except MemoryError:
            reason = "does not fit into memory"
        except OSError as error:
            reason = f"{error.strerror or type(error).__name__}; wanted a folder with room that can be written to"
        except Exception as error:  # noqa: BLE001 - whatever ends one cell must not end the others
            traceback.print_exc()
            first = str(error).splitlines()[0] if str(error) else "without a word"
            reason = f"{type(error).__name__}: {first}; see {order.log_path.name}"
        seconds = None if spent is None else spent + time.perf_counter() - started
    outcome = _failed(order, reason, seconds) if reason else _finished(order, summary, seconds)
    _note(order, outcome)
    if outcome.is_finished:
        # a training that is over is never gone on with, and its checkpoints are several times its weights
        for checkpoints in list(order.folder.glob("seed-*/stage-*/checkpoints")):
            shutil.rmtree(checkpoints, ignore_errors=True)
    return outcome


def _spent(order: Order, earlier: Outcome | None) -> float | None:
    """Seconds of earlier attempts; of one that was ended nobody knows how long it took."""
    if earlier is None:
        return None if order.folder.exists() else 0.0
    return earlier.seconds if earlier.has_ended else None


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


def _finished(order: Order, summary: dict[str, Any], seconds: float | None) -> Outcome:
    stages = summary["stages"][f"seed-{order.cell.seed}"]
    return Outcome(
        cell=order.cell,
        status=FINISHED,
        reason="",
        seconds=seconds,
        peak_memory_mib=None if seconds is None else _peak_memory(),
        threads=order.threads,
        epochs=sum(stage["epochs"] for stage in stages.values()),
        validation_auroc=summary["validation_auroc_mean"],
    )


def _failed(order: Order, reason: str, seconds: float | None) -> Outcome:
    return Outcome(order.cell, FAILED, reason, seconds, None, order.threads, 0, None)


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
