"""The XML file beside a Heidelberg image export: millimetres, eye and where each B-scan lies.

Only the elements named here are kept while the file streams by, so names and dates never reach the program. A document
type is refused, and with it every entity: nothing in the file can expand.
"""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from octavo.formats.errors import VolumeReadError
from octavo.volume import Laterality

_MAX_BYTES = 64 * 2**20
_MAX_DEPTH = 64
_NUMBERS = ("Width", "Height", "ScaleX", "ScaleY")
_COORDINATES = ("Start/Coord/X", "Start/Coord/Y", "End/Coord/X", "End/Coord/Y")
_DEVICE = ("Manufacturer", "ManufacturerModelName")


@dataclass(frozen=True, slots=True)
class HeyexExport:
    """What an export file says about the B-scans it goes with."""

    shape: tuple[int, int, int]
    depth_mm: float
    ascan_mm: float
    starts_mm: Float[np.ndarray, "bscan 2"]
    ends_mm: Float[np.ndarray, "bscan 2"]
    laterality: Laterality
    device: str
    endings: frozenset[str]
    """How the files of the pictures ended when they were exported, as the export file says; empty where it does not."""


@dataclass
class _Gathering:
    """What has been met so far in one pass through the file."""

    path: list[str] = field(default_factory=list)
    text: str = ""
    images: list[dict[str, float]] = field(default_factory=list)
    eyes: set[Laterality] = field(default_factory=set)
    device: dict[str, str] = field(default_factory=dict)
    endings: set[str] = field(default_factory=set)

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.path.append(name)
        self.text = ""
        if len(self.path) > _MAX_DEPTH:
            raise VolumeReadError("export file is nested deeper than any export; wanted a Heidelberg XML; export again")
        if name == "Image":
            self.images.append({})

    def characters(self, data: str) -> None:
        if len(self.text) < 80:
            self.text += data

    def end(self, name: str) -> None:
        if name == "Laterality":
            self.eyes.add(Laterality.parse(self.text))
        elif name == "Extension" and "ImageData" in self.path:
            self.endings.add(self.text.strip())
        elif name in _DEVICE and "GeneralEquipment" in self.path:
            self.device[name] = self.text.strip()
        elif "OphthalmicAcquisitionContext" in self.path and self.images:
            inside = "/".join(self.path[self.path.index("OphthalmicAcquisitionContext") + 1 :])
            if inside in _NUMBERS or inside in _COORDINATES:
                self.images[-1][inside] = float(self.text)
        self.path.pop()
        self.text = ""


def read_heyex_export(path: Path) -> HeyexExport | None:
    """Read the export file, or say that an XML file is none of Heidelberg's.

    The localiser, which has no beginning and end on itself, is left out.

    Raises:
        VolumeReadError: If it is damaged, hostile, or its B-scans differ in size or scale.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise VolumeReadError(f"export file is larger than {_MAX_BYTES} bytes; wanted a Heidelberg XML; export again")
    met = _gather(path.read_bytes())
    bscans = [image for image in met.images if all(name in image for name in (*_NUMBERS, *_COORDINATES))]
    if not bscans:
        return None
    table = np.array([[image[name] for name in (*_NUMBERS, *_COORDINATES)] for image in bscans])
    if not np.isfinite(table).all() or (table[:, :4] != table[0, :4]).any() or (table[0, :4] <= 0).any():
        raise VolumeReadError("export file gives B-scans of different sizes or scales; wanted one; export again")
    width, height, ascan_mm, depth_mm = (float(number) for number in table[0, :4])
    eyes = met.eyes - {Laterality.UNKNOWN}
    return HeyexExport(
        shape=(len(bscans), int(height), int(width)),
        depth_mm=depth_mm,
        ascan_mm=ascan_mm,
        starts_mm=table[:, 4:6],
        ends_mm=table[:, 6:8],
        laterality=eyes.pop() if len(eyes) == 1 else Laterality.UNKNOWN,
        device=" ".join(met.device[name] for name in _DEVICE if met.device.get(name)),
        endings=frozenset(met.endings),
    )


def _gather(content: bytes) -> _Gathering:
    met = _Gathering()
    parser = expat.ParserCreate()
    parser.StartElementHandler = met.start
    parser.EndElementHandler = met.end
    parser.CharacterDataHandler = met.characters
    parser.StartDoctypeDeclHandler = _refuse_document_type
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
