"""Damaged copies of a file, and what reading each of them does: in a process of its own, so that a crash is seen."""

import contextlib
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from octavo.formats import VolumeReadError, read_volume
from octavo.volume import Volume

SECONDS = 5.0
"""No file may keep a reader busy for longer."""

MEGABYTES = 512
"""Nor may it take more memory than this above its own size."""


@dataclass(frozen=True)
class Outcome:
    """What the mutants of one seed did.

    Args:
        read: How many were read and are plausible.
        refused: How many were refused with a sentence.
        wrong: What went wrong, one line each: another exception, an implausible volume, a hang.
        slowest_s: The longest time a mutant took.
        memory_mb: How far the peak of the process rose above where it began.
        died: How the process ended where it ended by a signal.
    """

    read: int = 0
    refused: int = 0
    wrong: tuple[str, ...] = ()
    slowest_s: float = 0.0
    memory_mb: float = 0.0
    died: str = ""


def mutants_asked(reduced: int) -> int:
    """How many mutants of each seed: a few in the tests, `OCTAVO_MUTANTS` when the full count is asked for."""
    return int(os.environ.get("OCTAVO_MUTANTS", reduced))


def mutant(whole: bytes, generator: np.random.Generator) -> bytes:
    """Flip, overwrite, cut out, repeat or truncate, mostly near the beginning, where headers are."""
    content = bytearray(whole)
    reach = len(content) if generator.random() < 0.4 else min(len(content), 1200)
    for _ in range(generator.integers(1, 4)):
        at = int(generator.integers(0, reach))
        length = int(generator.integers(1, 9))
        kind = generator.integers(0, 6)
        if kind == 0:
            content[at % len(content)] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            content[at : at + length] = generator.bytes(length)
        elif kind == 2:
            content[at : at + 4] = b"\xff\xff\xff\x7f"
        elif kind == 3:
            del content[at : at + length]
        elif kind == 4:
            content[at:at] = content[at : at + length]
        else:
            content[at : at + length] = bytes(length)
        if len(content) < 2:
            break
    return bytes(content[: int(generator.integers(1, len(content) + 1))] if generator.random() < 0.1 else content)


def attack(
    path: Path,
    count: int,
    *,
    file: Path | None = None,
    seed: int = 17,
    read: Callable[[Path], Volume] = read_volume,
) -> Outcome:
    """Read `count` mutants of a file one after the other in a forked process.

    Args:
        path: What is read: the file, or the folder it lies in.
        count: How many mutants.
        file: The file that is damaged, where it is not `path` itself; left as it was.
        seed: Names the damage.
        read: How it is read.
    """
    file = file or path
    whole = file.read_bytes()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_read_mutants, args=(path, file, count, seed, read, theirs))
    process.start()
    theirs.close()
    try:
        outcome = ours.recv()
    except EOFError:
        process.join()
        outcome = Outcome(died=f"exit code {process.exitcode}; the file that did it is {file}.mutant")
        file.with_name(file.name + ".mutant").write_bytes(file.read_bytes())
    process.join()
    file.write_bytes(whole)
    return outcome


def _read_mutants(path: Path, file: Path, count: int, seed: int, read: Callable, told: Connection) -> None:
    whole, generator = file.read_bytes(), np.random.default_rng(seed)
    done, refused, slowest, wrong = 0, 0, 0.0, []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        file.write_bytes(mutant(whole, generator))
        started = time.monotonic()
        try:
            wrong += [f"mutant {number}: {fault}" for fault in implausible(read(path))]
            done += 1
        except VolumeReadError as refusal:
            refused += 1
            if not str(refusal).startswith(str(path)) or "\n" in str(refusal):
                wrong.append(f"mutant {number}: sentence {str(refusal)!r}")
        except BaseException as problem:  # noqa: BLE001 - this is what is looked for
            wrong.append(f"mutant {number}: {type(problem).__name__}: {problem}")
        took = time.monotonic() - started
        if took > SECONDS:
            # a busy machine is no hang: asked once more
            took = min(took, _seconds_to_read(path, read))
        slowest = max(slowest, took)
        if took > SECONDS:
            wrong.append(f"mutant {number}: took {took:.1f} s")
    risen = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if risen > MEGABYTES + len(whole) / 2**20:
        wrong.append(f"memory rose by {risen:.0f} MB")
    told.send(Outcome(done, refused, tuple(wrong), slowest, risen))
    told.close()


def _seconds_to_read(path: Path, read: Callable) -> float:
    started = time.monotonic()
    with contextlib.suppress(BaseException):
        read(path)
    return time.monotonic() - started


def implausible(volume: Volume) -> list[str]:
    """What about a volume cannot be: sizes, numbers, millimetres."""
    faults = []
    if not 0 < volume.values.size <= 2**29:
        faults.append(f"{volume.values.size} voxels")
    if volume.values.dtype.kind == "f" and not np.isfinite(volume.values).all():
        faults.append("values that are no numbers")
    faults += [f"{mm} mm" for mm in volume.spacing_mm.values_mm if mm is not None and not 0.00099 <= mm <= 10.01]
    return faults
