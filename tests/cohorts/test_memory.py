"""A cohort larger than memory trains all the same: batches come from mapped voxels and leave nothing behind."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from octavo.cohorts.store import Store

ROOM_MIB = 256
"""How much may be addressed above what the libraries take; the cohort is larger."""

EXAMS = 1200
SHAPE = (32, 64, 128)

GIVEN_BACK = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Lets the C library give back at once what is freed: what it keeps for later comes in steps of many MiB at any time, and
would hide what is looked for."""

PROGRAM = """
import json, resource, sys
import psutil
from octavo.anatomy import Flips
from octavo.cohorts.augmentation import Augmentation
from octavo.cohorts.dataset import EpochOrder, PreparedExams, training_batches
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.reference import ScanFacts
from octavo.cohorts.store import Store
from pathlib import Path

store, count, batches, room = Store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
facts = ScanFacts((1, 1, 1), (None, None, None), "raster", "unknown", "unknown", "", "OD", (0.5, 0.2, 0.2, 0.5, 0.8))
stored = [store.facts(f"e{k}")[0] for k in range(count)]
exams = [
    PreparedExam(Exam(f"e{k}", f"p{k}", Path("x"), label=k % 2), facts, "c", (), Flips(False, False), "{}", voxels)
    for k, voxels in enumerate(stored)
]
here = psutil.Process()
resource.setrlimit(resource.RLIMIT_AS, (here.memory_info().vms + room * 2**20,) * 2)
dataset = PreparedExams(exams, augmentation=Augmentation(), seed=1)
order = EpochOrder([k % 2 for k in range(count)], 4, seed=1)
sizes, seen = [], 0
for epoch in range(10**6):
    order.set_epoch(epoch)
    for batch in training_batches(dataset, order):
        assert batch["volume"].shape[0] == 4
        seen += 1
        if seen % 50 == 0:
            sizes.append(here.memory_info().rss)
        if seen == batches:
            print(json.dumps({"sizes": sizes, "cohort": sum(one.values().nbytes for one in exams)}))
            raise SystemExit
"""


@pytest.mark.slow
def test_two_thousand_batches_take_no_more_memory_than_the_first_epochs(tmp_path):
    store = Store(str(tmp_path / "store"))
    voxels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    for number in range(EXAMS):
        store.put(f"e{number}", voxels + np.uint8(number % 251), {})
    arguments = [store.address, str(EXAMS), "2000", str(ROOM_MIB)]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **GIVEN_BACK},
    )

    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["cohort"] > ROOM_MIB * 2**20
    sizes = np.array(told["sizes"])
    assert len(sizes) == 40
    assert sizes.max() < 2 * 2**30
    # the first epoch of 300 batches is where the libraries take what they keep
    assert sizes[20:].max() <= 1.01 * sizes[6:12].max()
