"""Cells of spreadsheets as covariates: what is unknown, what is a number, and which column is meant."""

import pytest
import trees

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.spreadsheets import read_spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality


def sheet_of(folder, **cells):
    return read_spreadsheet(trees.table(folder / "people.csv", [cells], ";"))


@pytest.mark.parametrize("text", ["", "NA", "n/a", "unknown", "Unknown", "nan", "#N/A", "#REF!", "#VALUE!", "-1", "?"])
def test_words_for_unknown_and_failed_formulas_are_nothing(text):
    assert covariates.known(text) == ""


def test_minus_one_is_unknown_for_ages_and_a_value_for_mean_deviations(tmp_path):
    for text in ("-1", "-1.0", "-1.00"):
        sheet = sheet_of(tmp_path, age=text, md=text, mmse=text)
        assert covariates.from_row(sheet, sheet.rows[0]) == {"md": "-1"}, text


def test_a_decimal_comma_is_refused_with_its_column(tmp_path):
    sheet = sheet_of(tmp_path, Age="63,5", sex="F")
    with pytest.raises(OctavoError, match=r"people\.csv, column 'Age': '63,5' has a comma; wanted a number with a"):
        covariates.from_row(sheet, sheet.rows[0])


def test_a_column_that_is_written_just_so_comes_first(tmp_path):
    sheet = sheet_of(tmp_path, DX="a", dx="b", PatientID="c", patient_id="d")
    assert [sheet.find(name) for name in ("dx", "DX", "patient_id", "PatientID")] == [
        "dx",
        "DX",
        "patient_id",
        "PatientID",
    ]
    assert sheet.find("diagnosis", "PatientID", "patient_id") == "PatientID"


def test_columns_that_could_all_be_meant_are_refused(tmp_path):
    sheet = sheet_of(tmp_path, DX="a", dX="b", sex="F")
    with pytest.raises(OctavoError, match=r"columns 'DX', 'dX' could all be 'dx'; wanted one"):
        sheet.require("dx")
    assert sheet.find("sex") == "sex"


@pytest.mark.parametrize(("text", "eye"), [("right", "OD"), ("L", "OS"), ("", "unknown"), ("n/a", "unknown")])
def test_an_eye_is_named_or_not_known(tmp_path, text, eye):
    sheet = sheet_of(tmp_path, side=text, ID="1")
    assert covariates.eye(sheet, sheet.rows[0], "side") is Laterality(eye)
    assert covariates.eye(sheet, sheet.rows[0], None) is Laterality.UNKNOWN


@pytest.mark.parametrize("word", ["rechts", "OU", "3"])
def test_a_word_that_is_no_eye_is_refused_with_its_row(tmp_path, word):
    rows = [{"side": "OD"}, {"side": word}]
    sheet = read_spreadsheet(trees.table(tmp_path / "people.csv", rows))
    with pytest.raises(OctavoError, match=f"row 2 below the header, column 'side': is '{word}'; wanted OD or OS"):
        covariates.eye(sheet, sheet.rows[1], "side")
