"""The search finds what is planted, whatever it is packed in: one that finds nothing anywhere proves nothing."""

import base64
import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from octavo.formats import READERS, read_volume
from octavo.privacy.skeleton import skeleton
from privacy.canaries import (
    CORE,
    DATE,
    NUMBER,
    REAL,
    UID,
    canary,
    find_below,
    find_in_bytes,
    find_in_text,
    planted_fields,
)

WORD = f"{CORE}123"
FORMS = {
    "plain": WORD.encode(),
    "capitals": WORD.upper().encode(),
    "small": WORD.lower().encode(),
    "two bytes": WORD.encode("utf-16"),
    "two bytes, high first": WORD.encode("utf-16-be"),
    "four bytes": np.array(WORD).tobytes(),
    "reversed": WORD[::-1].encode(),
    "hexadecimal": WORD.encode().hex().encode(),
    "capital hexadecimal": WORD.encode().hex().upper().encode(),
    "after the family name": f"Doe^{WORD}".encode(),
    "before the given name": f"{WORD}, Jane".encode(),
    "a date": DATE.encode(),
    "a date with lines": b"1903-04-17",
    "a date with points": b"17.04.1903",
    "a number": f"no. {NUMBER}".encode(),
    "a number in bytes": struct.pack("<I", NUMBER),
    "days": struct.pack("<d", REAL),
    "days as text": repr(REAL).encode(),
    "an identifier": f"{UID}.17".encode(),
}
SPELLINGS = (WORD, WORD.upper(), WORD.lower())
FORMS |= {
    f"base 64, {shift} before, {place}": base64.b64encode(b"x" * shift + word.encode() + b"tail")
    for place, word in enumerate(SPELLINGS)
    for shift in range(3)
}

SHORT = tuple(f"analyze {field}" for field in ("generated", "scannum", "patient_id", "exp_date", "exp_time"))
"""Fields that are too short for a whole word; what fits is found, and not which it was."""


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_word_is_found(form):
    assert find_in_bytes(b"before " + FORMS[form] + b" after", "here")


def packed_in_npz():
    stream = io.BytesIO()
    np.savez_compressed(stream, told=np.array([WORD] * 40))
    return stream.getvalue()


def packed_in_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.gz", gzip.compress(WORD.encode() * 9))
    return stream.getvalue()


def packed_in_png(kind):
    info, stream = PngImagePlugin.PngInfo(), io.BytesIO()
    if kind == "international":
        info.add_itxt("Title", WORD * 9, zip=True)
    else:
        info.add_text("Title", WORD * 9, zip=True)
    Image.new("L", (4, 4)).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


PACKAGES = {
    "gzip": lambda: gzip.compress(WORD.encode() * 9),
    "npz": packed_in_npz,
    "gzip in zip": packed_in_zip,
    "png": lambda: packed_in_png("plain"),
    "png international": lambda: packed_in_png("international"),
    "page": lambda: b"<img src='data:image/png;base64," + base64.b64encode(packed_in_png("plain")) + b"'>",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_opened(package):
    content = PACKAGES[package]()

    assert WORD.encode() not in content
    assert find_in_bytes(content, "here")


def test_names_of_files_are_searched(tmp_path):
    (tmp_path / f"{WORD}.csv").write_text("nothing")

    assert len(find_below(tmp_path)) == 1


def test_other_words_are_no_find():
    assert find_in_text("Doe^Jane, born 1950-01-02, 4711, canary, Zq7, 1.2.826.0.1.3680043", "here") == []
    assert find_in_bytes(np.random.default_rng(3).bytes(2**20), "noise") == []


def test_what_was_found_is_said_with_its_field():
    word = canary("test search")

    assert find_in_text(f"a {word} b", "here") == [f"here: test search: b'a {word} b'"]
    assert find_in_bytes(word.encode("utf-16-le"), "here")[0].startswith("here: test search: ")


def test_every_planted_word_stands_in_a_source(sources):
    home = next(iter(sources.values())).parent.parent
    found = find_below(home)

    fields = [field for field in planted_fields() if not field.startswith(("spreadsheet", "test ", *SHORT))]
    assert len(fields) >= 40
    assert [field for field in fields if not any(f": {field}: " in line for line in found)] == []
    # numbers and dates stand there too, in bytes or in letters
    for form in (DATE.encode(), struct.pack("<I", NUMBER), struct.pack("<d", REAL), UID.encode()):
        assert any(form in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_every_reader_reads_a_planted_scan(sources):
    assert {read_volume(path).source.format for path in sources.values()} == set(READERS)


def test_a_skeleton_that_told_a_word_would_be_noticed(sources):
    told = repr(skeleton(sources["nifti"]))

    assert find_in_text(told, "skeleton") == []
    assert find_in_text(told + sources["nifti"].read_bytes().decode("latin-1"), "skeleton")
