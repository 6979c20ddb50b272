"""What every reader offers: how it knows its files, what scans one holds, and how each is loaded."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from octavo.companions import Companions
from octavo.volume import Laterality, Volume


class Kind(StrEnum):
    """What sort of image a scan is; it says which spacings can be true."""

    OCT = "oct"
    """Written by an OCT device."""
    IMAGE = "image"
    """Any slice volume, of an eye or not."""

    @property
    def plausible_mm(self) -> tuple[float, float]:
        """The smallest and the largest spacing that is believed, both included, in millimetres.

        Example:
            >>> Kind.OCT.plausible_mm, Kind.IMAGE.plausible_mm
            ((0.001, 1.0), (0.001, 10.0))
        """
        return (0.001, 1.0) if self is Kind.OCT else (0.001, 10.0)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user says about how an array is stored; None is the format's own default."""

    axes: tuple[str, str, str] | None = None
    """Names of the stored axes, in order."""
    key: str | None = None
    """Which array of an archive."""
    said_of_all: frozenset[str] = frozenset()
    """Which of these two were said of many files at once: one that states its own, or holds one array, ignores them."""

    def binds(self, name: str) -> bool:
        """Whether an option was given for this very file, so that it must not be ignored."""
        return getattr(self, name) is not None and name not in self.said_of_all


def _no_companions() -> Companions:
    return Companions()


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan that a file holds, not loaded yet."""

    label: str
    """One phrase to tell it from the others of the file; never a name, a date or an identifier."""
    kind: Kind
    load: Callable[[], Volume]
    """Read the voxels. The registry fills in the source and what the user says."""
    laterality: Laterality = Laterality.UNKNOWN
    """Which eye the headers say, known before any voxel is read."""
    companions: Callable[[], Companions] = _no_companions
    """Read the surfaces and pictures that come with the scan, turned over as the volume is."""
    load_as: Callable[[Laterality], Volume] | None = None
    """The same for a scan that turns out to be of another eye than the headers say, where its direction is told from the
    eye; the volume still says what the headers say. None where nothing follows from the eye."""


def _no_parts(folder: Path) -> Collection[Path]:
    return ()


@dataclass(frozen=True, slots=True)
class Reader:
    """A format that can be read.

    A reader promises:

    * axes in the order `bscan depth ascan`;
    * millimetres, eye, pattern and direction with the origin of each, unknown where the file does not say;
    * sizes are checked against what is there, and against the limits, before voxels are read;
    * every fault becomes a sentence (got; wanted; cure), without the path, which `read_volume` puts in front.
    """

    name: str
    """What `Source.format` says."""
    about: str
    """The file it wants, with its article, for messages: "a Heidelberg .vol export"."""
    suffixes: tuple[str, ...]
    """Endings of file names, lower case; used when the content tells nothing, and to find scans in folders."""
    recognises: Callable[[Path, bytes], bool]
    """Whether a file with this beginning, or a folder (with no beginning), is of this format, by its content."""
    scans: Callable[[Path, ReadOptions], Sequence[Scan]]
    """Everything the file holds; parses headers, not voxels."""
    takes: frozenset[str] = frozenset()
    """Which of the options `axes` and `key` mean something for this format."""
    parts: Callable[[Path], Collection[Path]] = _no_parts
    """The files that the scans of a folder are made of, where a folder can be of this format."""
    beside: Callable[[Path], Collection[Path]] = _no_parts
    """Other files and folders that reading the scan depends on, such as the voxels of a header or an export's own list."""
