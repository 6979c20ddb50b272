"""Whatever stands in a file in the place of something else is not repeated; nor do copies and reports that are shared."""

import pickle
import re
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmread

from formats.written_matlab import write_mat5
from formats.written_octexplorer import planted, surfaces_xml
from formats.written_scans import ENCAPSULATED_PDF, opt_dataset, write_dicom
from formats.written_zeiss import scrambled_dicom, textured
from octavo.formats import READERS, VolumeReadError, list_scans, read_companions, read_volume
from octavo.volume import Laterality
from privacy.canaries import DATE, canary, find_below, find_in_text, name_of
from privacy.hearing import Hearing
from privacy.planted_scans import PLANTED

STEP = 96
"""How far apart the places are that are overwritten."""

VALUES = {
    **dict.fromkeys((".mha", ".mhd"), rb"= ([^\n]+)\n"),
    **dict.fromkeys((".nrrd", ".nhdr"), rb":=? ?([^\n]+)\n"),
    ".xml": rb">([^<>\n]+)<",
    ".txt": rb"=([^\n]+)\n",
    ".json": rb': ?("[^"]+"|[0-9.]+|\[[^\]]+\])',
}
"""Where values stand in formats that are written as text."""

KEPT_AS_WRITTEN = ("Manufacturer", "ManufacturerModelName")
"""What is passed on as the file writes it: who made the device, and which it is."""

KEPT_BY_THE_PROFILE = {"dicom software", "dicom stack", "dicom frame label"}
"""Texts that PS3.15's table does not list: which program wrote the image, and how frames are called and grouped."""

SUFFIXES = sorted({ending for reader in READERS.values() for ending in reader.suffixes})


def told_of(path: Path) -> str:
    """Everything that reading a file says, whether it succeeds or not."""
    told = []
    for read in (list_scans, read_volume, read_companions):
        try:
            found = read(path)
            told.append(repr(found) if read is not read_companions else f"{found!r} {found.describe()}")
        except VolumeReadError as refusal:
            told.append(str(refusal))
    return "\n".join(told)


def small(name: str, folder: Path) -> Path:
    return PLANTED[name](folder, "eye", textured(4, 16, 16), Laterality.OS)


def test_what_is_told_would_show_a_word(tmp_path):
    path = small("npz", tmp_path)
    np.savez(path, **{canary("test array"): textured(4, 16, 16), "other": textured(4, 16, 16)})

    assert find_in_text(told_of(path), "told")


@pytest.mark.parametrize("name", PLANTED)
def test_a_word_in_the_place_of_other_bytes_is_not_repeated(name, tmp_path):
    path = small(name, tmp_path)
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    word, found = canary("test overwritten").encode(), []
    for file in files if len(files) < 4 else [files[0], *(file for file in files if file.suffix == ".xml")]:
        whole = file.read_bytes()
        offset = sum(map(ord, name)) % STEP
        for at in [*range(offset, min(len(whole), 2048), STEP), *(len(whole) * k // 16 for k in range(16))]:
            file.write_bytes(whole[:at] + word + whole[at + len(word) :])
            found += find_in_text(told_of(path), f"{file.name} at {at}")
        file.write_bytes(whole)

    assert found == []


@pytest.mark.parametrize("name", ["mha", "mhd", "nrrd", "nhdr", "heyex", "optovue", "zeiss"])
def test_a_word_in_the_place_of_any_value_is_not_repeated(name, tmp_path):
    path = small(name, tmp_path)
    word, found, tried = canary("test value").encode(), [], 0
    for file in [file for file in sorted(tmp_path.rglob("*")) if file.suffix in VALUES]:
        whole = file.read_bytes()
        fields = set()
        for value in re.finditer(VALUES[file.suffix], whole):
            field = re.split(rb"[<\n,{]", whole[max(value.start() - 40, 0) : value.start() + 1])[-1]
            # a field that comes again with every B-scan is tried once
            if field in fields or field.decode().rstrip(">") in KEPT_AS_WRITTEN:
                continue
            fields.add(field)
            new = b'"' + word + b'"' if file.suffix == ".json" else word
            tried += 1
            file.write_bytes(whole[: value.start(1)] + new + whole[value.end(1) :])
            found += find_in_text(told_of(path), repr(value[0]))
        file.write_bytes(whole)

    assert tried >= 4
    assert found == []


def test_a_word_in_the_place_of_any_dicom_element_is_not_repeated(tmp_path):
    word, found, tried = canary("test element"), [], 0
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(textured(2, 16, 16)))
    for element in list(dcmread(path)):
        if element.keyword in {*KEPT_AS_WRITTEN, "PixelData"} or element.VR == "SQ":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            dataset[element.tag] = pydicom.DataElement(element.tag, "LO" if element.VR != "UI" else "UI", word)
            dataset.save_as(tmp_path / "other.dcm")
        tried += 1
        found += find_in_text(told_of(tmp_path / "other.dcm"), element.keyword)

    assert tried >= 15
    assert found == []


def other_wholes() -> dict[str, bytes]:
    """Files that are whole and no scan, with names in them."""
    person, pdf = name_of("test other"), opt_dataset(textured(2, 16, 16), sop_class=ENCAPSULATED_PDF)
    for field in ("Rows", "Columns", "PixelData"):
        del pdf[field]
    pdf.PatientName, pdf.DocumentTitle = person, canary("test document title")
    stream = BytesIO()
    pdf.save_as(stream, enforce_file_format=True)
    surfaces = surfaces_xml(planted((4, 16, 16)), (4, 16, 16)).replace("Doe^Jane", person)
    table = f"name,born\n{person},{DATE}\n" * 40
    return {
        "eye.dcm": scrambled_dicom(private=True).replace(b"Doe^Jane", person.encode()),
        "report.dcm": stream.getvalue(),
        "eye.xml": surfaces.encode(),
        "HEDX.xml": f"<HEDX><Patient><LastName>{person}</LastName></Patient></HEDX>".encode(),
        **{f"table{ending}": table.encode() for ending in SUFFIXES},
        "pickled.npy": b"\x93NUMPY\x01\x00" + pickle.dumps(person).ljust(400),
    }


@pytest.mark.parametrize("name", other_wholes())
def test_what_is_said_of_other_files_names_nobody(name, tmp_path):
    (tmp_path / name).write_bytes(other_wholes()[name])
    told = told_of(tmp_path / name)

    assert "; wanted " in told
    assert find_in_text(told, "told") == []


def test_reports_hold_no_names_of_arrays_either(tmp_path):
    words = [canary("test reported array"), canary("test reported structure")]
    np.savez(tmp_path / "eye.npz", **{word: textured(4, 16, 16) for word in words})
    write_mat5(tmp_path / "eye.mat", {word: textured(4, 16, 16) for word in words})
    heard = Hearing(tmp_path)
    for name in ("eye.npz", "eye.mat"):
        assert heard.run("report-problem", tmp_path / name, "--out", tmp_path / "reports" / f"{name}.json") == 0

    assert find_below(tmp_path / "reports") == []


def test_de_identified_copies_and_the_key_name_nobody(sources, tmp_path):
    heard = Hearing(tmp_path)
    out, key = tmp_path / "shared", tmp_path / "key"
    scans = [sources["dicom"].parent, sources["dicom-series"]]

    assert heard.run("deidentify", *scans, "--out", out, "--key-file", key) == 0
    assert heard.run("deidentify", *scans, "--out", out, "--key-file", key) == 2
    assert heard.run("inspect", out) == 0
    assert len(list(out.rglob("*.dcm"))) == 17
    # what the profile keeps is shown by what is found, and is nothing more
    assert {line.split(": ")[1] for line in find_below(out)} == KEPT_BY_THE_PROFILE
    assert find_in_text(key.read_text() + heard.text, "said") == []
