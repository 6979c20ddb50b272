"""Two readings of one scan, held against each other."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from formats.written_scans import opt_dataset, vol_bytes, write_dicom
from octavo.cli import main
from octavo.errors import OctavoError
from octavo.formats import write_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing, Volume
from octavo.workflows.compare_scan import compare_scan, describe

VALUES = np.random.default_rng(0).gamma(2.0, 20.0, (8, 24, 30)).clip(0, 255).astype(np.uint8)
OURS = Volume(
    VALUES,
    Spacing(0.12, 0.0039, 0.0113),
    laterality=Laterality.OD,
    laterality_origin=Origin.READ,
    pattern=ScanPattern.RASTER,
    pattern_origin=Origin.READ,
)


@pytest.fixture
def ours(tmp_path):
    write_volume(OURS, tmp_path / "ours.npz")
    return tmp_path / "ours.npz"


def other(tmp_path, **changes):
    write_volume(dataclasses.replace(OURS, **changes), tmp_path / "theirs.npz", overwrite=True)
    return tmp_path / "theirs.npz"


def verdicts(comparison):
    return {fact.name: fact.verdict for fact in comparison.facts}


def test_the_same_scan_in_two_formats_is_the_same(tmp_path, ours):
    write_dicom(tmp_path / "theirs.dcm", opt_dataset(VALUES))

    found = compare_scan(ours, tmp_path / "theirs.dcm")

    assert found.is_same
    assert (found.differing, found.turning) == ((), None)
    assert verdicts(found)["eye"] == verdicts(found)["spacing ascan"] == "same"
    assert all(bscan.share == 0 and bscan.correlation == pytest.approx(1) for bscan in found.bscans)


def test_scaled_greys_are_the_same_and_the_line_is_told(tmp_path, ours):
    found = compare_scan(ours, other(tmp_path, values=(VALUES * 0.25 + 2).astype(np.float32)))

    assert found.is_same
    assert "THEIRS = 0.25 x OURS + 2" in describe(found)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"laterality": Laterality.OS}, "eye"),
        ({"spacing_mm": Spacing(0.12, 0.0039, 0.0114)}, "spacing ascan"),
        ({"spacing_mm": Spacing(0.121, 0.0039, 0.0113)}, "spacing bscan"),
        ({"pattern": ScanPattern.RADIAL}, "pattern"),
    ],
)
def test_each_fact_that_differs_is_named(tmp_path, ours, changes, name):
    found = compare_scan(ours, other(tmp_path, **changes))

    assert found.differing == (name,)
    assert not found.is_same
    assert describe(found).splitlines()[-1] == f"different: {name}"


def test_what_one_does_not_know_is_not_compared(tmp_path, ours):
    found = compare_scan(ours, other(tmp_path, laterality=Laterality.UNKNOWN, spacing_mm=Spacing(None, 0.0039, None)))

    assert found.is_same
    assert verdicts(found)["eye"] == verdicts(found)["spacing bscan"] == "not compared"


def test_rounded_millimetres_are_the_same(tmp_path, ours):
    assert compare_scan(ours, other(tmp_path, spacing_mm=Spacing(0.12, 0.003902, 0.0113))).is_same


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (VALUES[:, :, ::-1], "THEIRS looks like OURS with the A-scans reversed"),
        (VALUES[::-1], "THEIRS looks like OURS with the B-scans reversed"),
        (VALUES[:, ::-1], "THEIRS looks like OURS with depth reversed"),
        (VALUES[1:], "THEIRS looks like OURS with its B-scans counted from 2"),
        (VALUES.transpose(0, 2, 1), "THEIRS looks like OURS with depth and the A-scans exchanged"),
        (np.roll(VALUES, 1, axis=0), "THEIRS looks like OURS with its B-scan 1 as B-scan 2 of THEIRS"),
    ],
)
def test_the_reason_is_found(tmp_path, ours, values, says, capsys):
    theirs = other(tmp_path, values=np.ascontiguousarray(values))

    assert main(["compare-scan", str(ours), str(theirs)]) == 1

    told = capsys.readouterr().out
    assert says in told
    assert "voxels" in told.splitlines()[-1]


def test_bscans_that_differ_are_listed_and_stand_in_the_table(tmp_path, ours, capsys):
    values = VALUES.copy()
    values[[2, 5]] = 255 - values[[2, 5]]
    theirs = other(tmp_path, values=values)

    words = ["compare-scan", str(ours), str(theirs), "--table", str(tmp_path / "table.csv")]
    assert main(words) == 1

    assert "6 of 8 alike" in capsys.readouterr().out
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["bscan"] for row in rows] == [str(number) for number in range(1, 9)]
    assert [row["bscan"] for row in rows if row["same"] == "no"] == ["3", "6"]
    assert float(rows[2]["correlation"]) == pytest.approx(-1)


def test_greys_that_run_against_each_other_are_not_the_same(tmp_path, ours):
    found = compare_scan(ours, other(tmp_path, values=255 - VALUES))

    assert not found.is_same
    assert "run against each other" in describe(found)


def test_the_tolerance_is_a_share_of_the_grey_range(tmp_path, ours):
    noise = np.random.default_rng(1).normal(0, 4, VALUES.shape)
    theirs = other(tmp_path, values=(VALUES + noise).astype(np.float32))
    share = max(bscan.share for bscan in compare_scan(ours, theirs).bscans)

    assert 0.005 < share < 0.05
    assert compare_scan(ours, theirs, tolerance=share).is_same
    assert not compare_scan(ours, theirs, tolerance=share / 2).is_same
    with pytest.raises(OctavoError, match=r"tolerance is 1\.5; wanted a share of the grey range"):
        compare_scan(ours, theirs, tolerance=1.5)


def test_a_raw_file_against_an_array_without_geometry(tmp_path, capsys):
    (tmp_path / "ours.vol").write_bytes(vol_bytes(VALUES / 255))
    grey = np.clip(VALUES / 255, 0, 1) ** 0.25 * 255
    np.save(tmp_path / "theirs.npy", np.moveaxis(grey, 0, 1).astype(np.float32))

    words = ["compare-scan", str(tmp_path / "ours.vol"), str(tmp_path / "theirs.npy"), "--axes", "depth,bscan,ascan"]
    assert main([*words, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["same"] is True
    assert told["differing"] == []
    assert len(told["bscans"]) == 8


def test_one_that_cannot_be_read_is_refused(tmp_path, ours, capsys):
    assert main(["compare-scan", str(ours), str(tmp_path / "gone.npz")]) == 2
    assert "gone.npz: there is no such file" in capsys.readouterr().err


def test_directions_are_compared(tmp_path):
    write_volume(dataclasses.replace(OURS, slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR), tmp_path / "ours.npz")
    theirs = other(tmp_path, slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR)

    assert compare_scan(tmp_path / "ours.npz", theirs).differing == ("slow axis",)


def test_a_picture_that_is_dark_but_for_a_corner_is_another(tmp_path, capsys):
    values = np.zeros_like(VALUES)
    values[:, 8:10, 20:24] = 90
    write_volume(OURS.with_values(values), tmp_path / "ours.npz")
    dark = np.zeros_like(VALUES)
    dark[:, :2, :2] = 255
    words = ["compare-scan", str(tmp_path / "ours.npz"), str(other(tmp_path, values=dark)), "--tolerance", "0.1"]
    assert main(words) == 1
    assert "0 of 8 alike" in capsys.readouterr().out
