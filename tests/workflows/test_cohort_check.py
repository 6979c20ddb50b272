import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from octavo.cli import main
from octavo.errors import OctavoError
from octavo.workflows.cohort_check import check_manifest, progress_log
from octavo.workflows.cohort_split import split_cohort

HEADER = "exam_id,patient_id,path,laterality,label,spacing_bscan_mm,spacing_depth_mm,spacing_ascan_mm,slow_axis,pattern"


@pytest.fixture
def manifest(tmp_path) -> Path:
    lines = [HEADER]
    for k in range(12):
        values = np.random.default_rng(k).integers(0, 255, (4, 6, 5), dtype=np.uint8)
        np.save(tmp_path / f"e{k}.npy", values)
        lines.append(f"e{k},p{k},e{k}.npy,{'RL'[k % 2]},{k % 2},0.2,0.004,0.01,superior-to-inferior,raster")
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cohort.csv"


def edit(manifest: Path, old: str, new: str) -> None:
    manifest.write_text(manifest.read_text().replace(old, new))


def test_a_sound_cohort_passes(manifest, capsys):
    assert main(["cohort", "check", str(manifest)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{manifest}: 12 exams of 12 patients, 12 could be read",
        "no faults",
    ]


def test_faults_give_exit_code_1_and_warnings_do_not(manifest, capsys):
    edit(manifest, "superior-to-inferior", "")
    assert main(["cohort", "check", str(manifest)]) == 0
    text = capsys.readouterr().out
    assert "warnings: 1" in text
    assert "[e0, e1, e2, e3, e4, e5, e6, e7 and 4 more]" in text
    (manifest.parent / "e3.npy").unlink()
    assert main(["cohort", "check", str(manifest)]) == 1
    text = capsys.readouterr().out
    assert "12 exams of 12 patients, 11 could be read" in text
    assert f"  missing: {manifest.parent}/e3.npy does not exist [e3]" in text


def test_json_says_the_same_in_full(manifest, capsys):
    edit(manifest, "superior-to-inferior", "")
    edit(manifest, "e4.npy", "e2.npy")
    assert main(["cohort", "check", str(manifest), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["exams"], found["patients"], found["readable"]) == (12, 12, 12)
    assert found["path"] == str(manifest)
    assert [fault["kind"] for fault in found["faults"]] == ["duplicate"]
    assert found["faults"][0]["exam_ids"] == ["e2", "e4"]
    assert len(found["warnings"][0]["exam_ids"]) == 12


def test_options_reach_the_reading(manifest, capsys):
    for k in range(12):
        values = np.load(manifest.parent / f"e{k}.npy")
        np.savez(manifest.parent / f"e{k}.npz", data=values.transpose(1, 0, 2), other=values)
    edit(manifest, ".npy", ".npz")
    assert main(["cohort", "check", str(manifest)]) == 1
    assert "0 could be read" in capsys.readouterr().out
    assert main(["cohort", "check", str(manifest), "--key", "data", "--axes", "depth,bscan,ascan"]) == 0
    edit(manifest, "R,0", "R,well")
    edit(manifest, "L,1", "L,ill")
    assert main(["cohort", "check", str(manifest), "--key", "other", "--positive", "ill"]) == 0
    assert main(["cohort", "check", str(manifest), "--key", "other", "--positive", "sick"]) == 2


def test_a_fault_is_allowed_by_name(manifest, capsys):
    edit(manifest, ",R,", ",,")
    assert main(["cohort", "check", str(manifest)]) == 1
    assert main(["cohort", "check", str(manifest), "--allow", "laterality-unknown"]) == 0
    assert main(["cohort", "check", str(manifest), "--allow", "laterality"]) == 2


def test_a_patient_in_two_parts_is_a_finding_here_and_no_refusal(manifest, capsys):
    lines = manifest.read_text().splitlines()
    parts = ["split", *["train"] * 6, *["test"] * 6]
    manifest.write_text("\n".join(f"{line},{part}" for line, part in zip(lines, parts, strict=True)) + "\n")
    edit(manifest, "e9,p9", "e9,p0")
    assert main(["cohort", "check", str(manifest)]) == 1
    assert "  patient-in-two-splits: patient 'p0' is in test and train [e0, e9]" in capsys.readouterr().out


def test_rows_without_patient_or_label_need_a_word(manifest, capsys):
    edit(manifest, "e3,p3", "e3,")
    assert main(["cohort", "check", str(manifest)]) == 2
    assert main(["cohort", "check", str(manifest), "--each-row-its-own-patient"]) == 0
    edit(manifest, "e5.npy,L,1", "e5.npy,L,")
    assert main(["cohort", "check", str(manifest), "--each-row-its-own-patient"]) == 2
    assert main(["cohort", "check", str(manifest), "--each-row-its-own-patient", "--unlabelled"]) == 0


def test_a_manifest_that_is_none_is_one_line_and_exit_code_2(manifest, capsys):
    edit(manifest, "patient_id", "who")
    assert main(["cohort", "check", str(manifest)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("octavo: cohort.csv, line 1: column 'patient_id' is missing")
    assert len(captured.err.splitlines()) == 1


def test_long_readings_say_how_far_they_are(caplog):
    with caplog.at_level(logging.INFO, logger="octavo"):
        report = progress_log(0.0)
        report(1, 3)
        report(2, 3)
        silent = progress_log(3600.0)
        silent(1, 3)
    assert caplog.messages == ["1 of 3 scans read", "2 of 3 scans read"]


def test_the_workflow_refuses_what_the_command_refuses(manifest):
    with pytest.raises(OctavoError, match="cannot be read"):
        check_manifest(manifest.with_name("none.csv"))


REAL = Path(__file__).parents[3] / "shared" / "data"


def require_real(*names: str) -> None:
    absent = [name for name in names if not (REAL / name).exists()]
    if absent:
        pytest.skip(f"sample scans are not here: {', '.join(absent)}")


@pytest.mark.real
def test_real_volumes_of_another_kind_go_through_check_and_split(tmp_path):
    require_real("oct3d_pose")
    scans = sorted((REAL / "oct3d_pose").glob("*.npz"))
    heights = [float(np.load(scan)["pos"][2]) for scan in scans]
    rows = [
        f"n{k},,{scan},,{int(height > np.median(heights))}"
        for k, (scan, height) in enumerate(zip(scans, heights, strict=True))
    ]
    manifest = tmp_path / "cohort.csv"
    manifest.write_text("\n".join(["exam_id,patient_id,path,laterality,label", *rows]) + "\n")
    options = {"each_row_its_own_patient": True, "key": "data", "axes": "depth,bscan,ascan"}
    check = check_manifest(manifest, **options)
    assert (check.exams, check.readable) == (12, 12)
    assert [fault.kind for fault in check.faults] == ["laterality-unknown"]
    assert {warning.kind for warning in check.warnings} == {"slow-axis-unknown", "spacing-unknown"}
    split = split_cohort(manifest, tmp_path / "splits.csv", seed=100, compare_scans=True, **options)
    assert [counts.exams for counts in split.counts.values()] == [8, 2, 2]
    assert [counts.positive_exams for counts in split.counts.values()] == [4, 1, 1]


@pytest.mark.real
def test_real_scans_of_several_formats_are_judged_one_by_one(tmp_path):
    vol = "heidelberg_vol"
    scans = {
        "raster": ("oct_spectralis_drusen_bonn/OCT-Volume-Scan", "OS"),
        "tiff": ("oct_macular_hole/mh.tif", "OD"),
        "circle": (f"{vol}/peripapillary_circle_OD.vol", "OD"),
        "line": (f"{vol}/macula_line_OD.vol", ""),
        "other-eye": (f"{vol}/macula_line_OD.vol", "OS"),
        "lying": (f"{vol}/tiny_raster_10x40x50.vol", "OD"),
    }
    require_real(*(path for path, _ in scans.values()))
    rows = [f"{k},p{at},{REAL / path},{eye},{at % 2}" for at, (k, (path, eye)) in enumerate(scans.items())]
    manifest = tmp_path / "cohort.csv"
    manifest.write_text("\n".join(["exam_id,patient_id,path,laterality,label", *rows]) + "\n")
    found: dict[str, list[str]] = {}
    for fault in check_manifest(manifest).faults:
        found.setdefault(fault.kind, []).extend(fault.exam_ids)
    assert found == {"unreadable": ["lying"], "laterality-conflict": ["other-eye"], "unsuitable": ["circle", "line"]}


@pytest.mark.parametrize("command", ["cohort_adopt", "cohort_check", "cohort_split"])
def test_commands_start_without_heavy_libraries(command):
    heavy = "{'torch', 'lightning', 'scipy', 'pandas', 'matplotlib', 'nibabel', 'pydicom', 'PIL'}"
    code = f"import sys, octavo.cli.{command}; print(*sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""
