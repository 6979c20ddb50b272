import base64
import dataclasses
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.framing import encode_png
from octavo.figures.markup import element, escaped
from octavo.figures.report import DISCLAIMER, ExamRow, Link, Metric, Picture, Report, Section, Table, write_report
from octavo.figures.report_html import DARK, LIGHT, number_text, render_report

EVIL = "<script>alert('x')</script>\"'&<img src=x onerror=alert(1)>"
PNG = encode_png(Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)))
VOID = {"img", "meta", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page, refuses elements that are not closed in order, and keeps what it found."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"an attribute is there twice in {tag}"
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is closed out of order"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def full_report(word="exam_1"):
    picture = Picture(PNG, f"A picture of {word}", f"Caption {word}")
    section = Section(
        f"Curves {word}",
        paragraphs=(f"Text {word}",),
        warnings=(f"Careful {word}",),
        tables=(Table(f"Numbers {word}", (f"Name {word}", "Value"), ((word, 0.25), ("other", None))),),
        pictures=(picture,),
        links=(Link(f"Animation {word}", "exam_1/care.gif"),),
        parts=(Section(f"Part {word}", parts=(Section(f"Part of part {word}"),)),),
    )
    exams = (
        ExamRow(word, f"P {word}", "OD", "1", "0", 0.4321, (f"outside {word}",), picture),
        ExamRow("exam_2", "P2", "OS", "1", "1", 0.99999),
    )
    return Report(
        title=f"Report {word}",
        summary=(f"What this is {word}",),
        warnings=(f"This model learnt from phantoms {word}",),
        metrics=(Metric("AUROC", 0.91, 0.85, 0.95, f"note {word}"), Metric("F1", None, note="no positives")),
        sections=(section,),
        exams=exams,
        provenance={"command": f"octavo evaluate {word}", "seed": 100, "split": None},
    )


def test_the_page_is_well_formed_titled_and_in_a_language():
    text = render_report(full_report())
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    assert {"charset": "utf-8"} in page.all("meta")
    headings = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings))


def test_everything_that_was_given_is_said():
    said = " ".join(Page(render_report(full_report())).text)
    for wanted in ("Report exam_1", "What this is exam_1", "learnt from phantoms exam_1", "0.910", "0.850 to 0.950",
                   "not defined", "no positives", "Careful exam_1", "0.250", "unknown", "Animation exam_1",
                   "Part of part exam_1", "0.432", "> 0.999", "outside exam_1", "octavo evaluate exam_1",
                   DISCLAIMER):  # fmt: skip
        assert wanted in said
    assert "2 exams, 1 predicted otherwise than labelled" in said
    assert said.count("≠ label") == 1


def test_nothing_a_user_wrote_becomes_markup():
    plain, evil = (Page(render_report(full_report(word))) for word in ("exam_1", EVIL))
    assert [tag for tag, _, _ in plain.elements] == [tag for tag, _, _ in evil.elements]
    assert [sorted(attributes) for _, attributes, _ in plain.elements] == [
        sorted(attributes) for _, attributes, _ in evil.elements
    ]
    assert not evil.all("script")
    assert EVIL in " ".join(evil.text)
    assert any(attributes.get("alt") == f"A picture of {EVIL}" for attributes in evil.all("img"))


def test_the_page_asks_nothing_of_the_network_and_runs_nothing():
    text = render_report(full_report(EVIL))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.replace("<!DOCTYPE html>", ""), re.IGNORECASE)
    page = Page(text)
    for _, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        source = attributes.get("src")
        assert source is None or source.startswith("data:image/")
        address = attributes.get("href", "#")
        assert address.startswith("#") or address == "exam_1/care.gif"
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_every_picture_has_words_and_its_own_bytes():
    images = Page(render_report(full_report())).all("img")
    assert len(images) == 2
    for image in images:
        assert image["alt"].strip()
        assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == PNG
        assert (image["width"], image["height"]) == ("4", "3")


def test_a_picture_that_states_its_density_is_shown_at_its_true_size():
    stream = io.BytesIO()
    Image.new("RGB", (288, 144)).save(stream, format="PNG", dpi=(144, 144))
    report = Report("r", sections=(Section("s", pictures=(Picture(stream.getvalue(), "a curve"),)),))
    (image,) = Page(render_report(report)).all("img")
    assert (image["width"], image["height"]) == ("192", "96")


def test_every_header_of_a_table_says_what_it_heads():
    page = Page(render_report(full_report()))
    heads = [(attributes, above) for tag, attributes, above in page.elements if tag == "th"]
    assert heads
    for attributes, above in heads:
        assert attributes["scope"] == ("col" if "thead" in above else "row")
    assert len(page.all("caption")) == len(page.all("table")) == 4


def test_links_within_the_page_lead_somewhere():
    page = Page(render_report(full_report()))
    places = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
    targets = [link["href"][1:] for link in page.all("a") if link["href"].startswith("#")]
    assert len(targets) == 4
    assert set(targets) <= places


def contrast(first, second):
    def luminance(colour):
        values = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    lower, higher = sorted((luminance(first), luminance(second)))
    return (higher + 0.05) / (lower + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ("ink", "paper"),
        ("quiet", "paper"),
        ("link", "paper"),
        ("alarm", "paper"),
        ("alarm", "alarm-paper"),
        ("ink", "shade"),
    ],
)
def test_letters_can_be_read_in_light_and_in_dark(colours, ink, paper):
    assert contrast(colours[ink], colours[paper]) >= 4.5


def test_the_style_has_both_lights_and_paper():
    text = render_report(full_report())
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    for colour in (*LIGHT.values(), *DARK.values()):
        assert colour in text


def test_a_report_of_nothing_is_still_a_page():
    page = Page(render_report(Report("Empty")))
    assert "Empty" in " ".join(page.text)
    assert DISCLAIMER in " ".join(page.text)
    assert not page.all("nav")


def test_columns_no_exam_fills_are_left_out():
    page = Page(render_report(Report("r", exams=(ExamRow("exam_1", probability=0.5),))))
    assert len(page.all("th")) == 3
    assert {"Patient", "Label", "Warnings"}.isdisjoint(page.text)


def test_the_file_appears_whole_and_the_same_each_time(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_report(path, full_report())
    first = path.read_bytes()
    write_report(path, full_report())
    assert path.read_bytes() == first == render_report(full_report()).encode()
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OctavoError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", Report("r"))
    assert (tmp_path / "file").read_text() == "in the way"


def test_names_that_are_no_utf8_and_control_characters_still_make_a_page(tmp_path):
    exam = ExamRow("bad\udcff\x00\x1bname")
    write_report(tmp_path / "report.html", Report("r", exams=(exam,)))
    assert "bad\ufffd\ufffd\ufffdname" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "target", ["", "/etc/passwd", "../other.gif", "a/../../b", "javascript:alert(1)", "https://example.org", "C:\\x"]
)
def test_links_that_leave_the_folder_are_refused(target):
    with pytest.raises(OctavoError, match="below the report's folder"):
        Link("text", target)


def test_a_link_to_an_odd_name_is_quoted():
    assert Link("x", "exam 1/a&b#c?.gif").address == "exam%201/a%26b%23c%3F.gif"
    assert Link("x", "Größe.gif").address == "Gr%C3%B6%C3%9Fe.gif"


def test_pictures_without_words_or_bytes_are_refused():
    with pytest.raises(OctavoError, match="alternative text"):
        Picture(PNG, "  ")
    with pytest.raises(OctavoError, match="no picture"):
        Picture(b"<svg/>", "a drawing")


def test_a_row_that_does_not_fit_its_table_is_refused():
    with pytest.raises(OctavoError, match="1 fields and the table 2 columns"):
        Table("t", ("a", "b"), (("x",),))


def test_only_known_labels_can_be_wrong():
    row = ExamRow("e", label="1", predicted="0")
    assert row.is_wrong
    assert not dataclasses.replace(row, label="").is_wrong
    assert not dataclasses.replace(row, predicted="").is_wrong


def test_numbers_are_never_rounded_to_certainty():
    assert [number_text(value) for value in (0.0, 0.0004, 0.9996, 1.0, -0.5, 1234.5, float("nan"))] == [
        "0.000", "< 0.001", "> 0.999", "1.000", "-0.500", "1234.5", "not a number",
    ]  # fmt: skip


def test_markup_is_escaped_once():
    inner = element("b", "a & b")
    assert inner == "<b>a &amp; b</b>"
    assert element("p", inner, title='"') == '<p title="&quot;"><b>a &amp; b</b></p>'
    assert escaped(inner) is inner
