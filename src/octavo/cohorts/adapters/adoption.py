"""What an adapter is: a way to turn a folder laid out by others into the rows of a manifest."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import OctavoError

ACCOMPANYING = frozenset({".md", ".txt", ".pdf", ".html", ".csv", ".tsv", ".json", ".xml", ".xlsx", ".log"})
"""Endings of files that lie beside scans and are none, so that leaving them out is no failure."""


@dataclass(frozen=True)
class LeftOut:
    """A file that became no row, and why."""

    path: Path
    reason: str

    @property
    def is_expected(self) -> bool:
        """Whether it is a text or a hidden file, as lie beside scans everywhere."""
        return self.path.name.startswith(".") or self.path.suffix.lower() in ACCOMPANYING


@dataclass(frozen=True)
class Adoption:
    """What an adapter made of a folder.

    Args:
        rows: Column to text; `path` leads to the scan from the working directory.
        left_out: Every file that became no row.
        notes: What whoever uses the manifest should know.
    """

    rows: tuple[Mapping[str, str], ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """A layout that can be adopted.

    An adapter promises:

    * every file below the root belongs to a row or is listed in `left_out` with a reason;
    * what the layout does not say stays empty in the row; nothing is guessed;
    * a root that does not fit at all is refused with what is missing;
    * rows come in the same order every time.
    """

    name: str
    layout: str
    """What lies where, in one sentence."""
    adopt: Callable[[Path, str | None], Adoption]
    """Root and patient pattern (see `patient_finder`) to rows."""


def files_below(root: Path) -> Iterator[Path]:
    """Every file below a folder, in the order of their names; a link to a folder counts as a file and is not entered.

    Raises:
        OctavoError: If the root is no folder, or a folder below it may not be listed.
    """
    if not root.is_dir():
        raise OctavoError(f"{root}: is not a folder; wanted the folder that holds the scans")

    def refuse(problem: OSError) -> None:
        raise OctavoError(f"{problem.filename}: cannot be listed ({problem.strerror}); wanted a readable folder")

    for folder, folders, files in os.walk(root, onerror=refuse):
        # in place, because os.walk descends in the order it finds here
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*files, *links]))


def patient_finder(pattern: str | None) -> Callable[[str], str]:
    """Make the function that finds the patient in a path relative to the root; empty text where there is none.

    Args:
        pattern: A regular expression with exactly one group, searched for anywhere in the path; None finds nobody.

    Raises:
        OctavoError: If it is no such expression.

    Example:
        >>> patient_finder(r"(P[0-9]+)_")("glaucoma/P017_OD.npy")
        'P017'
    """
    if pattern is None:
        return lambda path: ""
    import re

    try:
        expression = re.compile(pattern)
    except re.error as problem:
        raise OctavoError(
            f"patient pattern {pattern!r} is no regular expression ({problem}); wanted one such as '([0-9]+)_'"
        ) from problem
    if expression.groups != 1:
        raise OctavoError(
            f"patient pattern {pattern!r} has {expression.groups} groups; wanted exactly one, around the patient, such "
            "as '([0-9]+)_'; write (?:...) where a group is only for grouping"
        )

    def find(path: str) -> str:
        match = expression.search(path)
        return (match.group(1) or "").strip() if match else ""

    return find
