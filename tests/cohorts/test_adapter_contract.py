"""What every adapter keeps, on a miniature tree of its layout."""

import inspect
import shutil
from pathlib import Path

import pytest
import trees

from octavo.cohorts.adapters import ADAPTERS, AdoptionOptions
from octavo.cohorts.adapters.covariates import NAMES
from octavo.cohorts.check import check_cohort
from octavo.cohorts.exam import read_exam
from octavo.cohorts.manifest import OPTIONAL, REQUIRED, read_manifest
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, files_of
from octavo.workflows.cohort_adopt import adopt_cohort

TREES = {
    "adni": (trees.adni, {"positive": ("AD",)}),
    "ai-cnet3d-folders": (trees.ai_cnet3d_folders, {"patient_pattern": r"(P\d+)_"}),
    "ai-readi": (trees.ai_readi, {"positive": ("insulin_dependent",)}),
    "bids": (trees.bids, {"positive": ("patient",)}),
    "class-folders": (trees.class_folders, {"positive": ("AMD", "DR"), "patient_pattern": r"(P\d+)_"}),
    "csv": (trees.csv_table, {"positive": ("AMD",), "columns": trees.CSV_COLUMNS}),
    "duke-amd": (trees.duke_amd, {}),
    "fairvision": (trees.fairvision, {"disease": "DR"}),
    "gamma": (trees.gamma, {"positive": ("early", "mid_advanced")}),
    "harvard-gf": (trees.harvard_gf, {}),
    "kermany": (trees.kermany, {"positive": ("CNV", "DME", "DRUSEN")}),
    "oasis-1": (trees.oasis_1, {}),
    "oasis-3": (lambda root: trees.oasis_3(root, "uds"), {}),
    "octa-500": (trees.octa_500, {"positive": ("AMD",)}),
    "octdl": (trees.octdl, {"positive": ("AMD",)}),
    "ohsu-ad": (trees.ohsu_ad, {"positive": ("AD",)}),
    "oimhs": (trees.oimhs, {"unlabelled": True}),
    "paired": (trees.paired, {"positive": ("AMD",), "patient_pattern": r"(P\d+)_"}),
    "zenodo-onh": (trees.zenodo_onh, {}),
}
"""A tree of every layout that has scans, and options that give it labels 0 and 1."""

WITHOUT_PATIENTS = {"gamma", "oimhs"}

SHAPES = {
    "adni": (3, 4, 5),
    "ai-cnet3d-folders": (2, 3, 4),
    "ai-readi": (4, 12, 16),
    "bids": (3, 4, 5),
    "class-folders": (2, 3, 4),
    "csv": (2, 3, 4),
    "duke-amd": (3, 5, 7),
    "fairvision": (2, 3, 4),
    "gamma": (11, 6, 4),
    "harvard-gf": (2, 3, 4),
    "kermany": (1, 6, 4),
    "oasis-1": (2, 3, 4),
    "oasis-3": (3, 4, 5),
    "octa-500": (3, 6, 4),
    "octdl": (1, 6, 4),
    "ohsu-ad": (2, 3, 4),
    "oimhs": (3, 4, 512),
    "paired": (3, 6, 4),
    "zenodo-onh": (64, 128, 64),
}
"""B-scans, depth and A-scans of every scan in the trees."""


@pytest.fixture(params=sorted(TREES))
def layout(request, tmp_path):
    make, options = TREES[request.param]
    root = tmp_path / "root"
    root.mkdir()
    return request.param, make(root), AdoptionOptions(**options)


def covered(root: Path, rows, left_out) -> tuple[set[Path], list[Path]]:
    """Files that a row is made of, and what is left out, relative to the root."""
    used = set()
    for row in rows:
        scan = Path(row["path"])
        used.add(scan)
        used |= {Path(row[name]) for name in ("photograph", "mask") if row.get(name)}
        if scan.suffix == ".hdr":
            used.add(scan.with_suffix(".img"))
        try:
            used |= set(files_of(scan))
        except VolumeReadError:
            pytest.fail(f"{scan} is no scan")
    return {path.relative_to(root) for path in used}, [item.path for item in left_out]


def test_every_adapter_has_its_tree():
    assert set(TREES) | {"harvard-gdp"} == set(ADAPTERS)
    for name, adapter in ADAPTERS.items():
        assert adapter.name == name
        assert adapter.layout.startswith("ROOT/")
        assert "\n" not in adapter.layout
        known = set(inspect.signature(AdoptionOptions).parameters)
        assert adapter.takes <= known


def test_every_file_belongs_to_a_row_or_is_left_out_with_a_reason(layout):
    name, root, options = layout
    for folder in [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]:
        trees.text(folder / "stray.xyz")
    adoption = ADAPTERS[name].adopt(root, options)
    used, left_out = covered(root, adoption.rows, adoption.left_out)
    for path in root.rglob("*"):
        if path.is_file():
            relative = path.relative_to(root)
            by_itself = relative in left_out
            with_folder = any(parent in left_out for parent in relative.parents)
            assert (relative in used) + (by_itself or with_folder) == 1, relative
    assert len(set(left_out)) == len(left_out)
    assert all(item.reason for item in adoption.left_out)
    assert sum(path.name == "stray.xyz" and not (root / path).is_dir() for path in left_out) >= 1


def test_rows_come_in_the_same_order_and_say_only_known_things(layout):
    name, root, options = layout
    first, second = (ADAPTERS[name].adopt(root, options) for _ in range(2))
    assert first == second
    assert first.rows
    for row in first.rows:
        assert set(row) <= {*REQUIRED, *OPTIONAL, *NAMES}, name
        assert Path(row["path"]).exists()
        assert row["label"] in {"0", "1", ""}
        assert all(isinstance(text, str) for text in row.values())
    assert len({row["exam_id"] for row in first.rows}) == len(first.rows)
    assert (name in WITHOUT_PATIENTS) == all(not row["patient_id"] for row in first.rows)


def test_the_manifest_is_read_as_any_other(layout, tmp_path):
    name, root, options = layout
    out = tmp_path / "cohort.csv"
    adopted = adopt_cohort(name, root, out, options=options)
    assert not adopted.has_failures or name in {"oasis-1", "oasis-3"}, adopted.describe()
    alone = name in WITHOUT_PATIENTS
    cohort = read_manifest(out, each_row_its_own_patient=alone, require_labels=name != "oimhs")
    assert len(cohort.exams) == adopted.exams
    assert all(exam.path.exists() for exam in cohort.exams)
    assert str(root) not in out.read_text(), "paths below the manifest are written relative to it"
    if name != "oimhs":
        assert set(cohort.labels.tolist()) == {0, 1}


def test_every_row_is_read(layout, tmp_path):
    name, root, options = layout
    if name == "octa-500":
        # the scan with the published number of B-scans has the published size in two of its pictures only
        shutil.rmtree(root / "OCTA_3mm")
    adopted = adopt_cohort(name, root, tmp_path / "cohort.csv", options=options)
    cohort = read_manifest(
        tmp_path / "cohort.csv",
        each_row_its_own_patient=name in WITHOUT_PATIENTS,
        require_labels=not options.unlabelled,
    )

    check = check_cohort(cohort)

    assert check.exams == check.readable == adopted.exams > 0, check.faults
    kinds = {finding.kind for finding in (*check.faults, *check.warnings)}
    assert not kinds & {"missing", "unreadable", "laterality-conflict", "constant", "mask"}
    assert {read_exam(exam).shape for exam in cohort.exams} == {SHAPES[name]}
    assert not any("does not read" in note for note in adopted.notes)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_a_root_that_does_not_fit_is_refused_in_one_line(tmp_path, name):
    trees.array(tmp_path / "some" / "thing.npy")
    for root in (tmp_path, tmp_path / "none", tmp_path / "some" / "thing.npy"):
        with pytest.raises(OctavoError, match="wanted") as caught:
            ADAPTERS[name].adopt(root, AdoptionOptions())
        assert "\n" not in str(caught.value)
        assert str(root) in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OctavoError, match="wanted"):
        ADAPTERS[name].adopt(tmp_path / "empty", AdoptionOptions())


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_an_option_that_means_nothing_is_refused(tmp_path, name):
    options = {
        "patient_pattern": "(x)",
        "positive": ("a",),
        "negative": ("a",),
        "columns": {"a": "b"},
        "disease": "AMD",
        "table": tmp_path / "a.csv",
        "unlabelled": True,
    }
    for option, value in options.items():
        if option not in ADAPTERS[name].takes:
            with pytest.raises(
                OctavoError, match=f"--{option.replace('_', '-')} was given and {name} has no use for it"
            ):
                ADAPTERS[name].adopt(tmp_path, AdoptionOptions(**{option: value}))
