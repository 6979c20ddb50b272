"""`octavo compare-scan`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.workflows.compare_scan import as_json, compare_scan, describe, write_table


@dataclass(frozen=True)
class CompareScan:
    """Compare two readings of one scan: sizes, millimetres, eye, pattern, and B-scan by B-scan.

    THEIRS is the scanner's own export, for example, and OURS the raw file. Grey values may be scaled. Where the voxels
    differ, it is tried whether one is turned over or counted otherwise. Exit code 0 if they are the same, 1 if they
    differ, 2 if one cannot be read.
    """

    ours: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OURS")]
    """A scan: a file, a folder of B-scans, or PATH#2 for the second scan of a file."""
    theirs: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="THEIRS")]
    """The same scan, as somebody else wrote it."""
    axes: Annotated[str | None, tyro.conf.arg(metavar="A,B,C")] = None
    """How arrays are stored, such as depth,bscan,ascan, for those of the two that do not say."""
    key: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Which array of an archive, for those of the two that hold several."""
    tolerance: float = 0.01
    """How far a B-scan may differ on average, as a share of the range of grey values."""
    table: Path | None = None
    """A CSV file for the differences of every B-scan; replaced if it is there."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> int:
        """Compare, and say what differs."""
        found = compare_scan(self.ours, self.theirs, axes=self.axes, key=self.key, tolerance=self.tolerance)
        if self.table is not None:
            write_table(found, self.table)
        print(as_json(found) if self.json else describe(found))
        return 0 if found.is_same else 1
