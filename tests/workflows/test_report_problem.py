"""Reporting a file that will not open."""

import json

import numpy as np
import pytest

from formats.written_scans import eye
from octavo.cli import main
from octavo.workflows.report_problem import report_problem
from privacy.test_skeleton import FILES, found_in


@pytest.mark.parametrize("name", FILES)
def test_the_report_and_what_is_printed_name_nobody(tmp_path, name, capsys):
    path = FILES[name][0](tmp_path / name)

    assert main(["report-problem", str(path), "--out", str(tmp_path / "report.json")]) == 0

    text = (tmp_path / "report.json").read_text()
    assert found_in(text) == []
    assert str(tmp_path) not in text
    told = capsys.readouterr()
    assert found_in(told.out + told.err) == []
    assert json.loads(text)["kind"] == FILES[name][1]


def test_a_name_in_the_path_is_no_part_of_the_report(tmp_path):
    folder = tmp_path / "Doe^Jane 1950-01-02"
    folder.mkdir()
    np.savez(folder / "Doe_Jane.npz", Doe_left=eye(), Jane_right=eye())

    report = report_problem(folder / "Doe_Jane.npz", tmp_path / "report.json")

    assert report["refusal"].startswith("FILE: holds 2 scans (...); wanted one")
    text = (tmp_path / "report.json").read_text()
    assert not any(word in text for word in ("Doe", "Jane", "1950"))


def test_a_file_that_opens_says_so(tmp_path):
    np.save(tmp_path / "eye.npy", eye())

    report = report_problem(tmp_path / "eye.npy", tmp_path / "report.json")

    assert (report["opens"], report["shape"], report["ending"]) == (True, [4, 12, 16], ".npy")


def test_reports_are_not_written_over_anything(tmp_path, capsys):
    np.save(tmp_path / "eye.npy", eye())
    before = (tmp_path / "eye.npy").read_bytes()
    words = ["report-problem", str(tmp_path / "eye.npy"), "--out"]

    assert main([*words, str(tmp_path / "eye.npy"), "--overwrite"]) == 2
    assert main([*words, str(tmp_path)]) == 2
    assert main([*words, str(tmp_path / "report.json")]) == 0
    assert main([*words, str(tmp_path / "report.json")]) == 2
    assert "is there already; wanted a new name" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "report.json"), "--overwrite"]) == 0
    assert main(["report-problem", str(tmp_path / "gone"), "--out", str(tmp_path / "other.json")]) == 2
    assert (tmp_path / "eye.npy").read_bytes() == before
    assert not (tmp_path / "other.json").exists()
