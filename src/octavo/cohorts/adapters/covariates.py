"""Covariates under one spelling, whatever a data set calls them: age, sex, race, ethnicity, severity, exam_date ..."""

import datetime
import math
from collections.abc import Mapping

from octavo.cohorts.adapters.spreadsheets import Spreadsheet

NAMES = (
    "age",
    "sex",
    "race",
    "ethnicity",
    "language",
    "marital_status",
    "severity",
    "diagnosis",
    "md",
    "mmse",
    "exam_date",
    "visit",
    "device",
    "protocol",
    "site",
    "photograph",
)
"""How a covariate is called, in every adapter."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "age": ("age", "age_years", "patient_age", "ageAtEntry", "AGE"),
    "sex": ("sex", "gender", "M/F", "PTGENDER", "patient_sex"),
    "race": ("race", "PTRACCAT"),
    "ethnicity": ("ethnicity", "PTETHCAT"),
    "language": ("language",),
    "marital_status": ("maritalstatus", "marital status", "PTMARRY"),
    "md": ("md", "mean_deviation"),
    "mmse": ("mmse",),
    "exam_date": ("exam_date", "study_visit_date", "Acq Date", "EXAMDATE", "date", "scan_date"),
    "visit": ("visit", "VISCODE"),
    "device": ("device", "scanner", "manufacturers_model_name"),
    "site": ("site", "clinical_site"),
}
"""Names under which spreadsheets hold them; birth dates, names and numbers of persons are never taken."""

RACES = {"0": "Asian", "1": "Black", "2": "White"}
"""What the numbers of the Harvard sets mean, as published."""

_NOTHING = frozenset({"", "nan", "none", "null", "na", "n/a", "unknown", "not reported", "-1", "?"})


def known(text: str) -> str:
    """A cell, or nothing where it says that nothing is known.

    Example:
        >>> known("nan"), known(" 63 ")
        ('', '63')
    """
    text = text.strip()
    return "" if text.lower() in _NOTHING else text


def sex(text: str) -> str:
    """F or M; nothing for what is neither.

    Example:
        >>> sex("Female"), sex("m"), sex("7")
        ('F', 'M', '')
    """
    return {"f": "F", "female": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}.get(text.strip().lower(), "")


def number(text: str) -> str:
    """A finite number as it is shortest written; nothing for what is none, or for -1 which stands for unknown.

    Example:
        >>> number("63.0"), number("-3.25"), number("old"), number("063Y")
        ('63', '-3.25', '', '')
    """
    try:
        value = float(known(text) or "nan")
    except ValueError:
        return ""
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


def date(text: str) -> str:
    """A day as YYYY-MM-DD: written so, or as month/day/year as American archives do; nothing for other texts.

    Example:
        >>> date("2006-11-02_08_16_44.0"), date("11/02/2006"), date("summer")
        ('2006-11-02', '2006-11-02', '')
    """
    text = text.strip()
    for written, length in (("%Y-%m-%d", 10), ("%m/%d/%Y", 10)):
        try:
            return datetime.datetime.strptime(text[:length], written).date().isoformat()
        except ValueError:
            continue
    return ""


def from_row(sheet: Spreadsheet, row: Mapping[str, str]) -> dict[str, str]:
    """The covariates that a row of a spreadsheet holds, under their one spelling; unknown ones are left out."""
    found = {}
    for name, spellings in SPELLINGS.items():
        column = sheet.find(*spellings)
        text = known(row[column]) if column is not None else ""
        clean = {"age": number, "md": number, "mmse": number, "sex": sex, "exam_date": date}.get(name, known)(text)
        if clean:
            found[name] = clean
    return found
