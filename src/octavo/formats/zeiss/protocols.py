"""Which shapes Zeiss cubes have: from the name of the export, else from the number of bytes where only one fits."""

import dataclasses
import re
from dataclasses import dataclass

from octavo.formats.errors import VolumeReadError
from octavo.volume import Region, ScanPattern, SlowAxis

_CIRRUS_DEPTH, _PLEX_DEPTH = 1024, 1536
_DEPTHS_MM = {_CIRRUS_DEPTH: 2.0, _PLEX_DEPTH: 3.0}

_DIRECTION = "which way the B-scans follow one another is not in the file; pass --slow-axis where it matters"
_TURNED = "B-scans were turned by 180 degrees, as these exports store them the other way up and round"
_ONLY_DEPTH = (
    "B-scans were turned upside down, as these exports store them; whether the A-scans run from left to right is not "
    "known: look where the disc lies"
)
_RAW = "the cube is raw: its B-scans are not shifted along depth against eye movement, as those of cube_z are"
_FLOW = "the samples are motion contrast (flow), not reflectivity"
_CROSSED = "two high-definition B-scans that cross, the first upright and the second level"
_LINES = "how far the lines lie apart and how long they are is not in the file"
_BY_SIZE = "the name does not say which scan this is; its shape is the only known one of that many bytes"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A scan that the device offers.

    Args:
        name: What the device calls it.
        bscans: Number of B-scans.
        depth: Number of samples along depth.
        ascans: Number of A-scans.
        size_mm: Extent over B-scans, depth and A-scans, None where the user sets it.
        pattern: How the B-scans lie.
        region: Which part of the retina, where the name tells.
        slow_axis: Which way the B-scans follow, where a profile tells.
        is_mirrored: Whether A-scans are stored from right to left.
        is_sure: Whether the name says all this, or only the number of bytes.
        notes: What a user should know.
    """

    name: str
    bscans: int
    depth: int
    ascans: int
    size_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    pattern: ScanPattern = ScanPattern.UNKNOWN
    region: Region = Region.UNKNOWN
    slow_axis: SlowAxis = SlowAxis.UNKNOWN
    is_mirrored: bool = True
    is_sure: bool = True
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """B-scans, depth, A-scans."""
        return (self.bscans, self.depth, self.ascans)

    @property
    def bytes(self) -> int:
        """How large its file is."""
        return self.bscans * self.depth * self.ascans


def notes_on_storage(is_mirrored: bool, slow_axis: SlowAxis) -> tuple[str, ...]:
    """What was turned over in reading a cube, and what is not known of its order."""
    turned = _TURNED if is_mirrored else _ONLY_DEPTH
    return (turned,) if slow_axis is not SlowAxis.UNKNOWN else (turned, _DIRECTION)


def _cube(
    name: str,
    bscans: int,
    ascans: int,
    width_mm: float | None,
    depth: int = _CIRRUS_DEPTH,
    height_mm: float | None = None,
) -> Protocol:
    is_cirrus = depth == _CIRRUS_DEPTH
    return Protocol(
        name,
        bscans,
        depth,
        ascans,
        (height_mm or width_mm, None if width_mm is None else _DEPTHS_MM[depth], width_mm),
        ScanPattern.RASTER,
        is_mirrored=is_cirrus,
        notes=notes_on_storage(is_cirrus, SlowAxis.UNKNOWN),
    )


def _lines(name: str, bscans: int, ascans: int) -> Protocol:
    return Protocol(
        name,
        bscans,
        _CIRRUS_DEPTH,
        ascans,
        (None, _DEPTHS_MM[_CIRRUS_DEPTH], None),
        ScanPattern.LINE,
        notes=(_TURNED, _LINES),
    )


def _crossed(name: str, ascans: int) -> Protocol:
    return dataclasses.replace(
        _lines(name, 2, ascans), size_mm=(None, 2.0, 6.0), pattern=ScanPattern.OTHER, notes=(_TURNED, _CROSSED)
    )


PROTOCOLS = (
    _cube("cube 512x128", 128, 512, 6.0),
    _cube("cube 200x200", 200, 200, 6.0),
    _cube("angiography 3x3 mm", 245, 245, 3.0),
    _cube("angiography 6x6 mm", 350, 350, 6.0),
    _cube("PLEX Elite 3x3 mm", 300, 300, 3.0, _PLEX_DEPTH),
    _cube("PLEX Elite", 500, 500, None, _PLEX_DEPTH),
    _lines("HD 5 lines", 5, 1024),
    _lines("HD 5 lines, wide", 5, 4096),
    _lines("HD 21 lines", 21, 1024),
    _lines("4 lines of 512", 4, 512),
    _lines("10 lines of 512", 10, 512),
    _lines("20 lines of 1024", 20, 1024),
    _crossed("crossed lines of a macular cube", 1024),
    _crossed("crossed lines of a disc cube", 1000),
)
"""Shapes that are known, for names that tell nothing. Some have as many bytes as others, and are then refused."""

_CUBE_NAME = re.compile(r"(?P<what>Macular|Optic Disc|Anterior Segment)? ?Cube (?P<ascans>\d{2,4})x(?P<bscans>\d{2,4})")
_ANGIO_NAME = re.compile(r"Angio(?:graphy)? \(?(?P<width>\d{1,2})(?: ?mm)? ?x ?(?P<height>\d{1,2}) ?mm\)?")
_LINES_NAME = re.compile(r"HD (?P<count>5|21) Line")
_REGIONS = {"Macular": Region.MACULA, "Optic Disc": Region.DISC}
_NARROW_CUBES = (128, 200)


def find_protocol(name: str, file_bytes: int) -> Protocol:
    """Tell a scan from the name of its export, or from the number of bytes where only one shape has as many.

    Raises:
        VolumeReadError: If several known shapes, or none, have that many bytes and the name does not tell.

    Example:
        >>> protocol = find_protocol("P1_Optic Disc Cube 200x200_1-2-2020_3-4-5_OS_sn1_cube_z.img", 40_960_000)
        >>> protocol.shape, protocol.size_mm, protocol.region.value
        ((200, 1024, 200), (6.0, 2.0, 6.0), 'disc')
    """
    protocol = _by_name(name, file_bytes)
    if protocol is None:
        protocol = _by_size(file_bytes)
    notes = protocol.notes
    if re.search(r"_raw\.img$", name, re.IGNORECASE):
        notes += (_RAW,)
    if re.search(r"flowcube", name, re.IGNORECASE):
        notes += (_FLOW,)
    return dataclasses.replace(protocol, notes=notes)


def _by_name(name: str, file_bytes: int) -> Protocol | None:
    cube, angio, lines = _CUBE_NAME.search(name), _ANGIO_NAME.search(name), _LINES_NAME.search(name)
    is_hidef = "hidef" in name.lower()
    if cube is not None and is_hidef:
        ascans = 1000 if cube["what"] == "Optic Disc" else 1024
        found = _crossed("crossed lines", ascans)
        return dataclasses.replace(found, region=_REGIONS.get(cube["what"], Region.UNKNOWN))
    if cube is not None:
        bscans, ascans = int(cube["bscans"]), int(cube["ascans"])
        # The anterior segment is scanned over another field, and so may be a cube of an unusual shape.
        width_mm = 6.0 if cube["what"] in _REGIONS and bscans in _NARROW_CUBES else None
        found = _cube(cube[0].strip(), bscans, ascans, width_mm)
        return dataclasses.replace(found, region=_REGIONS.get(cube["what"], Region.UNKNOWN))
    if angio is not None:
        return _angiography(float(angio["width"]), float(angio["height"]), file_bytes)
    if lines is not None:
        return next(
            (one for one in PROTOCOLS if one.name.startswith(f"HD {lines['count']} ") and one.bytes == file_bytes), None
        )
    return None


def _angiography(width_mm: float, height_mm: float, file_bytes: int) -> Protocol | None:
    """Cubes of motion contrast, by the field that the name states and the number of bytes."""
    squares = [one for one in PROTOCOLS if one.pattern is ScanPattern.RASTER and one.bscans == one.ascans]
    fitting = [one for one in squares if one.bytes == file_bytes]
    if len(fitting) != 1 or width_mm != height_mm:
        return None
    depth_mm = _DEPTHS_MM[fitting[0].depth]
    return dataclasses.replace(
        fitting[0], name=f"angiography {width_mm:g}x{height_mm:g} mm", size_mm=(height_mm, depth_mm, width_mm)
    )


def _by_size(file_bytes: int) -> Protocol:
    fitting = [one for one in PROTOCOLS if one.bytes == file_bytes]
    if len(fitting) == 1:
        return dataclasses.replace(fitting[0], is_sure=False, notes=(*fitting[0].notes, _BY_SIZE))
    cure = (
        'give it back the name of its export, or put a text NAME.img.json beside it: {"shape": [BSCANS, DEPTH, ASCANS], '
        '"size_mm": [BSCANS, DEPTH, ASCANS]}'
    )
    if fitting:
        shapes = " or ".join(f"{' x '.join(map(str, one.shape))} ({one.name})" for one in fitting)
        raise VolumeReadError(f"its {file_bytes} bytes are {shapes}; wanted only one that fits; {cure}")
    known = ", ".join(sorted({" x ".join(map(str, one.shape)) for one in PROTOCOLS}))
    raise VolumeReadError(f"holds {file_bytes} bytes, which is no known cube; wanted {known}; {cure}")
