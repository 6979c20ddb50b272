"""Damaged copies of files of every format: none may give anything but a sentence or a plausible volume.

    python benchmarks/fuzz.py --mutants 2000

Seeds are the files that the tests write in every format, and the sample scans in ../shared/data where they are there. Each
mutant is listed, read, and asked for its surfaces and pictures. A Markdown table comes out; the exit code is 1 if anything
is wrong.
"""

import argparse
import contextlib
import importlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
REAL = {
    "heidelberg-vol": [f"heidelberg_vol/{name}.vol" for name in ("macula_line_OD", "tiny_raster_10x40x50_fixedhdr")],
    "heidelberg-xml": ["heidelberg_xml/test_volume"],
    "heidelberg-e2e": ["heidelberg_e2e/e2e_minimized.E2E"],
    "topcon": ["topcon/fda_minimized.fda"],
    "dicom": ["dicom_opt/topcon_1frame_from_fda.dcm"],
    "matlab": ["oct_circle_mat/circularScan_anon.mat"],
    "tiff": ["oct_macular_hole/mh.tif"],
    "nifti": ["brain_mri/colin27_t1_1mm.nii.gz", "octa_enface/eye1_OD_SVP.nii"],
    "numpy": ["oct3d_pose/1565079038.7826936.npz"],
}
"""Samples of each format."""

sys.path.insert(0, str(ROOT / "tests"))


@dataclass(frozen=True)
class Row:
    """What came of one seed."""

    format: str
    seed: str
    mutants: int
    outcome: object

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        lost = self.mutants - self.outcome.read - self.outcome.refused - len(self.outcome.wrong)
        died = [self.outcome.died] if self.outcome.died else []
        return [*died, *self.outcome.wrong, *([f"{lost} mutants without an outcome"] if lost > 0 and not died else [])]

    def describe(self) -> str:
        """A row of the table."""
        told = self.outcome
        figures = f"{told.read} | {told.refused} | {len(self.faults)} | {told.slowest_s:.2f} | {told.memory_mb:.0f}"
        return f"| `{self.format}` | {self.seed} | {self.mutants} | {figures} |"


def seeds() -> list[tuple[str, str]]:
    """Format and name of every seed."""
    from contracts.test_readers import CASES
    from formats.more_seeds import MORE

    written = [(case.values[0], case.id) for case in [*CASES, *MORE]]
    real = [(name, path) for name, paths in REAL.items() for path in paths if (DATA / path).exists()]
    return sorted([*written, *real], key=lambda seed: (seed[0], "/" in seed[1]))


def read_all(path: Path):
    """List what a file holds, read its first scan and what comes with it."""
    from octavo.formats import VolumeReadError, list_scans, read_companions, read_volume

    scan = 1 if len(list_scans(path)) > 1 else None
    # a refusal of what comes along says nothing of the scan, which is asked in any case
    with contextlib.suppress(VolumeReadError):
        read_companions(path, scan=scan)
    return read_volume(path, scan=scan)


def attacked(seed: tuple[str, str], mutants: int, seconds: float, number: int) -> Row:
    """Damage one seed, as often as asked or as fits into some seconds."""
    from formats.more_seeds import damaged_file
    from formats.mutants import attack

    name, label = seed
    with tempfile.TemporaryDirectory() as folder:
        path = _placed(label, Path(folder))
        read_all(path)  # once for the imports
        began = time.monotonic()
        read_all(path)
        fitting = int(seconds / max(time.monotonic() - began, 1e-3))
        count = min(mutants, max(fitting, 50))
        outcome = attack(path, count, file=damaged_file(path), seed=number, read=read_all)
        return Row(name, label, count, outcome)


def _placed(label: str, folder: Path) -> Path:
    """The seed, written or copied into a folder."""
    if (DATA / label).exists():
        copy = folder / Path(label).name
        if (DATA / label).is_dir():
            shutil.copytree(DATA / label, copy, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(DATA / label, copy)
        for item in (copy, *copy.rglob("*")):
            item.chmod(0o755 if item.is_dir() else 0o644)
        return copy
    from contracts.test_readers import CASES
    from formats.more_seeds import MORE

    return next(case.values[1] for case in [*CASES, *MORE] if case.id == label)(folder)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=2000, help="how many of each seed")
    parser.add_argument("--seconds", type=float, default=900, help="a seed slower to read than fits gets fewer")
    parser.add_argument("--seed", type=int, default=17, help="names the damage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of the names of seeds or formats")
    asked = parser.parse_args()
    for module in ("contracts.test_readers", "formats.more_seeds"):
        importlib.import_module(module)
    chosen = [seed for seed in seeds() if asked.only in seed[0] or asked.only in seed[1]]
    print("| format | seed | mutants | read | refused | wrong | slowest, s | memory, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows = []
    for row in _rows(chosen, asked):
        rows.append(row)
        print(row.describe(), flush=True)
    faults = [f"{row.seed}: {fault}" for row in rows for fault in row.faults]
    total = sum(row.mutants for row in rows)
    print(f"\n{total} mutants of {len(rows)} seeds, {len(faults)} wrong")
    for fault in faults[:40]:
        print(fault, file=sys.stderr)
    return 1 if faults or not rows else 0


def _rows(chosen: list[tuple[str, str]], asked: argparse.Namespace) -> Iterator[Row]:
    # a new process for each seed: memory that an earlier one left behind would hide what this one takes
    with ProcessPoolExecutor(asked.workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(attacked, seed, asked.mutants, asked.seconds, asked.seed) for seed in chosen]
        for future in waiting:
            yield future.result()


if __name__ == "__main__":
    sys.exit(main())
