"""Any folder of one folder for each class: `ROOT/CLASS/**`, scans of any format that octavo reads.

Such a layout says nothing of patients, eyes or millimetres. The patient is taken from the path by a pattern, or stays
empty; it is not assumed that every scan is another person.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below, patient_finder
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted
from octavo.cohorts.adapters.missing_parts import folders_in
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, files_of, find_scans

NO_EYE = "laterality is left empty, because the layout does not say which eye it is; files that say so keep their word"


def adopt_folders(root: Path, labels: Mapping[str, str], options: AdoptionOptions) -> Adoption:
    """Make rows of the scans in some folders of the root.

    Args:
        root: The folder.
        labels: Name of a folder to the label of what lies in it.
        options: What the user said.

    Raises:
        OctavoError: If there is no scan, or the pattern finds nobody.
    """
    find_patient = patient_finder(options.patient_pattern)
    found = {Path(scan).relative_to(root): name for name in labels for scan in find_scans(root / name)}
    left_out = list(_left_out(root, found, labels))
    lost = {item.path for item in left_out}
    found = {path: name for path, name in found.items() if path not in lost}
    if not found:
        raise OctavoError(f"{root}: holds no file that can be opened; wanted scans; check where its links lead")
    if options.patient_pattern is not None:
        found = _with_patients(root, found, options.patient_pattern, find_patient, left_out)
    exams = [FoundExam(path, find_patient(path.as_posix()), label=labels[name]) for path, name in found.items()]
    return adopted(root, exams, options, left_out=left_out, notes=[NO_EYE])


def _with_patients(
    root: Path, found: Mapping[Path, str], pattern: str, find_patient: Callable[[str], str], left_out: list[LeftOut]
) -> dict[Path, str]:
    """The scans whose patient the pattern finds."""
    strangers = [path for path in found if not find_patient(path.as_posix())]
    left_out += [LeftOut(path, f"the pattern {pattern!r} finds no patient") for path in strangers]
    if len(strangers) == len(found):
        raise OctavoError(
            f"{root}: the patient pattern {pattern!r} finds nobody in {len(found)} paths such as {strangers[0]}; "
            "wanted one "
            "that does"
        )
    return {path: name for path, name in found.items() if path not in strangers}


def _left_out(root: Path, found: Collection[Path], labels: Mapping[str, str]) -> Iterator[LeftOut]:
    """Every file that no scan is made of."""
    used = {file.relative_to(root) for path in found for file in _files_of(root / path)}
    for name in labels:
        for path in files_below(root / name):
            relative = path.relative_to(root)
            if not path.exists() or not (path.is_file() or path.is_dir()):
                yield LeftOut(relative, "a link that leads nowhere, or no file")
            elif relative not in used:
                what = "a link to a folder is not entered" if path.is_dir() else "not known to hold a scan"
                yield LeftOut(relative, what)
    for path in files_below(root):
        relative = path.relative_to(root)
        if relative.parts[0] not in labels:
            yield LeftOut(relative, f"lies in neither {' nor '.join(labels)}")


def _files_of(scan: Path) -> list[Path]:
    try:
        return files_of(scan)
    except VolumeReadError:
        # A folder that cannot be read: its files are listed one by one.
        return []


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    classes = {name: name for name in folders_in(root) if any(True for _ in files_below(root / name))}
    if len(classes) < 2:
        there = ", ".join(map(repr, classes)) or "none"
        raise OctavoError(f"{root}: folders with files in them: {there}; wanted one for each of at least two classes")
    return adopt_folders(root, classes, options)


CLASS_FOLDERS = Adapter(
    name="class-folders",
    layout="ROOT/CLASS/**, scans of any readable format; the name of the folder is the class",
    make_rows=_adopt,
    takes=LABELLING | {"patient_pattern"},
)
