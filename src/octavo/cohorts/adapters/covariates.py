"""Covariates under one spelling, whatever a data set calls them: age, sex, race, ethnicity, severity, exam_date ..."""

import datetime
import math
import re
from collections.abc import Callable, Mapping
from functools import partial

from octavo.cohorts.adapters.spreadsheets import Spreadsheet
from octavo.errors import OctavoError
from octavo.volume import Laterality

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
    "age": ("age", "age_years", "patient_age", "AGE"),
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

# a number sign begins what spreadsheets write where a formula failed
_NOTHING = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "unknown", "not reported", "-1", "?"}
    | {"#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"}
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def known(text: str) -> str:
    """A cell, or nothing where it says that nothing is known.

    Example:
        >>> known("nan"), known(" 63 "), known("#N/A")
        ('', '63', '')
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


def number(text: str, *, minus_one: bool = False) -> str:
    """A finite number as it is shortest written; nothing for what is none.

    Args:
        text: The cell.
        minus_one: Whether -1 is a value, as of a mean deviation; elsewhere it stands for unknown.

    Raises:
        OctavoError: If it has a decimal comma, which elsewhere parts thousands.

    Example:
        >>> number("63.0"), number("-3.25"), number("old"), number("063Y")
        ('63', '-3.25', '', '')
        >>> number("-1.0"), number("-1.0", minus_one=True)
        ('', '-1')
    """
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        raise OctavoError(
            f"{text.strip()!r} has a comma; wanted a number with a decimal point; save the table with points"
        )
    try:
        value = float(text)
    except ValueError:
        return ""
    if not math.isfinite(value) or (value == -1 and not minus_one):
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


def eye(sheet: Spreadsheet, row: Mapping[str, str], column: str | None) -> Laterality:
    """The eye that a cell names; unknown where there is no such column, or the cell says that nothing is known.

    Raises:
        OctavoError: If another word stands there: an eye that is left out without a word is not looked for again.
    """
    text = known(row[column]) if column else ""
    found = Laterality.parse(text)
    if text and found is Laterality.UNKNOWN:
        number_of_row = next(number for number, other in enumerate(sheet.rows, 1) if other is row)
        raise OctavoError(
            f"{sheet.path}, row {number_of_row} below the header, column {column!r}: is {text!r}; wanted OD or OS (R, L, "
            "right, left), or nothing where it is unknown; correct it"
        )
    return found


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


CLEANED: Mapping[str, Callable[[str], str]] = {
    "age": number,
    "md": partial(number, minus_one=True),
    "mmse": number,
    "sex": sex,
    "exam_date": date,
}
"""How a cell becomes a covariate; by `known` where nothing else is said."""


def from_row(sheet: Spreadsheet, row: Mapping[str, str]) -> dict[str, str]:
    """The covariates that a row of a spreadsheet holds, under their one spelling; unknown ones are left out.

    Raises:
        OctavoError: If two columns could be meant by one name, or a number has a decimal comma.
    """
    found = {}
    for name, spellings in SPELLINGS.items():
        column = sheet.find(*spellings)
        clean = cleaned(sheet, column, CLEANED.get(name, known), row) if column is not None else ""
        if clean:
            found[name] = clean
    return found


def cleaned(sheet: Spreadsheet, column: str, clean: Callable[[str], str], row: Mapping[str, str]) -> str:
    """A cell as it stands in a manifest.

    Raises:
        OctavoError: If it cannot; the message names the column.
    """
    try:
        return clean(row[column])
    except OctavoError as refusal:
        raise OctavoError(f"{sheet.path}, column {column!r}: {refusal}") from None
