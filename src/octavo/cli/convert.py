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

    The ending of DST chooses the format: .npz, .nii, .nii.gz, .tif, .dcm. Reading any of them back gives the same volume.
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SRC")]
    """The scan: a file, a folder of B-scans, or PATH#2 for the second scan of a file."""
    destination: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DST")]
    """The new file."""
    companions: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A folder for the surfaces (CSV) and pictures (PNG) that come with the scan; an .npz holds them itself."""
    overwrite: bool = False
    """Replace a file that is there already."""

    def run(self) -> int:
        """Convert, and say what was written."""
        converted = convert_scan(
            self.source, self.destination, overwrite=self.overwrite, companions=self.companions, **self.said()
        )
        print(f"{self.destination} written from")
        print(describe(inspect_volume(converted.volume)))
        for file in converted.files:
            print(f"  beside     {file}")
        if converted.left_out:
            print(f"  left out   {converted.left_out}; pass --companions DIR to keep it, or write .npz")
        return 0
