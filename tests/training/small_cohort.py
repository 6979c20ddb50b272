"""A cohort of small scans on disk and the command that trains on it, for tests that go the public way."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import write_manifest

SIZE = (16, 16, 16)
PARTS = ("train",) * 8 + ("validation",) * 4


def write_cohort(folder, parts=PARTS, seed=0):
    """Write scans of noise with a brighter superior half where the label is 1, and return their manifest."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number, part in enumerate(parts):
        volume = rng.integers(0, 180, SIZE, dtype=np.uint8)
        volume[:8] += np.uint8(60 * (number % 2))
        np.save(folder / f"scan{number:02d}.npy", volume)
        rows.append(
            {
                "exam_id": f"E{number:02d}",
                "patient_id": f"P{number:02d}",
                "path": f"scan{number:02d}.npy",
                "laterality": "OD",
                "label": str(number % 2),
                "split": part,
                "pattern": "raster",
                "slow_axis": "superior-to-inferior",
            }
        )
    write_manifest(rows, folder / "manifest.csv")
    return folder / "manifest.csv"


def choice(manifest):
    return CohortChoice(cohort=str(manifest))


def command(manifest, run, *more):
    """The shell's words for a short training in both stages."""
    words = ["train", "ai-cnet3d", "--cohort", str(manifest), "--run", str(run)]
    words += ["--size", *map(str, SIZE), "--channels", "8", "--heads", "2", "--accelerator", "cpu", "--track", "none"]
    return [*words, *map(str, more)]


def octavo(*words):
    """The command as a process of its own."""
    return [sys.executable, "-m", "octavo", *map(str, words)]


def octavo_here(words, log, seconds_per_flush=0.0):
    """The command in this process, which ends with it; with slow flushes a kill can be aimed inside a write."""
    from octavo.cli import main

    # what was started in the background ignores the keyboard, and so would this process
    signal.signal(signal.SIGINT, signal.default_int_handler)
    flush = os.fsync

    def slow(descriptor):
        time.sleep(seconds_per_flush)
        flush(descriptor)

    os.fsync = slow
    with open(log, "w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.exit(main(words))
