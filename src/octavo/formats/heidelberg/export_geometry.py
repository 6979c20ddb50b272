"""The XML file of a Heidelberg image export: millimetres, eye, where each B-scan lies, and which picture is which.

Only the elements named here are kept while the file streams by, so names and dates never reach the program. A document
type is refused, and with it every entity: nothing in the file can expand.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from octavo.formats.errors import VolumeReadError
from octavo.formats.scan_lines import ScanLines, read_scan_lines
from octavo.volume import Laterality, ScanPattern

_MAX_BYTES = 64 * 2**20
_MAX_DEPTH = 64
_MOST_IMAGES = 2**14
_MOST_ELEMENTS = 2**18
_MOST_ATTRIBUTES = 2**17
_LONGEST_WORD = 260
_LONGEST_ARRAY = 2**21
_POSITION_ROUNDING_MM = 0.001
_NUMBERS = ("Width", "Height", "ScaleX", "ScaleY")
_COORDINATES = ("Start/Coord/X", "Start/Coord/Y", "End/Coord/X", "End/Coord/Y")
_CENTRE = ("Center/Coord/X", "Center/Coord/Y")
_KEPT = frozenset((*_NUMBERS, *_COORDINATES, *_CENTRE))
_DEVICE = ("Manufacturer", "ManufacturerModelName")
_FOLDERS = re.compile(r"[\\/]")


@dataclass(frozen=True, slots=True)
class HeyexExport:
    """What an export file says about the B-scans it goes with."""

    shape: tuple[int, int, int]
    depth_mm: float
    ascan_mm: float
    bscans: tuple["HeyexImage", ...] = field(repr=False)
    laterality: Laterality
    device: str
    endings: frozenset[str]
    """How the files of the pictures ended when they were exported, as the export file says; empty where it does not."""


@dataclass(slots=True)
class HeyexImage:
    """One picture that an export lists: a B-scan or the localiser."""

    kind: str = ""
    """What the file calls it: `OCT`, `LOCALIZER`; empty where it does not say."""
    light: str = ""
    picture: str = ""
    """The name of its file, without the folders of the machine that exported it. It may name the patient: never show it."""
    numbers: dict[str, float] = field(default_factory=dict)
    layers: list[tuple[str, str]] = field(default_factory=list)
    """Boundaries: name and the text of their depths; only where they were asked for."""

    @property
    def has_beginning(self) -> bool:
        """Whether it begins somewhere on the fundus, as B-scans do and localisers do not."""
        return all(name in self.numbers for name in _COORDINATES[:2])

    @property
    def is_circle(self) -> bool:
        """Whether the file gives it a centre instead of an end."""
        return "End/Coord/X" not in self.numbers and all(name in self.numbers for name in _CENTRE)

    @property
    def line_mm(self) -> tuple[float, float, float, float]:
        """Start x and y, end x and y; a circle ends in its centre, and what is not known is NaN."""
        names = (*_COORDINATES[:2], *(_CENTRE if self.is_circle else _COORDINATES[2:]))
        x0, y0, x1, y1 = (self.numbers.get(name, float("nan")) for name in names)
        return x0, y0, x1, y1

    @property
    def lies_on_circle(self) -> bool:
        """Whether start and end are a point on a circle and its centre: the file says so, or the circumference does."""
        x0, y0, x1, y1 = self.line_mm
        width, _, ascan_mm, _ = self.size
        length_mm = width * ascan_mm
        return self.is_circle or abs(2 * math.pi * math.dist((x0, y0), (x1, y1)) - length_mm) < 0.03 * length_mm

    @property
    def size(self) -> tuple[float, float, float, float]:
        """Width and height in samples, millimetres between A-scans and along depth; NaN where the file does not say."""
        width, height, ascan_mm, depth_mm = (self.numbers.get(name, float("nan")) for name in _NUMBERS)
        return width, height, ascan_mm, depth_mm


@dataclass(slots=True)
class HeyexSeries:
    """One examination that an export lists."""

    images: list[HeyexImage] = field(default_factory=list)
    eyes: set[Laterality] = field(default_factory=set)
    device_words: dict[str, str] = field(default_factory=dict)
    stated: int | None = None
    """How many images the file says there are."""

    @property
    def laterality(self) -> Laterality:
        """The eye, unknown if the file names none or both."""
        return _one_eye(self.eyes)

    @property
    def device(self) -> str:
        """Manufacturer and model."""
        return " ".join(self.device_words[name] for name in _DEVICE if self.device_words.get(name))

    @property
    def bscans(self) -> list[HeyexImage]:
        """Its B-scans, in the order of the file: what it calls OCT, or what begins on the fundus if it calls nothing so."""
        called = [image for image in self.images if image.kind == "OCT"]
        return called or [image for image in self.images if image.kind == "" and image.has_beginning]

    @property
    def others(self) -> int:
        """How many images are neither B-scans nor localisers."""
        localisers = [
            image
            for image in self.images
            if image.kind == "LOCALIZER" or (image.kind == "" and not image.has_beginning)
        ]
        return len(self.images) - len(self.bscans) - len(localisers)


@dataclass
class _Gathering:
    """What has been met so far in one pass through the file."""

    with_layers: bool
    path: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    series: list[HeyexSeries] = field(default_factory=list)
    endings: set[str] = field(default_factory=set)
    layer: str = ""
    images: int = 0
    elements: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.path.append(name)
        self.pieces, self.length = [], 0
        if len(self.path) > _MAX_DEPTH:
            raise VolumeReadError("export file is nested deeper than any export; wanted a Heidelberg XML; export again")
        if name == "Series" or (name == "Image" and not self.series):
            self.series.append(HeyexSeries())
        if name == "Image":
            self.series[-1].images.append(HeyexImage())
        self.elements += 1
        self.images += name in {"Series", "Image"}
        if self.images > _MOST_IMAGES or self.elements > _MOST_ELEMENTS:
            raise VolumeReadError(
                f"export file lists more than {_MOST_IMAGES} images or holds more than {_MOST_ELEMENTS} elements; wanted a "
                "Heidelberg XML; export again"
            )

    def characters(self, data: str) -> None:
        is_array = self.with_layers and self.path[-1:] == ["Array"]
        if self.length < (_LONGEST_ARRAY if is_array else _LONGEST_WORD):
            self.pieces.append(data)
            self.length += len(data)

    def end(self, name: str) -> None:
        if self.series:
            self._end_in_series(name, self.series[-1])
        if name == "Extension" and "ImageData" in self.path:
            self.endings.add(self.text.strip())
        self.path.pop()
        self.pieces, self.length = [], 0

    def _end_in_series(self, name: str, series: HeyexSeries) -> None:
        if name == "Laterality":
            series.eyes.add(Laterality.parse(self.text))
        elif name in _DEVICE and "GeneralEquipment" in self.path:
            series.device_words[name] = self.text.strip()[:80]
        elif name == "NumImages" and self.path[-2:-1] == ["Series"] and self.text.strip().isdecimal():
            series.stated = int(self.text.strip()[:9])
        elif series.images:
            self._end_in_image(name, series.images[-1])

    def _end_in_image(self, name: str, image: HeyexImage) -> None:
        if "OphthalmicAcquisitionContext" in self.path:
            inside = "/".join(self.path[self.path.index("OphthalmicAcquisitionContext") + 1 :])
            if inside in _KEPT:
                image.numbers[inside] = float(self.text)
        elif self.path[-2:] == ["ImageType", "Type"]:
            image.kind = self.text.strip().upper()
        elif self.path[-2:] == ["ImageType", "LightSource"]:
            image.light = self.text.strip().upper()
        elif self.path[-2:] == ["ImageData", "ExamURL"]:
            image.picture = _FOLDERS.split(self.text.strip())[-1]
        elif self.path[-2:] == ["SegLine", "Name"]:
            self.layer = self.text.strip()
        elif self.path[-2:] == ["SegLine", "Array"] and self.with_layers:
            image.layers.append((self.layer, self.text))


def read_heyex_series(path: Path, *, with_layers: bool = False) -> list[HeyexSeries]:
    """Read every examination that an export file lists; none if it is an XML file of something else.

    Args:
        path: The export file.
        with_layers: Whether the boundaries of each B-scan are kept, which are most of the file.

    Raises:
        VolumeReadError: If the file is damaged or hostile.
    """
    return _gather(path, with_layers).series


def read_heyex_export(path: Path) -> HeyexExport | None:
    """Read the export file as one scan, or say that an XML file is none of Heidelberg's.

    The localiser, which has no beginning and end on itself, is left out.

    Raises:
        VolumeReadError: If it is damaged, hostile, or its B-scans differ in size or scale.
    """
    met = _gather(path)
    bscans = [
        image
        for series in met.series
        for image in series.images
        if all(name in image.numbers for name in (*_NUMBERS, *_COORDINATES[:2]))
        and (image.is_circle or all(name in image.numbers for name in _COORDINATES[2:]))
    ]
    if not bscans:
        return None
    shape, depth_mm, ascan_mm = common_size(bscans)
    if not np.isfinite([image.line_mm for image in bscans]).all():
        raise VolumeReadError("export file gives B-scans of different sizes or scales; wanted one; export again")
    devices = [series.device for series in met.series if series.device]
    return HeyexExport(
        shape=shape,
        depth_mm=depth_mm,
        ascan_mm=ascan_mm,
        bscans=tuple(bscans),
        laterality=_one_eye({eye for series in met.series for eye in series.eyes}),
        device=devices[-1] if devices else "",
        endings=frozenset(met.endings),
    )


def lines_of(bscans: Sequence[HeyexImage], laterality: Laterality) -> ScanLines:
    """How the B-scans of an export lie, circles known from lines; what only a raster has is left out of the others.

    Args:
        bscans: The B-scans, in their order.
        laterality: Which eye, for B-scans that stand upright.
    """
    on_circles = sum(image.lies_on_circle for image in bscans)
    if on_circles == len(bscans):
        return ScanLines(ScanPattern.CIRCLE)
    if on_circles:
        note = f"{on_circles} of {len(bscans)} B-scans lie on circles and the others on lines; they are no raster"
        return ScanLines(ScanPattern.OTHER, notes=(note,))
    lines_mm: Float[np.ndarray, "bscan 4"] = np.array([image.line_mm for image in bscans])
    if not np.isfinite(lines_mm).all():
        note = "the export file does not say of every B-scan where it lies; pattern and direction are unknown"
        return ScanLines(notes=(note,))
    return read_scan_lines(lines_mm[:, :2], lines_mm[:, 2:], laterality, _POSITION_ROUNDING_MM)


def common_size(bscans: Sequence[HeyexImage]) -> tuple[tuple[int, int, int], float, float]:
    """The shape of a scan, millimetres along depth and between A-scans, if all its B-scans agree on them.

    Raises:
        VolumeReadError: If they do not, or give sizes that cannot be.
    """
    table = np.array([image.size for image in bscans])
    if not np.isfinite(table).all() or (table != table[0]).any() or (table[0] <= 0).any():
        raise VolumeReadError("export file gives B-scans of different sizes or scales; wanted one; export again")
    width, height, ascan_mm, depth_mm = (float(number) for number in table[0])
    return (len(bscans), int(height), int(width)), depth_mm, ascan_mm


def _one_eye(eyes: set[Laterality]) -> Laterality:
    named = eyes - {Laterality.UNKNOWN}
    return named.pop() if len(named) == 1 else Laterality.UNKNOWN


def _gather(path: Path, with_layers: bool = False) -> _Gathering:
    if path.stat().st_size > _MAX_BYTES:
        raise VolumeReadError(f"export file is larger than {_MAX_BYTES} bytes; wanted a Heidelberg XML; export again")
    met = _Gathering(with_layers)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = met.start
    parser.EndElementHandler = met.end
    parser.CharacterDataHandler = met.characters
    parser.StartDoctypeDeclHandler = _refuse_document_type
    content = path.read_bytes()
    if content.count(b"=") > _MOST_ATTRIBUTES:
        raise VolumeReadError(
            f"export file holds more than {_MOST_ATTRIBUTES} attributes; wanted a Heidelberg XML; export again"
        )
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, VolumeReadError):
            raise
        raise VolumeReadError(
            f"export file cannot be parsed ({type(error).__name__}); wanted a Heidelberg XML; export again"
        ) from error
    return met


def _refuse_document_type(*_: object) -> None:
    raise VolumeReadError(
        "export file declares a document type, by which XML can expand without end; wanted plain elements; "
        "remove the file or export again"
    )
