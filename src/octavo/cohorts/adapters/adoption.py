"""What an adapter is: a way to turn a folder laid out by others into the rows of a manifest."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from octavo.errors import OctavoError

ACCOMPANYING = frozenset({".md", ".txt", ".pdf", ".html", ".csv", ".tsv", ".json", ".xml", ".xlsx", ".log"})
"""Endings of files that lie beside scans and are none, so that leaving them out is no failure."""


@dataclass(frozen=True)
class LeftOut:
    """A file, or a folder with everything below it, that became no row, and why.

    Args:
        path: Relative to the root.
        reason: Why, in half a sentence.
        by_design: Whether the layout has such files and no scans are made of them, or the user asked to leave it out.
    """

    path: Path
    reason: str
    by_design: bool = False

    @property
    def is_expected(self) -> bool:
        """Whether nobody will miss it: left out by design, a text or a hidden file, as lie beside scans everywhere."""
        return self.by_design or self.path.name.startswith(".") or self.path.suffix.lower() in ACCOMPANYING


@dataclass(frozen=True)
class Adoption:
    """What an adapter made of a folder.

    Args:
        rows: Column to text; `path` leads to the scan from the working directory.
        left_out: Everything that became no row.
        notes: What whoever uses the manifest should know.
    """

    rows: tuple[Mapping[str, str], ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdoptionOptions:
    """What the user may say about a folder that is adopted; each layout takes some of it.

    Args:
        patient_pattern: A regular expression with one group that finds the patient in a path relative to the root.
        positive: Names of classes that become label 1.
        negative: Names of classes that become 0, all further ones being left out; by default every other class is 0.
        columns: Column of a manifest to column of a spreadsheet.
        disease: Which of several diseases a data set has a task for.
        table: The spreadsheet, where it lies elsewhere or the root holds several.
        unlabelled: Keep scans without a label, as for prediction.
    """

    patient_pattern: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    disease: str | None = None
    table: Path | None = None
    unlabelled: bool = False

    def given(self) -> list[str]:
        """The options that were given, by name.

        Example:
            >>> AdoptionOptions(disease="AMD").given()
            ['disease']
        """
        return [option.name for option in fields(self) if getattr(self, option.name) not in (None, (), {}, False)]


@dataclass(frozen=True)
class Adapter:
    """A layout that can be adopted.

    An adapter promises:

    * every file below the root belongs to a row or is listed in `left_out` with a reason, by itself or with its folder;
    * what the layout does not say stays empty in the row; nothing is guessed;
    * a root that does not fit is refused with what is missing and the nearest that is there;
    * rows come in the same order every time; no voxel is read.
    """

    name: str
    layout: str
    """What lies where, in one sentence."""
    make_rows: Callable[[Path, AdoptionOptions], Adoption]
    """Root and options to rows; `adopt` calls it."""
    takes: frozenset[str] = frozenset()
    """Which of the options mean something here."""
    licence: str = ""
    """The terms as far as they are known, as a hint."""

    def adopt(self, root: Path, options: AdoptionOptions) -> Adoption:
        """Make the rows of a folder.

        Raises:
            OctavoError: If an option means nothing here, or the folder does not fit the layout.
        """
        for name in options.given():
            if name not in self.takes:
                spelled = ", ".join(f"--{option.replace('_', '-')}" for option in sorted(self.takes)) or "none"
                raise OctavoError(
                    f"--{name.replace('_', '-')} was given and {self.name} has no use for it (it takes {spelled}); "
                    "wanted only options that do something; leave it out"
                )
        if not root.is_dir():
            raise OctavoError(f"{root}: is not a folder; wanted {self.layout}")
        return self.make_rows(root, options)


def files_below(root: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """Every file below a folder, in the order of their names; a link to a folder counts as a file and is not entered.

    Args:
        root: The folder.
        without: Folders that are not entered, as paths that begin with the root.

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
        if without:
            folders[:] = [name for name in folders if Path(folder, name) not in without]
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
