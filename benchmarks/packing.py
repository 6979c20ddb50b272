"""Packing a cohort against reading the same files and `scipy.ndimage.zoom(order=1)`, volume by volume in one process.

    python benchmarks/packing.py

The files are `.npy` of 8 bits in the sizes of common devices. Both ways read every file and bring it to the size of the
network; `octavo cohort pack` moreover orients, averages what it leaves out, scales by percentiles, compares scans and stores
them. The start of its processes counts. Pairs are interleaved; the ratio is the median over pairs.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

DEVICES = {
    "Spectralis raster, 49 x 496 x 512": (49, 496, 512),
    "Maestro cube, 128 x 885 x 512": (128, 885, 512),
    "Cirrus cube, 200 x 1024 x 200": (200, 1024, 200),
    "Zenodo ONH, 64 x 128 x 64": (64, 128, 64),
}


def written(folder, shape, count):
    """Speckled scans of one size, and a manifest of them."""
    from octavo.cohorts.manifest import write_manifest

    rows = []
    for number in range(count):
        speckle = np.random.default_rng(number).gamma(2, 30, shape[1:]).clip(0, 255).astype(np.uint8)
        values = np.stack([np.roll(speckle, 7 * k + number, axis=1) for k in range(shape[0])])
        np.save(folder / f"e{number}.npy", values)
        rows.append(
            {
                "exam_id": f"e{number}",
                "patient_id": f"p{number}",
                "path": f"e{number}.npy",
                "laterality": "OD",
                "label": str(number % 2),
                "slow_axis": "superior-to-inferior",
            }
        )
    write_manifest(rows, folder / "manifest.csv")
    return folder / "manifest.csv"


def zoomed(folder, count, size):
    """What most programs do."""
    from scipy.ndimage import zoom

    for number in range(count):
        values = np.load(folder / f"e{number}.npy")
        zoom(values, [new / old for new, old in zip(size, values.shape, strict=True)], order=1)


def packed(manifest, store, size, jobs):
    from octavo.cohorts.choice import CohortChoice
    from octavo.cohorts.preparation import Preparation
    from octavo.workflows.cohort_pack import pack_cohort

    preparation = Preparation(size=size, hemiretinas=False)
    told = pack_cohort(CohortChoice(str(manifest)), store, preparation, jobs=jobs)
    if told.failed:
        raise SystemExit(told.describe())


def seconds(call, *arguments):
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(128, 192, 112))
    parser.add_argument("--gigabytes", type=float, default=1.5, help="of scans of each device, at most 200 scans")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    size = tuple(options.size)
    print(
        f"| to {size[0]} x {size[1]} x {size[2]}, {options.jobs} processes | scans | zoom | octavo "
        "| times faster (range over pairs) |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for name, shape in DEVICES.items():
        count = min(200, int(options.gigabytes * 2**30 / np.prod(shape)))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            manifest = written(folder, shape, count)
            ratios, ours, theirs = [], [], []
            for pair in range(options.pairs):
                theirs.append(seconds(zoomed, folder, count, size))
                ours.append(seconds(packed, manifest, folder / f"store-{pair}", size, options.jobs))
                ratios.append(theirs[-1] / ours[-1])
        print(
            f"| {name} | {count} | {statistics.median(theirs):.2f} s | {statistics.median(ours):.2f} s "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
