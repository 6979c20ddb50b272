"""No file that is read is written over, whatever is allowed to be replaced."""

import os
import shutil

import numpy as np
import pytest

from octavo.cli import main
from octavo.errors import OctavoError
from octavo.workflows.own_inputs import refuse_own_input


def test_an_input_is_known_by_any_name(tmp_path):
    scan = tmp_path / "scan.npy"
    np.save(scan, np.zeros(3))
    (tmp_path / "link").symlink_to(scan)
    os.link(scan, tmp_path / "hard")
    for out in (scan, tmp_path / "link", tmp_path / "hard", tmp_path / "." / "scan.npy"):
        with pytest.raises(
            OctavoError, match=r"would be written over .*scan.npy, which is read; .*; choose another --table"
        ):
            refuse_own_input(out, ["gone", f"{scan}#2"], option="--table")
    refuse_own_input(tmp_path / "new", [scan])
    shutil.copy(scan, tmp_path / "copy")
    refuse_own_input(tmp_path / "copy", [scan])


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """Scans, a list of them and a manifest, in the working folder."""
    monkeypatch.chdir(tmp_path)
    lines = ["exam_id,patient_id,path,laterality,label"]
    (tmp_path / "scans").mkdir()
    for k in range(24):
        np.save(tmp_path / "scans" / f"{k}.npy", np.random.default_rng(k).integers(0, 255, (4, 6, 5), dtype=np.uint8))
        lines.append(f"e{k},p{k},scans/{k}.npy,OD,{k % 2}")
    text = "\n".join(lines) + "\n"
    (tmp_path / "mm.csv").write_text(text)
    (tmp_path / "scans" / "list.csv").write_text(text.replace("scans/", ""))
    (tmp_path / "scans" / "notes.csv").write_text("a,b\n1,2\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "cohort split mm.csv --out mm.csv --overwrite",
        "cohort split mm.csv --out scans/3.npy --overwrite",
        "compare-scan scans/1.npy scans/2.npy --table scans/2.npy",
        "compare-scan scans/1.npy scans/2.npy --table ./scans/../scans/1.npy",
        "cohort adopt csv scans --table scans/list.csv --out scans/list.csv --overwrite",
        "cohort adopt csv scans --table scans/list.csv --out scans/3.npy --overwrite",
        "cohort adopt csv scans --table scans/list.csv --out scans/notes.csv --overwrite",
        "report-problem scans/1.npy --out scans/1.npy --overwrite",
    ],
)
def test_commands_leave_what_they_read(clinic, words, capsys):
    before = {path: path.read_bytes() for path in clinic.rglob("*") if path.is_file()}
    assert main(words.split()) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert {path: path.read_bytes() for path in clinic.rglob("*") if path.is_file()} == before


def test_the_only_list_of_a_folder_is_not_replaced_by_its_manifest(clinic, capsys):
    (clinic / "scans" / "notes.csv").unlink()
    assert main(["cohort", "adopt", "csv", "scans", "--out", "scans/list.csv", "--overwrite"]) == 2
    assert "which is read" in capsys.readouterr().err


def test_a_manifest_among_the_scans_may_be_made_anew(clinic):
    words = ["cohort", "adopt", "csv", "scans", "--table", "scans/list.csv", "--out", "scans/manifest.csv"]
    assert main(words) in {0, 1}
    assert main([*words, "--overwrite"]) in {0, 1}
