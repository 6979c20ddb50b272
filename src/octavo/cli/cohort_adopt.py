"""`octavo cohort adopt`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cohorts.adapters import ADAPTERS, AdoptionOptions
from octavo.errors import OctavoError
from octavo.workflows.cohort_adopt import adopt_cohort


def layouts() -> str:
    """Every layout that can be adopted, a line each, for the help."""
    return "\n".join(f"- {name}: {adapter.layout}" for name, adapter in ADAPTERS.items())


@dataclass(frozen=True)
class CohortAdopt:
    """Make a manifest from a folder laid out in a known way."""

    name: tyro.conf.Positional[str]
    """Which layout; see above."""
    root: tyro.conf.Positional[Path]
    """The folder."""
    out: Path
    """The manifest to write."""
    positive: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Classes that become label 1, where classes have names; every other class becomes 0."""
    negative: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Classes that become label 0; further ones are left out."""
    unlabelled: bool = False
    """Keep scans without a label, as for prediction."""
    table: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The spreadsheet of the data set, where it lies elsewhere or there are several."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="COLUMN=NAME [...]")] = ()
    """For csv and bids: column of the manifest = column of the spreadsheet, such as patient_id=PTID label=DX path=file."""
    disease: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """For fairvision: AMD, DR or Glaucoma."""
    patient_pattern: Annotated[str | None, tyro.conf.arg(metavar="REGEX")] = None
    """A regular expression with one group that finds the patient in a path relative to ROOT, such as '(P[0-9]+)_'."""
    overwrite: bool = False
    """Replace a manifest that is there."""

    def run(self) -> int:
        """Adopt, and say what was left out."""
        options = AdoptionOptions(
            patient_pattern=self.patient_pattern,
            positive=self.positive,
            negative=self.negative,
            columns=columns_from(self.columns),
            disease=self.disease,
            table=self.table,
            unlabelled=self.unlabelled,
        )
        adopted = adopt_cohort(self.name, self.root, self.out, options=options, overwrite=self.overwrite)
        print(adopted.describe())
        return int(adopted.has_failures)


# the layouts are listed where they are written, so the help cannot fall behind them
CohortAdopt.__doc__ = f"{CohortAdopt.__doc__}\n\n{layouts()}"


def columns_from(pairs: tuple[str, ...]) -> Mapping[str, str]:
    """Read `COLUMN=NAME` pairs.

    Raises:
        OctavoError: If one is none, or a column is named twice.

    Example:
        >>> columns_from(("patient_id=PTID", "label=DX"))
        {'patient_id': 'PTID', 'label': 'DX'}
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        column, mark, name = pair.partition("=")
        if not mark or not column.strip() or not name.strip():
            raise OctavoError(f"--columns {pair!r} is no pair; wanted COLUMN=NAME, such as patient_id=PTID")
        if column.strip() in columns:
            raise OctavoError(f"--columns names {column.strip()!r} twice; wanted each column once")
        columns[column.strip()] = name.strip()
    return columns
