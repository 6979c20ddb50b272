"""OCT volumes for glaucoma detection (Zenodo 1481223): cubes of the optic nerve head, everything else in their names.

Maetschke et al., "A feature agnostic approach for glaucoma detection in OCT volumes", PLoS ONE 2019. The cubes are 6
x 6 x 2 mm and were shipped at 64 x 128 x 64 (B-scans, depth, A-scans) as bytes; left eyes are not mirrored.
"""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.npz_facts import read_array_shape
from octavo.errors import OctavoError

SHAPE = (64, 128, 64)
SIZE_MM = (6.0, 2.0, 6.0)
LABELS = {"Normal": "0", "POAG": "1"}

_ZIP = b"PK"
_NAME = re.compile(r"(?P<label>[^-]+)-(?P<patient>\d+)-(?P<date>\d{4}-\d{2}-\d{2})-(?P<eye>[^-]+)\.npy")


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    rows, left_out, unread, resized = [], [], 0, 0
    for path in files_below(root):
        relative = path.relative_to(root)
        try:
            described = _row(relative)
            _require_plain_array(path)
        except OctavoError as refusal:
            left_out.append(LeftOut(relative, str(refusal)))
            continue
        shape = _stored_shape(path)
        unread += shape is None
        resized += shape not in {None, SHAPE}
        rows.append({**described, "path": str(path), **(_spacing() if shape == SHAPE else {})})
    if not rows:
        raise OctavoError(_nothing_fits(root, left_out))
    notes = ["the direction of the B-scans was not published: slow_axis is left empty"]
    if unread:
        notes.append(f"{unread} of {len(rows)} files have no header that can be read; octavo cohort check says why")
    if resized:
        notes.append(
            f"{resized} of {len(rows)} files are not {' x '.join(map(str, SHAPE))} as published, so their spacing is "
            "left empty"
        )
    notes.extend(
        f"no file of class {name!r}; the published set has both"
        for name, label in LABELS.items()
        if all(row["label"] != label for row in rows)
    )
    return Adoption(tuple(rows), tuple(left_out), tuple(notes))


def _row(relative: Path) -> Mapping[str, str]:
    """What a name says, or a refusal with the part of it that does not fit."""
    if len(relative.parts) > 1:
        raise OctavoError("lies in a folder of its own; wanted all files directly below the root")
    if relative.suffix != ".npy":
        raise OctavoError("not an .npy file")
    parts = _NAME.fullmatch(relative.name)
    if parts is None:
        raise OctavoError("wanted LABEL-PATIENT-YYYY-MM-DD-EYE.npy, such as POAG-001978-2012-02-08-OS.npy")
    if parts["label"] not in LABELS:
        raise OctavoError(f"label is {parts['label']!r}; wanted {' or '.join(LABELS)}")
    if parts["eye"] not in {"OD", "OS"}:
        raise OctavoError(f"eye is {parts['eye']!r}; wanted OD or OS")
    try:
        datetime.date.fromisoformat(parts["date"])
    except ValueError:
        raise OctavoError(f"{parts['date']} is no date; wanted YYYY-MM-DD") from None
    return {
        "exam_id": relative.stem,
        "patient_id": parts["patient"],
        "laterality": parts["eye"],
        "label": LABELS[parts["label"]],
        "region": "disc",
        "pattern": "raster",
        "exam_date": parts["date"],
    }


def _require_plain_array(path: Path) -> None:
    """Refuse what bears the name of an array and is none, and what would be waited for if it were opened."""
    if not path.is_file():
        raise OctavoError("is a link that leads nowhere, or no file; wanted a file")
    with path.open("rb") as file:
        if file.read(2) == _ZIP:
            raise OctavoError("holds a zip archive, as .npz files are; wanted one array; save it with numpy.save")


def _spacing() -> dict[str, str]:
    spacing = (size / count for size, count in zip(SIZE_MM, SHAPE, strict=True))
    names = ("spacing_bscan_mm", "spacing_depth_mm", "spacing_ascan_mm")
    return {name: repr(value) for name, value in zip(names, spacing, strict=True)}


def _stored_shape(path: Path) -> tuple[int, ...] | None:
    """The shape in the header; None where there is none to be read, which reading the scan will report."""
    try:
        return read_array_shape(path)
    except OctavoError:
        return None


def _nothing_fits(root: Path, left_out: list[LeftOut]) -> str:
    below = next((item.path for item in left_out if _NAME.fullmatch(item.path.name)), None)
    if below is not None:
        return f"{root}: the scans lie deeper, as {below}; wanted them directly below; pass {root / below.parent}"
    example = next((f"; {item.path}: {item.reason}" for item in left_out if item.path.suffix == ".npy"), "")
    return (
        f"{root}: none of {len(left_out)} files has a name such as POAG-001978-2012-02-08-OS.npy{example}; wanted the "
        "folder that holds them"
    )


ZENODO_ONH = Adapter(
    name="zenodo-onh",
    layout="ROOT/{Normal,POAG}-PATIENT-YYYY-MM-DD-{OD,OS}.npy, 64 x 128 x 64, of the optic nerve head (Zenodo 1481223)",
    make_rows=_adopt,
    licence="CC BY 4.0, as far as is known",
)
