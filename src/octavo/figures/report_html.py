"""A report as HTML: plain, accessible, printable, light or dark as the reader's screen is."""

import base64
import math

from octavo.figures.markup import Markup, element, joined
from octavo.figures.report import DISCLAIMER, Cell, ExamRow, Link, Metric, Picture, Report, Section, Table

LIGHT = {"paper": "#ffffff", "ink": "#1b1b1b", "quiet": "#555555", "line": "#c9c9c9", "link": "#004c8c"}
LIGHT |= {"shade": "#f3f4f6", "alarm": "#7a2600", "alarm-paper": "#fdf1e7"}
DARK = {"paper": "#14161a", "ink": "#e9e9e9", "quiet": "#b0b4ba", "line": "#454a52", "link": "#8cc4ff"}
DARK |= {"shade": "#1f2329", "alarm": "#ffc69a", "alarm-paper": "#33221a"}
"""Colours of the page; every ink is readable on every paper it stands on (contrast 4.5 to 1 or more)."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1rem 0 .5rem; }
p { max-width: 48rem; margin: .5rem 0; }
a { color: var(--link); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.disclaimer { font-weight: 600; }
.warnings { margin: 1rem 0; padding: .75rem 1rem; border-left: .3rem solid var(--alarm); color: var(--alarm);
  background: var(--alarm-paper); }
.warnings p { margin: 0; font-weight: 600; }
.warnings ul { margin: .25rem 0 0; padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .4rem; max-width: min(44rem, 90vw); }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem .35rem;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); background: var(--shade); }
tbody th { font-weight: 600; }
td p { margin: 0 0 .25rem; min-width: 14rem; }
.number { text-align: right; white-space: nowrap; }
.quiet { color: var(--quiet); }
.alarm { color: var(--alarm); font-weight: 600; }
figure { margin: 0; }
figcaption { color: var(--quiet); font-size: .9rem; max-width: 40rem; margin-top: .25rem; }
img { max-width: 100%; height: auto; display: block; background: #ffffff; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.25rem; margin: 1rem 0; }
.pictures figure { flex: 0 1 auto; max-width: 100%; }
.thumbnail img { max-width: none; }
footer { margin-top: 3rem; padding-top: .5rem; border-top: 1px solid var(--line); color: var(--quiet); }
@media print {
  :root { LIGHT }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  thead { display: table-header-group; }
  tr, figure, .warnings { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
}
"""


def render_report(report: Report) -> str:
    """Write a report as the text of an HTML file."""
    blocks: list[tuple[str, Markup]] = []
    if report.metrics:
        blocks.append(("Measures", _metrics(report.metrics)))
    blocks += [(section.title, _content(section, level=3)) for section in report.sections]
    if report.exams:
        blocks.append(("Exams", _exams(report.exams)))
    if report.provenance:
        rows = tuple((name, value) for name, value in report.provenance.items())
        blocks.append(("Provenance", _table(Table("What this was made from", ("Item", "Value"), rows))))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", report.title),
        element("style", Markup(_style())),
    )
    header = element(
        "header",
        element("h1", report.title),
        element("p", DISCLAIMER, class_="disclaimer"),
        *(element("p", sentence) for sentence in report.summary),
        _warnings(report.warnings),
    )
    sections = [
        element("section", element("h2", title, id=f"s{number}"), content, aria_labelledby=f"s{number}")
        for number, (title, content) in enumerate(blocks, start=1)
    ]
    body = element("body", header, _contents(blocks), element("main", *sections), element("footer", DISCLAIMER))
    return "<!DOCTYPE html>\n" + element("html", head, "\n", body, lang="en") + "\n"


def _style() -> str:
    light, dark = (" ".join(f"--{name}: {value};" for name, value in colours.items()) for colours in (LIGHT, DARK))
    return _STYLE.replace("LIGHT", light).replace("DARK", dark)


def _contents(blocks: list[tuple[str, Markup]]) -> Markup:
    links = [
        element("li", element("a", title, href=f"#s{number}")) for number, (title, _) in enumerate(blocks, start=1)
    ]
    return element("nav", element("ul", *links), aria_label="Contents") if len(links) > 1 else Markup("")


def _warnings(warnings: tuple[str, ...]) -> Markup:
    if not warnings:
        return Markup("")
    items = [element("li", warning) for warning in warnings]
    heading = "Warning" if len(items) == 1 else "Warnings"
    return element("div", element("p", heading), element("ul", *items), class_="warnings", role="note")


def _content(section: Section, level: int) -> Markup:
    """Everything of a section but its heading; parts of parts share the smallest heading."""
    pictures = [_figure(picture) for picture in section.pictures]
    parts = [
        joined(element(f"h{min(level, 4)}", part.title), _content(part, level + 1), "\n") for part in section.parts
    ]
    return joined(
        *(element("p", sentence) for sentence in section.paragraphs),
        _warnings(section.warnings),
        element("div", *pictures, class_="pictures") if pictures else "",
        *(_table(table) for table in section.tables),
        element("ul", *(element("li", _link(link)) for link in section.links)) if section.links else "",
        "\n",
        *parts,
    )


def _link(link: Link) -> Markup:
    return element("a", link.text, href=link.address)


def _image(picture: Picture) -> Markup:
    data = base64.b64encode(picture.image).decode("ascii")
    size = {name: str(length) for name, length in zip(("width", "height"), _shown_size_px(picture), strict=False)}
    return element("img", src=f"data:{picture.kind};base64,{data}", alt=picture.alt, **size)


def _shown_size_px(picture: Picture) -> tuple[int, ...]:
    """The size a picture is shown at, so that the page does not jump while it loads; nothing where it is not known.

    A PNG that states its density is shown at its true size (a screen has 96 pixels to an inch): curves have more pixels
    than they need, for paper and for fine screens.
    """
    image = picture.image
    if picture.kind != "image/png" or len(image) < 24:
        return ()
    density = image.find(b"pHYs", 0, 256)
    per_metre = int.from_bytes(image[density + 4 : density + 8], "big") if density > 0 else 0
    shrink = 96 / 0.0254 / per_metre if per_metre else 1.0
    sides = (int.from_bytes(image[start : start + 4], "big") for start in (16, 20))
    return tuple(max(1, round(side * shrink)) for side in sides)


def _figure(picture: Picture) -> Markup:
    caption = element("figcaption", picture.caption) if picture.caption else ""
    return element("figure", _image(picture), caption)


def number_text(value: float) -> str:
    """A number as people read it: three decimals, and never rounded to a certainty it has not.

    Example:
        >>> number_text(0.8234), number_text(0.99999), number_text(1.0), number_text(1e-5), number_text(40)
        ('0.823', '> 0.999', '1.000', '< 0.001', '40')
    """
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "not a number"
    if 0.9995 <= value < 1:
        return "> 0.999"
    if 0 < value < 0.0005:
        return "< 0.001"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.6g}"


def _cell(value: Cell, heads_row: bool = False) -> Markup:
    text = "unknown" if value is None else value if isinstance(value, str) else number_text(value)
    kind = {} if isinstance(value, str) else {"class_": "quiet" if value is None else "number"}
    if heads_row:
        return element("th", element("bdi", text), scope="row", **kind)
    return element("td", element("bdi", text), **kind)


def _framed(caption: str, columns: tuple[str, ...], rows: list[Markup], numeric: tuple[bool, ...]) -> Markup:
    """A table that scrolls by itself where the screen is narrow, also with the keyboard."""
    heads = [
        element("th", column, scope="col", **({"class_": "number"} if right else {}))
        for column, right in zip(columns, numeric, strict=True)
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *(joined("\n", row) for row in rows)),
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _table(table: Table) -> Markup:
    rows = [
        element("tr", *(_cell(value, heads_row=number == 0) for number, value in enumerate(row))) for row in table.rows
    ]
    numeric = tuple(
        bool(table.rows) and all(row[number] is None or not isinstance(row[number], str) for row in table.rows)
        for number in range(len(table.columns))
    )
    return _framed(table.caption, table.columns, rows, numeric)


def _metrics(metrics: tuple[Metric, ...]) -> Markup:
    rows = []
    for metric in metrics:
        value = "not defined" if metric.value is None else number_text(metric.value)
        interval = ""
        if metric.low is not None and metric.high is not None:
            interval = f"{number_text(metric.low)} to {number_text(metric.high)}"
        rows.append(
            element(
                "tr",
                element("th", metric.name, scope="row"),
                element("td", value, class_="number"),
                element("td", interval, class_="number"),
                element("td", metric.note, class_="quiet"),
            )
        )
    columns = ("Measure", "Value", "95 % interval", "Note")
    return _framed("How well the model does", columns, rows, (False, True, True, False))


def _exams(exams: tuple[ExamRow, ...]) -> Markup:
    """The table of exams; columns that no exam fills are left out."""
    columns: list[tuple[str, bool]] = [("Exam", False)]
    shown = {
        "Patient": any(exam.patient_id for exam in exams),
        "Eye": any(exam.laterality for exam in exams),
        "Label": any(exam.label for exam in exams),
        "Probability": True,
        "Predicted": any(exam.predicted for exam in exams),
        "Warnings": any(exam.warnings for exam in exams),
        "Picture": any(exam.picture for exam in exams),
    }
    columns += [(name, name == "Probability") for name, is_shown in shown.items() if is_shown]
    rows = []
    for exam in exams:
        cells = {
            "Patient": _cell(exam.patient_id),
            "Eye": _cell(exam.laterality or None),
            "Label": _cell(exam.label or None),
            "Probability": _cell(exam.probability),
            "Predicted": _predicted(exam),
            "Warnings": element("td", *(element("p", warning, class_="alarm") for warning in exam.warnings)),
            "Picture": element("td", _image(exam.picture) if exam.picture else "", class_="thumbnail"),
        }
        rows.append(
            element("tr", _cell(exam.exam_id, heads_row=True), *(cells[name] for name, _ in columns if name in cells))
        )
    wrong = sum(exam.is_wrong for exam in exams)
    caption = f"{len(exams)} exam{'' if len(exams) == 1 else 's'}"
    if shown["Label"] and shown["Predicted"]:
        caption += f", {wrong} predicted otherwise than labelled"
    return _framed(caption, tuple(name for name, _ in columns), rows, tuple(right for _, right in columns))


def _predicted(exam: ExamRow) -> Markup:
    wrong = element("span", " ≠ label", class_="alarm") if exam.is_wrong else ""
    return element("td", element("bdi", exam.predicted), wrong)
