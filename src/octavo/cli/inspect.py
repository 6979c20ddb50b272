"""`octavo inspect`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.errors import OctavoError
from octavo.formats import Said, VolumeReadError, find_scans
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis
from octavo.workflows.inspect import as_json, describe, inspect_scans

_VALUES = tyro.conf.EnumChoicesFromValues


@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """What a user may say about scans; it wins over what the files say."""

    axes: Annotated[str | None, tyro.conf.arg(metavar="A,B,C")] = None
    """How arrays are stored, such as depth,bscan,ascan."""
    key: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Which array of an .npz archive or a .mat file."""
    scan: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """Which scan of a file that holds several, counted from one; the same as PATH#NUMBER."""
    spacing_mm: Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="BSCAN DEPTH ASCAN")] = None
    """Millimetres between B-scans, along depth and between A-scans."""
    laterality: Annotated[Laterality | None, _VALUES] = None
    """Which eye."""
    slow_axis: Annotated[SlowAxis | None, _VALUES] = None
    """Which way the B-scans follow one another."""
    region: Annotated[Region | None, _VALUES] = None
    """Which part of the retina."""
    pattern: Annotated[ScanPattern | None, _VALUES] = None
    """How the B-scans lie on the retina."""

    def said(self) -> Said:
        """These options as keyword arguments of `read_volume`."""
        return Said(
            axes=self.axes,
            key=self.key,
            scan=self.scan,
            spacing_mm=self.spacing_mm,
            laterality=self.laterality,
            slow_axis=self.slow_axis,
            region=self.region,
            pattern=self.pattern,
        )


@dataclass(frozen=True)
class Inspect(ScanOptions):
    """Say what scans are: size, millimetres, eye, pattern, direction, and how each is known.

    A folder of B-scans is one scan; any other folder is searched. Exit code 1 if some scans were refused, 2 if all were.
    """

    paths: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="PATH...")]
    """Files and folders; PATH#2 is the second scan of a file."""
    preview: Path | None = None
    """A folder for one picture per scan: the middle B-scan with its surfaces, the mean along depth, and what else comes
    with it."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> int:
        """Inspect, print, and list what was refused at the end."""
        if not self.paths:
            raise OctavoError("no scan was named; wanted files or folders; for example octavo inspect eye.npy")
        said = self.said()
        if (self.axes or self.key) and all(map(_is_searched, self.paths)):
            said["said_of_all"] = frozenset({"axes", "key"})
        inspections = inspect_scans(self.paths, preview=self.preview, **said)
        refused = [inspection.refusal for inspection in inspections if inspection.refusal is not None]
        if self.json:
            print(as_json(inspections))
        for inspection in inspections:
            if not self.json and inspection.refusal is None:
                print(describe(inspection))
        for refusal in refused:
            print(f"octavo: {refusal}", file=sys.stderr)
        if not refused:
            return 0
        return 2 if len(refused) == len(inspections) else 1


def _is_searched(path: str) -> bool:
    """Whether a path is a folder of scans, for which options are said of all and not of each."""
    try:
        return [Path(scan) for scan in find_scans(path)] != [Path(path)]
    except VolumeReadError:
        return False
