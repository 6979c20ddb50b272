import numpy as np
import pytest

from formats.written_scans import bscan_lines, heyex_xml
from octavo.formats.errors import VolumeReadError
from octavo.formats.heidelberg import export_geometry
from octavo.formats.heidelberg.export_geometry import read_heyex_export
from octavo.volume import Laterality


def read(tmp_path, text: str):
    (tmp_path / "info.xml").write_text(text)
    return read_heyex_export(tmp_path / "info.xml")


def test_the_localiser_is_left_out_and_every_bscan_is_kept(tmp_path):
    export = read(tmp_path, heyex_xml((7, 496, 512)))

    assert export.shape == (7, 496, 512)
    assert (export.depth_mm, export.ascan_mm) == (0.0039, 0.0113)
    np.testing.assert_allclose([image.line_mm for image in export.bscans], bscan_lines(7))
    assert "Doe" not in repr(export)


@pytest.mark.parametrize(("word", "eye"), [("R", Laterality.OD), ("L", Laterality.OS), (None, Laterality.UNKNOWN)])
def test_the_eye_is_read(tmp_path, word, eye):
    assert read(tmp_path, heyex_xml((2, 4, 4), laterality=word)).laterality is eye


def test_an_export_of_both_eyes_leaves_the_eye_unknown(tmp_path):
    text = heyex_xml((2, 4, 4), laterality="R").replace("<Laterality>R", "<Laterality>L", 1)

    assert read(tmp_path, text).laterality is Laterality.UNKNOWN


def test_an_xml_file_of_something_else_is_none(tmp_path):
    assert read(tmp_path, "<a><b>1</b></a>") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<a>" * 100, "nested deeper"),
        ('<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>', "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "declares a document type"),
        ("<a>", "cannot be parsed"),
        ("", "cannot be parsed"),
        (heyex_xml((2, 4, 4)).replace("<Width>4</Width>", "<Width>5</Width>", 1), "different sizes or scales"),
        (heyex_xml((2, 4, 4)).replace("0.0113", "wide"), "cannot be parsed"),
        (heyex_xml((2, 4, 4), spacing_mm=(0.0, 0.01)), "different sizes or scales"),
    ],
)
def test_damaged_and_hostile_files_are_refused(tmp_path, text, sentence):
    with pytest.raises(VolumeReadError, match=sentence):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text", ["<a>" + "<Image/>" * 60 + "</a>", "<a>" + "<Series/>" * 60 + "</a>", "<a>" + "<b/>" * 120 + "</a>"]
)
def test_a_file_of_more_than_any_export_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setattr(export_geometry, "_MOST_IMAGES", 50)
    monkeypatch.setattr(export_geometry, "_MOST_ELEMENTS", 100)

    with pytest.raises(VolumeReadError, match="lists more than 50 images or holds more than 100 elements"):
        read(tmp_path, text)
