"""The one image type, and what is known about it and how.

A scan is a block of numbers, and what goes wrong in silence goes wrong beside the numbers: the wrong eye, the wrong
millimetres, B-scans counted from the wrong end. So a `Volume` says for each of these what it is *and how that is
known*, and unknown is a value of its own.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from jaxtyping import Num, Shaped

from octavo.errors import OctavoError, unknown_name

AXES = ("bscan", "depth", "ascan")
"""The axes of every volume, in order: slow scan, along the A-scan (vitreous first), fast scan."""


class Origin(StrEnum):
    """How something about a scan is known."""

    READ = "read"
    """It stands in the file."""
    DERIVED = "derived"
    """Worked out from what stands in the file, or from its name or folder."""
    ASSUMED = "assumed"
    """Taken for granted because scans of this kind are usually so."""
    USER = "user"
    """The user said so."""
    UNKNOWN = "unknown"


class Laterality(StrEnum):
    """Which eye."""

    OD = "OD"
    """The right eye."""
    OS = "OS"
    """The left eye."""
    UNKNOWN = "unknown"

    @classmethod
    def parse(cls, text: str | None) -> "Laterality":
        """Read the spellings that headers, spreadsheets and people use; an empty or other text is unknown.

        Example:
            >>> Laterality.parse("R_"), Laterality.parse("left"), Laterality.parse("")
            (<Laterality.OD: 'OD'>, <Laterality.OS: 'OS'>, <Laterality.UNKNOWN: 'unknown'>)
        """
        word = (text or "").strip().strip("_").lower()
        if word in {"od", "r", "right", "re"}:
            return cls.OD
        if word in {"os", "l", "left", "le"}:
            return cls.OS
        return cls.UNKNOWN


class ScanPattern(StrEnum):
    """How the B-scans lie on the retina."""

    RASTER = "raster"
    """Parallel B-scans that fill a rectangle: the only pattern that is a block of tissue."""
    LINE = "line"
    RADIAL = "radial"
    CIRCLE = "circle"
    OTHER = "other"
    """Known to be no raster, and none of the others alone: B-scans that cross, that are shuffled, lines with circles."""
    UNKNOWN = "unknown"
    """Nothing was said about it."""


class SlowAxis(StrEnum):
    """Which way the B-scans of a raster follow one another on the retina."""

    SUPERIOR_TO_INFERIOR = "superior-to-inferior"
    INFERIOR_TO_SUPERIOR = "inferior-to-superior"
    TEMPORAL_TO_NASAL = "temporal-to-nasal"
    NASAL_TO_TEMPORAL = "nasal-to-temporal"
    UNKNOWN = "unknown"

    @property
    def is_vertical(self) -> bool:
        """Whether the B-scans themselves stand upright, so that no B-scan lies in one hemiretina."""
        return self in {SlowAxis.TEMPORAL_TO_NASAL, SlowAxis.NASAL_TO_TEMPORAL}


class Region(StrEnum):
    """Which part of the retina the scan holds."""

    MACULA = "macula"
    DISC = "disc"
    MACULA_AND_DISC = "macula-and-disc"
    UNKNOWN = "unknown"


WORDS: dict[str, type[StrEnum]] = {
    "laterality": Laterality,
    "pattern": ScanPattern,
    "slow_axis": SlowAxis,
    "region": Region,
}
"""What a volume says in a word of its own, each with an origin; a user may say it too."""


class Frame(StrEnum):
    """Which orientation the values are stored in."""

    SCANNER = "scanner"
    """As the file stores them; A-scans run from left to right as one looks at the fundus."""
    RIGHT_EYE = "right-eye"
    """As in a right eye: superior B-scan first, temporal A-scan first."""


_Word = TypeVar("_Word", bound=StrEnum)


def known_word(words: type[_Word], word: str | None, name: str) -> _Word:
    """The member of a family of words that is called so, whether it comes as a member or as plain text.

    A text that only equals a member is not that member, and code that asks `is Laterality.OS` would pass it over.

    Args:
        words: The family.
        word: The word as it was given.
        name: What it tells about a scan, for the message.

    Raises:
        OctavoError: If there is no such word, with those that there are.

    Example:
        >>> known_word(Laterality, "OS", "laterality")
        <Laterality.OS: 'OS'>
    """
    try:
        return words(word or "")
    except ValueError:
        raise OctavoError(unknown_name(f"a word for {name.replace('_', ' ')}", word, list(words))) from None


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between neighbouring samples along each axis, in millimetres; None where it is not known.

    A single B-scan has no spacing between B-scans. `origins` says, axis by axis, how each number is known.

    Raises:
        OctavoError: If a spacing is not a positive finite number.

    Example:
        >>> spacing = Spacing(bscan=0.12, depth=0.004, ascan=0.011)
        >>> spacing.is_known, spacing.describe()
        (True, '120 x 4 x 11 um (read)')
        >>> Spacing(depth=0.0039).is_known
        False
    """

    bscan: float | None = None
    depth: float | None = None
    ascan: float | None = None
    origins: tuple[Origin, Origin, Origin] = (Origin.READ, Origin.READ, Origin.READ)

    def __post_init__(self) -> None:
        for axis, value in zip(AXES, self.values_mm, strict=True):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise OctavoError(
                    f"spacing along {axis} is {value} mm; wanted a positive number of millimetres, or nothing"
                )
        known = (
            known_word(Origin, origin, "origin") if value is not None else Origin.UNKNOWN
            for origin, value in zip(self.origins, self.values_mm, strict=True)
        )
        object.__setattr__(self, "origins", tuple(known))

    @property
    def values_mm(self) -> tuple[float | None, float | None, float | None]:
        """The three spacings in the order of `AXES`."""
        return (self.bscan, self.depth, self.ascan)

    @property
    def is_known(self) -> bool:
        """Whether all three axes are known, as anything measured in millimetres needs."""
        return None not in self.values_mm

    def known_mm(self) -> tuple[float, float, float]:
        """All three spacings, or a refusal that names the unknown ones.

        Raises:
            OctavoError: If any axis is unknown.
        """
        missing = [axis for axis, value in zip(AXES, self.values_mm, strict=True) if value is None]
        if self.bscan is None or self.depth is None or self.ascan is None:
            raise OctavoError(
                f"spacing along {', '.join(missing)} is unknown and millimetres were asked for; "
                "pass --spacing-mm BSCAN DEPTH ASCAN"
            )
        return (self.bscan, self.depth, self.ascan)

    def scaled(self, bscan: float, depth: float, ascan: float) -> "Spacing":
        """The spacing after sampling every axis that many times more coarsely.

        Example:
            >>> Spacing(0.1, 0.004, 0.01).scaled(2, 1, 1).bscan
            0.2
        """
        factors = (bscan, depth, ascan)
        bscan_mm, depth_mm, ascan_mm = (
            value if value is None else value * factor for value, factor in zip(self.values_mm, factors, strict=True)
        )
        return Spacing(bscan_mm, depth_mm, ascan_mm, self.origins)

    def describe(self) -> str:
        """The spacing in micrometres and how it is known, for people."""
        numbers = " x ".join("?" if value is None else f"{value * 1000:.6g}" for value in self.values_mm)
        kinds = sorted({origin.value for origin in self.origins if origin is not Origin.UNKNOWN})
        if not kinds:
            return "unknown"
        if len(kinds) == 1:
            return f"{numbers} um ({kinds[0]})"
        by_axis = ", ".join(f"{axis} {origin}" for axis, origin in zip(AXES, self.origins, strict=True))
        return f"{numbers} um ({by_axis})"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a volume came from: enough to find it again, and nothing that names a patient."""

    path: str = ""
    """The path as it was given, with `#k` where the file holds several scans."""
    format: str = ""
    """The name of the reader, such as `heidelberg-vol`."""
    scan: int = 1
    """Which scan of the file this is, counted from one."""
    device: str = ""
    """Manufacturer and model where the file tells."""


def is_constant(values: Num[np.ndarray, "*shape"]) -> bool:
    """Whether all samples are the same, as where an export failed.

    Example:
        >>> is_constant(np.zeros((2, 3))), is_constant(np.arange(6.0))
        (True, False)
    """
    # a scan varies already in its first samples but one, so that hardly any is looked at as a whole
    return not (values[:1] != values.flat[0]).any() and not (values != values.flat[0]).any()


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: values with named axes, and for each thing around them what is known and how.

    * `values` always has the three axes `bscan depth ascan`; a single B-scan is a volume of one. They are numbers,
      finite, and frozen: a change makes a new volume.
    * Depth grows from the vitreous towards the choroid.
    * What is unknown says so (`Laterality.UNKNOWN`, `None` millimetres); nothing is silently filled in.
    * Words may be given as plain text ("OS"); they are kept as members of their family, and others are refused.
    * `notes` are sentences about the reading that whoever uses the volume should see.

    Args:
        values: The samples, of any real number type.
        spacing_mm: Millimetres between samples and how they are known.
        laterality: Which eye.
        laterality_origin: How the eye is known.
        pattern: How the B-scans lie on the retina.
        pattern_origin: How the pattern is known.
        slow_axis: Which way the B-scans follow one another; only a raster has one.
        slow_axis_origin: How that direction is known.
        region: Which part of the retina it holds.
        region_origin: How the region is known.
        frame: Whether the values are as stored or brought to right-eye orientation.
        source: Where the volume came from.
        notes: What a user should know about the reading.

    Raises:
        OctavoError: If the values are not a non-empty block of finite real numbers on three axes, or a word is none.

    Example:
        >>> volume = Volume(np.zeros((2, 4, 3)), Spacing(0.25, 0.004, 0.01))
        >>> volume.shape, volume.laterality
        ((2, 4, 3), <Laterality.UNKNOWN: 'unknown'>)
        >>> volume.with_values(np.ones((2, 4, 3))).values.max()
        np.float64(1.0)
    """

    values: Num[np.ndarray, "bscan depth ascan"]
    spacing_mm: Spacing = Spacing()
    laterality: Laterality = Laterality.UNKNOWN
    laterality_origin: Origin = Origin.UNKNOWN
    pattern: ScanPattern = ScanPattern.UNKNOWN
    pattern_origin: Origin = Origin.UNKNOWN
    slow_axis: SlowAxis = SlowAxis.UNKNOWN
    slow_axis_origin: Origin = Origin.UNKNOWN
    region: Region = Region.UNKNOWN
    region_origin: Origin = Origin.UNKNOWN
    frame: Frame = Frame.SCANNER
    source: Source = Source()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = self.values
        if values.ndim != len(AXES) or 0 in values.shape:
            raise OctavoError(
                f"values have shape {values.shape}; wanted three axes ({', '.join(AXES)}), none of them empty"
            )
        if values.dtype.kind not in "uif":
            raise OctavoError(f"values are of type {values.dtype}; wanted whole or floating-point numbers")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(values.size - np.isfinite(values).sum())
            raise OctavoError(
                f"{bad} of {values.size} values are not finite numbers (NaN or infinite); wanted none; "
                "export the scan again, or replace them"
            )
        frozen = values.view()
        frozen.flags.writeable = False
        object.__setattr__(self, "values", frozen)
        object.__setattr__(self, "frame", known_word(Frame, self.frame, "frame"))
        for name, words in WORDS.items():
            word = known_word(words, getattr(self, name), name)
            origin = known_word(Origin, getattr(self, f"{name}_origin"), f"{name}_origin")
            object.__setattr__(self, name, word)
            object.__setattr__(self, f"{name}_origin", Origin.UNKNOWN if word == "unknown" else origin)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of B-scans, of samples along depth, of A-scans."""
        bscan, depth, ascan = self.values.shape
        return (bscan, depth, ascan)

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Extent along each axis in millimetres.

        Raises:
            OctavoError: If a spacing is unknown.
        """
        spacing = self.spacing_mm.known_mm()
        return (self.shape[0] * spacing[0], self.shape[1] * spacing[1], self.shape[2] * spacing[2])

    @property
    def bscans(self) -> Iterator[Shaped[np.ndarray, "depth ascan"]]:
        """The B-scans, one by one, in stored order."""
        return iter(self.values)

    def with_values(self, values: Num[np.ndarray, "bscan depth ascan"], spacing_mm: Spacing | None = None) -> "Volume":
        """The same scan with other values, and the spacing that goes with them where it changed."""
        return dataclasses.replace(self, values=values, spacing_mm=spacing_mm or self.spacing_mm)

    def with_note(self, note: str) -> "Volume":
        """The same scan with one more sentence a user should see."""
        return dataclasses.replace(self, notes=(*self.notes, note))
