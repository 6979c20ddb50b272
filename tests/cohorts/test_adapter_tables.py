"""The spreadsheets and archives beside scans: read tolerantly, bounded, and without running anything."""

import datetime
import pickle
import zipfile

import numpy as np
import openpyxl
import pytest
import trees

from octavo.cohorts.adapters.npz_facts import read_archive_facts
from octavo.cohorts.adapters.spreadsheets import read_spreadsheet
from octavo.errors import OctavoError


def test_a_workbook_becomes_text(tmp_path):
    book = openpyxl.Workbook()
    for row in (
        ["ID", "Age", "Day", None, "Note", "Yes"],
        [10001, 63.5, datetime.datetime(2012, 2, 8), None, " x ", True],
        [None, None, None, None, None, None],
        ["007", 63.0, None, None, None, False],
    ):
        book.active.append(row)
    book.create_sheet("second").append(["other"])
    book.save(tmp_path / "a.xlsx")
    sheet = read_spreadsheet(tmp_path / "a.xlsx")
    assert sheet.columns == ("ID", "Age", "Day", "Note", "Yes")
    assert sheet.rows == (
        {"ID": "10001", "Age": "63.5", "Day": "2012-02-08", "Note": "x", "Yes": "1"},
        {"ID": "007", "Age": "63", "Day": "", "Note": "", "Yes": "0"},
    )
    assert (sheet.find("id"), sheet.find("AGE"), sheet.find("nothing")) == ("ID", "Age", None)


@pytest.mark.parametrize("cut", [0, 10, 100, 1000, -30])
def test_a_workbook_that_is_cut_short_is_refused(tmp_path, cut):
    path = trees.workbook(tmp_path / "a.xlsx", [{"ID": k} for k in range(50)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(OctavoError, match="wanted a spreadsheet"):
        read_spreadsheet(path)


def test_a_workbook_with_flipped_bytes_is_read_or_refused(tmp_path):
    path = trees.workbook(tmp_path / "a.xlsx", [{"ID": k, "Age": 2 * k} for k in range(20)])
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            assert len(read_spreadsheet(path).rows) <= 1000
        except OctavoError:
            refused += 1
    assert refused > 30


def test_a_workbook_that_would_unpack_without_end_is_refused(tmp_path):
    path = trees.workbook(tmp_path / "a.xlsx", [{"ID": 1}])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.xml", bytes(2**28 + 1))
    assert path.stat().st_size < 2**20
    with pytest.raises(OctavoError, match="would unpack to"):
        read_spreadsheet(path)


def test_a_workbook_that_lies_about_its_size_adds_no_cells(tmp_path):
    path = trees.workbook(tmp_path / "a.xlsx", [{"ID": 1}])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    assert b'<dimension ref="A1:A2"' in parts[name]
    parts[name] = parts[name].replace(b'ref="A1:A2"', b'ref="A1:XFD1048576"')
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    sheet = read_spreadsheet(path)
    assert (sheet.columns, sheet.rows) == (("ID",), ({"ID": "1"},))


def test_a_value_that_stands_twice_is_refused(tmp_path):
    sheet = read_spreadsheet(trees.table(tmp_path / "a.csv", [{"ID": "1"}, {"ID": "1"}]))
    with pytest.raises(OctavoError, match="'1' stands twice in column 'ID'"):
        sheet.by("ID")


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_an_archive_of_objects_runs_nothing(tmp_path):
    trap = tmp_path / "trap"
    path = tmp_path / "a.npz"
    np.savez(path, age=np.array(63.0), evil=np.array(Bomb(trap), dtype=object))
    facts = read_archive_facts(path)
    assert facts.texts == {"age": "63.0"}
    assert facts.objects == ("evil",)
    assert not trap.exists()
    with zipfile.ZipFile(path) as archive:
        content = archive.read("evil.npy")
    pickle.loads(content[content.index(b"\x80") :]).item().close()
    assert trap.exists(), "the trap works, so it was not sprung before"


def test_only_single_values_of_an_archive_are_read(tmp_path):
    np.savez_compressed(
        tmp_path / "a.npz",
        one=np.array([7]),
        word=np.array("late.amd"),
        empty=np.array(""),
        none=np.zeros(0),
        many=np.zeros(2**22, np.uint8),
    )
    facts = read_archive_facts(tmp_path / "a.npz")
    assert facts.texts == {"one": "7", "word": "late.amd", "empty": ""}
    assert facts.shapes["many"] == (2**22,)
    assert facts.text("other", "word") == "late.amd"
