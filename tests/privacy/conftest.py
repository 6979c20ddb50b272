"""One cohort of a scan in every format, full of planted words, and the whole way from it to an explanation, gone once."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from formats.written_zeiss import textured
from octavo.volume import Laterality
from privacy.canaries import DATE, canary, name_of
from privacy.hearing import Hearing
from privacy.planted_scans import PLANTED
from privacy.planted_standards import MILLIMETRES

SHAPE = (16, 32, 16)
ENDINGS = ("nii", "npz", "nii.gz", "tif", "dcm")
EVERY_ENDING = {"dicom", "vol", "heyex", "nifti", "npz"}
""".nii and .nii.gz have one writer, which need not be asked twice of all."""
TINY = "--size 16 24 16 --channels 8 --batch-size 4 --epochs 1 --consistency-epochs 1 --balance none --accelerator cpu"
WITHOUT_EYE = {"nifti", "nifti-gz", "tiff", "pictures", "jpegs", "npz", "analyze", "picture"}
ALONE = {"picture"}
"""A single B-scan, which the network has no use for."""
SAID = {
    "spacing_bscan_mm": "0.12",
    "spacing_depth_mm": "0.0039",
    "spacing_ascan_mm": "0.0113",
    "slow_axis": "superior-to-inferior",
    "pattern": "raster",
    "region": "disc",
}


@dataclass(frozen=True)
class Way:
    """What was planted, what was made of it, and what was said on the way.

    Args:
        sources: The planted scans by format.
        made: The folder below which every file was made by a command.
        codes: The exit code of each command.
    """

    sources: dict[str, Path]
    made: Path
    heard: Hearing
    codes: dict[str, int]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A scan of each format; what it is called by is the user's choice and names nobody."""
    home = tmp_path_factory.mktemp("planted")
    written = {}
    for number, (name, write) in enumerate(PLANTED.items()):
        values = textured(*SHAPE, seed=number)
        # what is to be learnt: one half of the eyes is dark below
        values[:, SHAPE[1] // 2 :] //= 1 + number % 2
        values[:, 0, 0] = np.arange(SHAPE[0])
        folder = home / f"e{number:02d}"
        folder.mkdir()
        written[name] = write(folder, f"eye{number:02d}", values, (Laterality.OD, Laterality.OS)[number // 2 % 2])
    return written


def _table(sources: dict[str, Path], place: Path) -> Path:
    """A spreadsheet of the study, with columns that nobody asks for."""
    rows = []
    for number, path in enumerate(sources.values()):
        asked = {"file": path, "person": f"P{number:02d}", "dx": ("well", "ill")[number % 2]}
        eye = ("OD", "OS")[number // 2 % 2]
        others = {"Name": name_of("spreadsheet"), "Born": DATE, "Remark": canary("spreadsheet remark")}
        rows.append({**asked, "laterality": eye, **SAID, **others})
    with place.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return place


@pytest.fixture(scope="session")
def way(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Way:
    home = tmp_path_factory.mktemp("way")
    made = home / "made"
    for folder in (home / "said", home / "table", made / "converted"):
        folder.mkdir(parents=True)
    heard, codes = Hearing(home / "said"), {}
    cohort = {name: path for name, path in sources.items() if name not in ALONE}
    scans = list(cohort.values())

    def run(name: str, *words: object) -> None:
        codes[name] = heard.run(*words)

    run("inspect", "inspect", *sources.values(), "--preview", made / "preview")
    run("inspect json", "inspect", *sources.values(), "--json")
    for name, scan in sources.items():
        _convert_and_compare(run, name, scan, made)
    run("compare json", "compare-scan", scans[0], scans[1], "--json")
    manifest, run_folder = made / "study.csv", made / "run"
    table = _table(cohort, home / "table" / "patients.csv")
    columns = ("--columns", "path=file", "patient_id=person", "label=dx", "--positive", "ill")
    run("adopt", "cohort", "adopt", "csv", table.parent, "--out", manifest, *columns)
    classes = _class_folders(cohort, home / "classes")
    run(
        "adopt folders", "cohort", "adopt", "class-folders", classes, "--out", made / "folders.csv", "--positive", "ill"
    )
    run("check", "cohort", "check", manifest, "--workers", 2)
    run("check json", "cohort", "check", manifest, "--json")
    run("pack", "cohort", "pack", manifest, made / "packed", "--size", 16, 24, 16, "--jobs", 2)
    run("train", "train", "ai-cnet3d", "--cohort", manifest, "--run", run_folder, *TINY.split())
    run("evaluate", "evaluate", run_folder)
    run("predict", "predict", run_folder, *scans[:6], "--out", made / "predictions.csv")
    run("predict cohort", "predict", run_folder, manifest, "--out", made / "answers.csv")
    # the one that comes with surfaces of its own, for every picture takes its time
    explained = (sources["zeiss"], "--out", made / "explained", "--slow-axis", SAID["slow_axis"])
    run("explain", "explain", run_folder, *explained)
    return Way(sources, made, heard, codes)


def _convert_and_compare(run: Callable[..., None], name: str, scan: Path, made: Path) -> None:
    """Into every format that is written, with all that comes along; then hold one against the scan."""
    eye = ("--laterality", "OD") if name in WITHOUT_EYE else ()
    for ending in ENDINGS if name in EVERY_ENDING else ENDINGS[1:]:
        target = made / "converted" / f"{name}.{ending}"
        beside = made / "beside" / f"{name}-{ending.replace('.', '-')}"
        said = ("--companions", beside, "--spacing-mm", *MILLIMETRES, *eye)
        run(f"convert {name} {ending}", "convert", scan, target, *said)
    compared = made / "converted" / f"{name}.npz"
    run(f"compare {name}", "compare-scan", scan, compared, "--table", made / f"{name}.csv")


def _class_folders(sources: dict[str, Path], root: Path) -> Path:
    """The same scans in a folder for each class."""
    for number, path in enumerate(sources.values()):
        shutil.copytree(path.parent, root / ("well", "ill")[number % 2] / f"e{number:02d}")
    return root
