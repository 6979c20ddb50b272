"""`octavo report-problem`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.workflows.report_problem import report_problem


@dataclass(frozen=True)
class ReportProblem:
    """Write the skeleton of a file that will not open, which may be shared where the file may not.

    It holds kinds, places and lengths of the file's parts, sizes of its images, and octavo's own words about it; no text
    and no sample of the file.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """The file that will not open, or opens wrongly."""
    out: Path
    """The JSON file to write."""
    overwrite: bool = False
    """Replace a report that is there already."""

    def run(self) -> int:
        """Write the report, and say what is in it."""
        report = report_problem(self.file, self.out, overwrite=self.overwrite)
        outcome = "opens" if report["opens"] else f"does not open: {report['refusal']}"
        print(f"{self.file}: {outcome}")
        print(f"{self.out} written: {report['kind']}, {report['bytes']} bytes; no text and no sample of the file")
        print("read it before you share it")
        return 0
