"""From what an adapter found to the rows of a manifest: names, labels, parts, and a word about everything left out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from octavo.cohorts.adapters.adoption import Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.manifest import REQUIRED, patients_in_two_parts
from octavo.errors import OctavoError, unknown_name
from octavo.volume import Laterality

LABELLING = frozenset({"positive", "negative", "unlabelled"})
"""Options of every layout whose classes have names."""

NOBODY = (
    "patient_id is left empty, because the layout does not say whose scan it is: training will refuse this "
    "manifest unless "
    "--each-row-its-own-patient declares that no two scans are of one person; fill it in, or adopt again with "
    "--patient-pattern"
)


@dataclass(frozen=True)
class FoundExam:
    """A scan that an adapter found, and what the layout says of it.

    Args:
        path: The scan, relative to the root; `FILE#2` is the second of a file.
        patient: Whose eye or head it is; empty where the layout does not say.
        laterality: Which eye.
        label: `0` or `1` where the published task has two classes, else the name of the class; empty where unknown.
        why_unlabelled: The reason for an empty label.
        columns: Further columns of the manifest, covariates among them.
        files: Files below the root that the scan is made of, where they are more or other than `path`.
        exam_id: A name; by default the one of the file.
    """

    path: Path
    patient: str = ""
    laterality: Laterality = Laterality.UNKNOWN
    label: str = ""
    why_unlabelled: str = "its class is not known"
    columns: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    exam_id: str = ""


def adopted(
    root: Path,
    found: Sequence[FoundExam],
    options: AdoptionOptions,
    *,
    left_out: Iterable[LeftOut] = (),
    notes: Iterable[str] = (),
    wants_labels: str = "",
) -> Adoption:
    """Make rows of what was found: label it, name it, and drop a published split that is none.

    Args:
        root: The folder.
        found: The scans, in the order of the rows.
        options: What the user said.
        left_out: What became no row before.
        notes: What whoever uses the manifest should know.
        wants_labels: Where the labels would stand, for the refusal when no scan has one.

    Raises:
        OctavoError: If nothing is left, a class that was named does not exist, or two scans would have one name.
    """
    refused, said = list(left_out), list(notes)
    kept = _with_labels(root, found, options, refused, said, wants_labels)
    rows = [_row(root, exam, exam_id) for exam, exam_id in zip(kept, exam_names(kept), strict=True)]
    said += _drop_broken_split(rows)
    said += [NOBODY] if rows and not any(row["patient_id"] for row in rows) else []
    filled = {name for row in rows for name, text in row.items() if text}
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name in filled | {*REQUIRED}]
    trimmed = tuple({name: row.get(name, "") for name in columns} for row in rows)
    return Adoption(trimmed, tuple(refused), tuple(said))


def _row(root: Path, exam: FoundExam, exam_id: str) -> dict[str, str]:
    return {
        "exam_id": exam_id,
        "patient_id": exam.patient,
        "path": str(root / exam.path),
        "laterality": "" if exam.laterality is Laterality.UNKNOWN else exam.laterality.value,
        "label": exam.label,
        **exam.columns,
    }


def _with_labels(
    root: Path,
    found: Sequence[FoundExam],
    options: AdoptionOptions,
    left_out: list[LeftOut],
    notes: list[str],
    wants_labels: str,
) -> list[FoundExam]:
    """The scans that stay, with the labels that the user's classes give them."""
    unlabelled = [exam for exam in found if not exam.label]
    if not options.unlabelled:
        if found and len(unlabelled) == len(found):
            raise OctavoError(
                f"{root}: none of {len(found)} scans has a label ({found[0].path}: {found[0].why_unlabelled}); wanted "
                f"{wants_labels or 'the class of each'}; add it, or pass --unlabelled for scans to be predicted"
            )
        for exam in unlabelled:
            left_out += _without(exam, f"{exam.why_unlabelled}; --unlabelled keeps it")
        found = [exam for exam in found if exam.label]
    elif unlabelled:
        notes.append(f"{len(unlabelled)} of {len(found)} rows have no label, as --unlabelled allows")
    classes = Counter(exam.label for exam in found if exam.label)
    if options.positive:
        return list(_binary(found, classes, options, left_out))
    if options.negative:
        raise OctavoError("--negative was given without --positive; wanted both, or --positive alone")
    if classes.keys() - {"0", "1"}:
        counted = ", ".join(f"{name} {count}" for name, count in sorted(classes.items()))
        notes.append(
            f"labels are names of classes ({counted}); adopt with --positive NAME, and --negative NAME to leave out "
            "further ones, for labels 0 and 1"
        )
    return list(found)


def _binary(
    found: Sequence[FoundExam], classes: Counter[str], options: AdoptionOptions, left_out: list[LeftOut]
) -> Iterator[FoundExam]:
    for name in (*options.positive, *options.negative):
        if name not in classes:
            raise OctavoError(unknown_name("a class of this data set", name, sorted(classes)))
    both = set(options.positive) & set(options.negative)
    if both:
        raise OctavoError(f"{sorted(both)[0]!r} was given as --positive and as --negative; wanted it once")
    for exam in found:
        columns = {"diagnosis": exam.label, **exam.columns}
        if not exam.label or exam.label in options.positive:
            yield _relabelled(exam, "1" if exam.label else "", columns)
        elif not options.negative or exam.label in options.negative:
            yield _relabelled(exam, "0", columns)
        else:
            left_out += _without(exam, f"is {exam.label}, neither positive nor negative", by_design=True)


def _without(exam: FoundExam, reason: str, by_design: bool = False) -> Iterator[LeftOut]:
    """A scan that is left out, and the files that belong to it and do not lie below it."""
    yield LeftOut(exam.path, reason, by_design)
    for file in exam.files:
        if file != exam.path and not file.is_relative_to(exam.path):
            yield LeftOut(file, f"belongs to {exam.path.name}, which is left out", by_design=True)


def _relabelled(exam: FoundExam, label: str, columns: Mapping[str, str]) -> FoundExam:
    return FoundExam(
        exam.path, exam.patient, exam.laterality, label, exam.why_unlabelled, columns, exam.files, exam.exam_id
    )


def _drop_broken_split(rows: list[dict[str, str]]) -> Iterator[str]:
    """A published split is kept whole or not at all; yields the reason where it is not."""
    parts = [row.get("split", "") for row in rows]
    if not any(parts):
        return
    straddling = patients_in_two_parts((row["patient_id"], row.get("split") or None) for row in rows)
    reason = ""
    if not all(parts):
        reason = f"{parts.count('')} of {len(parts)} scans belong to no part of it"
    elif straddling:
        patient, (one, other, *_) = next(iter(straddling.items()))
        reason = f"{len(straddling)} patients are in two parts of it, such as {patient!r} in {one} and {other}"
    if reason:
        for row in rows:
            row.pop("split", None)
        yield f"the published split is left out: {reason}; divide anew with octavo cohort split"


def exam_names(found: Sequence[FoundExam]) -> list[str]:
    """Names for exams: the one given, or the file's own where no other has the same, else with its folders and its ending.

    Raises:
        OctavoError: If two would have one name all the same.

    Example:
        >>> exam_names([FoundExam(Path("a/1.npy")), FoundExam(Path("b/1.npy")), FoundExam(Path("b/2.npy"))])
        ['a--1.npy', 'b--1.npy', '2']
    """
    names = [exam.exam_id or without_suffix(exam.path.name) for exam in found]
    times, given = Counter(names), Counter(exam.exam_id for exam in found if exam.exam_id)
    ids = [
        name if times[name] == 1 or (exam.exam_id and given[name] == 1) else "--".join(exam.path.parts)
        for name, exam in zip(names, found, strict=True)
    ]
    first: dict[str, Path] = {}
    for exam_id, exam in zip(ids, found, strict=True):
        if exam_id in first:
            raise OctavoError(
                f"{exam.path} and {first[exam_id]} would both be named {exam_id!r}; wanted different names; rename one"
            )
        first[exam_id] = exam.path
    return ids


def without_suffix(name: str) -> str:
    """The name of a file without its ending.

    Example:
        >>> without_suffix("a.nii.gz"), without_suffix("v1.2.npy"), without_suffix("eye")
        ('a', 'v1.2', 'eye')
    """
    return name.removesuffix(".gz").rsplit(".", 1)[0] or name


def rest_of(
    root: Path,
    found: Iterable[FoundExam],
    why: Callable[[Path], LeftOut],
    without: Collection[LeftOut] = (),
) -> Iterator[LeftOut]:
    """Everything below the root that no scan is made of.

    Args:
        root: The folder.
        found: The scans.
        why: The reason for a file, relative to the root.
        without: What is left out already: files, and folders with everything below them.
    """
    used = {file for exam in found for file in (exam.path, *exam.files)} | {item.path for item in without}
    for file in files_below(root, {root / item.path for item in without}):
        relative = file.relative_to(root)
        if relative not in used:
            if file.is_symlink() and file.is_dir():
                yield LeftOut(relative, "a link to a folder is not entered")
            elif not file.is_file():
                yield LeftOut(relative, "a link that leads nowhere, or no file")
            else:
                yield why(relative)
