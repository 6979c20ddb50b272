"""What a report holds: plain data, independent of how runs are stored and of how it is written.

The same `Report` serves an evaluation (measures, curves, a table of exams) and an explanation (pictures, numbers and
links to animations for each exam).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from octavo.errors import OctavoError
from octavo.files import write_text

DISCLAIMER = "Research software, not a medical device. Nothing here may be used to diagnose or to treat."

_KINDS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF89a": "image/gif",
    b"GIF87a": "image/gif",
    b"\xff\xd8\xff": "image/jpeg",
}

Cell = str | int | float | None
"""What a field of a table may hold; None is unknown."""


@dataclass(frozen=True)
class Picture:
    """An image that travels inside the report.

    Args:
        image: The bytes of a PNG, GIF or JPEG file.
        alt: What it shows, for those who cannot see it; never empty.
        caption: What stands under it.

    Raises:
        OctavoError: If the bytes are no such image, or there is no alternative text.
    """

    image: bytes = field(repr=False)
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise OctavoError("a picture has no alternative text; wanted a sentence that says what it shows")
        _ = self.kind

    @property
    def kind(self) -> str:
        """The media type, told by the first bytes."""
        for beginning, kind in _KINDS.items():
            if self.image.startswith(beginning):
                return kind
        raise OctavoError(f"{len(self.image)} bytes are no picture; wanted a PNG, GIF or JPEG file")


@dataclass(frozen=True)
class Link:
    """A link to a file beside the report, such as an animation or a NIfTI of the heat.

    Args:
        text: What stands there.
        target: The path of the file relative to the report, with forward slashes.

    Raises:
        OctavoError: If the target is not below the report's own folder, since the report must work wherever its folder
            is copied to.
    """

    text: str
    target: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.target)
        parts = urlsplit(self.target)
        if not self.target or path.is_absolute() or ".." in path.parts or "\\" in self.target or parts.scheme:
            raise OctavoError(
                f"link to {self.target!r}; wanted a path below the report's folder; copy the file there first"
            )

    @property
    def address(self) -> str:
        """The target as it stands in the report."""
        return quote(self.target, safe="/", errors="surrogateescape")


@dataclass(frozen=True)
class Table:
    """Rows of numbers or words; the first column names the row.

    Raises:
        OctavoError: If a row has more or fewer fields than there are columns.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise OctavoError(
                    f"table {self.caption!r}: a row has {len(row)} fields and the table {len(self.columns)} columns; "
                    "wanted as many"
                )


@dataclass(frozen=True)
class Metric:
    """One measure with its 95 % interval; a value of None is not defined, and the note says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in the order of the fields."""

    title: str
    paragraphs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    links: tuple[Link, ...] = ()
    parts: "tuple[Section, ...]" = ()


@dataclass(frozen=True)
class ExamRow:
    """One exam in the table of exams.

    Args:
        exam_id: Its name.
        patient_id: Whose it is.
        laterality: Which eye.
        label: The truth, or empty where it is not known.
        predicted: What the model said, in the words of the label; empty where it said nothing.
        probability: Of the positive class.
        warnings: Why this answer deserves less trust, such as "outside what this model learnt from".
        picture: A small picture.
    """

    exam_id: str
    patient_id: str = ""
    laterality: str = ""
    label: str = ""
    predicted: str = ""
    probability: float | None = None
    warnings: tuple[str, ...] = ()
    picture: Picture | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether label and prediction are both there and differ."""
        return bool(self.label and self.predicted and self.label != self.predicted)


@dataclass(frozen=True)
class Report:
    """Everything a report says.

    Args:
        title: What it is about.
        summary: What this is, in sentences.
        warnings: What everybody must know before reading on, such as "this model learnt from phantoms".
        metrics: The headline measures.
        sections: Curves, calibration, confusion, prevalence, seeds; or one for each explained exam.
        exams: The table of exams, in the order it is to be read in.
        provenance: Data hash, split hash, versions, seed, command: what is needed to make the same again.
    """

    title: str
    summary: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    sections: tuple[Section, ...] = ()
    exams: tuple[ExamRow, ...] = ()
    provenance: Mapping[str, Cell] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Write a report as one HTML file that needs nothing else: no network, no script, no file beside it.

    The file appears whole or not at all. The same report gives the same bytes.

    Args:
        path: Where; folders above it are made.
        report: What it says.

    Raises:
        OctavoError: If the file cannot be written there.
    """
    from octavo.figures.report_html import render_report

    try:
        write_text(Path(path), render_report(report))
    except OSError as error:
        raise OctavoError(
            f"{path}: the report cannot be written ({error.strerror}); wanted a file in a folder that may be written to"
        ) from error
