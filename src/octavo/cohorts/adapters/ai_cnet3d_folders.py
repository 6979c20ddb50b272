"""The folders of AI-CNet3D: one for each class, scans of any format anywhere below them.

The layout says nothing of patients, eyes or millimetres. The patient is taken from the path by a pattern, or stays
empty; it is not assumed that every scan is another person.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from octavo.cohorts.adapters.adoption import Adapter, Adoption, LeftOut, files_below, patient_finder
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, files_of, find_scans

LABELS = {"glaucoma": "1", "Non-Glaucomas": "0"}
"""The folder of each class, as published."""


def _adopt(root: Path, patient_pattern: str | None) -> Adoption:
    find_patient = patient_finder(patient_pattern)
    _require_classes(root)
    found = {Path(scan).relative_to(root): name for name in LABELS for scan in find_scans(root / name)}
    left_out = list(_left_out(root, found))
    lost = {item.path for item in left_out}
    found = {path: name for path, name in found.items() if path not in lost}
    if not found:
        raise OctavoError(f"{root}: holds no file that can be opened; wanted scans; check where its links lead")
    if patient_pattern is not None:
        strangers = [path for path in found if not find_patient(path.as_posix())]
        left_out += [LeftOut(path, f"the pattern {patient_pattern!r} finds no patient") for path in strangers]
        if len(strangers) == len(found):
            raise OctavoError(
                f"{root}: the patient pattern {patient_pattern!r} finds nobody in {len(found)} paths such as "
                f"{strangers[0]}; wanted one that does"
            )
        found = {path: name for path, name in found.items() if path not in strangers}
    rows = tuple(
        {
            "exam_id": exam_id,
            "patient_id": find_patient(path.as_posix()),
            "path": str(root / path),
            "laterality": "",
            "label": LABELS[name],
        }
        for (path, name), exam_id in zip(found.items(), _exam_ids(list(found)), strict=True)
    )
    return Adoption(rows, tuple(left_out), tuple(_notes(patient_pattern)))


def _require_classes(root: Path) -> None:
    if not root.is_dir():
        raise OctavoError(f"{root}: is not a folder; wanted the folder that holds {' and '.join(LABELS)}")
    missing = [name for name in LABELS if not (root / name).is_dir()]
    if missing:
        found = sorted(path.name for path in root.iterdir() if path.is_dir())
        listed = ", ".join(map(repr, found[:8])) + (", ..." if len(found) > 8 else "") if found else "no folders"
        raise OctavoError(
            f"{root}: has no folder {' and none '.join(map(repr, missing))}; found {listed}; wanted both "
            f"{' and '.join(LABELS)}, spelled so; rename the folder, or pass the one that holds them"
        )


def _left_out(root: Path, found: Collection[Path]) -> Iterator[LeftOut]:
    """Every file that no scan is made of."""
    used = {file.relative_to(root) for path in found for file in _files_of(root / path)}
    for name in LABELS:
        for path in files_below(root / name):
            relative = path.relative_to(root)
            if not path.exists() or not (path.is_file() or path.is_dir()):
                yield LeftOut(relative, "a link that leads nowhere, or no file")
            elif relative not in used:
                what = "a link to a folder is not entered" if path.is_dir() else "not known to hold a scan"
                yield LeftOut(relative, what)
    for path in files_below(root):
        relative = path.relative_to(root)
        if relative.parts[0] not in LABELS:
            yield LeftOut(relative, f"lies in neither {' nor '.join(LABELS)}")


def _files_of(scan: Path) -> list[Path]:
    try:
        return files_of(scan)
    except VolumeReadError:
        # A folder that cannot be read: its files are listed one by one.
        return []


def _exam_ids(paths: list[Path]) -> list[str]:
    """Names for the exams: the file's own where no other has the same, else with its folders and its ending."""
    stems = [_without_suffix(path.name) for path in paths]
    times = Counter(stems)
    ids = [stem if times[stem] == 1 else "--".join(path.parts) for stem, path in zip(stems, paths, strict=True)]
    first: dict[str, Path] = {}
    for exam_id, path in zip(ids, paths, strict=True):
        if exam_id in first:
            raise OctavoError(
                f"{path} and {first[exam_id]} would both be named {exam_id!r}; wanted different names; rename one"
            )
        first[exam_id] = path
    return ids


def _without_suffix(name: str) -> str:
    return name.removesuffix(".gz").rsplit(".", 1)[0] or name


def _notes(patient_pattern: str | None) -> Iterator[str]:
    if patient_pattern is None:
        yield (
            "patient_id is left empty, because the layout does not say whose scan it is: training will refuse this "
            "manifest unless --each-row-its-own-patient declares that no two scans are of one person; fill it in, or "
            "adopt again with --patient-pattern"
        )
    yield "laterality is left empty, because the layout does not say which eye it is; files that say so keep their word"


AI_CNET3D_FOLDERS = Adapter(
    name="ai-cnet3d-folders",
    layout="ROOT/glaucoma/** and ROOT/Non-Glaucomas/**, scans of any readable format",
    adopt=_adopt,
)
