import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from octavo.figures.explanation import draw_map, map_section
from octavo.figures.overlay import most_salient_bscans
from octavo.figures.report import Link, Report, Table
from octavo.figures.report_html import render_report
from octavo.volume import ScanPattern


def test_the_salient_bscans_the_front_and_all_frames_are_drawn(scan):
    drawn = draw_map(scan.volume, scan.heat, "grad-cam", exam_id="exam_7", mask=scan.mask, bscans=2)
    assert tuple(index for index, _ in drawn.bscans) == most_salient_bscans(scan.heat, 2)
    assert drawn.shares == pytest.approx([scan.heat[index].sum() / scan.heat.sum() for index, _ in drawn.bscans])
    assert max(drawn.shares) == drawn.shares[[index for index, _ in drawn.bscans].index(3)]
    assert Image.open(io.BytesIO(drawn.animation)).n_frames == 12
    assert Image.open(io.BytesIO(drawn.en_face)).width > 900
    assert all(Image.open(io.BytesIO(png)).format == "PNG" for _, png in drawn.bscans)


def test_a_section_shows_them_with_words_numbers_and_links(scan):
    drawn = draw_map(scan.volume, scan.heat, "grad-cam", exam_id="exam_7", bscans=1)
    numbers = Table("Overlap with the truth", ("Measure", "Value"), (("recall", 0.5),))
    section = map_section(drawn, tables=[numbers], links=[Link("All B-scans", "exam_7/grad-cam.gif")])
    assert section.title == "grad-cam"
    assert section.warnings == ()
    assert "ticks at B-scans 4" in section.pictures[0].alt
    assert section.pictures[1].alt.startswith("B-scan 4 of 12 with grad-cam of exam exam_7")
    text = render_report(Report("Explanation", sections=(section,)))
    assert 'href="exam_7/grad-cam.gif"' in text
    assert "Overlap with the truth" in text


def test_a_map_that_is_zero_everywhere_is_shown_as_such(scan):
    drawn = draw_map(scan.volume, np.zeros_like(scan.heat), "care")
    assert [index for index, _ in drawn.bscans] == [6]
    assert drawn.shares == ()
    (warning,) = map_section(drawn).warnings
    assert "zero everywhere" in warning


def test_a_scan_without_a_front_is_drawn_without_one(scan):
    line = dataclasses.replace(scan.volume, values=scan.volume.values[3:4], pattern=ScanPattern.LINE)
    drawn = draw_map(line, scan.heat[3:4], "care")
    assert drawn.en_face is None
    assert len(map_section(drawn).pictures) == 1
    assert Image.open(io.BytesIO(drawn.animation)).n_frames == 1
