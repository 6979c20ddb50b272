"""`octavo deidentify`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.privacy.profile import Dates
from octavo.workflows.deidentify import deidentify_files


@dataclass(frozen=True)
class Deidentify:
    """Write copies of DICOM files without identity: PS3.15's basic profile, at every depth.

    Identifiers are replaced by others that a key gives, so that a study stays together across files and runs. Who has
    no key cannot go back. Exit code 1 if some files were refused, 2 if all were.
    """

    sources: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="SRC...")]
    """DICOM files and folders of them; they are only read."""
    out: Path
    """The folder for the new files: OUT/PATIENT/SERIES/INSTANCE.dcm, all of them new names."""
    key_file: Path
    """The secret that makes the new names; made if there is no such file. Keep it, and give it to nobody."""
    keep_dates: Annotated[Dates, tyro.conf.EnumChoicesFromValues] = Dates.REMOVED
    """Remove dates and times, or keep them shifted by as many days as all of the patient's."""
    keep_device: bool = False
    """Keep the identity of the device, such as its serial number."""
    keep_private: Annotated[tuple[str, ...], tyro.conf.arg(metavar="GGGG:CREATOR:EE")] = ()
    """Private attributes that are known to hold nobody's identity; all others are removed."""
    accept_burned_in: bool = False
    """Accept pixels that may show a name; pass it after looking at them."""
    overwrite: bool = False
    """Replace files that are there already."""

    def run(self) -> int:
        """Write, and say what was refused."""
        done = deidentify_files(
            self.sources,
            self.out,
            self.key_file,
            dates=self.keep_dates,
            keep_device=self.keep_device,
            keep_private=self.keep_private,
            accept_burned_in=self.accept_burned_in,
            overwrite=self.overwrite,
        )
        if done.written:
            files, people = _count(len(done.written), "file"), _count(done.patients, "patient")
            print(f"{files} of {people} written to {self.out}")
        if done.key_made:
            print(f"{self.key_file} made: keep it for further files of the same study, and give it to nobody")
        if done.passed_over:
            print(f"{_count(done.passed_over, 'file')} passed over: no DICOM")
        for refusal in done.refused:
            print(f"octavo: {refusal}", file=sys.stderr)
        if not done.written:
            return 2
        return int(bool(done.refused))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
