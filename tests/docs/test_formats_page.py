"""The table of what is read of each format says what the readers do: no more, and no less."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from markdown_pages import ROOT, Page

from contracts.test_readers import CASES
from formats.bombs import BOMBS
from formats.more_seeds import MORE
from octavo.companions import Companions
from octavo.formats import READERS, list_scans, read_companions, read_volume
from octavo.volume import Origin, Volume

COLUMNS = ("millimetres", "eye", "direction", "pattern", "surfaces", "photograph")
ELSEWHERE = {
    ("dicom", "direction"): "tests/formats/dicom/test_dicom.py::test_lines_on_the_fundus_tell_the_direction",
    (
        "dicom",
        "photograph",
    ): "tests/formats/dicom/test_dicom_writing.py::test_photographs_of_the_same_study_and_eye_come_along",
    ("numpy", "direction"): "tests/formats/test_numpy_file.py::test_octavos_own_archive_brings_everything_back",
    ("tiff", "direction"): "tests/formats/test_tiff.py::test_octavos_own_file_brings_everything_back",
    (
        "heidelberg-vol",
        "surfaces",
    ): "tests/formats/heidelberg/test_heidelberg_vol.py::test_boundaries_and_fundus_image_come_along",
    (
        "heidelberg-vol",
        "photograph",
    ): "tests/formats/heidelberg/test_heidelberg_vol.py::test_boundaries_and_fundus_image_come_along",
    ("zeiss-img", "direction"): "tests/formats/zeiss/test_zeiss_img.py::test_a_profile_says_everything",
    ("zeiss-img", "photograph"): "tests/formats/zeiss/test_zeiss_img.py::test_the_fundus_image_comes_along",
    (
        "matlab",
        "photograph",
    ): "tests/formats/matlab/test_matlab.py::test_layers_and_the_infrared_image_of_an_export_come_along",
}
"""Claims that no seed of a format shows, and the test that does."""


def table() -> dict[str, dict[str, str]]:
    """The rows of the page: format, then column to cell."""
    lines = [line for line in Page("docs/formats.md").text.splitlines() if line.startswith("|")]
    header = next(line for line in lines if "| surfaces |" in line)
    names = ["name", "millimetres", "eye", "direction", "pattern", "surfaces", "photograph", "checked"]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines[lines.index(header) + 2 :]]
    return {row[0].strip("`"): dict(zip(names[1:], row[1:], strict=True)) for row in rows}


def told(volume: Volume, companions: Companions) -> set[str]:
    """The columns that a scan fills, apart from the eye in its name."""
    known = {
        "millimetres": any(mm is not None for mm in volume.spacing_mm.values_mm),
        "eye": volume.laterality != "unknown" and not is_from_name(volume),
        "direction": volume.slow_axis != "unknown",
        "pattern": volume.pattern != "unknown",
        "surfaces": bool(companions.surfaces),
        "photograph": bool(companions.pictures),
    }
    return {name for name, is_known in known.items() if is_known}


def is_from_name(volume: Volume) -> bool:
    return volume.laterality_origin is Origin.DERIVED


@cache
def shown() -> dict[str, set[str]]:
    """Format to the columns that its seeds fill."""
    found: dict[str, set[str]] = defaultdict(set)
    for case in [*CASES, *MORE]:
        name, write = case.values
        if case.id == "numpy-octexplorer":
            continue
        with TemporaryDirectory() as folder:
            path = write(Path(folder))
            scan = 1 if len(list_scans(path)) > 1 else None
            found[name] |= told(read_volume(path, scan=scan), read_companions(path, scan=scan))
    return dict(found)


def test_every_format_has_a_row_and_says_how_it_was_checked() -> None:
    rows = table()

    assert set(rows) == set(READERS)
    for name, row in rows.items():
        told_how = re.search(r"\breal\b|\bpublished\b|^synthetic only$", row["checked"])
        assert told_how, f"{name}: the page does not say whether a real file was read"


@pytest.mark.parametrize("name", READERS)
def test_a_row_says_what_the_reader_does(name: str) -> None:
    row = table()[name]
    claimed = {column for column in COLUMNS if row[column] != "—"}

    assert shown()[name] <= claimed, "the page leaves out what is read"
    for column in claimed - shown()[name]:
        place, _, test = ELSEWHERE[name, column].partition("::")
        assert test in (ROOT / place).read_text(), f"{name}: nothing shows {column}"


def test_the_page_of_measurements_names_every_format() -> None:
    text = Page("docs/fuzzing.md").text

    assert {name for name in READERS if f"| `{name}` |" in text} == set(READERS)
    assert {name for name, _, _ in BOMBS} == set(READERS)
    wrong = [int(row[1]) for row in re.finditer(r"^\| `[a-z0-9-]+` \|(?:[^|]*\|){4} (\d+) \|", text, re.M)]
    assert len(wrong) > 50
    assert not any(wrong)
