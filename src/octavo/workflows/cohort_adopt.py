"""Make a manifest from a folder laid out in a known way."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.cohorts.adapters import ADAPTERS, Adoption, AdoptionOptions, LeftOut
from octavo.cohorts.adapters.csv_table import THE_LIST
from octavo.cohorts.exam import LateralityConflictError
from octavo.cohorts.manifest import OPTIONAL, REQUIRED, write_manifest
from octavo.cohorts.table import read_table
from octavo.errors import OctavoError, unknown_name
from octavo.formats.errors import VolumeReadError
from octavo.formats.header_eye import header_laterality
from octavo.formats.reading import eye_in_name, find_reader, split_name
from octavo.volume import Laterality
from octavo.workflows.cohort_check import PROGRESS_SECONDS, progress_log
from octavo.workflows.own_inputs import refuse_own_input

LISTED = 20
"""How many files of a kind the text names before it counts the rest."""

PATHS = ("path", "mask", "photograph")
"""Columns that lead to files."""

_CONFLICTS_SHOWN = 5
# pictures have no header that could name an eye, and data sets hold a hundred thousand of them
_WITHOUT_HEADER = frozenset({".bmp", ".jpg", ".jpeg", ".png"})


@dataclass(frozen=True)
class AdoptedCohort:
    """What came of adopting a folder.

    Args:
        manifest: The file that was written.
        exams: How many rows it has.
        patients: How many patients, 0 where the layout does not name them.
        labels: How many rows have each label; those without one under the empty text.
        left_out: Files that became no row.
        notes: What whoever uses the manifest should know.
    """

    manifest: Path
    exams: int
    patients: int
    labels: Mapping[str, int]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def positive(self) -> int:
        """How many rows have label 1."""
        return self.labels.get("1", 0)

    @property
    def has_failures(self) -> bool:
        """Whether anything was left out that somebody may miss."""
        return any(not item.is_expected for item in self.left_out)

    def describe(self) -> str:
        """The same for people."""
        whose = f"{self.patients} patients" if self.patients else "patients unknown"
        lines = [f"{self.manifest}: {self.exams} exams ({self._counted_labels()}), {whose}"]
        lines += [f"note: {note}" for note in self.notes]
        if self.left_out:
            lines.append(f"left out: {len(self.left_out)}")
            # those that look like scans first: they are the ones somebody may miss
            ordered = sorted(self.left_out, key=lambda item: item.is_expected)
            lines += [f"  {item.path}: {item.reason}" for item in ordered[:LISTED]]
            if len(ordered) > LISTED:
                lines.append(f"  and {len(ordered) - LISTED} more")
        return "\n".join(lines)

    def _counted_labels(self) -> str:
        named = {label: count for label, count in sorted(self.labels.items()) if label not in {"", "0", "1"}}
        counted = [f"{count} {label}" for label, count in named.items()]
        if not named:
            counted = [f"{self.labels.get(label, 0)} with label {label}" for label in ("1", "0")]
        return ", ".join([*counted, *([f"{self.labels['']} without label"] if self.labels.get("") else [])])


def adopt_cohort(
    name: str, root: Path, out: Path, *, options: AdoptionOptions | None = None, overwrite: bool = False
) -> AdoptedCohort:
    """Write the manifest of a folder laid out as one of `ADAPTERS` expects.

    Scans below the manifest's folder are named relative to it, so that both can be moved together; others by their
    whole path. Before anything is written, the eye that the layout says is compared with the names of the files and
    with their headers.

    Args:
        name: Which layout.
        root: The folder.
        out: The manifest to write.
        options: What the user says of the folder.
        overwrite: Whether a manifest that is there may be replaced.

    Raises:
        OctavoError: If the layout is unknown, the folder does not fit it, or the manifest cannot be written or would be
            written over what is adopted.
        LateralityConflictError: If two different eyes are said of one scan.
    """
    if name not in ADAPTERS:
        raise OctavoError(unknown_name("a layout that can be adopted", name, ADAPTERS))
    if out.exists() and not overwrite:
        raise OctavoError(f"{out}: exists already; choose another --out, or pass --overwrite")
    adapter = ADAPTERS[name]
    adoption = adapter.adopt(root, options or AdoptionOptions())
    _refuse_own_table(out, root, adoption, options or AdoptionOptions())
    require_one_eye(adoption.rows, root, progress=progress_log(PROGRESS_SECONDS))
    folder = Path(os.path.abspath(out)).parent
    rows = [_with_paths(row, folder) for row in adoption.rows]
    write_manifest(rows, out, overwrite=overwrite)
    terms = [f"terms of the data set: {adapter.licence}; read them where it was published"] if adapter.licence else []
    return AdoptedCohort(
        manifest=out,
        exams=len(rows),
        patients=len({row["patient_id"] for row in rows} - {""}),
        labels=Counter(row["label"] for row in rows),
        left_out=adoption.left_out,
        notes=(*adoption.notes, *unread_formats(adoption.rows), *terms),
    )


def require_one_eye(
    rows: Sequence[Mapping[str, str]], root: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Compare, scan by scan, the eye that the layout says, the one in its names and the one in its header.

    A left eye taken for a right one trains and predicts without complaint. Scans that cannot be opened are passed
    over: reading them says why.

    Args:
        rows: Rows as adapters make them.
        root: The folder that was adopted; only names below it are asked.
        progress: Called with the number of scans asked and their total after each one.

    Raises:
        LateralityConflictError: If two different eyes are said of one scan; every word is shown.
    """
    conflicts = []
    for done, row in enumerate(rows, 1):
        said = list(_words(row, root))
        if len({eye for _, eye in said}) > 1:
            words = " and ".join(f"{who} {eye}" for who, eye in said)
            conflicts.append(f"{_below(Path(row['path']), root)}: {words}")
        if progress is not None:
            progress(done, len(rows))
    if conflicts:
        shown = "; ".join(conflicts[:_CONFLICTS_SHOWN])
        more = f"; and {len(conflicts) - _CONFLICTS_SHOWN} more" if len(conflicts) > _CONFLICTS_SHOWN else ""
        raise LateralityConflictError(
            f"{len(conflicts)} of {len(rows)} scans are said to be of both eyes ({shown}{more}); wanted one eye each; "
            "correct whichever is wrong, or take the files out; nothing was written"
        )


def _refuse_own_table(out: Path, root: Path, adoption: Adoption, options: AdoptionOptions) -> None:
    """Refuse to replace what was adopted by its manifest: a scan, the spreadsheet, or another file of the data set."""
    named = [row[name] for row in adoption.rows for name in PATHS if row.get(name)]
    lists = [root / item.path for item in adoption.left_out if item.reason == THE_LIST]
    given = [] if options.table is None else [options.table]
    refuse_own_input(out, [*given, *lists, *named])
    # a manifest of an earlier call may lie among the scans and be replaced, and nothing else may
    if out.exists() and out.resolve().is_relative_to(root.resolve()) and not _is_manifest(out):
        raise OctavoError(
            f"{out}: is a file of the data set and no manifest; wanted another file; choose another --out"
        )


def _is_manifest(path: Path) -> bool:
    try:
        read_table(path, REQUIRED, [*REQUIRED, *OPTIONAL])
    except OctavoError:
        return False
    return True


def unread_formats(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Say which kinds of files no reader knows, asking the first of each kind.

    Example:
        >>> list(unread_formats([{"path": __file__}]))
        ['1 of 1 scans are .py files, which octavo does not read: convert them before they are used']
    """
    kinds: dict[str, list[Path]] = {}
    for row in rows:
        file, _ = split_name(row["path"], None)
        kinds.setdefault("folder" if file.is_dir() else file.suffix.lower(), []).append(file)
    for kind, files in kinds.items():
        try:
            find_reader(files[0], shown=files[0].name)
        except VolumeReadError:
            what = "folders" if kind == "folder" else f"{kind} files" if kind else "files without an ending"
            yield (
                f"{len(files)} of {len(rows)} scans are {what}, which octavo does not read: convert them before they are "
                "used"
            )


def _words(row: Mapping[str, str], root: Path) -> Iterator[tuple[str, Laterality]]:
    """Who says which eye; whoever says none is left out."""
    file, _ = split_name(row["path"], None)
    relative = _below(file, root)
    said = [("the layout says", Laterality.parse(row["laterality"]))]
    said += [(f"the name {part} says", eye_in_name(part)) for part in relative.parts]
    if file.suffix.lower() not in _WITHOUT_HEADER or file.is_dir():
        said.append(("the header says", header_laterality(row["path"], key=row.get("key") or None)))
    yield from ((who, eye) for who, eye in said if eye is not Laterality.UNKNOWN)


def _below(file: Path, root: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else Path(file.name)


def _with_paths(row: Mapping[str, str], folder: Path) -> dict[str, str]:
    return {**row, **{name: _path_in_manifest(row[name], folder) for name in PATHS if row.get(name)}}


def _path_in_manifest(path: str, folder: Path) -> str:
    scan = Path(os.path.abspath(path))
    return scan.relative_to(folder).as_posix() if scan.is_relative_to(folder) else scan.as_posix()
