"""Layer surfaces by OCTExplorer (the Iowa Reference Algorithms): `STEM_Surfaces_Iowa.xml`.

The file is no scan: it holds, for every surface and under every A-scan, the sample along depth at which the surface
lies. Sure, from files of version 4 and from programs that read them: size and voxel size by axis, the eye, whether
macula or disc was scanned, the surfaces in order of depth, one `bscan` after the other, and `undefined_region`, the
A-scans (counted from 0) where the segmentation is not to be believed. Depth is the axis `y` in version 4 and `z` in
version 3, and the axis across B-scans is the other of the two.

Likely, and therefore said in a note: samples are counted from 0 as A-scans are, and B-scans and A-scans follow one
another as in the scan that was segmented. Depths of 0 and `NA` are taken for nothing found.

Elements that may name a person (the authors, who modified the file) are skipped while the file streams by; a document
type is refused, so nothing in the file can expand.
"""

import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from octavo.companions import Companions, Surface
from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.limits import check_size
from octavo.volume import Laterality, Origin, Region, Spacing

NO_SCAN = (
    "holds layer surfaces of OCTExplorer and no scan; wanted the scan that they belong to; "
    "read that one: they come along with it"
)
"""Why such a file is refused as a scan."""

_ENDING = "_Surfaces_Iowa.xml"
_SCAN_ENDING = "_OCT_Iowa"
_MAX_BYTES = 64 * 2**20
_MAX_DEPTH = 16
_MAX_SURFACES = 64
_MOST_ATTRIBUTES = 2**17
_NOTHING = {"NA", "NAN", ""}
_UNITS_MM = {"mm": 1.0, "um": 1e-3, "micron": 1e-3, "microns": 1e-3}
_REGIONS = {"macula": Region.MACULA, "onh": Region.DISC, "disc": Region.DISC, "optic disc": Region.DISC}
_TISSUES = frozenset(
    (
        *("ILM", "NFL", "RNFL", "GCL", "IPL", "INL", "OPL", "HFL", "ONL", "ELM", "EZ", "IZ", "IS", "OS", "ISOS", "OSJ"),
        *("BMEIS", "OPR", "OSE", "RPE", "BM", "CC", "CHO", "CIB", "COB", "CSI", "CSJ", "SAT", "HAL", "IB", "OB"),
    )
)
"""What names of boundaries are put together from."""
_BETWEEN_TISSUES = re.compile(r"[ /_+-]")
_IN_PARENTHESES = re.compile(r".*\(([^()]*)\)\s*")
_CHARACTERISTICS = "surfaces/scan_characteristics/"
_KEPT = {
    *(f"{_CHARACTERISTICS}{group}/{name}" for group in ("size", "voxel_size") for name in ("unit", "x", "y", "z")),
    *(f"{_CHARACTERISTICS}{name}" for name in ("laterality", "center_type")),
    *(f"surfaces/{name}" for name in ("unit", "surface_num")),
    *(f"surfaces/surface_size/{axis}" for axis in "xyz"),
}


@dataclass(frozen=True)
class OctExplorerFile:
    """What a file of surfaces says."""

    surfaces: tuple[Surface, ...]
    """From the vitreous to the choroid, as the file gives them."""
    shape: tuple[int, int, int]
    """B-scans, samples along depth and A-scans of the scan that was segmented."""
    spacing_mm: Spacing
    laterality: Laterality
    region: Region
    notes: tuple[str, ...] = ()


@dataclass
class _Gathering:
    """What has been met so far in one pass through the file."""

    path: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    """The text since the last tag."""
    words: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    rows: list[list[array]] = field(default_factory=list)
    """Surfaces, their B-scans, their depths."""
    depth_axes: set[str] = field(default_factory=set)
    undefined: dict[str, array] = field(default_factory=lambda: {axis: array("d") for axis in "xyz"})

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.path.append(name)
        self.pieces.clear()
        if len(self.path) > _MAX_DEPTH:
            raise VolumeReadError("is nested deeper than any file of surfaces; wanted OCTExplorer's; export it again")
        if self.path == ["surfaces", "surface"]:
            self.names.append("")
            self.rows.append([])
            if len(self.rows) > _MAX_SURFACES:
                raise VolumeReadError(f"holds more than {_MAX_SURFACES} surfaces; wanted fewer; export it again")
        elif self.path == ["surfaces", "surface", "bscan"]:
            self.rows[-1].append(array("d"))

    def end(self, name: str) -> None:
        inside = "/".join(self.path)
        text = "".join(self.pieces).strip()
        if inside.startswith("surfaces/surface/bscan/"):
            self.depth_axes.add(name)
            self.rows[-1][-1].append(np.nan if text.upper() in _NOTHING else float(text))
        elif inside in _KEPT:
            self.words[inside] = text
        elif inside == "surfaces/surface/name":
            self.names[-1] = text
        elif inside.startswith("surfaces/undefined_region/ascan/") and name in self.undefined:
            self.undefined[name].append(float(text))
        self.path.pop()
        self.pieces.clear()


def is_octexplorer(beginning: bytes) -> bool:
    """Whether a file that begins so holds OCTExplorer's surfaces.

    Example:
        >>> is_octexplorer(b'<?xml version="1.0"?><surfaces><version>4.0.0</version>')
        True
    """
    return re.match(rb"\s*(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?<surfaces>", beginning) is not None


def read_octexplorer(path: str | Path) -> OctExplorerFile:
    """Read OCTExplorer's layer surfaces.

    Args:
        path: A file called `..._Surfaces_Iowa.xml`.

    Raises:
        VolumeReadError: If the file is damaged, hostile, or its surfaces are not of the size that it states.
    """
    with refusing(str(path), "layer surfaces of OCTExplorer (..._Surfaces_Iowa.xml)"):
        return _parse(Path(path))


def with_surfaces_beside(
    companions: Companions, scan: Path, shape_of: Callable[[], tuple[int, int, int]], laterality: Laterality
) -> Companions:
    """Add the surfaces of an OCTExplorer file that lies beside a scan and fits it.

    Args:
        companions: What comes with the scan already.
        scan: The scan's file or folder.
        shape_of: Gives the scan's shape; asked only where a file of surfaces is there.
        laterality: The scan's eye, as far as it is known.

    Returns:
        The companions, with the surfaces, or with a note that says why they are left out.
    """
    files = files_beside(scan)
    if not files:
        return companions
    if len(files) > 1:
        return _noted(companions, f"{len(files)} files of OCTExplorer's surfaces lie beside the scan; none is used")
    try:
        found = _parse(files[0])
    except VolumeReadError as refusal:
        return _noted(companions, f"OCTExplorer's surfaces beside the scan cannot be used: {refusal}")
    if found.shape != shape_of():
        return _noted(
            companions,
            f"OCTExplorer's surfaces beside the scan are of one of {' x '.join(map(str, found.shape))} samples and "
            "do not fit it; they are left out",
        )
    if Laterality.UNKNOWN not in {laterality, found.laterality} and laterality is not found.laterality:
        note = f"OCTExplorer's surfaces beside the scan are of {found.laterality}, and it is {laterality}"
        return _noted(companions, f"{note}; they are left out")
    order = "OCTExplorer's surfaces are taken in the order of the scan's B-scans and A-scans, and samples from 0"
    notes = (*companions.notes, *found.notes, order)
    return Companions((*companions.surfaces, *found.surfaces), companions.pictures, notes)


def files_beside(scan: Path) -> list[Path]:
    """The files of OCTExplorer's surfaces that belong to a scan by their names.

    For `eye.vol` and for `eye_OCT_Iowa.vol` that is `eye_Surfaces_Iowa.xml` beside it or in a folder `eye`, and whatever
    has that ending in a folder `eye_OCT_Iowa`.
    """
    name = scan.name if scan.is_dir() else Path(scan.name.removesuffix(".gz")).stem
    stem = name.removesuffix(_SCAN_ENDING)
    folders = [scan.parent, scan.parent / stem, *([scan] if scan.is_dir() else [])]
    found = {folder / f"{word}{_ENDING}" for folder in folders for word in (stem, f"{stem}_Sequence")}
    own = scan.parent / f"{stem}{_SCAN_ENDING}"
    if own.is_dir():
        found |= {file for file in own.iterdir() if file.name.endswith(_ENDING)}
    return sorted(file for file in found if file.is_file())


def _noted(companions: Companions, note: str) -> Companions:
    return Companions(companions.surfaces, companions.pictures, (*companions.notes, note))


def _parse(path: Path) -> OctExplorerFile:
    stored = path.stat().st_size
    if stored > _MAX_BYTES:
        raise VolumeReadError(f"is larger than {_MAX_BYTES} bytes; wanted a file of surfaces; export it again")
    met = _gather(path.read_bytes())
    if not met.rows or not met.words:
        raise VolumeReadError("holds no surfaces of OCTExplorer; wanted ..._Surfaces_Iowa.xml; check what the file is")
    if met.depth_axes not in ({"y"}, {"z"}):
        raise VolumeReadError("gives depths along no axis, or along several; wanted y or z; export it again")
    depth = next(iter(met.depth_axes))
    across = "z" if depth == "y" else "y"
    sizes = {axis: _whole(met.words, f"{_CHARACTERISTICS}size/{axis}") for axis in "xyz"}
    shape = (sizes[across], sizes[depth], sizes["x"])
    check_size((len(met.rows), shape[0], shape[2]), 8, stored)
    _check_against_header(met, shape, across)
    undefined = _undefined(met, shape, across)
    surfaces, notes = _surfaces(met, shape, undefined)
    return OctExplorerFile(
        surfaces,
        shape,
        _spacing(met.words, across, depth),
        Laterality.parse(met.words.get(f"{_CHARACTERISTICS}laterality")),
        _REGIONS.get(met.words.get(f"{_CHARACTERISTICS}center_type", "").lower(), Region.UNKNOWN),
        notes,
    )


def _gather(content: bytes) -> _Gathering:
    if content.count(b"=") > _MOST_ATTRIBUTES:
        raise VolumeReadError(
            f"holds more than {_MOST_ATTRIBUTES} attributes; wanted layer surfaces of OCTExplorer; export it again"
        )
    met = _Gathering()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = met.start
    parser.EndElementHandler = met.end
    parser.CharacterDataHandler = met.pieces.append
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        # all at once: given in pieces, a comment that never ends is read again from its beginning for each of them
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, VolumeReadError):
            raise
        raise VolumeReadError(
            f"cannot be parsed ({type(error).__name__}); wanted layer surfaces of OCTExplorer; "
            "the file is cut short or damaged: export it again"
        ) from error
    return met


def _refuse_document_type(*_: object) -> None:
    raise VolumeReadError(
        "declares a document type, by which XML can expand without end; wanted plain elements; export it again"
    )


def _whole(words: Mapping[str, str], name: str) -> int:
    word = words.get(name, "")
    if not word.isascii() or not word.isdecimal() or not 1 <= len(word) <= 9:
        raise VolumeReadError(
            f"states no {name.rpartition('surfaces/')[2]}; wanted a whole number there; export it again"
        )
    return int(word)


def _check_against_header(met: _Gathering, shape: tuple[int, int, int], across: str) -> None:
    if "surfaces/surface_num" in met.words and _whole(met.words, "surfaces/surface_num") != len(met.rows):
        raise VolumeReadError(
            f"holds {len(met.rows)} surfaces; wanted the {_whole(met.words, 'surfaces/surface_num')} that its header "
            "promises; the file is cut short or was edited: export it again"
        )
    if met.words.get("surfaces/unit", "voxel") not in {"voxel", "pixel"}:
        raise VolumeReadError("gives depths in another unit than voxels; wanted voxels; export it again")
    for axis, length in (("x", shape[2]), (across, shape[0])):
        name = f"surfaces/surface_size/{axis}"
        if name in met.words and _whole(met.words, name) != length:
            raise VolumeReadError(
                f"is of surfaces {_whole(met.words, name)} long along {axis}, and of a scan {length} long; "
                "wanted surfaces of the whole scan; export it again"
            )
    for number, rows in enumerate(met.rows, 1):
        if len(rows) != shape[0] or {len(row) for row in rows} != {shape[2]}:
            raise VolumeReadError(
                f"surface {number} is not of {shape[0]} B-scans with {shape[2]} A-scans each; "
                "wanted what its header promises; the file is cut short or was edited: export it again"
            )


def _undefined(met: _Gathering, shape: tuple[int, int, int], across: str) -> np.ndarray:
    """Under which A-scans the segmentation is not to be believed."""
    columns, rows = (np.array(met.undefined[axis]) for axis in ("x", across))
    inside = len(columns) == len(rows) and all(
        np.isin(places, np.arange(length)).all() for places, length in ((columns, shape[2]), (rows, shape[0]))
    )
    if not inside:
        raise VolumeReadError("calls A-scans undefined that are not there; wanted some of the scan; export it again")
    undefined = np.zeros((shape[0], shape[2]), dtype=bool)
    undefined[rows.astype(int), columns.astype(int)] = True
    return undefined


def _surfaces(
    met: _Gathering, shape: tuple[int, int, int], undefined: np.ndarray
) -> tuple[tuple[Surface, ...], tuple[str, ...]]:
    names = [_name(name, number) for number, name in enumerate(met.names, 1)]
    tables: list[Float[np.ndarray, "bscan ascan"]] = [np.array(rows, dtype=np.float64) for rows in met.rows]
    notes: tuple[str, ...] = ()
    outside = 0
    for table in tables:
        # 0 is what the program writes where it found nothing
        nothing = ~(table > 0) | (table >= shape[1])
        outside += int((nothing & ~np.isnan(table) & ~undefined).sum())
        table[nothing | undefined] = np.nan
    if undefined.any():
        notes += (f"the segmentation is undefined under {int(undefined.sum())} of {undefined.size} A-scans",)
    if outside:
        notes += (f"{outside} depths of 0 or outside the scan are taken for nothing found",)
    return tuple(Surface(name, table) for name, table in zip(names, tables, strict=True)), notes


def _name(name: str, number: int) -> str:
    """The short name in parentheses that the program gives every surface, or a number.

    Other names are somebody's own and may name anybody.

    Example:
        >>> _name("Inner boundary of RPE (IB_RPE)", 10), _name("as Jane drew it", 3)
        ('IB_RPE', 'surface 3')
    """
    short = _IN_PARENTHESES.fullmatch(name)
    word = short[1].strip() if short else name.strip()
    return word if all(part.upper() in _TISSUES for part in _BETWEEN_TISSUES.split(word)) else f"surface {number}"


def _spacing(words: Mapping[str, str], across: str, depth: str) -> Spacing:
    unit_mm = _UNITS_MM.get(words.get(f"{_CHARACTERISTICS}voxel_size/unit", "").lower())
    sizes: list[float | None] = []
    for axis in (across, depth, "x"):
        word = words.get(f"{_CHARACTERISTICS}voxel_size/{axis}", "")
        is_number = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", word) is not None
        sizes.append(float(word) * unit_mm if is_number and unit_mm is not None and float(word) > 0 else None)
    return Spacing(sizes[0], sizes[1], sizes[2], (Origin.READ, Origin.READ, Origin.READ))
