"""`octavo convert`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cli.inspect import ScanOptions
from octavo.workflows.convert import convert_scan
from octavo.workflows.inspect import describe, inspect_volume


@dataclass(frozen=True)
class Convert(ScanOptions):
    """Write a scan in another format, with everything that is known about it.

    The ending of DST chooses the format: .npz, .nii, .nii.gz, .tif. Reading any of them back gives the same volume.
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SRC")]
    """The scan: a file, a folder of B-scans, or PATH#2 for the second scan of a file."""
    destination: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DST")]
    """The new file."""
    overwrite: bool = False
    """Replace a file that is there already."""

    def run(self) -> int:
        """Convert, and say what was written."""
        volume = convert_scan(self.source, self.destination, overwrite=self.overwrite, **self.said())
        print(f"{self.destination} written from")
        print(describe(inspect_volume(volume)))
        return 0
